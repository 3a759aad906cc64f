"""What is read and how it is to be understood."""

from dataclasses import dataclass
from datetime import datetime

from glue_scripts.plan import Plan

SMALL = 64 * 1024 * 1024  # bytes of content that a task holds in memory; what is larger goes to its disk


class MalformedFile(Exception):
    """Raised when nothing of a file can be used; the text is the reason a person reads."""


class FileGone(MalformedFile):
    """Raised when the version that arrived can no longer be read: it was deleted, or overwritten without a history."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file version of the batch. `index` is its place in the batch, ordered by arrival.

    `sequencer`: S3's own, padded so that those of one key compare as text.
    """

    index: int
    key: str
    version: str | None
    size: int
    etag: str
    arrived_at: datetime
    sequencer: str = ""
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The part of a plan that readers need; small, because it travels to every task."""

    columns: tuple[str, ...]
    required: tuple[str, ...]
    delimiter: str
    quote: str
    encoding: str
    null_values: tuple[str, ...]

    @staticmethod
    def of(plan: Plan) -> "Layout":
        return Layout(
            columns=plan.source_columns,
            required=plan.required_columns,
            delimiter=plan.csv.delimiter,
            quote=plan.csv.quote,
            encoding=plan.csv.encoding,
            null_values=plan.csv.null_values,
        )
