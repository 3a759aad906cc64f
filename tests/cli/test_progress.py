"""What a deploy says of itself: every stack of a few, how far it is with many, one line where it can move."""

from cli import progress
from cli.progress import Progress


def told(total, *, moves=False):
    """What is said of a wave with so many stacks, of which the last one fails."""
    said = []
    made = Progress(said.append, moves=moves)
    made.expect("prod/b", total)
    made.begin("wave 1 of 1")
    for number in range(total):
        made(f"s{number}", "creating")
        made.end(f"s{number}", "failed" if number == total - 1 else "created", failed=number == total - 1)
    return said


def test_a_few_stacks_each_say_what_happens_to_them():
    assert told(2) == [
        "prod/b: wave 1 of 1; 0 of 2 stacks are through",
        "s0: creating",
        "s0: created",
        "s1: creating",
        "s1: failed",
    ]


def test_of_many_it_is_said_now_and_then_how_many_are_through(monkeypatch):
    moments = iter(range(0, 1_000, 2))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments))

    said = told(30)

    assert said[0] == "prod/b: wave 1 of 1; 0 of 30 stacks are through"
    assert len(said) < 12
    assert all("stacks are through" in line for line in said)


def test_on_a_terminal_one_line_has_both():
    assert told(30, moves=True)[-1] == "prod/b: wave 1 of 1; 29 of 30 stacks are through · s29: failed"
    assert told(30, moves=True)[3] == "prod/b: wave 1 of 1; 1 of 30 stacks are through · s1: creating"


def test_before_there_are_stacks_everything_is_said():
    said = []
    Progress(said.append)("registry", "synthesising")

    assert said == ["registry: synthesising"]
