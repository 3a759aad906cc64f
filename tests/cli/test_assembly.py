import json
from pathlib import Path

import pytest

from cli import assembly
from cli.assembly import Asset, read, synthesise
from cli.errors import WrongInput

ENVIRONMENTS = "environments:\n  dev: {account: '111122223333', region: eu-central-1}\n"


def write_stack(folder, name, dependencies=(), **properties):
    (folder / f"{name}.template.json").write_text(json.dumps({"Resources": {}}))
    destination = {"bucketName": "assets-${AWS::AccountId}-${AWS::Region}"}
    files = {
        "t": {
            "source": {"path": f"{name}.template.json", "packaging": "file"},
            "destinations": {"here": destination | {"objectKey": "t.json"}},
        },
        "a": {
            "source": {"path": "asset.a.zip", "packaging": "file"},
            "destinations": {"here": destination | {"objectKey": "a.zip"}},
        },
    }
    (folder / f"{name}.assets.json").write_text(json.dumps({"files": files}))
    return {
        "type": "aws:cloudformation:stack",
        "environment": "aws://111122223333/eu-central-1",
        "dependencies": list(dependencies),
        "properties": {"templateFile": f"{name}.template.json", **properties},
    }


def write_assembly(folder, **stacks):
    (folder / "manifest.json").write_text(json.dumps({"artifacts": stacks}))


def test_a_stack_comes_after_those_that_it_depends_on(tmp_path):
    tenant = write_stack(tmp_path, "tenant", ["platform", "tenant.assets"])
    platform = write_stack(tmp_path, "platform")
    write_assembly(tmp_path, tenant=tenant, platform=platform)

    assert [stack.name for stack in read(tmp_path).stacks] == ["platform", "tenant"]


def test_a_template_is_no_asset_of_its_stack_and_placeholders_are_filled(tmp_path):
    write_assembly(
        tmp_path,
        platform=write_stack(
            tmp_path, "platform", cloudFormationExecutionRoleArn="arn:${AWS::Partition}:iam::${AWS::AccountId}:role/x"
        ),
    )

    (stack,) = read(tmp_path).stacks
    assert stack.assets == (
        Asset(
            source=tmp_path / "asset.a.zip",
            packaging="file",
            bucket="assets-111122223333-eu-central-1",
            key="a.zip",
        ),
    )
    assert stack.template_bucket == "assets-111122223333-eu-central-1"
    assert stack.execution_role == "arn:aws:iam::111122223333:role/x"
    assert (stack.account, stack.region) == ("111122223333", "eu-central-1")


@pytest.fixture
def tenants(tmp_path):
    folder = tmp_path / "tenants"
    (folder / "contracts").mkdir(parents=True)
    (folder / "tenants.yaml").write_text("organization: mycompany\n")
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    return folder


def test_an_assembly_is_made_once_and_again_when_the_registry_changes(tenants, tmp_path, monkeypatch):
    runs = []
    run_app = assembly.run_app
    monkeypatch.setattr(assembly, "run_app", lambda *given: (runs.append(given), run_app(*given)))

    first = synthesise("dev", tenants, tmp_path / "home")
    second = synthesise("dev", tenants, tmp_path / "home")
    (tenants / "tenants.yaml").write_text("organization: othercompany\n")
    third = synthesise("dev", tenants, tmp_path / "home")

    assert [stack.name for stack in first.stacks] == ["mycompany-dev-platform"]
    assert second == first
    assert [stack.name for stack in third.stacks] == ["othercompany-dev-platform"]
    assert len(runs) == 2


def test_a_wrong_registry_is_wrong_input_with_its_place(tenants, tmp_path):
    (tenants / "tenants.yaml").write_text("organisation: mycompany\n")

    with pytest.raises(WrongInput, match=r"tenants\.yaml:1"):
        synthesise("dev", tenants, tmp_path / "home")


def test_a_run_that_was_interrupted_is_no_assembly(tenants, tmp_path, monkeypatch):
    def interrupted(*_given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(assembly, "run_app", interrupted)
        with pytest.raises(KeyboardInterrupt):
            synthesise("dev", tenants, tmp_path / "home")

    assert [stack.name for stack in synthesise("dev", tenants, tmp_path / "home").stacks] == ["mycompany-dev-platform"]


def test_synthesis_writes_nothing_into_the_persons_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "person"))

    home = Path(assembly.app_environment("local", tmp_path, tmp_path)["HOME"])

    assert home.is_relative_to(assembly.PROJECT)
