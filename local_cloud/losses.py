"""What a kill cost: noted on disk until it is made good, with the buckets that stood in the way of a new deployment.

The emulator writes what it knows only when it ends cleanly, but an object with its versions at once. So after a kill
it starts with the stacks, tables and queues of the last clean stop, and with the objects of the last moment. Buckets
that it did not know at that stop are objects without a stack: they are set aside, their stacks are deployed again, and
then they are brought back below the new ones, every version under its id.
"""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from local_cloud import state
from local_cloud.state import ACCOUNT, Folders

__all__ = ["Loss", "aside", "bring_back", "forget_deleted_buckets", "note", "read", "settle", "step"]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A kill. Times are Unix seconds; `saved` is the last clean stop, None where there was none.

    `done` names what has been made good so far, in the words of whoever does it.
    """

    event: str
    at: float
    saved: float | None
    done: tuple[str, ...] = ()

    def text(self) -> str:
        if self.saved is None:
            return f"{self.event} before a first clean stop: it started empty but for objects"
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.saved))
        return f"{self.event}: all but objects is as of the last clean stop at {moment}"


def note(folders: Folders, event: str, known: set[str]) -> Loss:
    """Write down a kill that just happened, and set aside the buckets that are not `known` to the saved state."""
    saved = [file.stat().st_mtime for file in folders.emulator.glob("*.json")]
    loss = Loss(event=event, at=time.time(), saved=max(saved) if saved else None)
    state.write_json(folders.lost, asdict(loss))
    place = folders.aside / f"{time.time_ns()}"
    for entry in _beside(folders, known):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        entry.rename(place / entry.name)
    return loss


def read(folders: Folders) -> Loss | None:
    """The kill that is not made good yet."""
    value = state.read_json(folders.lost)
    return Loss(**{**value, "done": tuple(value["done"])}) if isinstance(value, dict) else None


def step(folders: Folders, loss: Loss, name: str) -> Loss:
    """`loss` with one more part made good, on disk too."""
    after = replace(loss, done=(*loss.done, name))
    state.write_json(folders.lost, asdict(after))
    return after


def settle(folders: Folders) -> None:
    """All is made good."""
    folders.lost.unlink(missing_ok=True)


def aside(folders: Folders) -> list[str]:
    """Names of the buckets that wait to be brought back."""
    return sorted({entry.name for entry in folders.aside.glob("*/*") if entry.is_dir()})


def bring_back(folders: Folders) -> None:
    """Put the buckets back where the emulator finds them at its next start; what was written since then stays."""
    for place in sorted(folders.aside.glob("*"), reverse=True):  # of two sets the later one holds the newer objects
        for bucket in sorted(entry for entry in place.glob("*") if entry.is_dir()):
            _merge(bucket, folders.buckets / ACCOUNT / bucket.name)
        shutil.rmtree(place)


def _merge(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    newer = {_key(file, target) for file in target.rglob("*") if file.is_file()}
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        if _key(file, source) not in newer:
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.rename(place)


def _key(file: Path, bucket: Path) -> str:
    """An object is a file of its bytes and one beside it of what is known of them."""
    return str(file.relative_to(bucket)).removesuffix(".meta.json")


def forget_deleted_buckets(folders: Folders, existing: set[str]) -> None:
    """Remove the folders of buckets that were deleted: the emulator would bring them back at its next start."""
    for entry in _beside(folders, existing):
        shutil.rmtree(entry, ignore_errors=True)


def _beside(folders: Folders, names: set[str]) -> list[Path]:
    """Folders of buckets that are not among `names`."""
    account = folders.buckets / ACCOUNT
    return [e for e in account.glob("*") if e.is_dir() and not e.name.startswith(".") and e.name not in names]
