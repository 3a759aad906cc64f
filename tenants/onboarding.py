"""A tenant written into the text of tenants.yaml, leaving every other byte as it is."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tenants.document import parse
from tenants.errors import Problem, RegistryError
from tenants.registry import MOST_BYTES

__all__ = ["with_tenant"]

# What other YAML readers would also take for text; everything else is put in quotes.
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.@+-]*(?: [A-Za-z0-9_.@+(&][A-Za-z0-9_.@+()&-]*)*\Z")
NOT_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
INDENT = "  "


def with_tenant(
    text: str,
    *,
    tenant: str,
    name: str,
    owner: str,
    datasets: Sequence[str],
    tier: str | None,
    shown: str,
    cells: Mapping[str, str] | None = None,
) -> str:
    """`text` with one more tenant at the end of its list; raises RegistryError where there is no place for it.

    `cells`: the cell that the tenant is placed in, by environment.
    """
    parse(text.encode(), shown, max_bytes=MOST_BYTES)  # nothing that we would refuse to read is worth changing
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += newline
    at, indent, gap, opening = _place(root, lines, shown)
    fields = {"id": tenant, "name": name, "owner": owner, "tier": tier}
    words = [f"{key}: {_scalar(value)}" for key, value in fields.items() if value is not None]
    if cells:
        words.append(f"cells: {{{', '.join(f'{_scalar(key)}: {_scalar(cell)}' for key, cell in cells.items())}}}")
    words.append(f"datasets: [{', '.join(map(_scalar, datasets))}]")
    item = [f"{indent}- {words[0]}", *(f"{indent}{INDENT}{word}" for word in words[1:])]
    added = [*opening, *([""] if gap else []), *item]
    if opening and at < len(lines):
        lines[at] = ""
    return "".join([*lines[:at], *(line + newline for line in added), *lines[at:]])


def _scalar(value: str) -> str:
    if PLAIN.match(value) and value.lower() not in NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)


def _place(root: Any, lines: list[str], shown: str) -> tuple[int, str, bool, list[str]]:
    """Line to insert at, the items' indent, whether a blank line comes first, and lines that open the list.

    With opening lines, the line at the insertion point is the one they replace.
    """
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = next(((key, value) for key, value in pairs if key.value == "tenants"), None)
    if found is None:
        return len(lines), INDENT, False, ["tenants:"]
    key, value = found
    if isinstance(value, yaml.SequenceNode) and value.value and not value.flow_style:
        first, last = value.value[0], value.value[-1]
        above = lines[last.start_mark.line - 1] if len(value.value) > 1 else ""
        indent = lines[first.start_mark.line][: value.start_mark.column]
        return _last_line(last) + 1, indent, len(value.value) > 1 and not above.strip(), []
    is_null = isinstance(value, yaml.ScalarNode) and value.tag == "tag:yaml.org,2002:null"
    if is_null or value.value == []:
        line = key.start_mark.line
        if is_null or value.end_mark.line == line:
            comment = re.search(r"\s*#.*", lines[line][key.end_mark.column :])
            return line, INDENT, False, ["tenants:" + (comment[0].rstrip() if comment else "")]
    message = "is written in one line; write it as a list with one tenant per `- id:`"
    raise RegistryError([Problem(shown, key.start_mark.line + 1, "tenants", message)])


def _last_line(node: Any) -> int:
    """The last line that a node's own text is on; a block's end mark lies behind the comments that follow it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) and not _is_empty(last[1]) else last
        if isinstance(node, tuple):
            node = node[0]
    is_block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return int(node.end_mark.line) - (1 if is_block else 0)


def _is_empty(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == "" and not node.style
