"""A document checked against a pydantic model: every problem at its line, unknown keys with the nearest known one."""

import copy
from collections.abc import Iterable, Iterator
from itertools import islice
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tenants.document import MAX_PROBLEMS, Document, nearest
from tenants.errors import Problem

__all__ = ["checked"]

M = TypeVar("M", bound=BaseModel)
Place = tuple[str | int, ...]


def checked(document: Document, model: type[M], *, open_keys: Iterable[str] = ()) -> tuple[M | None, list[Problem]]:
    """The document as `model`, or None, and what is wrong: at most MAX_PROBLEMS unknown keys and as many others.

    Keys under `open_keys` may be anything.
    """
    if not isinstance(document.value, dict):
        return None, [document.problem((), "is no mapping; expected keys such as " + ", ".join(_keys(model)))]
    unknown = list(_unknown(document.value, model, (), frozenset(open_keys)))
    problems = [
        document.problem(place, f"unknown key{nearest(str(place[-1]), known)}")
        for place, known in unknown[:MAX_PROBLEMS]
    ]
    try:
        known = _without(document.value, [place for place, _ in unknown]) if unknown else document.value
        found = model.model_validate(known)
    except ValidationError as error:
        return None, problems + list(islice(_translated(document, error), MAX_PROBLEMS))
    return found, problems


def _without(value: Any, places: Iterable[Place]) -> Any:
    """A copy of `value` that lacks `places`, so that a mistyped key does not hide what else is wrong."""
    rest = copy.deepcopy(value)
    for *path, key in places:
        parent = rest
        for part in path:
            parent = parent[part]
        del parent[key]
    return rest


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _unknown(value: Any, annotation: Any, place: Place, open_keys: frozenset[str]) -> Iterator[tuple[Place, list[str]]]:
    """Places of keys that no model on the way knows, with the keys known there.

    Unlike pydantic's own check it also reaches into models that ignore what they do not know.
    """
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield from _unknown(item, _inside(annotation, list), (*place, position), open_keys)
    elif isinstance(value, dict) and (model := _model_in(annotation)):
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        for key, child in value.items():
            if key not in fields:
                yield (*place, key), list(fields)
            elif key not in open_keys:
                yield from _unknown(child, fields[key], (*place, key), open_keys)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _unknown(child, _inside(annotation, dict), (*place, key), open_keys)


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = _options(annotation)
    return next((item for item in options if isinstance(item, type) and issubclass(item, BaseModel)), None)


def _inside(annotation: Any, kind: type) -> Any:
    """What a list or mapping annotation holds; `Any` where it does not say."""
    kinds = (list, tuple) if kind is list else (dict,)
    for option in _options(annotation):
        if get_origin(option) in kinds:
            arguments = get_args(option)
            return arguments[0] if kind is list else arguments[1]
    return Any


def _translated(document: Document, error: ValidationError) -> Iterator[Problem]:
    for item in error.errors(include_url=False, include_input=True):
        place = _written(document, item["loc"])
        if item["type"] == "too_short" and item["input"]:
            continue  # pydantic counts only the items that are valid, and what is wrong with the others is told
        if item["type"] == "missing":
            yield document.problem((*place, item["loc"][-1]), "is missing")
        else:
            yield document.problem(place, _message(item["type"], item["msg"], item["input"]))


def _written(document: Document, loc: Place) -> Place:
    """`loc` without the parts that pydantic adds for unions and keys, which stand nowhere in the document."""
    place: Place = ()
    for part in loc:
        if (*place, part) in document.lines:
            place = (*place, part)
    return place


def _message(kind: str, said: str, value: Any) -> str:
    if kind == "value_error":
        return said.removeprefix("Value error, ")
    if value is None:
        return "has no value"
    shown = f"{value!r}: " if isinstance(value, (str, int)) else ""
    return shown + said[0].lower() + said[1:]
