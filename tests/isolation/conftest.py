"""What the proof has to say stands at the end of a run in which it was tested."""


def pytest_terminal_summary(terminalreporter):
    """Tests say it as a property of theirs: that comes back from the other processes of a run too."""
    for report in terminalreporter.getreports("passed"):
        for name, said in report.user_properties:
            if name == "said":
                terminalreporter.write_line(said)
