"""Acme's card transactions: three networks, files per day, with everything that goes wrong in life."""

import csv
import io
import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from demo.content import Content, zipped

__all__ = ["contents"]

NETWORKS = (1, 2, 3)
DAYS = tuple(date(2024, 9, 28) + timedelta(days=n) for n in range(6))
LATE = date(2024, 9, 20)
ROWS = 150
CURRENCIES = {"EUR": "1.000000", "USD": "0.895200", "GBP": "1.198400", "JPY": "0.006250"}
COLUMNS = ("transaction_id", "customer_id", "occurred_at", "amount", "currency", "rate")


def contents() -> Iterator[Content]:
    """Files in the order in which they are dropped; a day of September comes after October."""
    for day in DAYS:
        for network in NETWORKS:
            yield _file(network, day)
    yield _file(3, LATE, note="late: a day of September after October")
    yield Content(
        "raw/transactions/network_9_transactions_2024_10_04.csv.gz",
        b"this is no gzip file, on purpose\n",
        expected="QUARANTINED",
        note="malformed on purpose",
    )
    yield Content("raw/no_contract_for_this.txt", b"nobody asked for this\n", expected="UNROUTED", note="no contract")


def _file(network: int, day: date, note: str = "") -> Content:
    rows = list(_rows(network, day))
    if (network, day) == (1, DAYS[1]):
        rows.extend(_bad_rows())
        note = "with bad rows"
    if (network, day) == (2, DAYS[3]):
        rows.extend(list(_rows(2, DAYS[2]))[:25])
        note = "repeats 25 transactions of the day before"
    key = f"raw/transactions/network_{network}_transactions_{day:%Y_%m_%d}.csv"
    data = _csv(rows)
    if (network, day) == (2, DAYS[-1]):
        return Content(f"{key}.gz", zipped(data), note="zipped")
    return Content(key, data, note=note)


def _rows(network: int, day: date) -> Iterator[list[str]]:
    chance = random.Random(f"{network}/{day}")  # noqa: S311  (the same rows at every run, not secrets)
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  (the networks write UTC without saying so)
    for number in range(ROWS):
        currency = chance.choice(sorted(CURRENCIES))
        amount = Decimal(chance.randrange(100, 500_000)) / 100
        moment = midnight + timedelta(seconds=chance.randrange(86_400))
        yield [
            f"N{network}-{day:%Y%m%d}-{number:05}",
            f"C{chance.randrange(2_000):05}",
            moment.strftime("%Y-%m-%d %H:%M:%S"),
            f"{amount:.2f}",
            currency,
            CURRENCIES[currency],
        ]


def _bad_rows() -> Iterator[list[str]]:
    """One of each kind."""
    yield ["N1-BAD-1", "C00001", "2024-09-29 10:00:00", "twelve", "EUR", "1.000000"]
    yield ["N1-BAD-2", "C00001", "2024-13-45 10:00:00", "10.00", "EUR", "1.000000"]
    yield ["", "C00001", "2024-09-29 10:00:00", "10.00", "EUR", "1.000000"]
    yield ["N1-BAD-4", "C00001", "2024-09-29 10:00:00", "", "EUR", "1.000000"]


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()
