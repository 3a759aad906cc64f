"""What a replay takes out: the rows that earlier batches have brought from the files that it brings anew."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from glue_scripts.bucket import Bucket, ObjectGone
from glue_scripts.commit_object import CommitObject, SourceFile
from lineage.commits import key_of

READERS = 16


@dataclass(frozen=True)
class Portion:
    """The rows of one file in one batch. `place`: of the file in its batch; None where no commit object tells it."""

    batch: str
    place: int | None
    key: str
    arrived_at: str
    sequencer: str


def earlier(bucket: Bucket, dataset: str, sources: Iterable[SourceFile]) -> dict[str, CommitObject | None]:
    """The batches that the sources replace, with their commit objects; None where one has expired."""
    batches = sorted({batch for source in sources for batch in source.replaces})
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(batches, pool.map(lambda batch: _read(bucket, key_of(dataset, batch)), batches), strict=True))


def portions(sources: Sequence[SourceFile], batches: Mapping[str, CommitObject | None]) -> list[Portion]:
    """The files' rows in the batches that they replace."""
    places = {batch: _places(commit) for batch, commit in batches.items() if commit is not None}
    found = []
    for source in sources:
        for batch in source.replaces:
            place = places[batch].get(_name(source)) if batch in places else None
            if place is not None or batch not in places:
                found.append(Portion(batch, place, source.key, source.arrived_at, source.sequencer))
    return found


def left_over(sources: Sequence[SourceFile], batches: Mapping[str, CommitObject | None]) -> list[str]:
    """Keys of the files that replaced batches hold and the sources do not replace; a batch itself where none tells."""
    taken = {(portion.batch, portion.place) for portion in portions(sources, batches)}
    left = []
    for batch, commit in batches.items():
        if commit is None:
            left.append(f"all of batch {batch}, whose commit object is gone")
        else:
            left += [old.key for place, old in enumerate(commit.sources) if (batch, place) not in taken]
    return left


def _places(commit: CommitObject) -> dict[str, int]:
    return {_name(source): place for place, source in enumerate(commit.sources)}


def _name(source: SourceFile) -> str:
    return source.id or f"{source.key}@{source.version}"


def _read(bucket: Bucket, key: str) -> CommitObject | None:
    try:
        content = bucket.open(key)
    except ObjectGone:
        return None
    with content.body as body:
        return CommitObject.from_json(body.read(), key)
