import sys

import pytest

from local_cloud import worker


def outcome(tmp_path, script):
    file = tmp_path / "script.py"
    file.write_text(script)
    kept = list(sys.argv)
    try:
        return worker.run_script(str(file), ["--name", "x"])
    finally:
        sys.argv[:] = kept


@pytest.mark.parametrize("script", ["print('done')", "raise SystemExit", "import sys; sys.exit(0)"])
def test_a_script_that_comes_to_its_end_has_succeeded(tmp_path, script):
    assert outcome(tmp_path, script) == (0, "")


def test_a_script_finds_its_arguments(tmp_path):
    assert outcome(tmp_path, "import sys; assert sys.argv[1:] == ['--name', 'x']") == (0, "")


def test_an_exception_is_told_by_name_and_text(tmp_path, capfd):
    assert outcome(tmp_path, "raise ValueError('no such column')") == (1, "ValueError: no such column")
    assert "Traceback" in capfd.readouterr().err


def test_exit_codes_and_texts_are_failures(tmp_path):
    assert outcome(tmp_path, "import sys; sys.exit(3)") == (3, "SystemExit: 3")
    assert outcome(tmp_path, "import sys; sys.exit('input is missing')") == (1, "SystemExit: input is missing")


def test_credentials_go_into_a_file_for_the_owner_alone(tmp_path):
    path = tmp_path / "credentials"

    worker.write_credentials(path, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"})

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines() == [
        "[default]",
        "aws_access_key_id = a",
        "aws_secret_access_key = b",
        "aws_session_token = c",
    ]
