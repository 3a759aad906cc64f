"""One DuckDB database per query: locked down before a tenant's text runs, closed after it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.credentials import Credentials

from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.facts import AthenaFacts
from local_cloud.athena.macros import MACROS
from local_cloud.athena.types import text

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "1GB"
SPILL_LIMIT = "20GB"
THREADS = 2
EXTENSIONS = ("httpfs", "avro", "iceberg")
# The extensions come from wheels that the lock file pins by hash; checking 85 MB of signatures again for every query
# would cost 0.2 s each. Nothing can be loaded once external access is off.
CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_unsigned_extensions": "true",
    "allow_community_extensions": "false",
    "memory_limit": MEMORY_LIMIT,
    "threads": str(THREADS),
}
SETTINGS = (
    "SET TimeZone='UTC'",
    "SET Calendar='gregorian'",
    "SET integer_division=true",
    f"SET max_temp_directory_size='{SPILL_LIMIT}'",
    "SET allow_persistent_secrets=false",
    "SET enable_logging=false",
    "SET preserve_insertion_order=true",
    # A name that is no table is an error, not a variable of this program's.
    "SET python_enable_replacements=false",
)
# Settings of httpfs. `*`, `[` and `?` in a key are letters of it: else a key could name other files, or (after `?`)
# another server for the role's signature.
S3_SETTINGS = ("SET s3_url_compatibility_mode=true",)


@lru_cache
def extension(name: str) -> str:
    """The extension's file inside its installed wheel."""
    spec = find_spec(f"duckdb_extension_{name}")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    found = next(folder.rglob(f"{name}.duckdb_extension"), None) if spec else None
    if found is None:
        raise QueryFailed("GENERIC_INTERNAL_ERROR", f"DuckDB's extension {name} is not installed; run `make setup`")
    return str(found)


@contextmanager
def session(facts: AthenaFacts, credentials: Credentials, scratch: Path) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A database with the extensions, the role's credentials and nothing else; not locked yet.

    `scratch` takes what does not fit in memory, and results.
    """
    import duckdb

    connection = duckdb.connect(":memory:", config=CONFIGURATION)
    try:
        for name in EXTENSIONS:
            connection.execute(f"LOAD {text(extension(name))}")
        for setting in (*SETTINGS, *S3_SETTINGS):
            connection.execute(setting)
        connection.execute(f"SET temp_directory={text(str(scratch / 'spill'))}")
        connection.execute(f"SET ca_cert_file={text(str(facts.ca_bundle))}")
        connection.execute(_secret(facts, credentials))
        for macro in MACROS:
            connection.execute(macro)
        yield connection
    finally:
        connection.close()


def lock(connection: "duckdb.DuckDBPyConnection", buckets: Iterable[str], scratch: Path) -> None:
    """From here on only these buckets and the query's own folder can be read or written, and nothing be changed."""
    allowed = [*(f"s3://{bucket}/" for bucket in sorted(set(buckets))), f"{scratch}/"]
    connection.execute(f"SET allowed_directories=[{', '.join(text(entry) for entry in allowed)}]")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")


def describe(connection: "duckdb.DuckDBPyConnection", query: str) -> list[tuple[str, str]]:
    """Column names and DuckDB types of a query, without running it."""
    return [(str(row[0]), str(row[1])) for row in connection.execute(f"DESCRIBE {query}").fetchall()]


def _secret(facts: AthenaFacts, credentials: Credentials) -> str:
    options = {
        "KEY_ID": text(str(credentials.access_key)),
        "SECRET": text(str(credentials.secret_key)),
        "SESSION_TOKEN": text(str(credentials.token or "")),
        "REGION": text(facts.region),
        "ENDPOINT": text(facts.authority),
        "URL_STYLE": "'path'",
        "USE_SSL": "true",
    }
    return "CREATE TEMPORARY SECRET query_role (TYPE s3, " + ", ".join(f"{k} {v}" for k, v in options.items()) + ")"


# What DuckDB says, and the name and words that Athena has for it.
_PATTERNS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"'(DIVISION_BY_ZERO)'"), "DIVISION_BY_ZERO", "Division by zero"),
    (re.compile(r"@([A-Z_]+): (.*?)@", re.DOTALL), "", ""),
    (
        re.compile(r'Referenced column "([^"]+)" (?:not found|was not found)'),
        "COLUMN_NOT_FOUND",
        "Column '{}' cannot be resolved or requester is not authorized to access requested resources",
    ),
    (
        re.compile(r'(?:does not have a column named|Values list "[^"]*" does not have a column named) "([^"]+)"'),
        "COLUMN_NOT_FOUND",
        "Column '{}' cannot be resolved or requester is not authorized to access requested resources",
    ),
    (re.compile(r'Referenced table "([^"]+)" not found'), "COLUMN_NOT_FOUND", "Column '{}' cannot be resolved"),
    (re.compile(r"Ambiguous reference to column name \"([^\"]+)\""), "AMBIGUOUS_NAME", "Column '{}' is ambiguous"),
    (
        re.compile(r"Function with name \"?([\w$]+)\"? (?:does not exist|is not on)"),
        "FUNCTION_NOT_FOUND",
        "Function '{}' not registered",
    ),
    (
        re.compile(r'column "([^"]+)" must appear in the GROUP BY'),
        "EXPRESSION_NOT_AGGREGATE",
        "'{}' must be an aggregate expression or appear in GROUP BY clause",
    ),
    (re.compile(r"(HTTP Error: .*403.*|AccessDenied.*)"), "PERMISSION_DENIED", "Access Denied: {}"),
    (re.compile(r"Permission Error: (.*)"), "PERMISSION_DENIED", "{}"),
    (re.compile(r"Could not convert string '(.*)' to (\w+)", re.DOTALL), "INVALID_CAST_ARGUMENT", "Cannot cast '{}'"),
    (re.compile(r"(Overflow in .*|.*out of range.*)"), "NUMERIC_VALUE_OUT_OF_RANGE", "{}"),
    (re.compile(r"(More than one row returned by a subquery.*)"), "SUBQUERY_MULTIPLE_ROWS", "{}"),
    (re.compile(r"(No function matches .*)", re.DOTALL), "FUNCTION_NOT_FOUND", "Unexpected parameters: {}"),
    (re.compile(r"Parser Error: (.*)", re.DOTALL), "SYNTAX_ERROR", "{}"),
    (re.compile(r"Binder Error: (.*)", re.DOTALL), "TYPE_MISMATCH", "{}"),
    (re.compile(r"Conversion Error: (.*)", re.DOTALL), "INVALID_CAST_ARGUMENT", "{}"),
    (re.compile(r"Out of Memory Error: (.*)", re.DOTALL), "EXCEEDED_LOCAL_MEMORY_LIMIT", "{}"),
)


def failure(error: Exception, place_of: Any = None) -> QueryFailed:
    """DuckDB's error in Athena's words. `place_of` finds where a name stands in the statement."""
    said = str(error)
    for pattern, kind, words in _PATTERNS:
        found = pattern.search(said)
        if not found:
            continue
        if not kind:
            return QueryFailed(found.group(1), found.group(2))
        subject = _first_line(found.group(1))
        place = place_of(subject) if place_of and "'{}'" in words else None
        return QueryFailed(kind, words.format(subject), place)
    return QueryFailed("GENERIC_INTERNAL_ERROR", _first_line(said))


def _first_line(said: str) -> str:
    return said.strip().splitlines()[0] if said.strip() else said
