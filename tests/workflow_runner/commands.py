"""How a step speaks to GitHub: files of assignments, and lines of the log that begin with `::`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.workflow_runner.record import Annotation

__all__ = ["Malformed", "Said", "assignments", "listened"]

COMMAND = re.compile(r"\s*::(?P<name>[A-Za-z-]+)(?: (?P<properties>.*?))?::(?P<value>.*)")
ESCAPED = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}


class Malformed(Exception):
    """Raised for a line that GitHub fails the step for."""


def assignments(text: str) -> dict[str, str]:
    """`name=value`, or `name<<END`, lines, `END`: what GITHUB_OUTPUT and GITHUB_ENV hold."""
    content = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, here = line.find("="), line.find("<<")
        if equals >= 0 and (here < 0 or equals < here):
            name, _, value = line.partition("=")
        elif here >= 0:
            name, _, end = line.partition("<<")
            value = "\n".join(until(lines, end)) if name and end else ""
            name = name if end else ""
        else:
            raise Malformed(f"Invalid format '{line}'")
        if not name:
            raise Malformed(f"Invalid format '{line}'. Name and delimiter must not be empty")
        content[name] = value
    return content


def until(lines: Iterator[str], end: str) -> Iterator[str]:
    for line in lines:
        if line == end:
            return
        yield line
    raise Malformed(f"Invalid value. Matching delimiter not found '{end}'")


@dataclass
class Said:
    """What the commands in a log came to."""

    annotations: list[Annotation] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    forbidden: list[str] = field(default_factory=list)
    """Commands that GitHub switched off and fails a step for."""


def listened(log: str) -> Said:
    """`set-output` is old but still heard, so whatever prints a stranger's text at the start of a line is seen here."""
    said = Said()
    silent_until: str | None = None
    for line in log.splitlines():
        found = COMMAND.fullmatch(line)
        if found is None:
            continue
        name, value = found["name"].lower(), unescaped(found["value"])
        if silent_until is not None:
            silent_until = None if name == silent_until.lower() else silent_until
        elif name == "stop-commands":
            silent_until = value
        elif name in ("error", "warning", "notice"):
            said.annotations.append(Annotation(name, value))
        elif name == "add-mask" and value:
            said.masks.append(value)
        elif name == "set-output":
            said.outputs[properties(found["properties"]).get("name", "")] = value
        elif name in ("set-env", "add-path"):
            said.forbidden.append(name)
    return said


def properties(text: str | None) -> dict[str, str]:
    pairs = [each.partition("=") for each in (text or "").split(",")]
    return {name.strip(): unescaped(value) for name, _, value in pairs if name.strip()}


def unescaped(text: str) -> str:
    for code, character in ESCAPED.items():
        text = text.replace(code, character)
    return text
