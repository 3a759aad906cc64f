import json

import pytest

from cli.exit_codes import ExitCode

DOWN = "lake: local cloud is not running: start it with `lake up`\n"


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "network_1_transactions_2024_09_20.csv"
    path.write_text("transaction_id\n")
    return path


def test_every_command_of_the_reference_is_there(lake):
    shown = lake("--help").stdout

    for command in (
        "up",
        "down",
        "status",
        "doctor",
        "env",
        "tenant",
        "deploy",
        "put",
        "files",
        "runs",
        "query",
        "lineage",
        "demo",
    ):
        assert f" {command} " in shown


def commands(root, name=()):
    """Every command with the options that it takes."""
    if hasattr(root, "commands"):
        below = [commands(each, (*name, word)) for word, each in root.commands.items()]
        return {path: options for found in below for path, options in found.items()}
    return {" ".join(name): {option for parameter in root.params for option in parameter.opts}}


def test_what_the_reference_says_of_every_command_holds():
    import typer

    from cli.commands import app

    known = commands(typer.main.get_command(app))

    here = {"up", "down", "doctor", "demo", "tenant add", "tenant list", "tenant validate"}
    assert {name for name, options in known.items() if "--json" not in options} == {"demo"}
    assert {name for name, options in known.items() if "-e" not in options} == here


@pytest.mark.parametrize(
    "command", [("files", "acme"), ("runs", "acme"), ("query", "acme", "select 1"), ("lineage", "acme", "x"), ("env",)]
)
def test_without_a_running_cloud_every_command_says_how_to_start_it(lake, command):
    answer = lake(*command)

    assert (answer.exit_code, answer.stderr, answer.stdout) == (ExitCode.FAILED, DOWN, "")


def test_an_unknown_tenant_names_the_known_ones(lake, csv_file):
    answer = lake("put", "nobody", csv_file)

    assert answer.exit_code == ExitCode.NOT_FOUND
    assert "nobody" in answer.stderr
    assert "acme, skyline, bookshop" in answer.stderr


def test_an_unknown_environment_names_the_known_ones(lake):
    answer = lake("files", "acme", "-e", "moon")

    assert answer.exit_code == ExitCode.NOT_FOUND
    assert "local, dev, hom, prod" in answer.stderr


def test_missing_files_are_all_named(lake):
    answer = lake("put", "acme", "no/such.csv", "nor/this.csv")

    assert answer.exit_code == ExitCode.INPUT
    assert answer.stderr == "lake: no/such.csv: no such file\nnor/this.csv: no such file\n"


def test_a_folder_is_no_file(lake, tmp_path):
    answer = lake("put", "acme", tmp_path)

    assert answer.exit_code == ExitCode.INPUT
    assert "is a folder, name its files" in answer.stderr


def test_a_key_is_for_one_file(lake, csv_file, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("x\n")

    answer = lake("put", "acme", csv_file, other, "--key", "raw/x.csv")

    assert answer.exit_code == ExitCode.INPUT
    assert "--to PREFIX" in answer.stderr


def test_two_files_of_one_name_would_overwrite_each_other(lake, csv_file, tmp_path):
    twin = tmp_path / "elsewhere" / csv_file.name
    twin.parent.mkdir()
    twin.write_text("x\n")

    answer = lake("put", "acme", csv_file, twin)

    assert answer.exit_code == ExitCode.INPUT
    assert csv_file.name in answer.stderr


def test_a_state_that_does_not_exist_names_those_that_do(lake):
    answer = lake("files", "acme", "--state", "lost")

    assert answer.exit_code == ExitCode.INPUT
    assert "UNROUTED" in answer.stderr


@pytest.mark.parametrize("options", [(), ("select 1", "--named", "x"), ("select 1", "--csv", "--json")])
def test_a_query_is_either_sql_or_a_name(lake, options):
    assert lake("query", "acme", *options).exit_code == ExitCode.INPUT


def test_only_the_local_cloud_has_variables_of_its_own(lake):
    answer = lake("env", "-e", "prod")

    assert answer.exit_code == ExitCode.INPUT
    assert "prod" in answer.stderr


def test_the_status_of_a_stopped_cloud_is_data_and_exit_code_1(lake):
    answer = lake("status", "--json")

    assert answer.exit_code == ExitCode.FAILED
    assert json.loads(answer.stdout)["running"] is False


def test_stopping_what_does_not_run_is_no_error(lake):
    answer = lake("down")

    assert answer.exit_code == ExitCode.OK
    assert answer.stderr == "local cloud was not running\n"


def test_the_states_that_files_knows_are_those_of_the_ledger():
    from cli.files import STATES
    from lineage.values import FileStatus

    assert set(STATES) == {str(each) for each in FileStatus}


def test_broken_yaml_is_wrong_input_with_its_line(lake, tmp_path, monkeypatch):
    folder = tmp_path / "tenants"
    folder.mkdir()
    (folder / "tenants.yaml").write_text("organization: [\n")
    monkeypatch.setenv("LAKE_TENANTS", str(folder))

    answer = lake("files", "acme")

    assert answer.exit_code == ExitCode.INPUT
    assert "tenants.yaml" in answer.stderr
