"""Where threads wait until the pace of a deploy lets them in."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from deployment.waves import Pace

__all__ = ["THROTTLED", "Gate"]

THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"}
)


class Gate:
    """Lets as many threads in at once as the pace allows at that moment, and one after the other."""

    def __init__(self, pace: Pace) -> None:
        self.pace, self.inside, self.next = pace, 0, 0.0
        self.changed = threading.Condition()

    @contextmanager
    def passed(self) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self.inside < self.pace.at_once)
            self.inside += 1
            begin = max(time.monotonic(), self.next)
            self.next = begin + self.pace.gap
        try:
            time.sleep(max(0.0, begin - time.monotonic()))
            yield
        finally:
            with self.changed:
                self.inside -= 1
                self.changed.notify_all()

    def succeeded(self) -> None:
        with self.changed:
            self.pace.succeeded()
            self.changed.notify_all()

    def refused(self) -> None:
        with self.changed:
            self.pace.refused(time.monotonic())

    def listen(self, cloudformation: Any) -> None:
        """Hear of every refusal for asking too often, those too that botocore makes good by asking again."""

        def hear(response: tuple[Any, Mapping[str, Any]] | None, **_: Any) -> None:
            if response is not None and response[1].get("Error", {}).get("Code") in THROTTLED:
                self.refused()

        cloudformation.meta.events.register("needs-retry.cloudformation", hear, unique_id=f"lake-pace-{id(self)}")
