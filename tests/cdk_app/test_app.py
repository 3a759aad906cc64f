import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def run(folder, **context):
    """cdk.json's command, as the CDK command line runs it."""
    command = json.loads((PROJECT / "cdk.json").read_text())["app"].split()
    assert command[0] == "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "JSII_"))}
    return subprocess.run(
        [sys.executable, *command[1:]],
        cwd=PROJECT,
        env=environment | {"CDK_OUTDIR": str(folder / "cdk.out"), "CDK_CONTEXT_JSON": json.dumps(context)},
        capture_output=True,
        text=True,
        check=False,
    )


def write(folder, tenants):
    (folder / "contracts").mkdir(parents=True)
    (folder / "tenants.yaml").write_text(tenants)
    (folder / "environments.yaml").write_text("environments:\n  dev: {account: '111122223333', region: eu-central-1}\n")
    return folder


def test_the_command_of_cdk_json_makes_an_assembly_for_the_environment_that_is_asked_for(tmp_path):
    folder = write(tmp_path / "tenants", "organization: mycompany\n")

    done = run(tmp_path, environment="dev", tenants=str(folder))

    assert (done.returncode, done.stderr) == (0, "")
    manifest = json.loads((tmp_path / "cdk.out" / "manifest.json").read_text())
    stack = manifest["artifacts"]["mycompany-dev-platform"]
    assert stack["environment"] == "aws://111122223333/eu-central-1"
    assert stack["properties"]["terminationProtection"] is True


def test_a_wrong_registry_ends_with_its_problems_and_no_assembly(tmp_path):
    folder = write(tmp_path / "tenants", "organization: mycompany\ntenant: []\n")

    done = run(tmp_path, environment="dev", tenants=str(folder))

    assert done.returncode == 2
    assert "tenants.yaml:2" in done.stderr
    assert not (tmp_path / "cdk.out").exists()


def test_an_unknown_environment_is_refused_with_those_that_exist(tmp_path):
    folder = write(tmp_path / "tenants", "organization: mycompany\n")

    done = run(tmp_path, environment="production", tenants=str(folder))

    assert done.returncode == 2
    assert "production" in done.stderr
    assert "dev" in done.stderr
