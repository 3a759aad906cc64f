"""The commit objects of a dataset as a redo log: what was written, and which of it counts."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from glue_scripts.bucket import Bucket, ObjectGone
from glue_scripts.commit_object import CommitObject, SourceFile
from glue_scripts.errors import CommitObjectUnreadable
from lineage import commits
from lineage.table import file_id, version_id
from lineage.values import Member

READERS = 16


@dataclass(frozen=True, kw_only=True)
class Found:
    """A commit object where it lies."""

    commit: CommitObject
    key: str
    version: str | None
    size: int
    etag: str
    put_at: datetime

    def member(self) -> Member:
        """As the second job takes it."""
        fid, ver = file_id(self.key), version_id(self.key, self.version)
        return Member(
            key=self.key,
            version=self.version,
            fid=fid,
            ver=ver,
            size=self.size,
            etag=self.etag,
            arrived_at=self.put_at,
        )

    def members(self) -> tuple[Member, ...]:
        """The files that the first job took for it."""
        return tuple(self._member(source) for source in self.commit.sources)

    def _member(self, source: SourceFile) -> Member:
        fid, ver = node_of(source).split(".")
        return Member(
            key=source.key,
            version=source.version,
            fid=fid,
            ver=ver,
            size=source.size,
            etag=source.etag,
            arrived_at=_moment(source.arrived_at or self.commit.arrived[0]),
            sequencer=source.sequencer,
            epoch=source.epoch,
            replaces=source.replaces or source.stay,
        )

    @property
    def started(self) -> datetime:
        """When its run began: as it says itself, else as the run's id (UUID version 7) does."""
        if self.commit.started:
            return _moment(self.commit.started)
        try:
            return datetime.fromtimestamp(int(self.commit.run.replace("-", "")[:12], 16) / 1000, UTC)
        except ValueError:
            return self.put_at

    @property
    def ended(self) -> datetime:
        return max(self.put_at, self.started)  # S3 tells the second


def node_of(source: SourceFile) -> str:
    """The file version in the ledger."""
    return source.id or f"{file_id(source.key)}.{version_id(source.key, source.version, source.etag, source.size)}"


def keys(bucket: Bucket, dataset: str) -> list[str]:
    """Of all commit objects of a dataset."""
    return [listed.key for listed in bucket.listed(commits.folder(dataset)) if commits.is_commit(listed.key)]


def read_all(bucket: Bucket, keys: Sequence[str]) -> list[Found]:
    """Those of the commit objects that are there. Raises CommitObjectUnreadable."""
    with ThreadPoolExecutor(READERS) as pool:
        return [found for found in pool.map(lambda key: _read(bucket, key), keys) if found]


def read_sound(bucket: Bucket, keys: Sequence[str]) -> tuple[list[Found], list[str]]:
    """Those that are there, and what is wrong with the others."""

    def read(key: str) -> Found | str | None:
        try:
            return _read(bucket, key)
        except CommitObjectUnreadable as unreadable:
            return str(unreadable)

    with ThreadPoolExecutor(READERS) as pool:
        answers = list(pool.map(read, keys))
    return [one for one in answers if isinstance(one, Found)], [one for one in answers if isinstance(one, str)]


def _read(bucket: Bucket, key: str) -> Found | None:
    try:
        content = bucket.open(key)
    except ObjectGone:
        return None
    with content.body as body:
        commit = CommitObject.from_json(body.read(), key)
    return Found(
        commit=commit,
        key=key,
        version=content.version,
        size=content.size,
        etag=content.etag,
        put_at=content.modified,
    )


def counting(found: Iterable[Found], merged: Collection[str]) -> tuple[list[Found], list[Found]]:
    """Which count, and which do not.

    A run that was fenced after its PUT leaves a commit object that never counts, and its files are in others. What the
    table holds counts. Of the rest, latest first, whatever brings no file in an epoch in which another brings it.
    """
    ordered = sorted(found, key=lambda one: (one.commit.batch in merged, one.put_at, one.key), reverse=True)
    brought: set[tuple[str, int]] = set()
    counted, left = [], []
    for one in ordered:
        files = set(_files(one.commit))
        if one.commit.batch in merged or not files & brought:
            brought |= files
            counted.append(one)
        else:
            left.append(one)
    return counted, left


def nothing_to_bring(found: Sequence[Found], merged: Collection[str]) -> set[str]:
    """Batches with which the second job is done though the table does not tell of them.

    They have neither rows nor anything to replace, or all their files' rows have given way to those of merged replays.
    """
    given_way = {
        (old, node_of(source))
        for one in found
        if one.commit.batch in merged
        for source in one.commit.sources
        for old in source.replaces
    }
    return {
        one.commit.batch
        for one in found
        if not (one.commit.files or any(source.replaces for source in one.commit.sources))
        or all((one.commit.batch, node_of(source)) in given_way for source in one.commit.sources)
    }


def _files(commit: CommitObject) -> Iterator[tuple[str, int]]:
    return ((node_of(source), source.epoch) for source in commit.sources)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
