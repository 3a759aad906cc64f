"""JSON as text in which every number stands as it was written: 1.10 must not become 1.1 on its way to a decimal."""

import base64
import datetime as dt
import decimal
import json
from typing import Any


class Number(str):
    """A number's digits."""

    __slots__ = ()


def dump(value: Any) -> str:
    """As `json.dumps`, for what JSON documents and Parquet columns hold."""
    if isinstance(value, Number | decimal.Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{dump(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value, default=_plain, ensure_ascii=False)


def text_of(value: bytes) -> str:
    """Text where it is text, as older writers of Parquet leave the mark off; else base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return text_of(value)
    return value.isoformat() if isinstance(value, dt.datetime | dt.date | dt.time) else str(value)
