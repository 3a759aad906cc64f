"""Keys of commit objects: `processed/<dataset>/_commits/<batch>.json`."""

import re
from typing import NamedTuple

_KEY = re.compile(r"processed/(?P<dataset>[a-z][a-z0-9_]{0,39})/_commits/(?P<batch>[^/]+)\.json\Z")


class Commit(NamedTuple):
    """The batch of whose files a commit object tells which count."""

    dataset: str
    batch: str


def folder(dataset: str) -> str:
    """The prefix under which all commit objects of a dataset lie."""
    return f"processed/{dataset}/_commits/"


def key_of(dataset: str, batch: str) -> str:
    return f"{folder(dataset)}{batch}.json"


def parse(key: str) -> Commit | None:
    """What the key names, None if it is no commit object's."""
    found = _KEY.match(key)
    return Commit(**found.groupdict()) if found else None


def is_commit(key: str) -> bool:
    return parse(key) is not None
