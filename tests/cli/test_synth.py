import json
import re

import pytest

from cli.exit_codes import ExitCode
from deployment.assembly import read
from tests.templates import PROJECT

TWICE = """
  - id: globex
    name: Globex
    owner: it@globex.example
    datasets: [{name: a, contract: twice}, {name: a_b, contract: twice}]
"""


@pytest.fixture
def registry(tmp_path, monkeypatch):
    folder = tmp_path / "tenants"
    (folder / "contracts").mkdir(parents=True)
    for name in ("tenants.yaml", "environments.yaml", "contracts/transactions.yaml"):
        (folder / name).write_text((PROJECT / "tenants" / name).read_text())
    one = (folder / "tenants.yaml").read_text().partition("  - id: skyline")[0]
    (folder / "tenants.yaml").write_text(one)
    monkeypatch.setenv("LAKE_TENANTS", str(folder))
    return folder


def templates(folder):
    return sorted(path.name.removesuffix(".template.json") for path in folder.glob("*.template.json"))


def test_an_assembly_is_written_and_written_again_without_the_tenants_that_are_gone(lake, registry, tmp_path):
    out, other = tmp_path / "out", tmp_path / "others.yaml"
    text = (registry / "tenants.yaml").read_text()
    other.write_text(text.replace("id: acme", "id: globex"))

    first = lake("synth", "-e", "dev", "--output", out)
    before = [stack.name for stack in read(out).stacks]
    second = lake("synth", "-e", "dev", "--output", out, "--tenants", other, "--json")

    assert (first.exit_code, first.stdout) == (0, f"{out}: 2 stacks\n")
    assert before == ["mycompany-dev-platform", "mycompany-acme-dev-tenant"]
    after = ["mycompany-dev-platform", "mycompany-globex-dev-tenant"]
    assert json.loads(second.stdout) == {"folder": str(out), "stacks": after, "failures": {}}
    assert templates(out) == after
    assert [stack.name for stack in read(out).stacks] == after


def test_templates_are_plain_cloudformation_with_a_list_of_what_goes_where(lake, registry, tmp_path):
    out = tmp_path / "out"

    done = lake("synth", "-e", "dev", "--output", out, "--format", "templates")

    assert done.exit_code == 0, done.stderr
    assert templates(out) == ["mycompany-acme-dev-tenant", "mycompany-dev-platform"]
    text = (out / "mycompany-acme-dev-tenant.template.json").read_text()
    assert len(text.encode()) <= 51_200
    template = json.loads(text)
    assert sorted(template) == ["Description", "Resources"]
    assert "BootstrapVersion" not in text
    uploads = json.loads((out / "assets.json").read_text())
    assert {path.name for path in out.iterdir()} == {
        "assets.json",
        *(f"{name}.template.json" for name in templates(out)),
        *(each["file"] for each in uploads),
    }
    job = next(each for each in template["Resources"].values() if each["Type"] == "AWS::Glue::Job")
    expected = job["Properties"]["Command"]["ScriptLocation"]
    (upload,) = [each for each in uploads if expected == f"s3://{each['bucket']}/{each['key']}"]
    assert upload["before"] == ["mycompany-acme-dev-tenant"]


@pytest.mark.parametrize("form", ["assembly", "templates"])
def test_a_folder_with_other_things_is_left_alone(lake, registry, tmp_path, form):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "asset.txt").write_text("precious")

    done = lake("synth", "-e", "dev", "--output", tmp_path / "mine", "--format", form)

    assert done.exit_code == ExitCode.INPUT
    assert "holds other things" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["asset.txt"]


@pytest.mark.parametrize(
    ("options", "end"),
    [
        (("-e", "../dev"), (ExitCode.INPUT, "is no environment")),
        (("-e", "hopp"), (ExitCode.INPUT, "hopp")),
        (("-e", "dev/b"), (ExitCode.INPUT, "all cells are written together; give -e dev")),
        (("-e", "dev", "--tenants", "nowhere.yaml"), (ExitCode.NOT_FOUND, "nowhere.yaml: no such file")),
    ],
)
def test_what_is_not_there_is_said(lake, registry, tmp_path, options, end):
    done = lake("synth", "--output", tmp_path / "out", *options)

    code, said = end
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_file_is_named_by_its_own_name_and_nothing_is_written(lake, registry, tmp_path):
    wrong = tmp_path / "next.yaml"
    wrong.write_text("organisation: mycompany\n")

    done = lake("synth", "-e", "dev", "--tenants", wrong, "--output", tmp_path / "out")

    assert done.exit_code == ExitCode.INPUT
    assert "next.yaml:1" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_tenant_whose_templates_cannot_be_made_is_told_and_all_others_are_written(lake, registry, tmp_path):
    """Its two datasets have queries b_c and c each, of which two would have one name."""
    text = (registry / "contracts" / "transactions.yaml").read_text()
    head, _, rest = text.partition("schema:\n")
    queries = "".join(
        f'      - {{name: {name}, description: All, sql: "SELECT * FROM {{table}}"}}\n' for name in ("c", "b_c")
    )
    contract = head.partition("customProperties:")[0] + "customProperties:\n  - property: lake.queries\n    value:\n"
    contract = contract.replace("id: transactions", "id: twice") + queries + "schema:\n" + rest
    (registry / "contracts" / "twice.yaml").write_text(contract)
    (registry / "tenants.yaml").write_text((registry / "tenants.yaml").read_text() + TWICE)

    done = lake("synth", "-e", "dev", "--output", tmp_path / "out", "--json")

    assert done.exit_code == ExitCode.FAILED
    assert re.search(r"no template for globex: cdk_app/queries\.py:\d+: .*'Query-a_b_c'", done.stderr)
    said = json.loads(done.stdout)
    assert (
        said["stacks"] == ["mycompany-dev-platform", "mycompany-acme-dev-tenant"] == templates(tmp_path / "out")[::-1]
    )
    assert said["failures"].keys() == {"globex"}


@pytest.mark.parametrize(
    ("datasets", "said"),
    [
        (150, r"stack mycompany-globex-dev-tenant: \w+: .*polic.*: [\d,]+ where 6,144 are allowed; "),
        (480, r"no template for globex: RuntimeError: TooManyResourcesInStack: .* stack '<stack>': 5\d\d is greater "),
    ],
)
def test_a_template_over_a_limit_is_told_before_anybody_deploys_it(lake, registry, tmp_path, datasets, said):
    many = "".join(f"      - {{name: d{number}, contract: plain}}\n" for number in range(datasets))
    text = (registry / "contracts" / "transactions.yaml").read_text()
    header = text.partition("customProperties:")[0].replace("id: transactions", "id: plain")
    (registry / "contracts" / "plain.yaml").write_text(header + "schema:" + text.partition("schema:")[2])
    globex = TWICE.partition("    datasets")[0] + "    datasets:\n" + many
    (registry / "tenants.yaml").write_text((registry / "tenants.yaml").read_text() + globex)

    done = lake("synth", "-e", "dev", "--output", tmp_path / "out")

    assert done.exit_code == ExitCode.FAILED
    assert re.search(said, done.stderr)
