"""The Glue jobs of a tenant, and where they log."""

from collections.abc import Mapping
from functools import partial

from aws_cdk import aws_glue as glue
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk_app.code import Code
from cdk_app.values import Site
from glue_scripts.arguments import MAINTAIN, JobDefaults

__all__ = ["JobCode", "JobLogs", "Jobs"]

GLUE_VERSION = "5.1"
TIMEOUT_MINUTES = 120
# Errands of a tenant follow each other: two of them would rewrite the same table.
MAINTENANCE_WORKERS = 2
MAINTENANCE_RUNS = 1
ICEBERG = "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"


class JobCode(Construct):
    """Scripts and library as objects in the platform's code bucket: the same for every tenant."""

    def __init__(self, scope: Construct, construct_id: str, *, code: Code) -> None:
        super().__init__(scope, construct_id)
        self.version = code.version
        self.library = assets.Asset(self, "Library", path=str(code.library))
        self.scripts = {
            name: assets.Asset(self, camel(name), path=str(script)) for name, script in code.scripts.items()
        }


class JobLogs(Construct):
    """Log groups of the tenant's own: Glue's default ones are shared by every job of an account."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, prefix: str, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        for stream in ("output", "error"):
            logs.LogGroup(
                self,
                stream.title(),
                log_group_name=f"{prefix}/{stream}",
                retention=logs.RetentionDays.THREE_MONTHS,
                encryption_key=key,
                removal_policy=site.removal_policy,
            )


class Jobs(Construct):
    """One definition per job, and the one for errands; a run gets nothing but its id on top."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Mapping[str, str],
        maintenance: str,
        code: JobCode,
        defaults: JobDefaults,
        role_arn: str,
        log_prefix: str,
        worker_type: str,
        workers: int,
        max_concurrent_runs: int,
    ) -> None:
        super().__init__(scope, construct_id)
        define = partial(
            self._define,
            code=code,
            role_arn=role_arn,
            arguments={**glue_options(code, log_prefix), **defaults.options()},
            worker_type=worker_type,
        )
        for job, name in names.items():
            define(job, name, workers=workers, max_concurrent_runs=max_concurrent_runs)
        define(MAINTAIN, maintenance, workers=MAINTENANCE_WORKERS, max_concurrent_runs=MAINTENANCE_RUNS)

    def _define(
        self,
        script: str,
        name: str,
        *,
        code: JobCode,
        role_arn: str,
        arguments: Mapping[str, str],
        worker_type: str,
        workers: int,
        max_concurrent_runs: int,
    ) -> None:
        glue.CfnJob(
            self,
            camel(script),
            name=name,
            role=role_arn,
            command=glue.CfnJob.JobCommandProperty(
                name="glueetl", python_version="3", script_location=code.scripts[script].s3_object_url
            ),
            default_arguments=arguments,
            glue_version=GLUE_VERSION,
            worker_type=worker_type,
            number_of_workers=workers,
            # The ledger tries again, under a new run; a run that Glue repeats would find its claims taken.
            max_retries=0,
            timeout=TIMEOUT_MINUTES,
            execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=max_concurrent_runs),
        )


def glue_options(code: JobCode, log_prefix: str) -> dict[str, str]:
    return {
        "--job-language": "python",
        "--job-bookmark-option": "job-bookmark-disable",
        "--extra-py-files": code.library.s3_object_url,
        "--datalake-formats": "iceberg",
        "--conf": ICEBERG,
        "--enable-auto-scaling": "true",
        "--enable-continuous-cloudwatch-log": "true",
        "--custom-logGroup-prefix": log_prefix,
        "--enable-metrics": "true",
        "--enable-observability-metrics": "true",
    }


def camel(job: str) -> str:
    return job.title().replace("_", "")
