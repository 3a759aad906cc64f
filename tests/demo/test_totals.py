import gzip
import json
from decimal import Decimal

from demo.files import DemoFile
from demo.totals import totals

TRANSACTIONS = """\
transaction_id,occurred_at,network,customer_id,merchant,channel,currency,amount,rate,status
T1,2024-09-20 10:00:00,1,C1,,card,EUR,10.00,1.000000,settled
T2,2024-09-20 10:00:00,1,C1,,card,USD,10.05,0.500000,pending
T1,2024-09-21 10:00:00,1,C1,,card,EUR,12.00,1.000000,settled
T3,2024-09-20 10:00:00,1,C1,,card,EUR,many,1.000000,settled
,2024-09-20 10:00:00,1,C1,,card,EUR,1.00,1.000000,settled
"""
FLIGHTS = "dep_time,distance,arr_delay\n517,1400,11\nNA,200,NA\n554,600,-20\n"
AUTHORS = [
    {"author_id": "A1", "country": "DE", "updated_at": "2024-03-01T00:00:00+00:00"},
    {"author_id": "A1", "country": "FR", "updated_at": "2024-01-01T00:00:00+00:00"},
    {"author_id": "A2", "country": "FR", "updated_at": "2024-01-01T00:00:00+00:00"},
]
REVIEWS = [{"review_id": "R1", "rating": 5, "reviewed_at": "2024-01-01T00:00:00+00:00"}]
BOOKS = [{"price": {"amount": 9.99}}, {"price": {"amount": 0.01}}]
MOVIES = "movie_id;revenue_usd\nM1;1.10\nM2;2.20\n"
STREAMS = "stream_id,seconds\nS1,60\nS2,40\n"


def a_file(folder, tenant, key, text):
    path = folder / key.replace("/", "_")
    data = text.encode()
    path.write_bytes(gzip.compress(data) if key.endswith(".gz") else data)
    return DemoFile(tenant, path, key, "QUERYABLE", "", last=False)


def test_totals_follow_from_literal_rows(tmp_path):
    files = [
        a_file(tmp_path, "acme", "raw/transactions/network_1_transactions_2024_09_20.csv", TRANSACTIONS),
        a_file(tmp_path, "skyline", "raw/flights/flights.csv.gz", FLIGHTS),
        a_file(tmp_path, "bookshop", "raw/authors/a.ndjson", "\n".join(json.dumps(each) for each in AUTHORS)),
        a_file(tmp_path, "bookshop", "raw/reviews/r.json", json.dumps(REVIEWS)),
        a_file(tmp_path, "bookshop", "raw/books/b.json", json.dumps(BOOKS)),
        a_file(tmp_path, "bookshop", "raw/movies/m.csv", MOVIES),
        a_file(tmp_path, "bookshop", "raw/streams/s.csv", STREAMS),
    ]

    found = [each.values for each in totals(files)]

    assert found == [
        {"transactions": 2, "amount": Decimal("22.05"), "amount_eur": Decimal("17.03")},
        {"settled_eur": Decimal("12.00")},
        {"rejected_rows": 2},
        {"flights": 3, "cancelled": 1, "miles": 2200, "late_minutes": -9},
        {"authors": 2, "german_authors": 1},
        {"reviews": 1, "stars": 5},
        {"books": 2, "prices": Decimal("10.00")},
        {"movies": 2, "revenue_usd": Decimal("3.30")},
        {"streams": 2, "seconds": 100},
    ]


def test_the_demos_own_files_have_bad_rows_repeats_and_corrections(files):
    found = {name: value for each in totals(files) for name, value in each.values.items()}

    assert found["transactions"] == 19 * 150
    assert found["rejected_rows"] == 8
    assert found["flights"] == 336_776
    assert found["cancelled"] == 8_255
    assert (found["authors"], found["german_authors"]) == (40, 10)
    assert found["reviews"] == 600
