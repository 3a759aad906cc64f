import json

from deployment.assembly import Asset, read


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
