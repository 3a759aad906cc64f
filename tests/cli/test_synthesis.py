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


def test_what_a_command_reads_stays_as_it_is_while_another_one_makes_something_else(tenants, tmp_path):
    reading = synthesise("dev", tenants, tmp_path / "home")
    before = [stack.read() for stack in reading.stacks]
    (tenants / "environments.yaml").write_text(ENVIRONMENTS.replace("eu-central-1", "eu-west-1"))
    other = synthesise("dev", tenants, tmp_path / "home")

    assert [stack.region for stack in other.stacks] == ["eu-west-1"]
    assert [stack.name for stack in other.stacks] == [stack.name for stack in reading.stacks]
    assert [stack.read() for stack in reading.stacks] == before
    assert [stack.read() for stack in other.stacks] != before


def test_what_was_made_while_the_registry_changed_is_made_again(tenants, tmp_path, monkeypatch):
    make = synthesis.make

    def changed_meanwhile(*given):
        (tenants / "tenants.yaml").write_text("organization: othercompany\n")
        return make(*given)

    with monkeypatch.context() as patch:
        patch.setattr(synthesis, "make", changed_meanwhile)
        synthesise("dev", tenants, tmp_path / "home")
    (tenants / "tenants.yaml").write_text("organization: mycompany\n")

    assert [stack.name for stack in synthesise("dev", tenants, tmp_path / "home").stacks] == ["mycompany-dev-platform"]


def test_two_that_want_the_same_read_the_same_files(tenants, tmp_path):
    folders = {synthesise("dev", tenants, tmp_path / "home").folder for _ in range(2)}
    reading = [synthesise("dev", tenants, tmp_path / "home") for _ in range(2)]

    assert {each.folder for each in reading} == folders == {tmp_path / "home" / "assembly" / "dev"}


def test_whoever_has_a_stack_keeps_its_files(tenants, tmp_path):
    (stack,) = synthesise("dev", tenants, tmp_path / "home").stacks
    (tenants / "tenants.yaml").write_text("organization: othercompany\n")
    synthesise("dev", tenants, tmp_path / "home")

    assert stack.template["Resources"]


def test_a_second_folder_goes_once_nobody_reads_from_the_first(tenants, tmp_path):
    home = tmp_path / "home"
    reading = synthesise("dev", tenants, home)
    (tenants / "tenants.yaml").write_text("organization: othercompany\n")
    key = (synthesise("dev", tenants, home).folder / synthesis.KEY).read_text()
    assert sorted(path.name for path in (home / "assembly").iterdir()) == ["dev", "dev.2"]
    assert synthesis.kept("dev", home, key).folder == home / "assembly" / "dev.2"

    del reading
    (tenants / "tenants.yaml").write_text("organization: third\n")
    synthesise("dev", tenants, home)

    assert [path.name for path in (home / "assembly").iterdir()] == ["dev"]
    assert synthesis.kept("dev", home, key) is None


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
