"""The CDK app, run as `python -m cdk_app.app`; the only module here that reads files and the environment.

Context: `environment` (default `local`), `tenants` (folder of tenants.yaml, default `tenants/` of the project),
`validate` (`true` runs CDK's own template validator, which costs seconds).
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdk_app.node import prepare

if TYPE_CHECKING:
    import aws_cdk as cdk

    from tenants.registry import Registry

__all__ = ["build", "main"]

PROJECT = Path(__file__).resolve().parents[1]


def context() -> dict[str, Any]:
    """cdk.json's flags, under whatever the CDK command line was given."""
    flags: dict[str, Any] = json.loads((PROJECT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return flags | json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))


def build(registry: "Registry", environment: str, folder: Path, **options: Any) -> "cdk.App":
    """In each cell the platform's stack and one per tenant. Archives of code go into `folder` until synthesis."""
    import aws_cdk as cdk

    from cdk_app.code import pack
    from cdk_app.platform_stack import PlatformStack
    from cdk_app.tenant_stack import TenantStack
    from cdk_app.values import Site, TenantValues

    app, code = cdk.App(**options), pack(PROJECT, folder)
    for cell in registry.cells(environment):
        site = Site.of(registry.organization, cell)
        platform = PlatformStack(app, site.platform.stack, site=site, code=code)
        for tenant in registry.tenants_in(cell):
            values = TenantValues.of(tenant, registry, environment)
            TenantStack(app, values.names.stack, site=site, values=values, code=code).add_stack_dependency(platform)
    return app


def main() -> int:
    prepare(os.environ, PROJECT)
    from cdk_app.guardrails import Agreed, agreed, findings
    from tenants.errors import TenantsError
    from tenants.registry import load

    given = context()
    try:
        registry = load(PROJECT / given.get("tenants", "tenants"))
        environment = registry.environment(given.get("environment", "local")).name
    except TenantsError as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        app = build(
            registry,
            environment,
            Path(folder),
            outdir=os.environ.get("CDK_OUTDIR", "cdk.out"),
            context=given,
            builtin_cloud_formation_validation=given.get("validate") == "true",
        )
        assembly = app.synth()
    said, wrong = agreed(registry, environment), list[str]()
    for path in sorted(Path(assembly.directory).glob("*.template.json")):
        stack = path.name.removesuffix(".template.json")
        wrong += findings(stack, json.loads(path.read_text(encoding="utf-8")), said.get(stack, Agreed()))
    print("\n".join(wrong), end="", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
