"""`lake put`: files into a tenant's lake, and the wait until their rows can be asked for."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from cli import output
from cli.connection import LOCAL, Connection, connect
from cli.errors import LakeError, WrongInput
from cli.files import KEYS
from cli.hold import why_held
from cli.journey import Arrival, Journey, few, follow, refused
from cli.keys import Address, address, routes
from cli.options import EnvironmentOption, JsonOption, TenantArgument

__all__ = ["Upload", "put", "upload"]

CHECKSUM = "sha256"
"""Name of the object metadata that holds the content's SHA-256; an ETag is none under KMS or multipart."""


def put(
    tenant: TenantArgument,
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to put.")],
    *,
    to: Annotated[str | None, typer.Option(metavar="PREFIX", help="Folder under raw/ to put them in.")] = None,
    key: Annotated[str | None, typer.Option(help="Whole key, for a single file.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset they are meant for.")] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait until the rows are queryable.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="Seconds to wait at most.")] = 300,
    again: Annotated[bool, typer.Option("--again", help="Put also what is already there unchanged.")] = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Put files into a tenant's lake.

    A file goes to raw/NAME if a contract of the tenant takes that key, else to raw/DATASET/NAME: for the dataset
    that --dataset or the beginning of its name says.
    With --wait the exit code is 0 once every row is queryable, 1 if a file was refused, if time is up, or at once if
    the tenant is held: then its files wait until `lake release`.
    """
    _check(paths, to, key)
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    if dataset is not None:
        connection.dataset(tenant, dataset)
    known = routes(connection.registry, tenant)
    addresses = [address(path, known, to=to, key=key, dataset=dataset) for path in paths]
    _warn(addresses, known, dataset)
    arrivals = upload(connection, [Upload(tenant, each) for each in addresses], again=again)
    held = why_held(connection, tenant)
    if held and not wait:
        output.message(f"warning: {held}")
    journey = follow(connection.ledger, arrivals, 0 if held else timeout) if wait else Journey(arrivals)
    report(journey, as_json=as_json)
    if wait and not journey.is_good():
        raise LakeError(refused(journey, timeout, why_held(connection, tenant)))


def _check(paths: Sequence[Path], to: str | None, key: str | None) -> None:
    if to is not None and key is not None:
        raise WrongInput("--to and --key exclude each other")
    if key is not None and len(paths) != 1:
        raise WrongInput(f"--key names one object, but {len(paths)} files are given: use --to PREFIX")
    wrong = [
        f"{path}: {'is a folder, name its files' if path.is_dir() else 'no such file'}"
        for path in paths
        if not path.is_file()
    ]
    if wrong:
        raise WrongInput("\n".join(wrong))
    twice = sorted({path.name for path in paths if [each.name for each in paths].count(path.name) > 1})
    if twice:
        raise WrongInput(f"files of the same name would overwrite each other: {', '.join(twice)}")


def _warn(addresses: Sequence[Address], known: dict[str, tuple[str, ...]], dataset: str | None) -> None:
    for each in addresses:
        if each.dataset is None:
            globs = "; ".join(f"{name}: {', '.join(takes)}" for name, takes in known.items())
            output.message(f"warning: no contract takes {each.key}, it will be UNROUTED; contracts take {globs}")
        elif dataset not in {None, each.dataset}:
            output.message(f"warning: {each.key} belongs to dataset {each.dataset}, not {dataset}")


class Upload:
    """A file on its way to a tenant's bucket."""

    def __init__(self, tenant: str, to: Address) -> None:
        self.tenant, self.to = tenant, to
        self.size = to.path.stat().st_size

    def digest(self) -> str:
        with self.to.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def arrival(self, head: dict[str, Any], *, unchanged: bool = False, since: datetime | None = None) -> Arrival:
        return Arrival(
            self.tenant,
            self.to.key,
            head.get("VersionId"),
            self.to.dataset,
            self.size,
            unchanged=unchanged,
            since=since or head["LastModified"],
        )


def upload(connection: Connection, uploads: Sequence[Upload], *, again: bool = False) -> list[Arrival]:
    """Put each file unless its key already holds these bytes; big ones go in parts."""
    s3 = connection.client("s3")
    with _progress(sum(each.size for each in uploads)) as advance:
        arrivals = [_put(s3, connection.names(each.tenant).bucket, each, advance, again=again) for each in uploads]
    same = [each.key for each in arrivals if each.unchanged]
    if same:
        output.message(f"{len(same)} of {len(arrivals)} unchanged, not put again (--again does): {few(same)}")
    return arrivals


def _put(s3: Any, bucket: str, upload: Upload, advance: Any, *, again: bool) -> Arrival:
    digest = upload.digest()
    old = _head(s3, bucket, upload.to.key)
    same = old is not None and old.get("Metadata", {}).get(CHECKSUM) == digest
    if old is not None and same and not again:
        advance(upload.size)
        return upload.arrival(old, unchanged=True)
    s3.upload_file(
        str(upload.to.path), bucket, upload.to.key, ExtraArgs={"Metadata": {CHECKSUM: digest}}, Callback=advance
    )
    new = _head(s3, bucket, upload.to.key)
    if new is None or new.get("Metadata", {}).get(CHECKSUM) != digest:
        raise LakeError(f"{upload.to.key}: somebody else wrote this key at the same time; see `lake files`")
    return upload.arrival(new, since=old["LastModified"] if old is not None and same else None)


def _head(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        head: dict[str, Any] = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    return head


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A function that takes bytes as they go; a bar on a terminal."""
    if not output.is_interactive():
        yield lambda _bytes: None
        return
    parts = (TextColumn("putting"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*parts, console=output.messages(), transient=True) as bar:
        task: TaskID = bar.add_task("put", total=total)
        yield lambda count: bar.advance(task, count)


def report(journey: Journey, *, as_json: bool) -> None:
    """One row per file with the keys of `lake files`; state PUT when nobody waited."""
    rows = [_row(journey, each) for each in journey.arrivals]
    if as_json:
        output.print_json(rows)
    else:
        output.print_table(("key", "dataset", "state", "rows", "rejected", "reason"), rows)


def _row(journey: Journey, arrival: Arrival) -> dict[str, Any]:
    state = journey.states.get(arrival.id)
    row = dict.fromkeys(KEYS) | {"key": arrival.key, "version": arrival.version, "dataset": arrival.dataset}
    if state is not None:
        row |= {name: getattr(state, name) for name in KEYS if name != "version"}
    return row | {"state": journey.state(arrival)}
