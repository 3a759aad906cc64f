"""docs/scaling.md shows what the commands print, of the committed registry."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
BOLD = "**"


@pytest.fixture(scope="module")
def quotas(tmp_path_factory):
    """`lake quotas -e prod --defaults` in this process."""
    from cli.commands import app

    variables = {"LAKE_HOME": str(tmp_path_factory.mktemp("home"))}
    runner = CliRunner()

    def ask(*arguments):
        answer = runner.invoke(app, ["quotas", "-e", "prod", "--defaults", *arguments], env=variables)
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    return ask


def rows(heading):
    """The table under a heading, without its first two lines."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_first_table_is_what_the_command_prints(quotas):
    block = PAGE.split("```console\n$ lake quotas -e prod --defaults\n")[1].split("```")[0]

    assert block.strip() == quotas().strip()


def test_a_cell_takes_what_the_command_reckons(quotas):
    sizes = [200, 400, 600, 800, 999]
    asked = {size: json.loads(quotas("--tenants", str(size), "--json"))["quotas"] for size in sizes}

    for _, code, default, *numbers in rows("One cell, as full as it may get"):
        for size, number in zip(sizes, numbers, strict=True):
            (found,) = [each for each in asked[size] if each["code"] == code]
            assert f"{found['limit']:,}" == default
            is_too_much = found["used"] > found["limit"]
            assert number == f"{BOLD * is_too_much}{found['used']:,}{BOLD * is_too_much}"


def test_cells_accounts_and_dollars_are_what_the_command_reckons(quotas):
    for row in rows("Many cells"):
        found = json.loads(quotas("--tenants", row[0].replace(",", ""), "--json"))
        needed = [str(found["needs"].get(kind, {"number": 1})["number"]) for kind in ("cell", "account")]
        assert row[1:] == [f"{float(found['cost']['monthly']):,.2f}", *needed]


def test_the_first_tenant_too_many_is_named_for_each_quota(quotas):
    said = re.search(r"rules from the (\d+)th tenant on, roles from the (\d+)th, jobs from the (\d+)th", PAGE)

    for number, code in zip(map(int, said.groups()), ("L-244521F2", "L-FE177D64", "L-611FDDE4"), strict=True):
        for tenants, fits in ((number - 1, True), (number, False)):
            found = json.loads(quotas("--tenants", str(tenants), "--json"))["quotas"]
            (quota,) = [each for each in found if each["code"] == code]
            assert (quota["used"] <= quota["limit"]) is fits
