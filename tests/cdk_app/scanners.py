"""What cdk-nag, CDK's own validator and cfn-lint say of one real tenant per shape, with names that hold for all."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cdk_app.guardrails.subject import Owner
from tenants.model import Environment, Tenant, Webhook
from tenants.registry import Registry

RULE = re.compile(r"([^\[]+)(?:\[(.*)\])?\Z")


@dataclass(frozen=True, order=True)
class Finding:
    """`resource` is a construct's path or, from cfn-lint, a logical id, below `tenant` or `platform`.

    `detail` is what a rule found of several things that it finds in one resource: `Resource::…` of AwsSolutions-IAM5.
    """

    rule: str
    detail: str
    resource: str


def one_per_shape(registry: Registry) -> Registry:
    """The shape of a tenant's stack is its datasets and their queries."""
    shapes: dict[tuple[str, ...], Tenant] = {}
    for tenant in registry.tenants:
        shapes.setdefault(tuple(dataset.name for dataset in tenant.datasets), tenant)
    return replace(registry, tenants=tuple(shapes.values()))


def with_webhook(registry: Registry, environment: str) -> Registry:
    """Nothing that a stack may hold is left out."""
    webhook = Webhook(parameter="/lake/chat", format="teams")
    given = registry.environment(environment).model_dump() | {"webhook": webhook}
    return replace(registry, environments={**registry.environments, environment: Environment(**given)})


def synthesised(registry: Registry, environment: str, folder: Path, flags: dict[str, Any]) -> Path:
    """The folder of templates, with the report of the plugins beside them."""
    import aws_cdk as cdk
    from cdk_nag import AwsSolutionsChecks

    from cdk_app.app import build

    app = build(
        registry,
        environment,
        folder,
        outdir=str(folder / "cdk.out"),
        context=flags,
        builtin_cloud_formation_validation=True,
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:  # jsii's name for it; what was found stands in the report
        if "ValidationFailed" not in str(error):
            raise
    return folder / "cdk.out"


def reported(assembly: Path) -> Iterator[Finding]:
    """By cdk-nag and by CDK's own validator."""
    report = json.loads((assembly / "validation-report.json").read_text())
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            rule, detail = RULE.match(violation["ruleName"]).groups()
            for construct in violation["violatingConstructs"]:
                stack, _, path = construct["constructPath"].partition("/")
                yield finding(stack, rule, detail or "", path)


def linted(assembly: Path, region: str) -> Iterator[Finding]:
    from cfnlint.api import ManualArgs, lint

    for file in sorted(assembly.glob("*.template.json")):
        stack = file.name.removesuffix(".template.json")
        for match in lint(file.read_text(), config=ManualArgs(regions=[region])):
            path = match.path or []
            logical_id = str(path[1]) if len(path) > 1 and path[0] == "Resources" else "/".join(map(str, path))
            yield finding(stack, f"cfn-lint-{match.rule.id}", "", logical_id)


def finding(stack: str, rule: str, detail: str, resource: str) -> Finding:
    owner = Owner.of(stack)
    assert owner is not None
    whose = "tenant" if owner.tenant else "platform"
    return Finding(rule=rule, detail=nameless(owner, detail), resource=f"{whose}/{resource}")


def nameless(owner: Owner, text: str) -> str:
    """Names of a tenant, of the organization and of the account as what they are."""
    names = {owner.platform.stack.removesuffix("-platform"): "<platform>"}
    if owner.tenant:
        names = {
            owner.prefix: "<workgroup>",
            owner.prefix.replace("-", "_"): "<database>",
            f"/lake/{owner.organization}/{owner.environment}/{owner.tenant}/": "/lake/<tenant>/",
            **names,
        }
    for name, what in names.items():
        text = re.sub(rf"(?<![a-z0-9]){re.escape(name)}{'' if name.endswith('/') else '(?![a-z0-9])'}", what, text)
    text = re.sub(rf"(?<![a-z0-9]){owner.organization}-\*-{owner.environment}-", "<every tenant>-", text)
    text = re.sub(r"arn:[\w-]+:", "arn:<partition>:", text)
    return re.sub(r"(arn:<partition>:[a-z0-9-]+):[a-z0-9-]+:\d{12}:", r"\1:<region>:<account>:", text)
