"""DynamoDB's expressions, as far as the ledger's requests use them, compiled once per text to functions."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

Value = Mapping[str, Any]
Item = Mapping[str, Value]
Condition = Callable[[Item, Mapping[str, str], Mapping[str, Value]], bool]
Operand = Callable[[Item, Mapping[str, str], Mapping[str, Value]], Value | None]
Assignments = tuple[list[tuple[str, Operand]], list[str]]

_TOKENS = re.compile(r"\s*(<>|<=|>=|[#:]?\w+|[=<>(),+\-])")
_CLAUSES = ("SET", "REMOVE", "ADD")


class NotUnderstood(Exception):
    """Raised for what no request of the ledger has said so far: better a failing test than a wrong answer."""


@lru_cache(maxsize=5_000)
def condition(text: str) -> Condition:
    tokens = _Tokens(text)
    made = _either(tokens)
    tokens.end()
    return made


@lru_cache(maxsize=5_000)
def update(text: str) -> tuple[tuple[tuple[str, Operand], ...], tuple[str, ...]]:
    """What is set to what, and what is removed; names are placeholders."""
    tokens = _Tokens(text)
    sets: list[tuple[str, Operand]] = []
    removed: list[str] = []
    while tokens.left:
        clause = tokens.take()
        while True:
            path = tokens.take()
            if clause == "SET":
                tokens.take("=")
                sets.append((path, _sum(tokens)))
            elif clause == "ADD":
                sets.append((path, _plus(_zero_or(path), _operand(tokens), 1)))
            elif clause == "REMOVE":
                removed.append(path)
            else:
                raise NotUnderstood(f"{clause} in {text}")
            if not tokens.took(","):
                break
    return tuple(sets), tuple(removed)


class _Tokens:
    def __init__(self, text: str) -> None:
        self.text = text
        self.left: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKENS.match(text, position)
            if found is None:
                raise NotUnderstood(f"{text[position:]!r} in {text!r}")
            self.left.append(found.group(1))
            position = found.end()
        self.left.reverse()

    def take(self, expected: str | None = None) -> str:
        token = self.left.pop() if self.left else ""
        if expected is not None and token.upper() != expected:
            raise NotUnderstood(f"{token!r} where {expected} was expected in {self.text!r}")
        return token.upper() if token.upper() in _CLAUSES else token

    def took(self, wanted: str) -> bool:
        if self.left and self.left[-1].upper() == wanted:
            self.left.pop()
            return True
        return False

    def end(self) -> None:
        if self.left:
            raise NotUnderstood(f"{self.left[-1]!r} in {self.text!r}")


def _either(tokens: _Tokens) -> Condition:
    sides = [_both(tokens)]
    while tokens.took("OR"):
        sides.append(_both(tokens))
    return sides[0] if len(sides) == 1 else lambda item, names, values: any(s(item, names, values) for s in sides)


def _both(tokens: _Tokens) -> Condition:
    sides = [_not(tokens)]
    while tokens.took("AND"):
        sides.append(_not(tokens))
    return sides[0] if len(sides) == 1 else lambda item, names, values: all(s(item, names, values) for s in sides)


def _not(tokens: _Tokens) -> Condition:
    if tokens.took("NOT"):
        inner = _not(tokens)
        return lambda item, names, values: not inner(item, names, values)
    if tokens.took("("):
        inner = _either(tokens)
        tokens.take(")")
        return inner
    return _test(tokens)


def _test(tokens: _Tokens) -> Condition:
    for name in ("attribute_exists", "attribute_not_exists"):
        if tokens.took(name.upper()):
            (path,) = _arguments(tokens)
            wanted = name == "attribute_exists"
            return lambda item, names, values: (path(item, names, values) is not None) == wanted
    if tokens.took("BEGINS_WITH"):
        text, start = _arguments(tokens)
        return lambda item, names, values: _begins(text(item, names, values), start(item, names, values))
    return _comparison(tokens, _operand(tokens))


def _comparison(tokens: _Tokens, left: Operand) -> Condition:
    if tokens.took("IN"):
        choices = _arguments(tokens)
        return lambda item, names, values: any(
            _compare("=", left(item, names, values), one(item, names, values)) for one in choices
        )
    if tokens.took("BETWEEN"):
        low = _operand(tokens)
        tokens.take("AND")
        high = _operand(tokens)
        return lambda item, names, values: (
            _compare(">=", left(item, names, values), low(item, names, values))
            and _compare("<=", left(item, names, values), high(item, names, values))
        )
    sign = tokens.take()
    if sign not in ("=", "<>", "<", "<=", ">", ">="):
        raise NotUnderstood(f"{sign!r} in {tokens.text!r}")
    right = _operand(tokens)
    return lambda item, names, values: _compare(sign, left(item, names, values), right(item, names, values))


def _arguments(tokens: _Tokens) -> Sequence[Operand]:
    tokens.take("(")
    made = [_operand(tokens)]
    while tokens.took(","):
        made.append(_operand(tokens))
    tokens.take(")")
    return made


def _sum(tokens: _Tokens) -> Operand:
    left = _operand(tokens)
    if tokens.took("+"):
        return _plus(left, _operand(tokens), 1)
    return _plus(left, _operand(tokens), -1) if tokens.took("-") else left


def _plus(left: Operand, right: Operand, sign: int) -> Operand:
    def total(item: Item, names: Mapping[str, str], values: Mapping[str, Value]) -> Value:
        one, other = left(item, names, values), right(item, names, values)
        if one is None or other is None:
            raise ValueError("An expression attribute used in an expression refers to an attribute that does not exist")
        return {"N": str(Decimal(one["N"]) + sign * Decimal(other["N"]))}

    return total


def _zero_or(path: str) -> Operand:
    return lambda item, names, values: item.get(names.get(path, path), {"N": "0"})


def _operand(tokens: _Tokens) -> Operand:
    if tokens.took("IF_NOT_EXISTS"):
        here, otherwise = _arguments(tokens)

        def first(item: Item, names: Mapping[str, str], values: Mapping[str, Value]) -> Value | None:
            found = here(item, names, values)
            return otherwise(item, names, values) if found is None else found

        return first
    token = tokens.take()
    if token.startswith(":"):
        return lambda item, names, values: values[token]
    return lambda item, names, values: item.get(names.get(token, token))


def _begins(text: Value | None, start: Value | None) -> bool:
    return text is not None and start is not None and str(text.get("S", "")).startswith(str(start["S"]))


def _compare(sign: str, left: Value | None, right: Value | None) -> bool:
    if left is None or right is None:
        return sign == "<>" and left is not right
    ((kind, one),), ((other_kind, other),) = left.items(), right.items()
    if kind != other_kind:
        return sign == "<>"
    if kind == "N":
        one, other = Decimal(one), Decimal(other)
    return {
        "=": lambda: one == other,
        "<>": lambda: one != other,
        "<": lambda: one < other,
        "<=": lambda: one <= other,
        ">": lambda: one > other,
        ">=": lambda: one >= other,
    }[sign]()
