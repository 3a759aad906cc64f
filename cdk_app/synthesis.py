"""The process that runs the CDK library; starting it takes longer than anything that it is asked for."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cdk_app.shapes import Request, ShapeError

__all__ = ["Ask", "Synthesis", "synthesis"]

PROJECT = Path(__file__).resolve().parents[1]
Ask = Callable[[Sequence[Request]], list[Path]]
"""Folders, one per request: an assembly for the platform and for each shape, or `<name>.failed` with the reason."""


class Synthesis:
    """One run of `cdk_app.shape_app`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shapes-"))
        self.process = subprocess.Popen(
            # -O: the library for Python checks each argument before the CDK library itself does, which costs a tenth.
            [sys.executable, "-O", "-m", "cdk_app.shape_app"],
            cwd=PROJECT,
            env={**variables, "CDK_OUTDIR": str(self.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def of(self, requests: Sequence[Request]) -> list[Path]:
        """Raises ShapeError if the process itself fails."""
        _, said = self.process.communicate(json.dumps([request.facts() for request in requests]))
        if self.process.returncode:
            last = "\n".join(said.strip().splitlines()[-20:])
            raise ShapeError(f"python -m cdk_app.shape_app: made no templates:\n{last}")
        return [self.folder / str(position) for position in range(len(requests))]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def synthesis(variables: Mapping[str, str], *, at_once: bool) -> Iterator[Ask]:
    """What asks the process, which starts when it is first asked or, if that is sure to happen, `at_once`."""
    started = [Synthesis(variables)] if at_once else []

    def ask(requests: Sequence[Request]) -> list[Path]:
        if not started:
            started.append(Synthesis(variables))
        return started[0].of(requests)

    try:
        yield ask
    finally:
        for each in started:
            each.close()
