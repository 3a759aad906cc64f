"""Who runs as what, and whose code: a role is worth what the code is that runs in it."""

import re
from collections.abc import Iterator

from cdk_app.guardrails.subject import Subject, rendered

__all__ = ["own_function", "own_source", "shipped_job"]

ARCHIVE = re.compile(r"[0-9a-f]{64}\.zip")
# Whatever brings in code beside the archive.
MORE_CODE = ("FileSystemConfigs", "ImageConfig", "Layers", "VpcConfig")
ARGUMENTS = {
    "--account",
    "--bucket",
    "--code",
    "--conf",
    "--custom-logGroup-prefix",
    "--database",
    "--datalake-formats",
    "--enable-auto-scaling",
    "--enable-continuous-cloudwatch-log",
    "--enable-metrics",
    "--enable-observability-metrics",
    "--extra-py-files",
    "--job-bookmark-option",
    "--job-language",
    "--ledger",
    "--tenant",
}


def own_function(subject: Subject) -> Iterator[str]:
    """A function of the platform, from an archive in the bootstrap's bucket, in the role that is made for it."""
    owner, name = subject.owner, str(subject.get("FunctionName"))
    if owner.tenant:
        yield "a function in a tenant's stack: expected the platform's only"
    bucket = rf"cdk-[a-z0-9]+-assets-{owner.agreed.account or '[0-9]{12}'}-[a-z0-9-]+"
    code = subject.get("Code") or {}
    if not (
        set(code) == {"S3Bucket", "S3Key"}
        and re.fullmatch(bucket, rendered(code["S3Bucket"]))
        and ARCHIVE.fullmatch(rendered(code["S3Key"]))
    ):
        yield f"its code is {rendered(code)}, expected an archive in the account's bucket of assets"
    if more := [each for each in MORE_CODE if each in subject.properties]:
        yield f"{', '.join(more)}: expected its archive alone"
    if subject.get("Handler") != f"ingestion.{owner.function_called(name)}.handler":
        yield f"its handler is {subject.get('Handler')}, expected that of {name}"
    if rendered(subject.get("Role")) not in {f"${{{each}.Arn}}" for each in subject.called("AWS::IAM::Role", name)}:
        yield f"runs in {rendered(subject.get('Role'))}, expected the role that is called {name}"
    yield from own_settings(subject)


def own_settings(subject: Subject) -> Iterator[str]:
    told = subject.get("Environment", "Variables") or {}
    if more := sorted(name for name in told if not name.startswith("LAKE_")):
        yield f"is told {', '.join(more)}, by which code is brought in: expected LAKE_… only"
    parameter = told.get("LAKE_WEBHOOK_PARAMETER")
    if parameter and parameter != subject.owner.agreed.parameter:
        yield f"reads parameter {parameter}, expected {subject.owner.agreed.parameter}, which the registry names"


def own_source(subject: Subject) -> Iterator[str]:
    """The queue of arrivals feeds the function that registers them."""
    owner = subject.owner
    queues = {f"${{{each}.Arn}}" for each in subject.called("AWS::SQS::Queue", owner.platform.queue)}
    functions = {f"${{{each}}}" for each in subject.called("AWS::Lambda::Function", owner.platform.register_function)}
    source, function = rendered(subject.get("EventSourceArn")), rendered(subject.get("FunctionName"))
    if source not in queues or function not in functions:
        yield f"{source} feeds {function}, expected the platform's arrivals and register"


def shipped_job(subject: Subject) -> Iterator[str]:
    """A job runs what lies in the platform's bucket of code, where no tenant writes."""
    arguments, bucket = subject.get("DefaultArguments") or {}, re.escape(subject.owner.platform.code_bucket)
    for name, value, ending in (
        ("script", subject.get("Command", "ScriptLocation"), "py"),
        ("library", arguments.get("--extra-py-files"), "zip"),
    ):
        if not re.fullmatch(rf"s3://{bucket}/[0-9a-f]{{64}}\.{ending}", rendered(value or "")):
            yield f"its {name} is {rendered(value or '')}, expected one in the platform's bucket of code"
    if more := sorted(set(arguments) - ARGUMENTS):
        yield f"is told {', '.join(more)}: add it to cdk_app/guardrails/runners.py if it brings in no code"
    if more := [each for each in ("Connections", "NonOverridableArguments") if each in subject.properties]:
        yield f"{', '.join(more)}: expected none"
