from pathlib import Path

from cdk_app.node import prepare


def test_node_and_every_cache_of_the_library_are_the_projects_own(tmp_path: Path):
    environment: dict[str, str] = {}

    prepare(environment, tmp_path)

    assert Path(environment["JSII_NODE"]).is_file()
    assert environment["JSII_RUNTIME_PACKAGE_CACHE_ROOT"].startswith(str(tmp_path))


def test_a_choice_of_the_person_stands(tmp_path: Path):
    environment = {"JSII_NODE": "/opt/node"}

    prepare(environment, tmp_path)

    assert environment["JSII_NODE"] == "/opt/node"
