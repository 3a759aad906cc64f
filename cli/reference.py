"""`python -m cli.reference`: writes docs/cli.md from the commands' own help."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from cli.commands import app
from cli.options import PROJECT

__all__ = ["PAGE", "page"]

PAGE = PROJECT / "docs" / "cli.md"

OPENING = """\
# The command line

Written by `python -m cli.reference` from `lake --help`; a test checks that it is current.

- Data goes to stdout, messages and progress to stderr. Piped into a program, tables become tab-separated lines.
- Every command but `demo` takes `--json`, which prints JSON with the keys named below; they stay what they are.
- Every command that asks a lake takes `-e NAME` (or `LAKE_ENVIRONMENT`), the environment; default `local`, the cloud
  that `lake up` starts.
- `LAKE_HOME` moves the local cloud's folder (default `.lake`), `LAKE_TENANTS` the folder of `tenants.yaml`,
  `LAKE_DEBUG=1` shows the traceback behind a message, `LAKE_REHEARSAL=1` plays another environment in the local cloud.
- `lake --install-completion` teaches your shell the commands.

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed: the message says what and what to do |
| 2 | wrong input: an option, a file or tenants.yaml |
| 3 | not found: the message names what there is |
| 130 | Ctrl-C: what was begun goes on in the cloud, the same command continues |

| command | keys of `--json` |
|---|---|
| `status` | `{arrivals, dead_letters, tenants, problem}`; of the local cloud also `{running, home, …, runs_open}` |
| `tenants` of it | `[{tenant, state, held_since, held_reason, held, waiting, oldest, batches, runs, silent}]`; \
counts end at 1,000 |
| `files` | `[{key, version, dataset, state, rows, rejected, reason, run, attempt, epoch}]`, newest first |
| `put` | the same; without `--wait` the state is `PUT` |
| `runs` | `[{run, job, dataset, state, started, ended, files, rows_in, rows_out, rejected, error}]`, newest first |
| `runs --logs RUN` | `{run, glue_run, stdout, stderr}` |
| `query` | rows as objects; whole numbers and floats are numbers, decimals (exact), dates and times are text |
| `query --list` | `[{name, description, sql}]` |
| `lineage` | `{nodes: [{id, kind, name}], edges: [{from, to, run}], truncated}`, edges as data flowed |
| `replay` | `[{key, version, dataset, size, action, reason, epoch}]`; `epoch` counts a file's replays |
| `hold` | `{tenant, held, since, reason}` |
| `release` | `{tenant, was_held, released}` |
| `snapshots` | `[{snapshot, time, operation, batches, run, rows_added, rows_deleted, rows, current, reachable}]` |
| `rollback` | `{from, to, rows_before, rows_after, batches_out, snapshots_out}` |
| `maintain`, `rebuild-ledger` | the result of the tenant's errand; with `--all` `{tenant: result}` |
| `prove` | `{environment, holds, counts, leaks, shapes, differences, deputies, actions, assumptions, …}` |
| `synth` | `{folder, stacks: […], failures: {tenant: reason}}`, stacks in the order in which they have to stand |
| `doctor` | `{checks: [{name, value, ok, advice}], differences: […], unchecked_rights: […], cannot_show: […]}` |

States of a file: RECEIVED (waits for its batch), HELD (tenant suspended), UNROUTED (no contract takes its key),
PROCESSING, PROCESSED (conformed, not in the table yet), QUERYABLE, QUARANTINED (no row was usable, see the reason),
FAILED (given up after three attempts). A file with some bad rows is QUERYABLE and counts them under `rejected`.
`attempt` counts the runs that failed with a file, `epoch` how often it was replayed.
"""


def page() -> str:
    """The whole page as text."""
    root = typer.main.get_command(app)
    return "\n".join([OPENING, *_sections(root, _context(root, "lake", None))]).rstrip() + "\n"


def _context(command: Any, name: str, parent: Any) -> Any:
    return command.context_class(command, info_name=name, parent=parent)


def _sections(command: Any, context: Any) -> Iterator[str]:
    """A section per command, depth first in the order of `--help`; typer carries its own click, hence no types."""
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if not below.hidden:
                yield from _sections(below, _context(below, name, context))
        return
    yield f"## `{context.command_path}`\n"
    yield f"{_text(command.help)}\n"
    pieces = " ".join(command.collect_usage_pieces(context)).replace("{", "").replace("}", "")
    yield f"    {context.command_path} {pieces}\n"
    rows = [_row(each) for each in command.params if not getattr(each, "hidden", False)]
    if rows:
        yield "\n".join(["| argument or option | meaning |", "|---|---|", *rows, ""])


def _text(text: str | None) -> str:
    return "\n".join(line.strip() for line in (text or "").strip().splitlines())


def _row(parameter: Any) -> str:
    is_flag = getattr(parameter, "is_flag", False)
    default = parameter.default
    shown = "" if default in (None, (), "") or is_flag or callable(default) else f" Default `{default}`."
    meaning = " ".join(str(getattr(parameter, "help", None) or "").split())
    return f"| `{_name(parameter)}` | {meaning}{shown} |"


def _name(parameter: Any) -> str:
    value = str(parameter.metavar or parameter.name.upper())
    if parameter.param_type_name != "option":
        return value
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {value}"


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {Path(PAGE).name}", file=sys.stderr)


if __name__ == "__main__":
    main()
