"""`lake queue`: what waits to be registered, and what could not be."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, Connection, suffix_of, within_reach
from cli.errors import LakeError
from cli.options import EnvironmentOption, JsonOption

__all__ = ["Letter", "app", "depths", "letters", "move"]

app = typer.Typer(no_args_is_help=True)

SHOWN = 10
PAGE = 10  # messages in one request, SQS's limit
LOOK_S = 10  # how long a message is out of sight while it is looked at; it is given back at once
MOVE_S = 120  # the same while it is moved
WAIT_S = 1  # for the second of two empty answers
EMPTY = 2  # empty answers in a row before a queue counts as empty: one answer asks some of its servers only

COUNTS = {
    "visible": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}
COLUMNS = ("sent", "tries", "bucket", "key", "why")


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A message of the dead-letter queue. `sent`: when its event was first put on a queue."""

    id: str
    bucket: str | None
    key: str | None
    tries: int
    sent: datetime
    why: str


@app.command()
def show(*, environment: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show how many arrivals wait, and the first dead letters with the reason where it is known."""
    rows: list[dict[str, Any]] = []
    found: list[Letter] = []
    for connection in within_reach(environment):
        sqs = connection.client("sqs")
        queue, dead = connection.platform.queue, connection.platform.dead_letter_queue
        rows += [{"queue": name} | depths(sqs, url_of(sqs, name, connection)) for name in (queue, dead)]
        found += letters(connection, sqs, url_of(sqs, dead, connection))
    oldest = min((letter.sent for letter in found), default=None)
    if as_json:
        output.print_json(
            {"queues": rows, "oldest_dead_letter": oldest, "dead_letters": [asdict(one) for one in found]}
        )
        return
    output.print_table(("queue", *COUNTS), rows)
    if found:
        print()
        output.print_table(COLUMNS, [{column: getattr(letter, column) for column in COLUMNS} for letter in found])
        output.message(f"when the reason is gone: `lake queue redrive{suffix_of(environment)}`")


@app.command()
def redrive(
    *,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="At most so many; all if not given.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Move nothing, only say how many there are.")] = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Put dead letters back on the queue of arrivals. Safe to repeat: what is registered already is not again."""
    there = moved = left = 0
    for connection in within_reach(environment):
        sqs, platform = connection.client("sqs"), connection.platform
        queue, dead = (url_of(sqs, name, connection) for name in (platform.queue, platform.dead_letter_queue))
        here = sum(depths(sqs, dead).values())
        gone = 0 if dry_run else move(sqs, dead, queue, limit=None if limit is None else limit - moved)
        left += sum(depths(sqs, dead).values()) if gone else here
        there, moved = there + here, moved + gone
    wanted = there if limit is None else min(limit, there)
    if as_json:
        output.print_json({"dry_run": dry_run, "moved": moved, "would_move": wanted if dry_run else None, "left": left})
    elif dry_run:
        output.message(f"would move {output.counted(wanted, 'message')} of {there:,}")
    else:
        output.message(f"{output.counted(moved, 'message')} moved, about {left:,} left; `lake queue show` tells more")


def url_of(sqs: Any, name: str, connection: Connection) -> str:
    from botocore.exceptions import ClientError

    try:
        return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except ClientError as error:
        if "NonExistentQueue" not in error.response["Error"]["Code"]:
            raise
        raise LakeError(
            f"queue {name} does not exist: deploy the platform first, `lake deploy{connection.suffix}`"
        ) from error


def depths(sqs: Any, url: str) -> dict[str, int]:
    """About how many messages a queue holds, by what they do."""
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS.values()))["Attributes"]
    return {name: int(found.get(attribute, 0)) for name, attribute in COUNTS.items()}


def letters(connection: Connection, sqs: Any, url: str, limit: int = SHOWN) -> list[Letter]:
    """The first messages of the dead-letter queue, which stay there."""
    found: dict[str, Mapping[str, Any]] = {}
    for page in _pages(sqs, url, visibility=LOOK_S):
        found |= {message["MessageId"]: message for message in page}
        if len(found) >= limit:
            break
    _give_back(sqs, url, list(found.values()))
    ordered = sorted(found.values(), key=_sent)
    return [_letter(message, connection.ledger.tenant_of_bucket) for message in ordered[:limit]]


def _pages(sqs: Any, url: str, *, visibility: int) -> Iterator[list[Mapping[str, Any]]]:
    """Messages until the queue seems empty."""
    empty = 0
    while empty < EMPTY:
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=PAGE,
            VisibilityTimeout=visibility,
            WaitTimeSeconds=WAIT_S if empty else 0,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        page = answer.get("Messages", [])
        empty = 0 if page else empty + 1
        if page:
            yield page


def _give_back(sqs: Any, url: str, messages: Sequence[Mapping[str, Any]]) -> None:
    for start in range(0, len(messages), PAGE):
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, message in enumerate(messages[start : start + PAGE])
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _sent(message: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)


def _letter(message: Mapping[str, Any], tenant_of: Callable[[str], str | None]) -> Letter:
    bucket, key = _object(message["Body"])
    return Letter(
        id=message["MessageId"],
        bucket=bucket,
        key=key,
        tries=int(message["Attributes"].get("ApproximateReceiveCount", 0)),
        sent=_sent(message),
        why=_why(message, bucket, tenant_of),
    )


def _object(body: str) -> tuple[str | None, str | None]:
    """Bucket and key of an S3 event as EventBridge puts it on the queue."""
    try:
        detail = json.loads(body)["detail"]
        return str(detail["bucket"]["name"]), str(detail["object"]["key"])
    except (ValueError, KeyError, TypeError):
        return None, None


def _why(message: Mapping[str, Any], bucket: str | None, tenant_of: Callable[[str], str | None]) -> str:
    told = message.get("MessageAttributes", {}).get("ERROR_MESSAGE", {}).get("StringValue")
    if told:
        return f"EventBridge could not deliver it: {told}"
    if bucket is None:
        return "it is not an S3 event from EventBridge: nobody can register it"
    tenant = tenant_of(bucket)
    if tenant is None:
        return "no tenant has this bucket: deploy it, then redrive"
    return f"could not be registered for {tenant}: the log of the register function says why"


def move(sqs: Any, source: str, target: str, *, limit: int | None = None) -> int:
    """Messages from one queue to the other; gives how many.

    Sent before deleted: a crash in between leaves a message on both, which registers once. What comes back while this
    goes on has failed anew and stays.
    """
    began = time.time()
    moved = 0
    for page in _pages(sqs, source, visibility=MOVE_S):
        old = [message for message in page if _sent(message).timestamp() < began]
        wanted = old[: None if limit is None else limit - moved]
        _give_back(sqs, source, [message for message in page if message not in wanted])
        moved += _move(sqs, source, target, wanted)
        if len(wanted) < len(page) or moved == limit:
            break
    return moved


def _move(sqs: Any, source: str, target: str, messages: Sequence[Mapping[str, Any]]) -> int:
    if not messages:
        return 0
    entries = [{"Id": str(number)} | _again(message) for number, message in enumerate(messages)]
    answer = sqs.send_message_batch(QueueUrl=target, Entries=entries)
    for refused in answer.get("Failed", []):
        output.message(f"message {messages[int(refused['Id'])]['MessageId']} not moved: {refused.get('Message')}")
    sent = [messages[int(done["Id"])] for done in answer.get("Successful", [])]
    if sent:
        handles = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]} for number, message in enumerate(sent)
        ]
        sqs.delete_message_batch(QueueUrl=source, Entries=handles)
    return len(sent)


def _again(message: Mapping[str, Any]) -> dict[str, Any]:
    """The event as it was; in the same group, which keeps a tenant's messages in line with others'."""
    group = message["Attributes"].get("MessageGroupId")
    return {"MessageBody": message["Body"]} | ({"MessageGroupId": group} if group else {})
