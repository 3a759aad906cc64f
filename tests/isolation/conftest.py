"""What the proof has to say stands at the end of a run in which it was tested."""

from tests.isolation.summary import SAID


def pytest_terminal_summary(terminalreporter):
    for about in ("proof", "mutants"):
        if about in SAID:
            terminalreporter.write_line(SAID[about])
