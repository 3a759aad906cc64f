"""What a security officer reads: what was asked, what came out, and what all of it rests on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from isolation.account import Account, Principal
from isolation.catalogue import catalogue
from isolation.decision import Leak
from isolation.deputies import Deputy, deputies
from isolation.golden import Difference, differences
from isolation.isolation import Proof, prove
from isolation.shapes import Extension, extend
from isolation.template import Stack

__all__ = ["ASSUMPTIONS", "Report", "report"]

ASSUMPTIONS = (
    "AWS enforces the policies that are in the templates, and what is deployed is what was synthesised.",
    "Policies of the organization (SCP, RCP), of sessions and of VPC endpoints are not looked at: they only restrict.",
    (
        "What is made at run time outside the templates is not looked at: KMS grants, S3 access points, Lake Formation "
        "permissions, RAM shares, resource policies of the Glue catalog and of CloudWatch Logs."
    ),
    "A request that reads DynamoDB without naming keys (Scan, PartiQL) carries no dynamodb:LeadingKeys.",
    (
        "Condition keys whose value follows from nothing here may have any value; an Allow is then taken to hold and a "
        "Deny not to."
    ),
    (
        "The platform's functions work for all tenants by design: what each may do is a reviewed list, and no tenant's "
        "role may become one of them or hand one on."
    ),
    (
        "Operators, CloudFormation and the roles of the CDK's bootstrap are not tenants: who may assume them is not in "
        "the templates."
    ),
    "Metrics have no owner: a job may write metrics in namespace Glue that another tenant's alarm reads.",
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The proof with all that belongs to it; `holds` if nothing was found."""

    environment: str
    proof: Proof
    extension: Extension
    differences: tuple[Difference, ...]
    deputies: tuple[Deputy, ...]
    not_active: tuple[str, ...] = ()
    """Tenants whose roles may do nothing at all, unless there are leaks."""

    @property
    def holds(self) -> bool:
        return not (self.proof.leaks or self.extension.leaks or self.differences or self.deputies)

    def text(self) -> str:
        """For a terminal."""
        return "\n".join([str(self.proof), *(f"  {line}" for line in self._findings()), *self._summary()])

    def markdown(self) -> str:
        findings = [f"- {line}" for line in self._findings()] or ["None."]
        counts = [f"| {name} | {number:,} |" for name, number in asdict(self.proof.counts).items()]
        assumed = [f"- {line}" for line in ASSUMPTIONS]
        verdict = "No role of a tenant can act on anything of another." if self.holds else "**Not proved.**"
        return "\n".join(
            [
                f"# Isolation of tenants in {self.environment}",
                "",
                verdict,
                "",
                "| asked | |",
                "|---|---:|",
                *counts,
                "",
                *self._summary(),
                "",
                "## Findings",
                "",
                *findings,
                "",
                "## What this rests on",
                "",
                *assumed,
            ]
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "holds": self.holds,
            "counts": asdict(self.proof.counts),
            "leaks": [asdict(each) for each in self.proof.leaks],
            "neighbours": list(self.extension.neighbours),
            "leaks_to_neighbours": [asdict(each) for proof in self.extension.proofs for each in proof.leaks],
            "shapes": [list(tenants) for tenants in self.extension.shapes],
            "differences": [asdict(each) for each in self.differences],
            "deputies": [asdict(each) for each in self.deputies],
            "not_active": list(self.not_active),
            "actions": catalogue().source,
            "assumptions": list(ASSUMPTIONS),
        }

    def _findings(self) -> Iterator[str]:
        yield from (f"leak: {line}" for line in grouped(self.proof.leaks))
        for proof in self.extension.proofs:
            yield from (f"leak, if such a tenant came: {line}" for line in grouped(proof.leaks))
        yield from (f"not reviewed: {each}" for each in self.differences if each.sign == "+")
        yield from (f"reviewed, but not there: {each}" for each in self.differences if each.sign == "-")
        yield from (f"let in: {each}" for each in self.deputies)

    def _summary(self) -> list[str]:
        shapes = len(self.extension.shapes)
        return [
            (
                f"tenants to come: {shapes} shape{'' if shapes == 1 else 's'}, each among hostile neighbours "
                f"({', '.join(self.extension.neighbours)}): {self.extension.leaks} leaks"
            ),
            *(
                [f"not active, asked whether they may do anything: {', '.join(self.not_active)}"]
                * bool(self.not_active)
            ),
            f"rights of roles: {len(self.differences)} differences from the reviewed list",
            f"services let in: {len(self.deputies)} without a source that is named",
            f"actions: {catalogue().source}",
        ]


def report(stacks: Iterable[Stack], *, account: str, region: str, tenants: Collection[str] = ()) -> Report:
    """Proves everything there is to prove about these stacks; raises if something in them is not understood.

    With `tenants`, the questions are about their roles only.
    """
    stacks = list(stacks)
    drawn = Account.of(stacks, account=account, region=region)
    return Report(
        environment=" and ".join(sorted({place_of(each) for each in drawn.principals.values()})),
        proof=prove(drawn, tenants),
        extension=extend(stacks, account=account, region=region),
        differences=tuple(differences(drawn)),
        deputies=tuple(deputies(drawn)),
        not_active=tuple(sorted(drawn.shut)),
    )


def place_of(principal: Principal) -> str:
    """As people name it: `prod`, or `prod/b` for a further cell."""
    cell = principal.tags.get("cell")
    return principal.tags.get("environment", "?") + (f"/{cell}" if cell else "")


SHOWN = 5


def grouped(leaks: Iterable[Leak]) -> Iterator[str]:
    """One line for each hole, however many actions go through it."""
    holes: dict[tuple[str, tuple[str, ...]], list[Leak]] = defaultdict(list)
    for each in leaks:
        holes[each.principal, each.because].append(each)
    for (principal, because), through in holes.items():
        names = list(dict.fromkeys(each.name for each in through))
        actions = list(dict.fromkeys(each.action for each in through))
        given = next((f" with {key} = {value}" for each in through for key, value in each.context.items()), "")
        yield f"{principal} may {shortened(actions)} on {shortened(names)}{given}: {'; '.join(because)}"


def shortened(words: list[str]) -> str:
    more = len(words) - SHOWN
    return ", ".join(words[:SHOWN]) + (f" and {more} more" if more > 0 else "")
