"""A word to dispatch that something waits, so that it starts at once and not with the next scheduled look."""

import json
from collections.abc import Iterable
from contextlib import suppress

from cli.connection import Connection

__all__ = ["wake"]


def wake(connection: Connection, tenant: str, datasets: Iterable[str]) -> None:
    """Best effort: where the function cannot be invoked from here, its schedule looks within a minute."""
    from botocore.exceptions import ClientError

    from glue_scripts.arguments import JOBS

    functions = connection.client("lambda")
    payloads = [{"tenant": tenant, "dataset": dataset, "job": job} for dataset in datasets for job in JOBS]
    with suppress(ClientError):
        for payload in payloads:
            functions.invoke(
                FunctionName=connection.platform.dispatch_function,
                InvocationType="Event",
                Payload=json.dumps(payload).encode(),
            )
