"""A file of the demo before it is written."""

import gzip
from dataclasses import dataclass

__all__ = ["Content", "zipped"]


@dataclass(frozen=True)
class Content:
    """`key` is where it is dropped, `expected` the state in which its way ends, `note` what is special about it.

    What comes `last` is dropped after the files of all tenants.
    """

    key: str
    data: bytes
    expected: str = "QUERYABLE"
    note: str = ""
    last: bool = False

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


def zipped(data: bytes) -> bytes:
    """The same bytes at every run: no time in the header."""
    return gzip.compress(data, compresslevel=6, mtime=0)
