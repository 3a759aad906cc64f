"""Inputs of a dispatch, of a called workflow and of a composite action: unknown ones refused, required ones asked for."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.workflow_runner.refusals import Refused

__all__ = ["called", "composite", "dispatched"]

MOST_INPUTS = 25
MOST_CHARACTERS = 65_535  # of all values of a dispatch together
EMPTY = {"boolean": False, "number": 0}

Declared = Mapping[str, Mapping[str, Any] | None]


def dispatched(declared: Declared, given: Mapping[str, str], where: str) -> dict[str, Any]:
    """What a person or the API sends: texts, of which GitHub checks the choices and kinds."""
    if len(declared) > MOST_INPUTS:
        raise Refused(f"{where}: {len(declared)} inputs; GitHub takes {MOST_INPUTS}")
    wrong = {name: value for name, value in given.items() if not isinstance(value, str)}
    if wrong:
        raise Refused(f"{where}: inputs of a dispatch are texts, not {wrong}")
    if sum(map(len, given.values())) > MOST_CHARACTERS:
        raise Refused(f"{where}: the inputs have more than {MOST_CHARACTERS} characters")
    return values(declared, given, where, typed)


def called(declared: Declared, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a workflow gives to one it calls: values with a type, which has to be the declared one."""
    return values(declared, given, where, matching)


def composite(declared: Declared, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a step gives to an action: everything becomes a text."""
    return values(declared, given, where, lambda _, value, __: text(value))


def values(
    declared: Declared,
    given: Mapping[str, Any],
    where: str,
    convert: Callable[[Mapping[str, Any], Any, str], Any],
) -> dict[str, Any]:
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise Refused(f"{where}: unknown inputs {unknown}; it takes {sorted(declared)}")
    content = {}
    for name, rules in declared.items():
        rule = rules or {}
        if name in given:
            content[name] = convert(rule, given[name], f"{where}: input {name}")
        elif rule.get("default") is not None:
            content[name] = convert(rule, rule["default"], f"{where}: default of input {name}")
        elif rule.get("required"):
            raise Refused(f"{where}: input {name} is required")
        else:
            content[name] = EMPTY.get(rule.get("type", "string"), "")
    return content


def typed(rule: Mapping[str, Any], value: Any, where: str) -> Any:
    given = text(value)
    match rule.get("type", "string"):
        case "choice" if given not in map(text, rule["options"]):
            raise Refused(f"{where}: expected one of {rule['options']}, not {given!r}")
        case "boolean" if given not in ("true", "false"):
            raise Refused(f"{where}: expected true or false, not {given!r}")
        case "boolean":
            return given == "true"
        case "number":
            return number(given, where)
    return given


def matching(rule: Mapping[str, Any], value: Any, where: str) -> Any:
    kind = rule.get("type", "string")
    is_boolean, is_number = isinstance(value, bool), isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, dict | list):
        raise Refused(
            f"{where}: expected a {kind}, not a {'mapping' if isinstance(value, dict) else 'list'}: use toJSON"
        )
    if (kind == "boolean") != is_boolean and kind != "string":
        raise Refused(f"{where}: expected a {kind}, not {value!r}")
    if kind == "number" and not is_number:
        raise Refused(f"{where}: expected a number, not {value!r}")
    return text(value) if kind == "string" else value


def number(given: str, where: str) -> int | float:
    try:
        value = float(given)
    except ValueError:
        raise Refused(f"{where}: expected a number, not {given!r}") from None
    return int(value) if value.is_integer() else value


def text(value: Any) -> str:
    """As GitHub writes a value into a text."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
