from cli.reference import PAGE, page


def test_the_command_reference_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m cli.reference`"


def test_the_reference_shows_options_with_their_defaults():
    assert "| `--timeout SECONDS` | Seconds to wait at most. Default `300`. |" in page()
