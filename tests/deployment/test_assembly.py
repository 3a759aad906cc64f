import hashlib
import json

import pytest

from deployment.assembly import Asset, read
from deployment.errors import DeployError
from deployment.publishing import content
from deployment.stacks import Wanted


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
        "properties": {
            "templateFile": f"{name}.template.json",
            "stackTemplateAssetObjectUrl": "s3://assets-${AWS::AccountId}-${AWS::Region}/0badc0de.json",
            **properties,
        },
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
    assert tuple(stack.assets) == (
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


def test_a_digest_tells_two_versions_of_a_stack_apart_without_a_look_at_its_files(tmp_path):
    def digest(**properties):
        write_assembly(tmp_path, platform=write_stack(tmp_path, "platform", **properties))
        for file in (tmp_path / "platform.template.json", tmp_path / "platform.assets.json"):
            file.unlink()
        (stack,) = read(tmp_path).stacks
        return stack.digest

    same = digest()
    others = {
        digest(stackTemplateAssetObjectUrl="s3://assets/5eed.json"),
        digest(tags={"tenant": "acme"}),
        digest(cloudFormationExecutionRoleArn="arn:aws:iam::111122223333:role/x"),
        digest(terminationProtection=True),
    }

    assert digest() == same
    assert len(others - {same}) == 4


def test_a_stack_that_is_not_there_is_named_with_the_folder(tmp_path):
    write_assembly(tmp_path, platform=write_stack(tmp_path, "platform"))

    with pytest.raises(DeployError, match=r"holds no stack tenant; remove the folder"):
        read(tmp_path).stack("tenant")


@pytest.fixture
def stack(tmp_path):
    """As a synthesis leaves it: its manifest says what its template holds."""
    artifact = write_stack(tmp_path, "tenant")
    digest = hashlib.sha256((tmp_path / "tenant.template.json").read_bytes()).hexdigest()
    artifact["properties"]["stackTemplateAssetObjectUrl"] = f"s3://assets/templates/{digest}.json"
    write_assembly(tmp_path, tenant=artifact)
    return read(tmp_path).stack("tenant")


def test_a_template_that_is_the_planned_one_is_sent(stack):
    assert json.loads(Wanted(stack).body)["Resources"] == {}
    assert stack.size == stack.template_file.stat().st_size


def test_a_template_that_was_changed_after_it_was_planned_is_not_sent(stack):
    digest = stack.digest
    stack.template_file.write_text(json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}))

    with pytest.raises(DeployError, match=r"tenant\.template\.json: is not the template that the manifest .* names"):
        Wanted(stack).body  # noqa: B018 - reading it is what is refused
    assert stack.digest == digest


def test_a_file_that_is_gone_is_named_with_what_to_do(stack, tmp_path):
    (asset,) = stack.assets
    stack.template_file.unlink()

    for use in (stack.read, lambda: stack.size, lambda: content(asset)):
        with pytest.raises(DeployError, match=r": is not there, .* remove the folder and try again"):
            use()
