"""Acme's transactions: three payment networks, a file per network and day, with what goes wrong in life."""

import csv
import io
import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from demo.content import Content, zipped

__all__ = ["contents"]

NETWORKS = (1, 2, 3)
DAYS = tuple(date(2024, 9, 28) + timedelta(days=n) for n in range(6))
LATE = date(2024, 9, 20)
ROWS = 150
REPEATED = 25
CORRECTED = 5
RATES = {"CHF": "1.052000", "EUR": "1.000000", "GBP": "1.198400", "USD": "0.895200"}
CHANNELS = ("card", "transfer", "wallet")
MERCHANTS = ("Bäckerei Süß", "Corner Café", 'Hotel "Zur Post"', "Kiosk, Hauptbahnhof", "Miller & Sons")
STATUSES = ("settled",) * 8 + ("pending", "reversed")
COLUMNS = (
    "transaction_id",
    "occurred_at",
    "network",
    "customer_id",
    "merchant",
    "channel",
    "currency",
    "amount",
    "rate",
    "status",
)
Row = list[str]


def contents() -> Iterator[Content]:
    """Six days of three networks, then what is not as it should be, then a file that comes too late."""
    for day in DAYS:
        for network in NETWORKS:
            yield _day(network, day)
    yield Content(
        _key(9, date(2024, 10, 4)) + ".gz",
        b"this is no gzip file, on purpose\n",
        expected="QUARANTINED",
        note="malformed on purpose",
    )
    yield Content("raw/no_contract_for_this.txt", b"nobody asked for this\n", expected="UNROUTED", note="no contract")
    late = [*_rows(3, LATE), *_corrections(3, DAYS[0])]
    yield Content(_key(3, LATE), _csv(late), note="late, and corrects five transactions", last=True)


def _day(network: int, day: date) -> Content:
    rows, note = list(_rows(network, day)), ""
    if (network, day) == (1, DAYS[1]):
        rows, note = [*rows, *_bad_rows()], "with bad rows"
    if (network, day) == (2, DAYS[3]):
        rows, note = [*rows, *list(_rows(2, DAYS[2]))[:REPEATED]], "repeats transactions of the day before"
    if (network, day) == (2, DAYS[5]):
        return Content(_key(network, day) + ".gz", zipped(_csv(rows)), note="zipped")
    return Content(_key(network, day), _csv(rows), note=note)


def _key(network: int, day: date) -> str:
    return f"raw/transactions/network_{network}_transactions_{day:%Y_%m_%d}.csv"


def _rows(network: int, day: date) -> Iterator[Row]:
    chance = random.Random(f"{network}/{day}")  # noqa: S311  (the same rows at every run, not secrets)
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  (the networks write UTC without saying so)
    for number in range(ROWS):
        currency = chance.choice(sorted(RATES))
        amount = Decimal(chance.randrange(-20_000, 500_000)) / 100
        moment = midnight + timedelta(seconds=chance.randrange(86_400))
        yield [
            f"N{network}-{day:%Y%m%d}-{number:05}",
            moment.strftime("%Y-%m-%d %H:%M:%S"),
            str(network),
            f"C{chance.randrange(2_000):05}",
            chance.choice(MERCHANTS),
            chance.choice(CHANNELS),
            currency,
            f"{amount:.2f}",
            RATES[currency],
            chance.choice(STATUSES),
        ]


def _corrections(network: int, day: date) -> Iterator[Row]:
    """Transactions sent again, one euro higher and settled."""
    for row in list(_rows(network, day))[:CORRECTED]:
        yield [*row[:7], f"{Decimal(row[7]) + 1:.2f}", row[8], "settled"]


def _bad_rows() -> Iterator[Row]:
    """One of each kind."""
    good = ["N1-BAD-0", "2024-09-29 10:00:00", "1", "C00001", "", "card", "EUR", "10.00", "1.000000", "settled"]
    wrong = {0: "", 1: "2024-13-45 10:00:00", 2: "one", 3: "", 6: "euro", 7: "twelve", 8: "0", 9: "lost"}
    for number, (column, value) in enumerate(wrong.items()):
        row = [f"N1-BAD-{number}", *good[1:]]
        row[column] = value
        yield row


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()
