"""The search for secrets: what it finds, what it leaves, and that its list of exceptions holds nothing more."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".tools/audit/bin/python"
spec = importlib.util.spec_from_file_location("secret_scan", ROOT / "requirements/secret_scan.py")
secrets = importlib.util.module_from_spec(spec)
sys.modules["secret_scan"] = secrets
spec.loader.exec_module(secrets)

FOUND = secrets.Found("a/b.py", "AWS Access Key", "0" * 40, 3)

# Put together here, so that the search finds none of them in this file.
PLANTED = {
    "AWS Access Key": "key = '" + "AKIA" + "IOSFODNN7" + "QWERTYU" + "'\n",
    "Private Key": "-----BEGIN " + "RSA PRIVATE KEY-----\n",
    "Secret Keyword": "pass" + "word: 'hunter2-and-more'\n",
    "Basic Auth Credentials": "url = 'https://me:" + "s3cr3t" + "@example.com'\n",
    "Slack Token": "url = 'https://hooks.slack" + ".com/services/T0000AAAA/B0000BBBB/" + "qwErty9Z" * 3 + "'\n",
    "GitHub Token": "t = 'ghp_" + "qW1rT2zU3" * 4 + "'\n",
}


def test_a_secret_is_told_by_file_and_line_with_what_to_do_and_not_shown():
    (told,) = secrets.problems([FOUND], {})

    assert told.startswith("a/b.py:3: looks like a secret (AWS Access Key); take it out and revoke it; if it is none: ")
    assert f"`AWS-Access-Key {'0' * 40} <why>` in secrets.known" in told


def test_what_is_known_to_be_none_is_left_and_what_is_known_for_nothing_is_told():
    reasons = {("AWS-Access-Key", "0" * 40): "AWS's own example", ("Private-Key", "1" * 40): "gone"}

    assert list(secrets.problems([FOUND], reasons)) == [
        f"requirements/secrets.known: Private-Key {'1' * 40}: is not there any more; take the line out"
    ]


def test_an_exception_without_a_reason_is_refused(tmp_path: Path):
    path = tmp_path / "secrets.known"
    path.write_text(f"# comment\nPrivate-Key {'1' * 40}\n")

    with pytest.raises(SystemExit, match="has no reason"):
        secrets.known(path)


def test_every_exception_of_today_has_its_reason():
    assert len(secrets.known(secrets.KNOWN)) > 5


@pytest.mark.skipif(not PYTHON.exists(), reason="the search is installed by `make check`")
def test_planted_secrets_are_found(tmp_path: Path):
    for number, text in enumerate(PLANTED.values()):
        (tmp_path / f"{number}.py").write_text(text)
    names = [path.name for path in sorted(tmp_path.iterdir())]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import secret_scan; "
        "print('\\n'.join(found.kind for found in secret_scan.scan((sys.argv[2], sys.argv[3:]))))"
    )
    command = [PYTHON, "-c", code, str(ROOT / "requirements"), str(tmp_path), *names]

    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    assert set(found) >= set(PLANTED)
