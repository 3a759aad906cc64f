"""The emulator (ministack, unpatched) as a child process with TLS and IAM switched on."""

import contextlib
import os
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from local_cloud import processes, tls, tools
from local_cloud.errors import StartError
from local_cloud.state import ACCOUNT, HOST, REGION, Folders

START_SECONDS = 60
STOP_SECONDS = 60
# Python waits 30 s for every client that keeps its TLS connection open and does not answer the goodbye.
LAUNCH = (
    "import asyncio.constants, runpy; asyncio.constants.SSL_SHUTDOWN_TIMEOUT = 0.5; "
    "runpy.run_module('ministack', run_name='__main__', alter_sys=True)"
)
LOG_LIMIT = 10_000_000  # bytes; a longer log becomes `.1` at the next start


@dataclass(frozen=True)
class Emulator:
    """A started emulator. `child` is its process, `endpoint` its https URL."""

    child: subprocess.Popen[bytes]
    endpoint: str
    identity: processes.Identity

    def has_ended(self) -> bool:
        return self.child.poll() is not None

    def stop(self) -> bool:
        """End it so that it saves its state; True when it did."""
        ended = processes.stop(self.identity, STOP_SECONDS)
        self.child.wait(5)
        return ended


def environment(folders: Folders, material: tls.Material, port: int, endpoints: dict[str, str]) -> dict[str, str]:
    """The emulator's settings, and what its Lambda functions inherit from it."""
    inherited = processes.clean_environment(dict(os.environ))
    bin_folder = tools.emulator_python().parent
    return {
        **inherited,
        "PATH": f"{bin_folder}:{inherited.get('PATH', '')}",
        "TMPDIR": str(folders.scratch),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        # A burst leaves a process of 65 MB per concurrent call behind; one of each function stays.
        "LAMBDA_WARM_TTL_SECONDS": "20",
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": str(folders.emulator),
        "S3_DATA_DIR": str(folders.buckets),
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(material.certificate),
        "MINISTACK_SSL_KEY": str(material.key),
        "AWS_CA_BUNDLE": str(material.ca),
        "AWS_EC2_METADATA_DISABLED": "true",
        **endpoints,
    }


def start(folders: Folders, material: tls.Material, port: int, endpoints: dict[str, str]) -> Emulator:
    """Start it and wait until it answers. Call from a thread that lives as long as the emulator shall.

    `endpoints` are the service variables (AWS_ENDPOINT_URL_GLUE …) that Lambda functions shall see.
    The kernel sends SIGTERM to the emulator when the caller dies, so it saves its state even then.
    """
    log = open_log(folders.logs / "emulator.log")
    with log:
        child = subprocess.Popen(
            [tools.emulator_python(), "-c", LAUNCH],
            env=environment(folders, material, port, endpoints),
            cwd=folders.scratch,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=processes.dies_with_parent(signal.SIGTERM),  # noqa: PLW1509  called before other threads matter
        )
    emulator = Emulator(child, f"https://{HOST}:{port}", processes.Identity.of(child.pid))
    wait_until_healthy(emulator, material.ca, folders.logs / "emulator.log")
    return emulator


def move(folders: Folders, old: str, new: str) -> None:
    """Let the saved state name the emulator's new address: queues are known by URLs that hold the port."""
    for saved in folders.emulator.glob("*.json"):
        text = saved.read_text(encoding="utf-8")
        if old in text:
            saved.write_text(text.replace(old, new), encoding="utf-8")


def wait_until_healthy(emulator: Emulator, ca: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if emulator.has_ended():
            raise StartError(f"the emulator ended while it started; {log} ends with: {last_line(log)}")
        if is_healthy(emulator.endpoint, ca):
            return
        time.sleep(0.03)
    processes.kill(emulator.identity)
    raise StartError(f"the emulator did not answer within {START_SECONDS} s; {log} ends with: {last_line(log)}")


def is_healthy(endpoint: str, ca: Path) -> bool:
    with contextlib.suppress(OSError):
        request = urllib.request.Request(f"{endpoint}/_ministack/health")  # noqa: S310  our own https endpoint
        with urllib.request.urlopen(request, timeout=5, context=tls.client_context(ca)) as answer:  # noqa: S310  the same
            return bool(answer.status == 200)
    return False


def has_saved_since(folders: Folders, moment: float) -> bool:
    """Whether the emulator wrote its state after `moment` (Unix seconds): it does so only when it ends cleanly."""
    return any(file.stat().st_mtime > moment for file in folders.emulator.glob("*.json"))


def open_log(path: Path) -> FileIO:
    """An unbuffered log to append to; one that has grown long is set aside first."""
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(path.suffix + ".1"))
    return path.open("ab", buffering=0)


def last_line(log: Path) -> str:
    """The last line of a log that says something: not one of a Java stack."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "(no log)"
    said = [line.strip() for line in lines if line.strip() and not line.startswith(("\tat ", "\t... "))]
    return said[-1] if said else "(nothing)"
