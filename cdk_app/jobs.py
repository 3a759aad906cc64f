"""The two Glue jobs of a tenant, and where they log."""

from collections.abc import Mapping

from aws_cdk import aws_glue as glue
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk_app.code import Code
from cdk_app.values import Site
from glue_scripts.arguments import JobDefaults

__all__ = ["JobCode", "JobLogs", "Jobs"]

GLUE_VERSION = "5.1"
TIMEOUT_MINUTES = 120
ICEBERG = "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"


class JobCode(Construct):
    """Scripts and library as objects in the platform's code bucket: the same for every tenant."""

    def __init__(self, scope: Construct, construct_id: str, *, code: Code) -> None:
        super().__init__(scope, construct_id)
        self.version = code.version
        self.library = assets.Asset(self, "Library", path=str(code.library))
        self.scripts = {job: assets.Asset(self, camel(job), path=str(script)) for job, script in code.scripts.items()}


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
    """One definition per job; a run gets nothing but its run id on top."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Mapping[str, str],
        code: JobCode,
        defaults: JobDefaults,
        role_arn: str,
        log_prefix: str,
        worker_type: str,
        workers: int,
        max_concurrent_runs: int,
    ) -> None:
        super().__init__(scope, construct_id)
        for job, name in names.items():
            glue.CfnJob(
                self,
                camel(job),
                name=name,
                role=role_arn,
                command=glue.CfnJob.JobCommandProperty(
                    name="glueetl", python_version="3", script_location=code.scripts[job].s3_object_url
                ),
                default_arguments={**glue_options(code, log_prefix), **defaults.options()},
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
