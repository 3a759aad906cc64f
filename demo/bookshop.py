"""The bookshop's vendor files: authors, books and reviews as JSON in several shapes, movies and streams as CSV."""

import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from demo.content import Content, zipped

__all__ = ["contents"]

AUTHORS, BOOKS, REVIEWS, MOVIES, STREAMS = 40, 120, 600, 60, 900
FIRST_NAMES = ("Ada", "Bruno", "Chinua", "Dacia", "Elif", "Femi", "Göran", "Hana", "Italo", "Jorge")
LAST_NAMES = ("Achterberg", "Bianchi", "Çelik", "Dubois", "Eze", "Fuentes", "Grönlund", "Hrabal")
COUNTRIES = ("BR", "CZ", "FR", "IT", "NG", "SE", "TR")
SUBJECTS = ("River", "Lamp", "Garden", "Harbour", "Clock", "Winter", "Letter", "Orchard")
KINDS = ("of Glass", "in Blue", "without Doors", "at Noon", "of Salt", "and Shadow")
GENRES = ("crime", "essay", "history", "novel", "poetry")
COMMENTS = ("A pleasure, from cover to cover.", 'They say "unputdownable".', "Too long, too\nslow.", "Grün und schön.", "")


def contents() -> Iterator[Content]:
    """Newline-delimited JSON, arrays, nested values, a zipped file and CSV with quotes."""
    chance = random.Random("bookshop")  # noqa: S311  (the same rows at every run, not secrets)
    authors = [_author(chance, number) for number in range(1, AUTHORS + 1)]
    books = [_book(chance, number) for number in range(1, BOOKS + 1)]
    reviews = [_review(chance, number) for number in range(1, REVIEWS + 1)]
    yield Content("raw/authors/authors.ndjson", _lines(authors), note="one object per line")
    yield Content("raw/books/books.json", _array(books), note="one array, nested prices and tags")
    yield Content("raw/reviews/reviews_1.ndjson", _lines(reviews[:200]))
    yield Content("raw/reviews/reviews_2.json", _array(reviews[200:400]), note="one array")
    yield Content("raw/reviews/reviews_3.ndjson.gz", zipped(_lines(reviews[400:])), note="zipped")
    yield Content("raw/movies/movies.csv", _csv([_movie(chance, number) for number in range(1, MOVIES + 1)]))
    streams = [_stream(chance, number) for number in range(1, STREAMS + 1)]
    for month in (1, 2, 3):
        rows = [each for each in streams if each["started_at"][5:7] == f"{month:02}"]
        yield Content(f"raw/streams/streams_2024_{month:02}.csv", _csv(rows))


def _author(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "author_id": number,
        "name": {"first": chance.choice(FIRST_NAMES), "last": chance.choice(LAST_NAMES)},
        "country": chance.choice(COUNTRIES),
        "born": str(date(1920, 1, 1) + timedelta(days=chance.randrange(25_000))),
    }


def _book(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "book_id": number,
        "author_id": chance.randint(1, AUTHORS),
        "title": f"The {chance.choice(SUBJECTS)} {chance.choice(KINDS)}",
        "published": str(date(1960, 1, 1) + timedelta(days=chance.randrange(23_000))),
        "price": {"amount": chance.randrange(500, 4_000) / 100, "currency": "EUR"},
        "genres": sorted(chance.sample(GENRES, chance.randint(1, 3))),
        "pages": chance.choice([None, chance.randint(80, 900)]),
    }


def _review(chance: random.Random, number: int) -> dict[str, Any]:
    moment = datetime(2024, 1, 1) + timedelta(seconds=chance.randrange(90 * 86_400))  # noqa: DTZ001  (UTC by contract)
    return {
        "review_id": number,
        "book_id": chance.randint(1, BOOKS),
        "rating": chance.randint(1, 5),
        "reviewed_at": f"{moment.isoformat()}Z",
        "text": chance.choice(COMMENTS),
        "reader": {"id": f"R{chance.randint(1, 150):04}", "country": chance.choice(COUNTRIES)},
    }


def _movie(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "movie_id": number,
        "title": f'{chance.choice(SUBJECTS)}, "{chance.choice(KINDS)}"',
        "book_id": chance.choice(["", chance.randint(1, BOOKS)]),
        "released": date(1980, 1, 1) + timedelta(days=chance.randrange(16_000)),
        "minutes": chance.randint(70, 190),
    }


def _stream(chance: random.Random, number: int) -> dict[str, Any]:
    moment = datetime(2024, 1, 1) + timedelta(seconds=chance.randrange(91 * 86_400))  # noqa: DTZ001
    return {
        "stream_id": number,
        "movie_id": chance.randint(1, MOVIES),
        "viewer": f"V{chance.randint(1, 200):04}",
        "started_at": moment.strftime("%Y-%m-%d %H:%M:%S"),
        "seconds": chance.randint(60, 9_000),
    }


def _lines(values: Sequence[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values).encode()


def _array(values: Sequence[dict[str, Any]]) -> bytes:
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode()


def _csv(values: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(values[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(values)
    return text.getvalue().encode()
