"""Faults in the calls that a process makes to AWS: it dies, an answer is lost, a service is busy, slow or refuses.

A plan is text, given to `install` or found in the environment by the `sitecustomize` in `site/`, which makes any
program with botocore fail without a change to it:

    LAKE_FAULT=kill_after:3 PYTHONPATH=tests/faults/site python job.py …

    kill_before:3          the process dies (SIGKILL; in process: Killed) and the third call is never made
    kill_after:3           it dies when the third call has been executed
    lost:3[:times]         executed, but the answer never comes; botocore asks again, so `times` attempts in a row
    throttle:3[:times]     refused unexecuted, as a busy service does
    error:3:Code           refused unexecuted with this code
    slow:3:seconds         executed after a pause

Several faults are separated by commas. The number counts attempts, botocore's retries too, from 1; `3@s3` counts those
of a service only, `1@dynamodb.TransactWriteItems` those of an operation, with `*` for any letters. Other variables:
LAKE_FAULT_ONCE names a file, and only who creates it has the fault (a supervised process is started again with the same
environment); LAKE_FAULT_LOG names a file to which every call is written.

Nothing here is the project's: botocore is all it needs.
"""

import fnmatch
import os
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

KILL_BEFORE, KILL_AFTER, LOST, THROTTLE, ERROR, SLOW = "kill_before", "kill_after", "lost", "throttle", "error", "slow"
KINDS = (KILL_BEFORE, KILL_AFTER, LOST, THROTTLE, ERROR, SLOW)
BUSY = {"s3": ("SlowDown", 503)}
THROTTLED = ("ThrottlingException", 400)


class Killed(BaseException):
    """The process is dead: nothing in the code under test may catch it, and every further call raises it again."""


class AnswerLost(Exception):
    """The call was executed; its answer never came."""


class Refused(Exception):
    """The call was not executed."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status

    def answer(self) -> dict[str, Any]:
        metadata = {"HTTPStatusCode": self.status, "HTTPHeaders": {}, "RequestId": "fault", "RetryAttempts": 0}
        return {"Error": {"Code": self.code, "Message": "as planned"}, "ResponseMetadata": metadata}


@dataclass(frozen=True, kw_only=True)
class Fault:
    kind: str
    number: int
    target: str = ""
    times: int = 1
    code: str = ""
    seconds: float = 0.0

    def is_for(self, call: str) -> bool:
        return self.target in ("", call.split(".", 1)[0]) or fnmatch.fnmatchcase(call, self.target)

    def hits(self, count: int) -> bool:
        return self.number <= count < self.number + self.times


def parse(text: str) -> list[Fault]:
    """The faults of a plan, or ValueError naming the one that makes no sense."""
    return [_fault(part.strip()) for part in text.split(",") if part.strip()]


def _fault(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    place, _, more = rest.partition(":")
    number, _, target = place.partition("@")
    try:
        fault = Fault(
            kind=kind,
            number=int(number),
            target=target,
            times=int(more or 1) if kind in (LOST, THROTTLE) else 1,
            code=more if kind == ERROR else "",
            seconds=float(more) if kind == SLOW else 0.0,
        )
    except ValueError:
        fault = None
    if fault is None or kind not in KINDS or fault.number < 1 or (kind == ERROR and not more):
        raise ValueError(f"fault {text!r}: expected one of {', '.join(KINDS)} as in `kill_after:3`")
    return fault


class Process:
    """The calls of one process, and what its plan does to them."""

    def __init__(
        self, plan: str | Sequence[Fault] = "", *, die: Callable[[], None] | None = None, once: Path | None = None
    ) -> None:
        self.plan = parse(plan) if isinstance(plan, str) else list(plan)
        self.calls: list[str] = []
        self.fired: list[str] = []
        self.dead = False
        self._die = die or self._stop
        self._once = once
        self._lock = threading.Lock()
        self._counts = [0] * len(self.plan)

    def around(self, service: str, operation: str, send: Callable[[], T]) -> T:
        """One attempt: `send`, unless the plan has something else for it. Raises Killed, AnswerLost, Refused."""
        call = f"{service}.{operation}"
        fault = self._due(call)
        if fault is not None:
            self._instead(service, fault)
        answer = send()
        self._stay_dead()
        if fault is not None and fault.kind == KILL_AFTER:
            self._die()
        if fault is not None and fault.kind == LOST:
            raise AnswerLost(call)
        return answer

    def _instead(self, service: str, fault: Fault) -> None:
        """What keeps the call from being made."""
        if fault.kind == KILL_BEFORE:
            self._die()
        if fault.kind == THROTTLE:
            raise Refused(*BUSY.get(service, THROTTLED))
        if fault.kind == ERROR:
            raise Refused(fault.code, 400)
        time.sleep(fault.seconds)

    def _due(self, call: str) -> Fault | None:
        with self._lock:
            self._stay_dead()
            self.calls.append(call)
            _write_down(len(self.calls), call)
            for position, fault in enumerate(self.plan):
                if fault.is_for(call):
                    self._counts[position] += 1
                    if fault.hits(self._counts[position]) and self._may_fire():
                        self.fired.append(f"{fault.kind} {call}")
                        return fault
        return None

    def _may_fire(self) -> bool:
        if self._once is None:
            return True
        try:
            self._once.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _stop(self) -> None:
        self.dead = True
        raise Killed

    def _stay_dead(self) -> None:
        if self.dead:
            raise Killed


def _write_down(number: int, call: str) -> None:
    path = os.environ.get("LAKE_FAULT_LOG")
    if path:
        with Path(path).open("a") as log:
            log.write(f"{os.getpid()} {number} {call}\n")


def _sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # dead before this is over


# -- botocore ---------------------------------------------------------------------------------------------------------


def patch(process: Callable[[], Process | None]) -> Callable[[], None]:
    """Puts whatever process is current between botocore and the wire; gives what takes it out again.

    Around an attempt rather than on the events before-send and response-received: moto answers in before-send even when
    another handler has, and an exception raised in response-received would end botocore's retries.
    """
    from botocore.endpoint import Endpoint

    original = Endpoint._do_get_response

    def attempt(self: Any, request: Any, operation_model: Any, context: Any) -> Any:
        current = process()
        if current is None:
            return original(self, request, operation_model, context)
        call = operation_model.service_model.service_name, operation_model.name
        return _attempt(current, call, request.url, lambda: original(self, request, operation_model, context))

    Endpoint._do_get_response = attempt

    def restore() -> None:
        Endpoint._do_get_response = original

    return restore


def _attempt(process: Process, call: tuple[str, str], url: str, send: Callable[[], Any]) -> Any:
    """What an endpoint gives: ((http, parsed), None), or (None, error) for botocore's retries to judge."""
    from botocore.awsrequest import AWSResponse
    from botocore.exceptions import ConnectionClosedError

    try:
        return process.around(*call, send)
    except AnswerLost:
        return None, ConnectionClosedError(endpoint_url=url)
    except Refused as refused:
        return (AWSResponse(url, refused.status, {}, _Nothing()), refused.answer()), None


class _Nothing:
    """The body of an answer that no service gave."""

    def stream(self) -> Iterator[bytes]:
        return iter(())


@contextmanager
def install(plan: str | Sequence[Fault] = "", *, patient: bool = False) -> Iterator[Process]:
    """All of botocore's calls in this process, in every thread, under the plan; retries pause only if `patient`."""
    process = Process(plan)
    restore = patch(lambda: process)
    hurried = None if patient else _without_pauses()
    try:
        yield process
    finally:
        restore()
        if hurried:
            hurried()


def _without_pauses() -> Callable[[], None]:
    from botocore import endpoint

    original = endpoint.time
    endpoint.time = types.SimpleNamespace(sleep=lambda _seconds: None)

    def restore() -> None:
        endpoint.time = original

    return restore


def install_from_environment(environment: Mapping[str, str]) -> Process | None:
    """For `sitecustomize`: the whole process, for good, and death is SIGKILL."""
    if not environment.get("LAKE_FAULT") and not environment.get("LAKE_FAULT_LOG"):
        return None
    once = environment.get("LAKE_FAULT_ONCE")
    process = Process(environment.get("LAKE_FAULT", ""), die=_sigkill, once=Path(once) if once else None)
    patch(lambda: process)
    return process
