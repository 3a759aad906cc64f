"""The bookshop's vendor files: authors, books and reviews as JSON in several shapes, movies and streams as CSV."""

import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from demo.content import Content, zipped

__all__ = ["contents"]

AUTHORS, BOOKS, REVIEWS, MOVIES, STREAMS = 40, 120, 600, 60, 900
UPDATED_AUTHORS, EDITED_REVIEWS = 10, 50
FIRST_NAMES = ("Ada", "Bruno", "Chinua", "Dacia", "Elif", "Femi", "Göran", "Hana", "Italo", "Jorge")
LAST_NAMES = ("Achterberg", "Bianchi", "Çelik", "Dubois", "Eze", "Fuentes", "Grönlund", "Hrabal")
COUNTRIES = ("BR", "CZ", "FR", "IT", "NG", "SE", "TR")
SUBJECTS = ("River", "Lamp", "Garden", "Harbour", "Clock", "Winter", "Letter", "Orchard")
KINDS = ("of Glass", "in Blue", "without Doors", "at Noon", "of Salt", "and Shadow")
GENRES = ("crime", "essay", "history", "novel", "poetry")
FORMATS = ("hardcover", "paperback", "ebook")
TAGS = ("funny", "gift", "long", "sad", "twist")
TEXTS = ("A pleasure, from cover to cover.", 'They say "unputdownable".', "Too long, too\nslow.", "Schön & grün.", "")
DEVICES = ("browser", "phone", "tablet", "tv")
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
Values = dict[str, Any]


def contents() -> Iterator[Content]:
    """Newline-delimited JSON, arrays, nested values, zipped files, semicolons, quotes and newer versions."""
    chance = random.Random("bookshop")  # noqa: S311  (the same rows at every run, not secrets)
    yield from _author_files(chance)
    books = [_book(chance, number) for number in range(1, BOOKS + 1)]
    yield Content("raw/books/books.json", _array(books), note="one array, nested prices and editions")
    yield from _review_files(chance)
    movies = [_movie(chance, number) for number in range(1, MOVIES + 1)]
    yield Content("raw/movies/movies.csv", _csv(movies, ";"), note="semicolons, dates as dd.MM.yyyy")
    yield from _stream_files(chance)


def _author_files(chance: random.Random) -> Iterator[Content]:
    authors = [_author(chance, number) for number in range(1, AUTHORS + 1)]
    later = (NEW_YEAR + timedelta(days=60)).isoformat()
    newer = [{**each, "country": "DE", "updated_at": later} for each in authors[:UPDATED_AUTHORS]]
    yield Content("raw/authors/authors.ndjson", _lines(authors), note="one object per line")
    yield Content("raw/authors/authors_2024_03.ndjson", _lines(newer), note="newer versions of ten authors")


def _review_files(chance: random.Random) -> Iterator[Content]:
    reviews = [_review(chance, number) for number in range(1, REVIEWS + 1)]
    edited = [_edited(each) for each in reviews[:EDITED_REVIEWS]]
    yield Content("raw/reviews/reviews_1.ndjson", _lines(reviews[:200]))
    yield Content("raw/reviews/reviews_2.json", _array(reviews[200:400]), note="one array")
    yield Content("raw/reviews/reviews_3.ndjson.gz", zipped(_lines([*reviews[400:], *edited])), note="zipped")


def _stream_files(chance: random.Random) -> Iterator[Content]:
    streams = [_stream(chance, number) for number in range(1, STREAMS + 1)]
    for month in ("2024-01", "2024-02", "2024-03"):
        rows = [each for each in streams if each["started_at"].startswith(month)]
        name, data = f"raw/streams/streams_{month.replace('-', '_')}.csv", _csv(rows)
        yield Content(f"{name}.gz", zipped(data), note="zipped") if month == "2024-02" else Content(name, data)


def _author(chance: random.Random, number: int) -> Values:
    return {
        "author_id": f"A{number:03}",
        "name": f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)}",
        "born": str(date(1920, 1, 1) + timedelta(days=chance.randrange(25_000))),
        "country": chance.choice(COUNTRIES),
        "genres": sorted(chance.sample(GENRES, chance.randint(1, 3))),
        "updated_at": NEW_YEAR.isoformat(),
    }


def _book(chance: random.Random, number: int) -> Values:
    return {
        "book_id": f"B{number:04}",
        "title": f"The {chance.choice(SUBJECTS)} {chance.choice(KINDS)}",
        "author_ids": sorted(f"A{each:03}" for each in chance.sample(range(1, AUTHORS + 1), chance.randint(1, 2))),
        "published": str(date(1960, 1, 1) + timedelta(days=chance.randrange(23_000))),
        "price": {"amount": chance.randrange(500, 4_000) / 100, "currency": "EUR"},
        "editions": [_edition(chance, kind) for kind in chance.sample(FORMATS, chance.randint(1, 3))],
    }


def _edition(chance: random.Random, kind: str) -> Values:
    isbn = f"978{chance.randrange(10**10):010}"
    return {"format": kind, "pages": None if kind == "ebook" else chance.randint(80, 900), "isbn": isbn}


def _review(chance: random.Random, number: int) -> Values:
    return {
        "review_id": f"R{number:05}",
        "book_id": f"B{chance.randint(1, BOOKS):04}",
        "reviewer": {"id": f"P{chance.randint(1, 150):04}", "country": chance.choice(COUNTRIES)},
        "rating": chance.randint(1, 5),
        "text": chance.choice(TEXTS),
        "tags": sorted(chance.sample(TAGS, chance.randint(0, 2))),
        "reviewed_at": (NEW_YEAR + timedelta(seconds=chance.randrange(90 * 86_400))).isoformat(),
    }


def _edited(review: Values) -> Values:
    later = datetime.fromisoformat(review["reviewed_at"]) + timedelta(days=2)
    return {**review, "rating": 6 - review["rating"], "reviewed_at": later.isoformat()}


def _movie(chance: random.Random, number: int) -> Values:
    released = date(1980, 1, 1) + timedelta(days=chance.randrange(16_000))
    return {
        "movie_id": f"M{number:03}",
        "title": f'{chance.choice(SUBJECTS)}; "{chance.choice(KINDS)}"',
        "book_id": chance.choice(["", f"B{chance.randint(1, BOOKS):04}"]),
        "released": released.strftime("%d.%m.%Y"),
        "runtime_minutes": chance.randint(70, 190),
        "revenue_usd": Decimal(chance.randrange(10**10)) / 100,
    }


def _stream(chance: random.Random, number: int) -> Values:
    moment = NEW_YEAR + timedelta(seconds=chance.randrange(91 * 86_400))
    return {
        "stream_id": f"S{number:06}",
        "movie_id": f"M{chance.randint(1, MOVIES):03}",
        "viewer_id": f"V{chance.randint(1, 200):04}",
        "started_at": moment.strftime("%Y-%m-%d %H:%M:%S"),
        "seconds": chance.randint(60, 9_000),
        "device": chance.choice(DEVICES),
    }


def _lines(values: Sequence[Values]) -> bytes:
    return "".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values).encode()


def _array(values: Sequence[Values]) -> bytes:
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode()


def _csv(values: Sequence[Values], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(values[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(values)
    return text.getvalue().encode()
