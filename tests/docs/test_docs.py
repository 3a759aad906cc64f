"""What the documents say exists: links, commands, options, make targets, and the contract of docs/tenants.md."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.app import app
from tenants.cells import overlapping
from tenants.contract import read_contract
from tenants.document import parse
from tenants.entries import EnvironmentsFile, TenantsFile
from tenants.validation import checked
from tests.isolation.mutants import CONTROLS, MUTANTS, table

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tenants/*.md"), *ROOT.glob(".github/*.md")])
GENERATED = ROOT / "docs" / "cli.md"  # its usage lines are placeholders; tests/cli/test_reference.py checks it

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[str]:
    """Fenced blocks, and blocks indented by four outside of them."""
    yield from (match[3] for match in FENCE.finditer(text))
    yield from (match[0] for match in INDENTED.finditer(FENCE.sub("", text)) if "- " not in match[0])


def commands(text: str, name: str) -> list[list[str]]:
    """Words after `name` on the lines that begin with it, without what the shell does afterwards."""
    found = [re.match(rf"(?:\$ )?{name} (.+)", line.strip()) for block in blocks(text) for line in block.splitlines()]
    return [words(match[1]) for match in found if match and not match[1].startswith("…")]


def spans(text: str, name: str) -> list[list[str]]:
    found = [re.match(rf"{name} (.+)", span) for span in SPAN.findall(FENCE.sub("", text))]
    return [words(match[1]) for match in found if match and not match[1].startswith("…")]


def words(line: str) -> list[str]:
    kept: list[str] = []
    for word in shlex.split(line, comments=True):
        if word in {"|", ">", "&&", "||", ";"}:
            break
        kept.append(word)
    return kept


def find(given: list[str]) -> tuple[Any, list[str]]:
    """The command that these words name, and the words that are left for it."""
    command, left = typer.main.get_command(app), list(given)
    while hasattr(command, "commands") and left and not left[0].startswith("-"):
        assert left[0] in command.commands, f"lake {' '.join(given)}: there is no command {left[0]!r}"
        command = command.commands[left.pop(0)]
    return command, left


def options(command: Any) -> set[str]:
    own = {name for each in command.params for name in [*each.opts, *each.secondary_opts] if name.startswith("-")}
    return own | {"--help", "-h"}


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name(page)}: {target} leads nowhere"
        if anchor:
            assert anchor in map(slug, HEADING.findall(text_of(there))), f"{name(page)}: {target} has no such heading"


@pytest.mark.parametrize("page", [page for page in PAGES if page != GENERATED], ids=name)
def test_every_command_in_a_code_block_is_one_that_the_command_line_takes(page, monkeypatch):
    monkeypatch.delenv("LAKE_ENVIRONMENT", raising=False)
    for given in commands(text_of(page), "lake"):
        command, left = find(given)
        command.make_context("lake", left)  # raises for unknown options and for missing or superfluous arguments


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_in_the_text_names_a_command_and_options_that_exist(page):
    for given in spans(text_of(page), "lake"):
        command, left = find(given)
        unknown = {word.partition("=")[0] for word in left if word.startswith("-") and word != "-"} - options(command)
        assert not unknown, f"{name(page)}: lake {' '.join(given)}: no option {', '.join(unknown)}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_exists(page):
    text = text_of(page)
    for given in [*commands(text, "make"), *spans(text, "make")]:
        targets = [word for word in given if "=" not in word and not word.startswith("-")]
        assert set(targets) <= TARGETS, f"{name(page)}: make {' '.join(given)}"


def test_an_unknown_command_option_and_target_would_be_found():
    with pytest.raises(AssertionError, match="no command 'destroy'"):
        find(["destroy", "acme"])
    command, left = find(["files", "acme", "--colour"])
    with pytest.raises(Exception, match="--colour"):
        command.make_context("lake", left)
    assert commands("```console\n$ lake files acme | head\n```\n", "lake") == [["files", "acme"]]
    assert "destroy" not in TARGETS


def examples(page: str, word: str) -> str:
    """The first YAML of a page that holds a word."""
    blocks = (match[3] for match in FENCE.finditer(text_of(ROOT / "docs" / page)) if match[2] == "yaml")
    return next(block for block in blocks if word in block)


def test_the_cells_in_the_documents_can_be_used():
    document = parse(f"environments:\n{examples('tenants.md', 'cells:')}".encode(), "environments.yaml")

    found, problems = checked(document, EnvironmentsFile)

    assert [*problems, *overlapping(document)] == []
    assert found is not None
    assert list(found.environments["prod"].cells) == ["b", "c"]


TENANT = """\
organization: mycompany
tenants:
  - id: acme
    name: Acme GmbH
    owner: data@acme.example
    datasets: [orders]
"""


@pytest.mark.parametrize("page", ["onboarding.md", "tenants.md"])
def test_the_leave_in_the_documents_can_be_used(page):
    """On each page the lines that a tenant's own are followed by."""
    lines = textwrap.indent(textwrap.dedent(examples(page, "export_account")), "    ")

    found, problems = checked(parse((TENANT + lines).encode(), "tenants.yaml"), TenantsFile)

    assert problems == []
    assert found is not None
    assert found.tenants[0].state == "offboarding"
    assert found.tenants[0].offboarding is not None


def test_the_contract_in_the_documents_can_be_used(tmp_path):
    example = examples("tenants.md", "apiVersion")
    path = tmp_path / "invoices.yaml"
    path.write_text(example, encoding="utf-8")

    contract, problems = read_contract(path, path.name)

    assert problems == []
    assert contract is not None
    assert [column.name for column in contract.plan().derived] == ["gross"]


NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_a_page_names_exist(page):
    for file, name in NAMED_TEST.findall(text_of(page)):
        assert (ROOT / file).exists(), f"{page.name}: {file}"
        assert f"def {name}(" in text_of(ROOT / file), f"{page.name}: {file}::{name}"


@pytest.mark.parametrize("holes", [MUTANTS, CONTROLS], ids=["mutants", "controls"])
def test_the_table_of_holes_is_what_the_tests_drill(holes):
    """Else: `python -m tests.isolation.mutants` prints both."""
    assert table(holes) in text_of(ROOT / "docs" / "security.md")
