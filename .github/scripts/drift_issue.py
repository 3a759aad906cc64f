"""The text of an issue about drift: `python3 drift_issue.py FILE`, with ENVIRONMENT and RUN_URL told.

Values of resources are somebody else's words: indented they are shown as they are, and nothing in them is alive.
"""

import os
import sys
from pathlib import Path

LONGEST = 55_000  # characters; GitHub takes 65,536 of an issue


def main(file: Path, environment: str, run: str) -> str:
    head = (
        f"Resources differ from what their stacks say. `lake deploy -e {environment} --refresh` puts stacks right; a "
        f"resource is put right by whoever changed it (docs/scaling.md). Last looked at: {run}\n\n"
    )
    shown, size = [], 0
    for line in printable(file.read_bytes().decode("utf-8", errors="replace")).split("\n"):
        size += len(line) + 5
        if size > LONGEST:
            shown.append("… and more: the run's log has all of it, `lake drift --last`, too")
            break
        shown.append(line)
    return head + "".join(f"    {line}\n" for line in shown)


def printable(text: str) -> str:
    """Without what ends a line, or cannot be seen, but the newline and the tab."""
    return "".join(each if each in "\n\t" or each.isprintable() else "\ufffd" for each in text)


if __name__ == "__main__":
    sys.stdout.buffer.write(main(Path(sys.argv[1]), os.environ["ENVIRONMENT"], os.environ["RUN_URL"]).encode())
