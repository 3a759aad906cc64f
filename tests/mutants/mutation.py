"""Mutants: the project with one thing wrong, and the plays that must show it.

A mutant is a text replaced in the source of a function. Where the text is not there any more it is not applied but
reported, so that the table of mutants follows the code.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

Play = Callable[[], list[str]]
"""Does something to a world; gives what is wrong with it in the end."""


@dataclass(frozen=True)
class Change:
    """`place`: `module:function` or `module:Class.method`."""

    place: str
    old: str
    new: str

    def apply(self, patches: pytest.MonkeyPatch) -> None:
        module, owner, name = self._found()
        source = textwrap.dedent(inspect.getsource(getattr(owner, name)))
        assert source.count(self.old) == 1, f"{self.place}: {self.old!r} is there {source.count(self.old)} times"
        made: dict[str, Any] = {}
        exec(compile(source.replace(self.old, self.new), f"<mutant of {self.place}>", "exec"), vars(module), made)
        patches.setattr(owner, name, made[name])

    def _found(self) -> tuple[ModuleType, Any, str]:
        module_name, _, path = self.place.partition(":")
        *owners, name = path.split(".")
        module = import_module(module_name)
        owner: Any = module
        for one in owners:
            owner = getattr(owner, one)
        return module, owner, name


@dataclass(frozen=True, kw_only=True)
class Mutant:
    name: str
    breaks: str
    """What goes wrong with it, as a reader of the table wants to know."""
    killed_by: str
    """The test that must fail: `tests/…::test_…`."""
    sign: str
    """Words of the violation by which it is known."""
    changes: tuple[Change, ...]
    plays: Callable[[Any], Iterable[Play]]
    """The plays of that test, or those of them among which the mutant is found."""

    def __str__(self) -> str:
        return self.name


def killer(mutant: Mutant, lakes: Any, patches: pytest.MonkeyPatch) -> Play | None:
    """The first play in which the mutant is seen; None: it lives."""
    for change in mutant.changes:
        change.apply(patches)
    for play in mutant.plays(lakes):
        if any(mutant.sign in one for one in outcome(play)):
            return play
    return None


def outcome(play: Play) -> list[str]:
    try:
        return play()
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


def table(mutants: Iterable[Mutant]) -> str:
    rows = [f"| {mutant.name} | {mutant.breaks} | {_quoted(mutant)} |" for mutant in mutants]
    return "\n".join(["| Mutant | What it breaks | The test that kills it |", "| --- | --- | --- |", *rows])


def _quoted(mutant: Mutant) -> str:
    return ", ".join(f"`{name}`" for name in mutant.killed_by.split(", "))
