"""actionlint is clean, sees through `$/`, and is told to overlook one message only."""

import subprocess
import sys
from pathlib import Path

import pytest

from requirements import workflow_lint
from tests.workflow_runner.sample import write

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / ".tools" / "actionlint"
CALL = "on: workflow_dispatch\njobs: {one: {uses: $/.github/workflows/_apply.yml, with: {environment: dev, action: plan%s}}}"


def linted(tool: Path, root: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from requirements import workflow_lint as w; sys.exit(w.linted(sys.argv[1], w.Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(tool), str(root)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_actionlint_reads_is_what_stands_here_with_another_name_for_this_repository(tmp_path):
    workflow_lint.copied(ROOT, tmp_path)

    for path in (ROOT / ".github").rglob("*.yml"):
        copy = (tmp_path / path.relative_to(ROOT)).read_text()
        assert "uses: $/" not in copy
        assert copy.replace("uses: ./", "uses: $/") == path.read_text()


def test_the_answer_of_actionlint_is_the_answer(tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\ntest -d .github/workflows && test -d .git && exit 7\n")
    tool.chmod(0o755)

    assert linted(tool, ROOT).returncode == 7


@pytest.mark.skipif(not TOOL.exists(), reason="`make actionlint` installs it, with Go")
class TestInstalled:
    def test_actionlint_has_nothing_against_the_workflows(self):
        done = linted(TOOL, ROOT)

        assert (done.stdout, done.returncode) == ("", 0)

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            (", batch: b", None),
            ("", 'input "batch" is required by'),
            (", batch: b, more: c", 'input "more" is not defined in'),
        ],
    )
    def test_what_a_called_workflow_takes_is_checked(self, tmp_path, given, told):
        done = linted(TOOL, write(tmp_path, call=CALL % given))

        assert told is None or told in done.stdout
        assert done.returncode == (told is not None)

    def test_another_unknown_key_of_concurrency_is_told(self, tmp_path):
        text = "on: push\nconcurrency: {group: a, queue: max, que: b}\njobs: {one: {runs-on: ubuntu-24.04, steps: [{run: a}]}}"

        done = linted(TOOL, write(tmp_path, other=text))

        assert 'unexpected key "que"' in done.stdout
        assert 'unexpected key "queue"' not in done.stdout
