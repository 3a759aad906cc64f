import hashlib
import json
from copy import deepcopy

import pytest

from tests.templates import GLOBEX, synthesised


def write(folder, templates):
    """An assembly as a synthesis leaves it."""
    artifacts = {}
    for name, template in templates.items():
        text = json.dumps(template)
        (folder / f"{name}.template.json").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        file = {
            "source": {"path": f"{name}.template.json"},
            "destinations": {"here": {"bucketName": "assets", "objectKey": f"{digest}.json"}},
        }
        (folder / f"{name}.assets.json").write_text(json.dumps({"files": {"t": file}}))
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": "aws://777788889999/eu-central-1",
            "properties": {
                "templateFile": f"{name}.template.json",
                "stackTemplateAssetObjectUrl": f"s3://assets/{digest}.json",
            },
        }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return folder


@pytest.fixture
def templates():
    return deepcopy(synthesised("prod", GLOBEX))


@pytest.fixture
def assembly(tmp_path, templates):
    return write(tmp_path, templates)


def statement(templates, sid):
    return next(
        one
        for each in templates["mycompany-acme-prod-tenant"]["Resources"].values()
        if each["Type"] == "AWS::IAM::Policy"
        for one in each["Properties"]["PolicyDocument"]["Statement"]
        if one["Sid"] == sid
    )


def test_what_is_proved_is_said_in_one_line_and_ends_well(lake, assembly):
    done = lake("prove", "--assembly", assembly)

    assert done.exit_code == 0
    assert done.stdout.startswith("isolation: 3 tenants, 6 principals, ")
    assert "questions: 0 leaks\n" in done.stdout


def test_a_leak_ends_with_an_error(lake, tmp_path, templates):
    statement(templates, "Metrics").update({"Action": "iam:PassRole", "Condition": {}})
    for each in templates["mycompany-acme-prod-tenant"]["Resources"].values():
        if each["Type"] == "AWS::IAM::Role":
            each["Properties"].pop("PermissionsBoundary")

    done = lake("prove", "--assembly", write(tmp_path, templates))

    assert done.exit_code == 1
    assert "leak: arn:aws:iam::777788889999:role/mycompany-acme-prod-job may iam:PassRole on arn:" in done.stdout


def test_the_report_comes_as_markdown_and_as_json(lake, assembly):
    markdown, as_json = (
        lake("prove", "--assembly", assembly, "--markdown"),
        lake("prove", "--assembly", assembly, "--json"),
    )

    assert markdown.stdout.startswith("# Isolation of tenants in prod\n")
    assert json.loads(as_json.stdout)["holds"] is True


def test_rights_that_nobody_reviewed_are_printed_as_lines_of_the_list(lake, tmp_path, templates):
    statement(templates, "Metrics")["Condition"] = {}

    done = lake("prove", "--golden", "--assembly", write(tmp_path, templates))

    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "+ <workgroup>-job: may cloudwatch:PutMetricData on *   # acme",
        "- <workgroup>-job: may cloudwatch:PutMetricData on * if StringEquals cloudwatch:namespace = Glue   # acme",
    ]


def test_reviewed_rights_end_well(lake, assembly):
    done = lake("prove", "--golden", "--assembly", assembly)

    assert (done.exit_code, done.stdout) == (0, "")
    assert "as reviewed" in done.stderr


def test_one_tenant_is_asked_about_alone(lake, assembly):
    done = lake("prove", "globex", "--assembly", assembly)

    assert done.exit_code == 0
    assert done.stdout.startswith("isolation: 1 tenant, 2 principals, ")


def test_an_unknown_tenant_is_not_found_and_the_message_names_the_others(lake, assembly):
    done = lake("prove", "nobody", "--assembly", assembly)

    assert done.exit_code == 3
    assert "no tenant 'nobody'" in done.stderr
    assert "globex" in done.stderr


def test_a_folder_without_an_assembly_is_not_found(lake, tmp_path):
    done = lake("prove", "--assembly", tmp_path)

    assert done.exit_code == 3
    assert "manifest.json" in done.stderr


def test_what_is_not_understood_ends_in_one_line(lake, tmp_path, templates):
    templates["mycompany-acme-prod-tenant"]["Resources"]["X"] = {"Type": "AWS::EC2::Instance"}

    done = lake("prove", "--assembly", write(tmp_path, templates))

    assert done.exit_code == 1
    assert done.stderr.startswith(
        "lake: mycompany-acme-prod-tenant: X: nobody has said who may act on AWS::EC2::Instance"
    )


def test_without_an_assembly_the_templates_of_the_environment_are_made(lake):
    done = lake("prove", "-e", "dev")

    assert done.exit_code == 0
    assert "questions: 0 leaks" in done.stdout
