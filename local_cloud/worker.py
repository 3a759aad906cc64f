"""A warm Spark process: waits for Glue job runs of one role and one code, and runs their scripts.

The host starts it as `python -m local_cloud.worker FOLDER` and talks JSON lines over its standard input and output:
`{"event": "ready"}` when warm, then for every `{"do": "run", …}` (see Order) `{"event": "started"}` and
`{"event": "ended", "exit": 0, "message": "", "reusable": true}`. End of input ends the process.
"""

import contextlib
import gc
import json
import os
import queue
import runpy
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from local_cloud import spark_settings
from local_cloud.spark_settings import LOGGING, Place

MESSAGE_LIMIT = 2000
DRAIN_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Order:
    """One run: the script with its arguments, where its code lies, whose rights it has, where its output goes."""

    run: str
    role: str
    code: str
    script: str
    arguments: list[str]
    folders: list[str]
    conf: dict[str, str]
    credentials: dict[str, str]
    stdout: str
    stderr: str


class Worker:
    """One Spark context, bound to the role and code of its first run."""

    def __init__(self, folder: Path, said: TextIO) -> None:
        self.folder = folder
        self._said = said
        self._bound: tuple[str, str] | None = None
        self._spark: Any = None
        self._logs: int = -1

    def say(self, **word: Any) -> None:
        self._said.write(json.dumps(word) + "\n")
        self._said.flush()

    def begin(self) -> None:
        """Start Spark and warm it up."""
        started = time.monotonic()
        self._logs = _pipe_into_stderr()
        place = Place(**json.loads((self.folder / "place.json").read_text()))
        (self.folder / "log4j2.properties").write_text(LOGGING)
        self._spark = _start_spark(spark_settings.settings(place), self._logs)
        from local_cloud.warm_up import warm_up

        warm_up(self._spark, self.folder / "warm")
        _collect_garbage(self._spark)
        forget_project()
        self.say(event="ready", seconds=round(time.monotonic() - started, 2), java=_java_pid(self._spark))

    def run(self, order: Order) -> None:
        """Run one script; its output, Spark's and its Python tasks' go to the run's files."""
        binding = (order.role, order.code)
        if self._bound not in {None, binding}:
            self.say(event="ended", exit=1, message="worker is bound to another role or code", reusable=False)
            return
        self._bound = binding
        write_credentials(self.folder / "credentials", order.credentials)
        with _output_into(Path(order.stdout), Path(order.stderr)):
            self._take_rights(order.credentials)
            spark = self._session(order)
            self.say(event="started", run=order.run)
            with _as_found(order.folders):
                code, message = run_script(order.script, order.arguments)
            reusable = self._tidy(spark)
            time.sleep(DRAIN_SECONDS)
        self.say(event="ended", run=order.run, exit=code, message=message, reusable=reusable)

    def _take_rights(self, credentials: dict[str, str]) -> None:
        """The run's role for this process, for both Java SDKs and for Spark's Python tasks."""
        os.environ.update(credentials)
        system = self._spark._jvm.java.lang.System  # noqa: SLF001  the only way to the JVM
        system.setProperty("aws.accessKeyId", credentials["AWS_ACCESS_KEY_ID"])
        system.setProperty("aws.secretKey", credentials["AWS_SECRET_ACCESS_KEY"])
        system.setProperty("aws.secretAccessKey", credentials["AWS_SECRET_ACCESS_KEY"])
        system.setProperty("aws.sessionToken", credentials["AWS_SESSION_TOKEN"])

    def _session(self, order: Order) -> Any:
        """A fresh session, which the script's `SparkSession.builder.getOrCreate()` will find."""
        from pyspark.sql import SparkSession

        spark = self._spark.newSession()
        for name, value in order.conf.items():
            _set(spark, name, value)
        spark.sparkContext._python_includes = list(order.folders)  # noqa: SLF001  as addPyFile does, without a copy
        self._make_current(SparkSession, spark)
        return spark

    @staticmethod
    def _make_current(session_class: Any, spark: Any) -> None:
        session_class._instantiatedSession = spark  # noqa: SLF001  what getOrCreate returns
        jvm_sessions = spark._jvm.SparkSession  # noqa: SLF001  the only way to the JVM
        jvm_sessions.setDefaultSession(spark._jsparkSession)  # noqa: SLF001  as builder.getOrCreate does
        jvm_sessions.setActiveSession(spark._jsparkSession)  # noqa: SLF001  the same

    def _tidy(self, spark: Any) -> bool:
        """Take back what a run may have left; False when the process should not serve another."""
        try:
            spark.sparkContext.cancelAllJobs()
            spark.catalog.clearCache()
        except Exception:  # the script stopped Spark, or broke it
            return False
        import boto3

        boto3.DEFAULT_SESSION = None
        gc.collect()
        return not _foreign_threads()


def run_script(script: str, arguments: list[str]) -> tuple[int, str]:
    """Run a file as `__main__`; (exit code, message) with the error as Glue words it."""
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as e:
        return _exit_code(e)
    except BaseException as e:  # a script may raise anything; the run has failed and the worker goes on
        traceback.print_exc()
        return 1, describe(e)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    return 0, ""


def _exit_code(e: SystemExit) -> tuple[int, str]:
    if e.code is None or e.code == 0:
        return 0, ""
    if isinstance(e.code, int):
        return e.code, f"SystemExit: {e.code}"
    print(e.code, file=sys.stderr)
    return 1, f"SystemExit: {e.code}"[:MESSAGE_LIMIT]


def describe(error: BaseException) -> str:
    """`ValueError: text`, with the cause that Java gave where there is one."""
    text = str(error).strip()
    java = getattr(error, "java_exception", None)
    if java is not None:
        with contextlib.suppress(Exception):
            text = str(java.toString())
    return f"{type(error).__name__}: {text}"[:MESSAGE_LIMIT]


def write_credentials(path: Path, credentials: dict[str, str]) -> None:
    """The credentials file that Spark's Python tasks read: their environment stays the same, so they are re-used."""
    lines = ["[default]", *(f"{name.lower()} = {value}" for name, value in credentials.items())]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")


def forget_project() -> None:
    """A script shall find its code where its job brought it, not in this checkout."""
    project = str(Path(__file__).resolve().parents[1])
    sys.path[:] = [path for path in sys.path if path not in {project, ""}]
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]


def _start_spark(conf: dict[str, str], logs: int) -> Any:
    """Start Spark; Java, and through it Python tasks, write into the pipe `logs`."""
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    kept = os.dup(1), os.dup(2)
    os.dup2(logs, 1)
    os.dup2(logs, 2)
    try:
        spark = SparkSession.builder.config(conf=SparkConf().setAll(list(conf.items()))).getOrCreate()
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
    return spark


def _pipe_into_stderr() -> int:
    """A pipe whose content goes to whatever is the standard error at that moment; its writing end."""
    reading, writing = os.pipe()

    def pump() -> None:
        while data := os.read(reading, 65536):
            with contextlib.suppress(OSError):
                os.write(2, data)

    threading.Thread(target=pump, name="spark-logs", daemon=True).start()
    return writing


@contextlib.contextmanager
def _output_into(stdout: Path, stderr: Path) -> Any:
    kept = os.dup(1), os.dup(2)
    for number, path in ((1, stdout), (2, stderr)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


@contextlib.contextmanager
def _as_found(folders: list[str]) -> Any:
    """The job's code first on the path; afterwards path, modules, variables and folder are as they were."""
    kept = list(sys.path), dict(os.environ), Path.cwd(), list(sys.argv)
    sys.path[:0] = folders
    try:
        yield
    finally:
        sys.path[:], sys.argv[:] = kept[0], kept[3]
        os.environ.clear()
        os.environ.update(kept[1])
        os.chdir(kept[2])
        _forget_modules(folders)
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)


def _forget_modules(folders: list[str]) -> None:
    """On Glue every run is a new process: a job's modules are imported anew, libraries stay."""
    inside = tuple(f"{folder}/" for folder in folders)
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
        if inside and str(path).startswith(inside):
            del sys.modules[name]


def _set(spark: Any, name: str, value: str) -> None:
    """Static settings belong to the host, here as on Glue's own machines: a session keeps its own."""
    from pyspark.errors import PySparkException

    with contextlib.suppress(PySparkException):
        spark.conf.set(name, value)


def _collect_garbage(spark: Any) -> None:
    gc.collect()
    spark._jvm.java.lang.System.gc()  # noqa: SLF001  the only way to the JVM


def _java_pid(spark: Any) -> int:
    return int(spark._jvm.java.lang.ProcessHandle.current().pid())  # noqa: SLF001  the only way to the JVM


_OWN_THREADS = ("MainThread", "spark-logs", "orders")


def _foreign_threads() -> list[str]:
    """Threads that a script left running and that would go on during the next run."""
    return [t.name for t in threading.enumerate() if not t.daemon and t.name not in _OWN_THREADS]


def _orders(source: TextIO, to: "queue.Queue[Order]") -> None:
    """Read orders; the host's end ends this process at once, whatever it does."""
    for line in source:
        word = json.loads(line)
        word.pop("do", None)
        to.put(Order(**word))
    os._exit(0)


@contextlib.contextmanager
def _dies_as_its_children() -> Any:
    """Whoever kills Java while it starts kills this process: the host then sees that nothing failed by itself."""
    killed = False

    def look(*_: object) -> None:
        nonlocal killed
        with contextlib.suppress(ChildProcessError):
            # WNOWAIT leaves it to whoever started the child to learn how it ended.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            killed = killed or (ended is not None and ended.si_code == os.CLD_KILLED)

    before = signal.signal(signal.SIGCHLD, look)
    try:
        yield
    except Exception:
        time.sleep(1)  # on a busy machine its connections close a while before its end is known
        if killed:
            traceback.print_exc()
            os.kill(os.getpid(), signal.SIGKILL)
        raise
    finally:
        signal.signal(signal.SIGCHLD, before)


def main() -> None:
    folder = Path(sys.argv[1])
    source = os.fdopen(os.dup(0), "r", encoding="utf-8")
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    orders: queue.Queue[Order] = queue.Queue()
    threading.Thread(target=_orders, args=(source, orders), name="orders", daemon=True).start()
    worker = Worker(folder, said)
    with _dies_as_its_children():
        worker.begin()
    while True:
        worker.run(orders.get())


if __name__ == "__main__":
    main()
