"""The reviewed list of what each role may do and whom each thing lets in, and how templates differ from it."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from isolation.account import Account, Principal, Resource
from isolation.catalogue import catalogue
from isolation.conditions import Condition
from isolation.decision import Question, action_may_match, base_context, decide
from isolation.errors import IsolationError
from isolation.policies import Document, Named, Statement
from isolation.shapes import names_of
from isolation.suspension import as_active
from tenants.naming import PlatformNames

__all__ = ["FOLDER", "Difference", "differences", "gates", "golden", "grants", "together", "write"]

FOLDER = Path(__file__).with_name("golden")
FILES = {True: "tenants.txt", False: "platform.txt"}
PLATFORM = "the platform"
HEADER = """\
# What each role of {whose} may do, and whom its things let in, as a person has reviewed it.
# Of roles: `may ACTIONS on NAME if …`; `never` is a denial, `at most` the boundary, `is assumed by` the trust policy.
# A template that says something else fails the proof. After a review: `lake prove --golden`, and change these lines.
"""


@dataclass(frozen=True, order=True)
class Difference:
    """A right that nobody has reviewed (`+`), or a reviewed one that is not there (`-`)."""

    subject: str
    line: str
    sign: str
    whose: str

    def __str__(self) -> str:
        return f"{self.sign} {self.line}   ({self.whose})"


def differences(account: Account) -> list[Difference]:
    """Of everything that has rights or gives some. What the account lacks altogether needs no review."""
    reviewed, found = golden(), []
    for subject, whose, lines in rights(account):
        expected = reviewed.get(subject, frozenset())
        found += [Difference(subject, line, "+", whose) for line in lines - expected]
        found += [Difference(subject, line, "-", whose) for line in expected - lines]
    return sorted(found)


def rights(account: Account) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Subject, whose it is, and its lines: what roles may do, and whom the policies of things let in or keep out."""
    for principal in account.principals.values():
        yield (
            subject_of(account, principal),
            principal.tenant or PLATFORM,
            grants(account, as_active(account, principal)),
        )
    for resource in account.resources.values():
        if resource.kind != "iam":
            yield subject_of(account, resource), resource.tenant or PLATFORM, gates(account, resource)


@cache
def golden() -> dict[str, frozenset[str]]:
    """The committed lines by role."""
    found = defaultdict(set)
    for file in FILES.values():
        for grouped in (FOLDER / file).read_text(encoding="utf-8").splitlines():
            for line in apart(grouped) if grouped and not grouped.startswith("#") else ():
                found[line.partition(": ")[0]].add(line)
    return {role: frozenset(lines) for role, lines in found.items()}


def write(accounts: Iterable[Account], folder: Path = FOLDER) -> None:
    """The list as it would be if everything in these accounts were reviewed."""
    lines: dict[bool, set[str]] = {True: set(), False: set()}
    for account in accounts:
        for _, whose, found in rights(account):
            lines[whose != PLATFORM] |= found
    for of_tenants, file in FILES.items():
        header = HEADER.format(whose="a tenant" if of_tenants else PLATFORM)
        (folder / file).write_text(header + "".join(f"{line}\n" for line in together(lines[of_tenants])), "utf-8")


RIGHT = re.compile(r"(.+?: (?:may|never|at most|at most not|(?:lets in|keeps out) .+? with)) (\S+(?:, \S+)*) on (.+)")


def apart(grouped: str) -> list[str]:
    """A line for each action of a line of several."""
    right = RIGHT.fullmatch(grouped)
    if right is None:
        return [grouped]
    start, actions, rest = right.groups()
    return [f"{start} {action} on {rest}" for action in actions.split(", ")]


def together(lines: Iterable[str]) -> list[str]:
    """Actions that are possible on the same under the same condition, in one line."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in sorted(lines):
        right = RIGHT.fullmatch(line)
        start, action, rest = right.groups() if right else (line, "", "")
        found[start, rest].append(action)
    return sorted(
        f"{start} {', '.join(actions)} on {rest}" if rest else start for (start, rest), actions in found.items()
    )


def grants(account: Account, principal: Principal) -> frozenset[str]:
    """The rights of a role as lines in which names of tenant, account and so on are replaced by what they are."""
    found = [*allowed(account, principal), *denied(principal), *bounded(principal)]
    found += [f"is {line}" for line in gated(principal.trust, "assumed by", "never assumed by")]
    found += [f"may do whatever AWS's {arn} says" for arn in principal.managed]
    return titled(account, principal, found)


def gates(account: Account, resource: Resource) -> frozenset[str]:
    """Whom the policy of a thing lets in and keeps out."""
    return titled(account, resource, gated(resource.policy, "lets in", "keeps out") if resource.policy else ())


def titled(account: Account, owner: Principal | Resource, lines: Iterable[str]) -> frozenset[str]:
    subject = subject_of(account, owner)
    datasets = account.datasets.get(owner.tenant, frozenset())
    return frozenset(
        f"{subject}: {line}" for line in of_any_dataset(generalised(account, owner.tenant, lines), datasets)
    )


def allowed(account: Account, principal: Principal) -> Iterator[str]:
    """What statements allow and the boundary leaves, by the patterns that they are written in."""
    for document in principal.identity:
        for statement in document.allowing:
            for action, name in pairs(statement):
                if is_effective(account, principal, statement, action, name):
                    yield f"may {spelled(action)} on {name}{condition(statement.conditions)}"


def is_effective(account: Account, principal: Principal, statement: Statement, action: str, name: str) -> bool:
    """Whether any action that the pattern stands for is possible on any name that it stands for."""
    if statement.not_actions is not None or statement.not_resources is not None:
        return True
    if action.partition(":")[0] not in catalogue().on_resources:
        return True
    context, resource = base_context(account, principal), account.holding(name)
    actions = standing_for(action)
    return any(decide(Question(principal, each, name, resource, context, account.account)) for each in actions)


@cache
def standing_for(pattern: str) -> tuple[str, ...]:
    """Actions of the catalogue that a pattern stands for."""
    known = catalogue().actions(pattern.partition(":")[0])
    return tuple(action for action in known if action_may_match((pattern,), None, action))


def denied(principal: Principal) -> Iterator[str]:
    for document in principal.identity:
        for statement in document.denying:
            for action, name in pairs(statement):
                yield f"never {spelled(action)} on {name}{condition(statement.conditions)}"


def bounded(principal: Principal) -> Iterator[str]:
    for statement in principal.boundary.statements if principal.boundary else ():
        word = "at most" if statement.allows else "at most not"
        for action, name in pairs(statement):
            yield f"{word} {spelled(action)} on {name}{condition(statement.conditions)}"


def gated(policy: Document, allowing: str, denying: str) -> Iterator[str]:
    """A line for everybody that a policy names and everything that it says of them."""
    for statement in policy.statements:
        word = allowing if statement.allows else denying
        for who in statement.principals or (Named("everybody but", str(statement.not_principals)),):
            for action, name in pairs(statement):
                on = f" on {name}" if statement.resources or statement.not_resources else ""
                yield f"{word} {who.kind} {who.name} with {spelled(action)}{on}{condition(statement.conditions)}"


def pairs(statement: Statement) -> Iterator[tuple[str, str]]:
    spared = " and ".join(map(spelled, statement.not_actions or ()))
    for action in statement.actions or (f"everything but {spared}",):
        for name in statement.resources or (f"everything but {' and '.join(statement.not_resources or ())}",):
            yield action, name


@cache
def spelled(action: str) -> str:
    """As AWS writes it; the beginning of a pattern as the first action that it stands for."""
    known = catalogue().spelling
    if " " in action:
        return action
    start = action.rstrip("*")
    like = next((known[each] for each in sorted(known) if each.startswith(start)), start)
    return known.get(action) or like[: len(start)] + action[len(start) :]


def condition(conditions: Iterable[Condition]) -> str:
    texts = sorted(map(str, conditions))
    return f" if {' and '.join(texts)}" if texts else ""


def subject_of(account: Account, owner: Principal | Resource) -> str:
    name = owner.name if isinstance(owner, Principal) else owner.arn.split(":", maxsplit=2)[2]
    (subject,) = generalised(account, owner.tenant, [name])
    return subject


def generalised(account: Account, tenant: str | None, lines: Iterable[str]) -> list[str]:
    words = words_of(account, tenant)
    parameter = re.compile(rf":parameter{re.escape(account.webhook or ' ')}(?![\w./*?-])")
    found = []
    for line in lines:
        for word, meaning in words.items():
            line = line.replace(word, meaning)  # noqa: PLW2901  (word by word)
        found.append(parameter.sub(":parameter/<webhook>", line))
    return found


TABLE = re.compile(r"table/<database>/([a-z0-9_]+?)(?=_quarantine\b|(?![\w*?]))")


def of_any_dataset(lines: Iterable[str], datasets: frozenset[str]) -> list[str]:
    """One line for what is said of every dataset; it says so if some are left out."""
    said: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        named = [each for each in TABLE.findall(line) if each in datasets]
        general = TABLE.sub(lambda found: found[0] if found[1] not in datasets else "table/<database>/<dataset>", line)
        said[general].update(named)
    return [line + left_out(datasets - named) if named else line for line, named in said.items()]


def left_out(datasets: Iterable[str]) -> str:
    return f" but not on {', '.join(found)}" if (found := sorted(datasets)) else ""


@cache
def words_of(account: Account, tenant: str | None) -> dict[str, str]:
    """What stands for what, the longest first."""
    platform = platform_of(account)
    words = {}
    if tenant is not None:
        names = names_of(account, tenant)
        words = {
            names.log_group: "<log group>",
            names.workgroup: "<workgroup>",
            names.database: "<database>",
            f"T#{names.tenant}#": "T#<tenant>#",
        }
    return words | {
        f"{platform.organization}-*-{platform.environment}-": "<any tenant>-",
        **of_the_cell(platform),
        f"{platform.organization}-{platform.environment}-": "<another cell>-" if platform.cell else "<platform>-",
        f"{platform.organization}-*": "<organization>-*",
        f"arn:{account.partition}:": "arn:<partition>:",
        account.region: "<region>",
        account.account: "<account>",
    }


def of_the_cell(platform: PlatformNames) -> dict[str, str]:
    """The platform's names in a further cell as they would be in the first, where nothing ends them."""
    if platform.cell is None:
        return {}
    first = PlatformNames(platform.organization, platform.environment)
    start = f"{first.organization}-{first.environment}-"
    words = ("stack", "ledger", "queue", "dead_letter_queue", "topic", "code_bucket")
    pairs = [(getattr(platform, word), getattr(first, word)) for word in words]
    pairs += zip(platform.functions, first.functions, strict=True)
    longest_first = sorted(pairs, key=lambda pair: -len(pair[0]))  # platform-c begins platform-code-c
    return {own: f"<platform>-{other.removeprefix(start)}" for own, other in longest_first}


def platform_of(account: Account) -> PlatformNames:
    """From the tags of any role."""
    for principal in account.principals.values():
        if {"organization", "environment"} <= set(principal.tags):
            tags = principal.tags
            return PlatformNames(tags["organization"], tags["environment"], tags.get("cell"))
    raise IsolationError("no role has tags organization and environment: expected them on every role")
