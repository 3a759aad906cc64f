"""Fitting a CloudFormation template to the emulator: what it refuses is taken out, what it misreads is rewritten."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

from local_cloud.parity import listing as known
from local_cloud.parity.listing import Difference

CONCURRENT_RUNS_TAG = "lake:max-concurrent-runs"
LEADING_KEYS = frozenset({"dynamodb:leadingkeys"})
SOURCES = frozenset({"aws:sourceaccount", "aws:sourcearn"})
TABLES_OF_DATABASE = re.compile(r"(:table/[^/*]+)/\*$")

Template = dict[str, Any]
Resource = dict[str, Any]
_GONE = object()

# Properties that are put by API after the stack, or have no effect.
_NOTED = (
    known.ENCRYPTION,
    known.LIFECYCLE,
    known.BUCKET_TAGS,
    known.BOUNDARY,
    known.TIME_TO_LIVE,
    known.RECOVERY,
    known.CONCURRENCY,
    known.RECURSION,
    known.TOPIC_KEY,
    *known.DROPPED,
)


def adapt(template: Template) -> tuple[Template, list[Difference]]:
    """A copy of a template that the emulator deploys, and what was or will be done differently in it."""
    adapted = copy.deepcopy(template)
    found: set[Difference] = set()
    for resource in adapted.get("Resources", {}).values():
        found.update(_noted(resource))
        found.update(_rewritten(resource))
    removed = _remove_refused(adapted, found)
    if removed:
        _forget(adapted, removed)
    return adapted, sorted(found)


def _noted(resource: Resource) -> Iterator[Difference]:
    properties = resource.get("Properties", {})
    for difference in _NOTED:
        if resource["Type"] == difference.resource and difference.property in properties:
            yield difference


def _rewritten(resource: Resource) -> Iterator[Difference]:
    if resource["Type"] == "AWS::Glue::Job" and _tag_concurrency(resource["Properties"]):
        yield known.MAX_CONCURRENT_RUNS
    if resource["Type"] == "AWS::Events::Rule" and _hear_glue(resource["Properties"].get("EventPattern", {})):
        yield known.GLUE_EVENTS
    trust = resource.get("Properties", {}).get("AssumeRolePolicyDocument")
    if isinstance(trust, dict) and (difference := _drop_sources(trust)):
        yield difference
    for document in _identity_documents(resource):
        for rewrite in (_drop_leading_keys, _add_database_names):
            difference = rewrite(document)
            if difference:
                yield difference


def _tag_concurrency(job: dict[str, Any]) -> bool:
    limit = job.get("ExecutionProperty", {}).get("MaxConcurrentRuns")
    if limit is None:
        return False
    job["Tags"] = {**job.get("Tags", {}), CONCURRENT_RUNS_TAG: str(limit)}
    return True


def _hear_glue(pattern: dict[str, Any]) -> bool:
    """Let a rule for Glue's events match those of the local Glue endpoint too."""
    sources = pattern.get("source", [])
    if known.GLUE_SOURCE not in sources:
        return False
    pattern["source"] = [*sources, known.LOCAL_GLUE_SOURCE]
    return True


def _identity_documents(resource: Resource) -> Iterator[dict[str, Any]]:
    """Documents that say what a principal may do."""
    properties = resource.get("Properties", {})
    if resource["Type"] in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}:
        yield properties["PolicyDocument"]
    for policy in properties.get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []:
        yield policy["PolicyDocument"]


def _drop_leading_keys(document: dict[str, Any]) -> Difference | None:
    statements = _list(document["Statement"])
    touched = [s for s in statements if _is_conditional(s, LEADING_KEYS)]
    document["Statement"] = [s for s in statements if s["Effect"] == "Allow" or not _is_conditional(s, LEADING_KEYS)]
    for statement in touched:
        _drop_conditions(statement, LEADING_KEYS)
    return known.LEADING_KEYS if touched else None


def _drop_sources(trust: dict[str, Any]) -> Difference | None:
    touched = [
        s
        for s in _list(trust.get("Statement", []))
        if s["Effect"] == "Allow" and "Service" in s.get("Principal", {}) and _is_conditional(s, SOURCES)
    ]
    for statement in touched:
        _drop_conditions(statement, SOURCES)
    return known.TRUST_SOURCE if touched else None


def _is_conditional(statement: dict[str, Any], keys: frozenset[str]) -> bool:
    return any(key.lower() in keys for named in statement.get("Condition", {}).values() for key in named)


def _drop_conditions(statement: dict[str, Any], keys: frozenset[str]) -> None:
    """Take the conditions on `keys` out of a statement, and what becomes empty by that."""
    kept = {
        operator: {key: value for key, value in named.items() if key.lower() not in keys}
        for operator, named in statement.pop("Condition").items()
    }
    if conditions := {operator: named for operator, named in kept.items() if named}:
        statement["Condition"] = conditions


def _add_database_names(document: dict[str, Any]) -> Difference | None:
    changed = False
    for statement in _list(document["Statement"]):
        resources = _list(statement.get("Resource", []))
        names = [n for n in map(_database_as_table, resources) if n is not None and n not in resources]
        if names and statement["Effect"] == "Allow" and _speaks_of(statement, "glue:"):
            statement["Resource"] = [*resources, *names]
            changed = True
    return known.DATABASE_NAMES if changed else None


def _database_as_table(resource: Any) -> Any:
    """`…:table/db/*` as `…:table/db`, in a string or at the end of a join; None for anything else."""
    if isinstance(resource, str):
        return TABLES_OF_DATABASE.sub(r"\1", resource) if TABLES_OF_DATABASE.search(resource) else None
    match resource:
        case {"Fn::Join": ["", [*parts, str(last)]]} if TABLES_OF_DATABASE.search(last):
            return {"Fn::Join": ["", [*parts, TABLES_OF_DATABASE.sub(r"\1", last)]]}
        case {"Fn::Sub": str(text)} if TABLES_OF_DATABASE.search(text):
            return {"Fn::Sub": TABLES_OF_DATABASE.sub(r"\1", text)}
    return None


def _speaks_of(statement: dict[str, Any], prefix: str) -> bool:
    return any(str(action).startswith(prefix) for action in _list(statement.get("Action", [])))


def _remove_refused(template: Template, found: set[Difference]) -> set[str]:
    """Take resources out that the emulator refuses; their logical ids."""
    removed = set()
    for logical_id, resource in list(template.get("Resources", {}).items()):
        difference = known.refusal(resource["Type"])
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource.get("Properties", {}):
            difference = known.METRIC_MATH
        if difference:
            found.add(difference)
            removed.add(logical_id)
            del template["Resources"][logical_id]
    return removed


def _forget(template: Template, removed: set[str]) -> None:
    """Drop dependencies on removed resources, and every property or output that is made from one."""
    for resource in template.get("Resources", {}).values():
        kept = [name for name in _list(resource.get("DependsOn", [])) if name not in removed]
        resource.pop("DependsOn", None)
        if kept:
            resource["DependsOn"] = kept
        resource["Properties"] = _without(resource.get("Properties", {}), lambda v: _refers(v, removed))
    outputs = template.get("Outputs", {})
    for name in [name for name, output in outputs.items() if _refers(output, removed)]:
        del outputs[name]


def _without(value: Any, is_gone: Callable[[Any], bool]) -> Any:
    if _is_intrinsic(value):
        return _GONE if is_gone(value) else value
    if isinstance(value, dict):
        kept = {key: _without(inner, is_gone) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not _GONE}
    if isinstance(value, list):
        return [inner for inner in (_without(item, is_gone) for item in value) if inner is not _GONE]
    return value


def _is_intrinsic(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::"))


def _refers(value: Any, removed: set[str]) -> bool:
    return not removed.isdisjoint(_references(value))


def _references(value: Any) -> Iterator[str]:
    """Logical ids that a value is made from."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(path)}:
            yield path.partition(".")[0]
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), *_]}:
            yield from (name.partition(".")[0] for name in re.findall(r"\$\{([^!}][^}]*)\}", text))
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _references(inner)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
