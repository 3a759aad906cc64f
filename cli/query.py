"""`lake query`: SQL through Athena's API with the rights of the tenant's analyst role."""

import csv
import io
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, Connection, connect
from cli.errors import LakeError, NotFound, WrongInput
from cli.hold import refuse_shut
from cli.options import EnvironmentOption, JsonOption, TenantArgument

__all__ = ["Answer", "Athena", "query", "typed"]

FIRST_WAIT, LONGEST_WAIT = 0.03, 1.0


@dataclass(frozen=True)
class Answer:
    """Columns with Athena's type names, rows as text as Athena sends them (None is NULL)."""

    columns: tuple[tuple[str, str], ...]
    rows: list[tuple[str | None, ...]]
    scanned_bytes: int = 0
    milliseconds: int = 0

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.columns]

    def objects(self) -> list[dict[str, Any]]:
        """Rows as objects with JSON types; decimals stay text, so that no digit is lost."""
        return [
            {name: typed(value, kind) for (name, kind), value in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]

    def as_csv(self) -> str:
        """Header and rows; NULL is an empty field."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows(self.rows)
        return text.getvalue()


def typed(value: str | None, kind: str) -> Any:
    """A field as JSON has it: whole numbers and floats as numbers, booleans as booleans, the rest as text.

    >>> typed("42", "bigint"), typed("1.50", "decimal"), typed("true", "boolean"), typed(None, "integer")
    (42, '1.50', True, None)
    """
    if value is None:
        return None
    convert: Callable[[str], Any] = _TYPES.get(kind.lower().split("(")[0], str)
    return convert(value)


def _float(value: str) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else value


_TYPES: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "int", "bigint"), int),
    **dict.fromkeys(("float", "real", "double"), _float),
    "boolean": lambda value: value.lower() == "true",
}


class Athena:
    """A tenant's workgroup, used with the credentials of the tenant's analyst role."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self.connection = connection
        self.names = connection.names(tenant)
        self.client = connection.client("athena", _analyst(connection, tenant))

    def run(self, sql: str) -> Answer:
        """Start, wait, read all pages; Ctrl-C stops the query in Athena too."""
        started = self.client.start_query_execution(
            QueryString=sql,
            WorkGroup=self.names.workgroup,
            QueryExecutionContext={"Database": self.names.database, "Catalog": "AwsDataCatalog"},
        )["QueryExecutionId"]
        try:
            execution = self._finished(started)
        except KeyboardInterrupt:
            self.client.stop_query_execution(QueryExecutionId=started)
            raise
        statistics = execution.get("Statistics", {})
        columns, rows = self._results(started)
        return Answer(
            columns,
            rows,
            scanned_bytes=int(statistics.get("DataScannedInBytes", 0)),
            milliseconds=int(statistics.get("TotalExecutionTimeInMillis", 0)),
        )

    def _finished(self, started: str) -> dict[str, Any]:
        wait = FIRST_WAIT
        while True:
            execution: dict[str, Any] = self.client.get_query_execution(QueryExecutionId=started)["QueryExecution"]
            state = execution["Status"]["State"]
            if state == "SUCCEEDED":
                return execution
            if state in {"FAILED", "CANCELLED"}:
                reason = execution["Status"].get("StateChangeReason", "no reason given")
                raise LakeError(f"query {state.lower()}: {reason}")
            time.sleep(wait)
            wait = min(LONGEST_WAIT, wait * 1.5)

    def _results(self, started: str) -> tuple[tuple[tuple[str, str], ...], list[tuple[str | None, ...]]]:
        columns: tuple[tuple[str, str], ...] = ()
        rows: list[tuple[str | None, ...]] = []
        for page in self.client.get_paginator("get_query_results").paginate(QueryExecutionId=started):
            info = page["ResultSet"].get("ResultSetMetadata", {}).get("ColumnInfo", [])
            columns = columns or tuple((each["Name"], each.get("Type", "varchar")) for each in info)
            rows.extend(_fields(row, len(columns)) for row in page["ResultSet"]["Rows"])
        names: list[tuple[str | None, ...]] = [tuple(name for name, _ in columns)]
        return columns, rows[1:] if rows[:1] == names else rows  # Athena repeats the header for SELECT, not for SHOW

    def named(self) -> Iterator[dict[str, Any]]:
        """The workgroup's named queries, as Athena describes them."""
        pages = self.client.get_paginator("list_named_queries").paginate(WorkGroup=self.names.workgroup)
        ids = [each for page in pages for each in page["NamedQueryIds"]]
        for begin in range(0, len(ids), 50):
            yield from self.client.batch_get_named_query(NamedQueryIds=ids[begin : begin + 50])["NamedQueries"]

    def named_sql(self, name: str) -> str:
        known = {each["Name"]: str(each["QueryString"]) for each in self.named()}
        if name not in known:
            raise NotFound(
                f"workgroup {self.names.workgroup} has no named query {name!r}; it has: {', '.join(sorted(known))}"
            )
        return known[name]


def _fields(row: dict[str, Any], width: int) -> tuple[str | None, ...]:
    values = [each.get("VarCharValue") for each in row.get("Data", [])]
    return tuple(values + [None] * (width - len(values)))


def _analyst(connection: Connection, tenant: str) -> Any:
    """Session of the tenant's analyst role, so that a query may do what the tenant may and nothing else."""
    import boto3

    account = connection.environment.account
    role = connection.names(tenant).analyst_role
    credentials = connection.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/{role}", RoleSessionName="lake-query"
    )["Credentials"]
    return boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def query(
    tenant: TenantArgument,
    sql: Annotated[str | None, typer.Argument(metavar="SQL", help='Athena SQL, or "-" to read it from stdin.')] = None,
    *,
    named: Annotated[
        str | None, typer.Option("--named", metavar="NAME", help="Run the named query of this name.")
    ] = None,
    list_named: Annotated[bool, typer.Option("--list", help="List the tenant's named queries.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout.")] = False,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write CSV (JSON with --json) here.")
    ] = None,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Ask SQL of a tenant's tables, with the tenant's own rights.

    With --json every row is an object: whole numbers and floats are numbers, booleans booleans, NULL is null;
    decimals (exact), dates, timestamps, arrays and structs are text as Athena prints them.
    """
    if [sql is not None, named is not None, list_named].count(True) != 1:
        raise WrongInput('give one of: SQL, --named NAME, --list; for instance `lake query acme "show tables"`')
    if as_csv and as_json:
        raise WrongInput("--csv and --json exclude each other")
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    with _told_why(connection, tenant):
        athena = Athena(connection, tenant)
        if list_named:
            _list(athena, as_json=as_json)
            return
        answer = athena.run(athena.named_sql(named) if named is not None else _statement(sql or ""))
    _deliver(answer, out, as_csv=as_csv, as_json=as_json)


@contextmanager
def _told_why(connection: Connection, tenant: str) -> Iterator[None]:
    """What a suspended tenant is refused with says nothing of that."""
    from botocore.exceptions import ClientError

    try:
        yield
    except (ClientError, LakeError):
        refuse_shut(connection, tenant)
        raise


def _statement(sql: str) -> str:
    text = sys.stdin.read() if sql == "-" else sql
    if not text.strip():
        raise WrongInput('no SQL given; for instance `lake query acme "show tables"`')
    return text


def _list(athena: Athena, *, as_json: bool) -> None:
    found = [
        {"name": each["Name"], "description": each.get("Description"), "sql": each["QueryString"]}
        for each in sorted(athena.named(), key=lambda each: str(each["Name"]))
    ]
    if as_json:
        output.print_json(found)
    else:
        output.print_table(("name", "description", "sql"), [{**each, "sql": _one_line(each["sql"])} for each in found])


def _one_line(sql: str) -> str:
    return " ".join(sql.split())


def _deliver(answer: Answer, out: Path | None, *, as_csv: bool, as_json: bool) -> None:
    if out is not None:
        text = output.json_text(answer.objects()) + "\n" if as_json else answer.as_csv()
        out.write_text(text, encoding="utf-8")
        output.message(f"{output.counted(len(answer.rows), 'row')} written to {out}")
    elif as_json:
        output.print_json(answer.objects())
    elif as_csv:
        print(answer.as_csv(), end="")
    else:
        output.print_table(answer.names, answer.rows)
        rows = output.counted(len(answer.rows), "row")
        output.message(f"{rows} · {answer.milliseconds} ms · {answer.scanned_bytes:,} bytes read")
