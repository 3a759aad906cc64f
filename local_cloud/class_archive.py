"""Java classes of a warm Spark, archived once per machine: later workers start and warm up in half the time.

`python -m local_cloud.class_archive` makes the archive in about a minute; without it the supervisor makes one while
nothing runs. It is kept with the other tools, and Java ignores it when it does not fit its class path.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from local_cloud import tools
from local_cloud.errors import LocalCloudError, StartError
from local_cloud.spark_settings import Place
from local_cloud.state import REGION

BUILD_SECONDS = 300
QUIET_SECONDS = 20
LIST = "classes.lst"


def class_path() -> list[Path]:
    """What `spark-submit` puts on Java's class path: our jars, Spark's settings folder, Spark's jars."""
    import pyspark

    spark = Path(pyspark.__file__).parent
    return [*tools.jars(), spark / "conf", spark / "jars" / "*"]


def fingerprint() -> str:
    """Changes with every jar, its time stamp and its place, and with Java: an archive fits only these."""
    files = [file for entry in class_path() for file in sorted(entry.parent.glob(entry.name))]
    stamps = [(file, file.stat()) for file in files]
    facts = [str(tools.java_home()), *(f"{file} {stat.st_size} {stat.st_mtime_ns}" for file, stat in stamps)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def folder() -> Path:
    return tools.folder() / "classes"


def find(mark: str) -> Path | None:
    """The archive for a fingerprint, once it is made."""
    archive = folder() / f"{mark}.jsa"
    return archive if archive.exists() else None


def keep_list(mark: str, written: Path) -> None:
    """Keep the list of classes that a warm worker has loaded, for the archive to be made from."""
    kept = folder() / f"{mark}.lst"
    if kept.exists() or not written.exists():
        return
    lines = written.read_bytes().split(b"\n")[:-1]  # the last one may be half written
    folder().mkdir(parents=True, exist_ok=True)
    kept.write_bytes(b"\n".join(lines) + b"\n")


def has_list(mark: str) -> bool:
    return (folder() / f"{mark}.lst").exists()


def start_build(mark: str) -> subprocess.Popen[bytes]:
    """Make the archive in a process of lowest priority; `finish_build` puts its result in place."""
    command = [
        str(tools.java_home() / "bin" / "java"),
        "-XX:+UseSerialGC",
        "-Xmx1g",
        "-Xshare:dump",
        f"-XX:SharedClassListFile={folder() / f'{mark}.lst'}",
        f"-XX:SharedArchiveFile={_unfinished(mark)}",
        "-cp",
        os.pathsep.join(map(str, class_path())),
    ]
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, child.pid, 19)
    return child


def finish_build(mark: str, exit_code: int) -> Path | None:
    """The archive if it was made; then older ones go."""
    made = _unfinished(mark)
    if exit_code != 0 or not made.exists():
        made.unlink(missing_ok=True)
        return None
    archive = made.rename(folder() / f"{mark}.jsa")
    for other in folder().iterdir():
        if not other.name.startswith(mark):
            other.unlink(missing_ok=True)
    return archive


class ClassArchive:
    """The archive as a running supervisor uses it, and makes it where there is none."""

    def __init__(self) -> None:
        self._mark = fingerprint()
        self._found = find(self._mark)
        self._build: subprocess.Popen[bytes] | None = None
        self._quiet_since: float | None = None
        self._failed = False

    def settings(self, worker_folder: str) -> dict[str, str]:
        """What a new worker's `Place` says about it: the archive, or where to write the list to make one from."""
        if self._found:
            return {"class_archive": str(self._found)}
        return {} if has_list(self._mark) else {"class_list": str(Path(worker_folder) / LIST)}

    def learn(self, worker_folder: Path) -> None:
        if self._found is None:
            keep_list(self._mark, worker_folder / LIST)

    def tend(self, *, is_quiet: bool) -> None:
        """Start to make the archive when nothing has run for a while; take it into use when it is made."""
        if self._found or self._failed or not has_list(self._mark):
            return
        if self._build is not None:
            self._settle(self._build)
            return
        now = time.monotonic()
        self._quiet_since = (self._quiet_since or now) if is_quiet else None
        if self._quiet_since is not None and now - self._quiet_since > QUIET_SECONDS:
            self._build = start_build(self._mark)

    def _settle(self, build: subprocess.Popen[bytes]) -> None:
        exit_code = build.poll()
        if exit_code is not None:
            self._build = None
            self._found = finish_build(self._mark, exit_code)
            self._failed = self._found is None

    def end(self) -> None:
        if self._build is not None:
            self._build.kill()
            self._build.wait()
            finish_build(self._mark, 1)


def make(start: Callable[[Path, Callable[[str], Place]], Path]) -> Path:
    """Make the archive now. `start` warms a worker up and returns the list of classes that it loaded."""
    mark = fingerprint()
    if archive := find(mark):
        return archive
    with tempfile.TemporaryDirectory() as place:
        if not has_list(mark):
            keep_list(mark, start(Path(place) / "worker", _nowhere))
    exit_code = start_build(mark).wait(BUILD_SECONDS)
    made = finish_build(mark, exit_code)
    if made is None:
        raise StartError(f"{folder()}: Java could not make its class archive (exit code {exit_code})")
    return made


def _unfinished(mark: str) -> Path:
    return folder() / f"{mark}.part"


def _nowhere(worker_folder: str) -> Place:
    """Settings of a worker that talks to nobody."""
    nobody = "https://127.0.0.1:9"
    return Place(
        folder=worker_folder,
        endpoint=nobody,
        glue_endpoint=nobody,
        athena_endpoint=nobody,
        region=REGION,
        ca_bundle=f"{worker_folder}/none.pem",
        trust_store=f"{worker_folder}/none.p12",
        trust_store_password="",
        java_home=str(tools.java_home()),
        jars=tuple(str(jar) for jar in tools.jars()),
        class_list=f"{worker_folder}/{LIST}",
    )


def _warm(worker_folder: Path, place: Callable[[str], Place]) -> Path:
    from local_cloud.workers import start_worker

    worker = start_worker(worker_folder, place)
    try:
        line = worker.child.stdout.readline() if worker.child.stdout else ""
        if "ready" not in line:
            raise StartError(f"Spark does not start: {worker.last_words()}")
        kept = worker_folder.with_suffix(".lst")
        shutil.copy(worker_folder / LIST, kept)
    finally:
        worker.kill()
    return kept


def main() -> int:
    try:
        print(make(_warm))
    except LocalCloudError as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
