"""What the demo's answers must add up to, computed from the input files with plain Python and nothing of the lake."""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from demo.files import DemoFile

__all__ = ["Total", "totals"]

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Total:
    """A query of one row and the values it must give."""

    tenant: str
    sql: str
    values: dict[str, int | Decimal]


def totals(files: Sequence[DemoFile]) -> list[Total]:
    """`files` in the order in which they were dropped: of a transaction sent twice the later one counts."""
    good = [each for each in files if each.expected == "QUERYABLE"]
    by_dataset: dict[str, list[Path]] = {}
    for file in good:
        by_dataset.setdefault(file.key.split("/")[1], []).append(file.path)
    return [
        *_transactions(by_dataset["transactions"]),
        _flights(by_dataset["flights"]),
        *_bookshop(by_dataset),
    ]


def _transactions(paths: Sequence[Path]) -> Iterator[Total]:
    newest: dict[str, dict[str, str]] = {}
    rejected = 0
    for row in _csv_rows(paths):
        if _is_valid(row):
            newest[row["transaction_id"]] = row
        else:
            rejected += 1
    yield Total(
        "acme",
        "SELECT count(*) AS transactions, sum(amount) AS amount, sum(amount_eur) AS amount_eur FROM transactions",
        {
            "transactions": len(newest),
            "amount": sum((Decimal(row["amount"]) for row in newest.values()), Decimal()),
            "amount_eur": sum((_euro(row) for row in newest.values()), Decimal()),
        },
    )
    settled = sum((_euro(row) for row in newest.values() if row["status"] == "settled"), Decimal())
    yield Total(
        "acme",
        "SELECT sum(amount_eur) AS settled_eur FROM transactions WHERE status = 'settled'",
        {"settled_eur": settled},
    )
    yield Total(
        "acme",
        "SELECT count(*) AS rejected_rows FROM transactions_quarantine WHERE record IS NOT NULL",
        {"rejected_rows": rejected},
    )


def _is_valid(row: dict[str, str]) -> bool:
    try:
        datetime.strptime(row["occurred_at"], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  (only whether it is a time)
        Decimal(row["amount"])
        rate, network = Decimal(row["rate"]), int(row["network"])
    except (ValueError, InvalidOperation):
        return False
    return bool(
        row["transaction_id"]
        and row["customer_id"]
        and rate > 0
        and 1 <= network <= 99
        and re.fullmatch("[A-Z]{3}", row["currency"])
        and row["status"] in {"settled", "pending", "reversed"}
    )


def _euro(row: dict[str, str]) -> Decimal:
    return (Decimal(row["amount"]) * Decimal(row["rate"])).quantize(CENT, ROUND_HALF_UP)


def _flights(paths: Sequence[Path]) -> Total:
    flights = cancelled = miles = late_minutes = 0
    for row in _csv_rows(paths):
        flights += 1
        cancelled += row["dep_time"] == "NA"
        miles += int(row["distance"])
        late_minutes += 0 if row["arr_delay"] == "NA" else int(row["arr_delay"])
    return Total(
        "skyline",
        "SELECT count(*) AS flights, count_if(dep_time IS NULL) AS cancelled, "
        "CAST(sum(distance) AS bigint) AS miles, CAST(sum(arr_delay) AS bigint) AS late_minutes FROM flights",
        {"flights": flights, "cancelled": cancelled, "miles": miles, "late_minutes": late_minutes},
    )


def _bookshop(paths: dict[str, list[Path]]) -> Iterator[Total]:
    authors = _newest(_json_rows(paths["authors"]), "author_id", "updated_at")
    yield Total(
        "bookshop",
        "SELECT count(*) AS authors, count_if(country = 'DE') AS german_authors FROM authors",
        {"authors": len(authors), "german_authors": sum(each["country"] == "DE" for each in authors)},
    )
    reviews = _newest(_json_rows(paths["reviews"]), "review_id", "reviewed_at")
    yield Total(
        "bookshop",
        "SELECT count(*) AS reviews, sum(rating) AS stars FROM reviews",
        {"reviews": len(reviews), "stars": sum(each["rating"] for each in reviews)},
    )
    books = list(_json_rows(paths["books"]))
    yield Total(
        "bookshop",
        "SELECT count(*) AS books, sum(price_amount) AS prices FROM books",
        {"books": len(books), "prices": sum((Decimal(str(each["price"]["amount"])) for each in books), Decimal())},
    )
    yield from _watched(paths)


def _watched(paths: dict[str, list[Path]]) -> Iterator[Total]:
    movies = list(_csv_rows(paths["movies"], ";"))
    yield Total(
        "bookshop",
        "SELECT count(*) AS movies, sum(revenue_usd) AS revenue_usd FROM movies",
        {"movies": len(movies), "revenue_usd": sum((Decimal(each["revenue_usd"]) for each in movies), Decimal())},
    )
    streams = list(_csv_rows(paths["streams"]))
    yield Total(
        "bookshop",
        "SELECT count(*) AS streams, sum(seconds) AS seconds FROM streams",
        {"streams": len(streams), "seconds": sum(int(each["seconds"]) for each in streams)},
    )


def _newest(rows: Iterator[dict[str, Any]], key: str, version: str) -> list[dict[str, Any]]:
    newest: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = newest.get(row[key])
        if known is None or datetime.fromisoformat(row[version]) >= datetime.fromisoformat(known[version]):
            newest[row[key]] = row
    return list(newest.values())


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def _csv_rows(paths: Sequence[Path], delimiter: str = ",") -> Iterator[dict[str, str]]:
    for path in paths:
        yield from csv.DictReader(io.StringIO(_text(path)), delimiter=delimiter)


def _json_rows(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        text = _text(path)
        yield from json.loads(text) if text.startswith("[") else map(json.loads, text.splitlines())
