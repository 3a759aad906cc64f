from pathlib import Path

import pytest

from cli import synthesis
from cli.errors import WrongInput
from cli.synthesis import fingerprint_of_sources, synthesise

ENVIRONMENTS = "environments:\n  dev: {account: '111122223333', region: eu-central-1}\n"


@pytest.fixture
def tenants(tmp_path):
    folder = tmp_path / "tenants"
    (folder / "contracts").mkdir(parents=True)
    (folder / "tenants.yaml").write_text("organization: mycompany\n")
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    return folder


def test_an_assembly_is_made_once_and_again_when_the_registry_changes(tenants, tmp_path, monkeypatch):
    runs = []
    make = synthesis.make
    monkeypatch.setattr(synthesis, "make", lambda *given: (runs.append(given), make(*given))[1])

    first = synthesise("dev", tenants, tmp_path / "home")
    second = synthesise("dev", tenants, tmp_path / "home")
    (tenants / "tenants.yaml").write_text("organization: othercompany\n")
    third = synthesise("dev", tenants, tmp_path / "home")

    assert [stack.name for stack in first.stacks] == ["mycompany-dev-platform"]
    assert [stack.name for stack in second.stacks] == [stack.name for stack in first.stacks]
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
        patch.setattr(synthesis, "make", interrupted)
        with pytest.raises(KeyboardInterrupt):
            synthesise("dev", tenants, tmp_path / "home")

    assert [stack.name for stack in synthesise("dev", tenants, tmp_path / "home").stacks] == ["mycompany-dev-platform"]


def test_synthesis_writes_nothing_into_the_persons_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "person"))

    home = Path(synthesis.app_environment()["HOME"])

    assert home.is_relative_to(synthesis.PROJECT)


@pytest.fixture
def project(tmp_path):
    """The sources of a project: one file of each kind."""
    for name in (
        "cdk_app/tenant_stack.py",
        "glue_scripts/maintain.py",
        "ingestion/a.py",
        "lineage/a.py",
        "tenants/a.py",
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("WORKERS = 2\n")
    (tmp_path / "cdk.json").write_text('{"context": {"flag": true}}')
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "project.lock").write_text("aws-cdk-lib==2.275.0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("cdk_app/tenant_stack.py", "2", "3"),
        ("glue_scripts/maintain.py", "2", "3"),
        ("tenants/a.py", "2", "3"),
        ("cdk.json", "true", "false"),
        ("requirements/project.lock", "275", "276"),
    ],
)
def test_one_byte_of_a_source_a_flag_or_a_line_of_the_lock_makes_shapes_others(project, file, before, after):
    was = fingerprint_of_sources(project)
    text = (project / file).read_text()
    (project / file).write_text(text.replace(before, after))

    assert fingerprint_of_sources(project) != was
    (project / file).write_text(text)
    assert fingerprint_of_sources(project) == was


def test_a_source_under_another_name_and_a_library_that_was_upgraded_make_shapes_others(project, monkeypatch):
    seen = {fingerprint_of_sources(project)}
    (project / "cdk_app" / "tenant_stack.py").rename(project / "cdk_app" / "stack.py")
    seen.add(fingerprint_of_sources(project))
    monkeypatch.setattr(synthesis.importlib.metadata, "version", lambda _library: "99")
    seen.add(fingerprint_of_sources(project))

    assert len(seen) == 3
