"""Fetches the jars of jars.lock from Maven Central into a folder and checks each against its SHA-256.

Run by the Makefile: `python requirements/jars.py requirements/jars.lock .tools/jars`. Standard library only.
"""

import hashlib
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CENTRAL = "https://repo1.maven.org/maven2"


def coordinates(lock: Path) -> list[tuple[str, str]]:
    """Pairs of (group:artifact:version, sha256) of a lock file; # starts a comment."""
    lines = (line.split("#", 1)[0].split() for line in lock.read_text(encoding="utf-8").splitlines())
    return [(fields[0], fields[1]) for fields in lines if fields]


def fetch(coordinate: str, sha256: str, folder: Path) -> str:
    group, artifact, version = coordinate.split(":")
    name = f"{artifact}-{version}.jar"
    target = folder / name
    if target.exists() and hashlib.sha256(target.read_bytes()).hexdigest() == sha256:
        return f"kept    {name}"
    url = f"{CENTRAL}/{group.replace('.', '/')}/{artifact}/{version}/{name}"
    with urllib.request.urlopen(url, timeout=120) as response:  # noqa: S310 - a constant https address
        body = response.read()
    if hashlib.sha256(body).hexdigest() != sha256:
        raise SystemExit(f"{name}: the file at {url} does not have the SHA-256 that jars.lock names; nothing was kept")
    partial = target.with_suffix(".partial")
    partial.write_bytes(body)
    partial.rename(target)
    return f"fetched {name} ({len(body) / 1e6:.1f} MB)"


def main(lock: str, folder: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    pairs = coordinates(Path(lock))
    try:
        with ThreadPoolExecutor(4) as pool:
            for line in pool.map(lambda pair: fetch(*pair, Path(folder)), pairs):
                print(line, file=sys.stderr)
    except (urllib.error.URLError, OSError) as problem:
        message = f"jars: cannot fetch from {CENTRAL}: {problem}. Check the network and the disk, then run it again"
        raise SystemExit(message) from problem


if __name__ == "__main__":
    main(*sys.argv[1:])
