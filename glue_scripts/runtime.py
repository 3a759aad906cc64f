"""Where a job runs: on Glue with AWS's own context and arguments, elsewhere with Spark alone.

`awsglue` is used where it can be imported, `GlueContext` and `Job` only where the JVM has their classes.
"""

import argparse
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from glue_scripts.arguments import JobArguments, option
from glue_scripts.errors import ArgumentMissing

GLUE_CONTEXT = "com.amazonaws.services.glue.GlueContext"
GIVEN_BY_GLUE = ("JOB_NAME", "JOB_RUN_ID")


@dataclass(frozen=True)
class Invocation:
    """What a process was started with. `glue_run`: Glue's id of this start, or one of its own where Glue gives none."""

    arguments: JobArguments
    job_name: str
    glue_run: str


def invocation(argv: Sequence[str]) -> Invocation:
    """Raises ArgumentMissing naming every argument that is absent."""
    names = JobArguments.names()
    missing = [option(name) for name in names if not _is_given(name, argv)]
    if missing:
        raise ArgumentMissing(
            f"The job was started without {', '.join(missing)}; the job's definition or dispatch sets it."
        )
    given = resolve_options(argv, names, optional=GIVEN_BY_GLUE)
    arguments = JobArguments(**{name: given[name] for name in names})
    return Invocation(arguments, given.get("JOB_NAME") or "", given.get("JOB_RUN_ID") or f"by-hand-{uuid.uuid4()}")


def resolve_options(argv: Sequence[str], required: Sequence[str], *, optional: Sequence[str]) -> dict[str, Any]:
    """As `awsglue.utils.getResolvedOptions`, which is used if it is there; absent optional ones are left out."""
    try:
        from awsglue.utils import getResolvedOptions
    except ImportError:
        return _parse(argv, required, optional)
    # JOB_RUN_ID is one of Glue's reserved names: always parsed, and refused when asked for.
    asked = [*required, *(name for name in optional if name != "JOB_RUN_ID" and _is_given(name, argv))]
    resolved: dict[str, Any] = getResolvedOptions(list(argv), asked)
    return resolved


def _parse(argv: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for name in (*required, *optional):
        parser.add_argument(option(name), dest=name, required=name in required, default=argparse.SUPPRESS)
    return vars(parser.parse_known_args(list(argv)[1:])[0])


def _is_given(name: str, argv: Sequence[str]) -> bool:
    return any(word == option(name) or word.startswith(f"{option(name)}=") for word in argv)


@contextmanager
def session(job_name: str, argv: Sequence[str] = ()) -> Iterator[Any]:
    """The Spark session; on Glue inside an initialised `Job`, which is committed at the end."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    if not on_glue(spark):
        yield spark
        return
    from awsglue.context import GlueContext
    from awsglue.job import Job

    job = Job(GlueContext(spark.sparkContext))
    job.init(job_name, dict(_pairs(argv or sys.argv)))
    yield spark
    job.commit()


def on_glue(spark: Any) -> bool:
    """Whether the JVM has AWS's classes: py4j answers with a package where a class is missing."""
    from py4j.java_gateway import JavaClass

    found = spark.sparkContext._jvm  # noqa: SLF001 - the only way to ask
    for part in GLUE_CONTEXT.split("."):
        found = getattr(found, part)
    return isinstance(found, JavaClass)


def _pairs(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if word.startswith("--"):
            yield word.removeprefix("--"), following
