"""The Athena endpoint as a process of its own: a query that takes too much memory fails, or ends it, but not the cloud.

Run as `python -m local_cloud.athena.endpoint`. It takes what it must know as a line of JSON, says `{"ready": true}` or
`{"error": "…"}`, hears with every further line that the emulator was started anew, and ends with its input.
"""

import contextlib
import json
import logging
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from local_cloud import processes
from local_cloud.athena.facts import AthenaFacts
from local_cloud.errors import StartError

MEMORY_LIMIT = 8 * 2**30  # bytes of addresses: four queries of 1 GB, what DuckDB does not count, and the libraries
STOP_SECONDS = 15
FIRST_TO_GO = "500"  # of 1000; the kernel's wish list when memory is short


class Endpoint:
    """The process, as the host sees it: made at once, waited for by `wait`."""

    def __init__(self, facts: AthenaFacts, host: str, port: int, log: Any, *, memory_limit: int = MEMORY_LIMIT) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "local_cloud.athena.endpoint"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self.identity = processes.Identity.of(self._child.pid)
        self._tell(json.dumps({"facts": asdict(facts), "host": host, "port": port, "limit": memory_limit}, default=str))

    def wait(self) -> None:
        """Until it listens; raises StartError."""
        line = self._child.stdout.readline() if self._child.stdout else ""
        word = json.loads(line) if line.strip() else {"error": "it ended; see logs/athena.log"}
        if "error" in word:
            raise StartError(f"the Athena endpoint does not start: {word['error']}")

    def has_ended(self) -> bool:
        return self._child.poll() is not None

    def emulator_restarted(self) -> None:
        """What the one before gave away is worth nothing now."""
        self._tell("forget")

    def stop(self) -> None:
        """Ends running queries."""
        with contextlib.suppress(OSError):
            if self._child.stdin:
                self._child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_SECONDS)
        processes.kill(self.identity)
        self._child.wait()

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # one that has ended is started again by the host, and knows nothing then
            if self._child.stdin:
                self._child.stdin.write(line + "\n")
                self._child.stdin.flush()


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    order = json.loads(sys.stdin.readline())
    _bound_memory(order["limit"])
    from local_cloud.athena.server import serve

    known: dict[str, Any] = order["facts"]
    known |= {name: Path(known[name]) for name in ("ca_bundle", "folder")}
    try:
        server = serve(AthenaFacts(**known), order["host"], order["port"])
    except OSError as e:
        print(json.dumps({"error": str(e)}), flush=True)
        return 1
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        server.emulator_restarted()
    server.stop()
    return 0


def _bound_memory(limit: int) -> None:
    """Where the system knows how: an allocation beyond it fails, and DuckDB makes that a failure of its query."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)


if __name__ == "__main__":
    sys.exit(main())
