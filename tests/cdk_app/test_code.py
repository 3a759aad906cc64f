import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from cdk_app.code import pack

PROJECT = Path(__file__).resolve().parents[2]


def names(archive):
    with zipfile.ZipFile(archive) as file:
        return set(file.namelist())


def test_functions_carry_their_packages_and_nothing_of_the_jobs_but_the_arguments(tmp_path):
    found = names(pack(PROJECT, tmp_path).functions)

    handlers = {f"ingestion/{name}.py" for name in ("register", "dispatch", "reconcile", "webhook")}
    assert {*handlers, "lineage/ledger.py", "pynamodb/models.py"} <= found
    assert {name for name in found if name.startswith("glue_scripts/")} == {
        "glue_scripts/__init__.py",
        "glue_scripts/arguments.py",
    }


def test_jobs_carry_the_ledger_and_all_of_their_own_modules(tmp_path):
    found = names(pack(PROJECT, tmp_path).library)

    assert {"lineage/ledger.py", "glue_scripts/arguments.py", "pynamodb/models.py"} <= found
    assert not {name for name in found if name.startswith(("tenants/", "ingestion/", "cdk_app/"))}


def test_the_same_sources_make_the_same_bytes_at_any_time(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()

    first, second = pack(PROJECT, tmp_path / "1"), pack(PROJECT, tmp_path / "2")

    assert first.library.read_bytes() == second.library.read_bytes()
    assert first.functions.read_bytes() == second.functions.read_bytes()
    assert first.version == second.version


@pytest.mark.parametrize("function", ["register", "dispatch", "reconcile", "webhook"])
def test_a_function_finds_all_that_it_imports_in_its_archive(tmp_path, function):
    """Beside boto3, which is there already in Lambda."""
    archive = pack(PROJECT, tmp_path).functions
    # Without `site`, so that nothing but the archive and what is installed beside it can be found.
    code = (
        f"import sys; sys.path[:0] = [{str(archive)!r}]; sys.path.append({sysconfig.get_path('purelib')!r});"
        f"import ingestion.{function} as module; print(module.__file__)"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(archive))
