"""Where the local cloud keeps its state, and the facts that its clients need to reach it."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from local_cloud import processes
from local_cloud.errors import LocalCloudError, NotRunningError

PROJECT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "000000000000"
ROOT_KEY = "test"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One running local cloud. Endpoints are URLs, `started` is Unix seconds, sizes are counts."""

    home: str
    endpoint: str
    glue_endpoint: str
    athena_endpoint: str
    ca_bundle: str
    trust_store: str
    trust_store_password: str
    pid: int
    started: float
    spares: int = 1
    region: str = REGION
    account: str = ACCOUNT
    access_key: str = ROOT_KEY
    secret_key: str = ROOT_KEY
    restored_after_kill: bool = False
    notes: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """The variables with which any AWS client (boto3, Node, Java SDK, CLI) reaches this cloud as root."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_GLUE": self.glue_endpoint,
            "AWS_ENDPOINT_URL_ATHENA": self.athena_endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_CA_BUNDLE": self.ca_bundle,
            "NODE_EXTRA_CA_CERTS": self.ca_bundle,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def default_home() -> Path:
    """`$LAKE_HOME`, or `.lake` in the project's folder."""
    return Path(os.environ.get("LAKE_HOME") or PROJECT / ".lake").resolve()


@dataclass(frozen=True)
class Folders:
    """Every path below a state folder; nothing is written outside it."""

    home: Path

    @property
    def cloud(self) -> Path:
        return self.home / "cloud.json"

    @property
    def lock(self) -> Path:
        return self.home / "supervisor.lock"

    @property
    def processes(self) -> Path:
        return self.home / "processes.json"

    @property
    def running(self) -> Path:
        """Exists from a start to the clean stop after it."""
        return self.home / "running.json"

    @property
    def saved(self) -> Path:
        """What the emulator's saved state has: `{"buckets": [names]}`."""
        return self.home / "saved.json"

    @property
    def lost(self) -> Path:
        """A kill that is not made good yet (`losses`)."""
        return self.home / "lost.json"

    @property
    def aside(self) -> Path:
        """Buckets that wait until their stacks are deployed again, in a folder per kill."""
        return self.home / "set-aside"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def tls(self) -> Path:
        return self.home / "tls"

    @property
    def emulator(self) -> Path:
        return self.home / "emulator"

    @property
    def buckets(self) -> Path:
        return self.home / "buckets"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def workers(self) -> Path:
        return self.home / "workers"

    @property
    def code(self) -> Path:
        return self.home / "code"

    @property
    def athena(self) -> Path:
        return self.home / "athena"

    @property
    def scratch(self) -> Path:
        return self.home / "tmp"

    def make(self) -> None:
        """Make the folders, readable by their owner only."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (
            self.logs,
            self.tls,
            self.emulator,
            self.buckets,
            self.runs,
            self.workers,
            self.code,
            self.athena,
            self.scratch,
        ):
            folder.mkdir(exist_ok=True, mode=0o700)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file as a whole: a reader sees the old or the new one."""
    handle, staging = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
        Path(staging).replace(path)
    except BaseException:
        Path(staging).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None where there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def remembered(home: Path) -> Cloud | None:
    """The facts of the last start, running or not."""
    value = read_json(Folders(home).cloud)
    if not isinstance(value, dict):
        return None
    value["notes"] = tuple(value.get("notes", ()))
    try:
        return Cloud(**value)
    except TypeError as e:
        raise LocalCloudError(
            f"{Folders(home).cloud}: not written by this version of the project; remove the file and run `lake up`"
        ) from e


def load(home: Path | None = None) -> Cloud:
    """The running local cloud of a state folder; raises NotRunningError."""
    home = home or default_home()
    cloud = remembered(home)
    if cloud is None or not processes.is_alive(processes.Identity(cloud.pid, cloud.started)):
        raise NotRunningError(f"{home}: no local cloud is running; start it with `lake up`")
    return cloud


def save(cloud: Cloud) -> None:
    write_json(Folders(Path(cloud.home)).cloud, asdict(cloud))


def with_notes(cloud: Cloud, notes: list[str], *, restored: bool) -> Cloud:
    return replace(cloud, notes=tuple(notes), restored_after_kill=restored)
