import signal
import subprocess
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


STARTS = """
import subprocess, sys, time
from local_cloud import worker

def begin(self):
    child = subprocess.Popen([sys.executable, "-c", {java!r}])
    while child.poll() is None:
        time.sleep(0.01)
    raise RuntimeError("Java is gone")

worker.Worker.begin = begin
sys.argv = ["worker", sys.argv[1]]
worker.main()
"""


@pytest.mark.parametrize(
    ("java", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import sys; sys.exit('no such class')", 1),
    ],
)
def test_a_worker_whose_java_is_killed_while_it_starts_ends_as_killed(tmp_path, java, code):
    command = [sys.executable, "-c", STARTS.format(java=java), str(tmp_path)]

    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        said = started.stderr.read()

    assert started.returncode == code
    assert "Java is gone" in said
