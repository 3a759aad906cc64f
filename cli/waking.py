"""A word to dispatch that something waits, so that it starts at once and not with the next scheduled look."""

import json
from collections.abc import Iterable

from cli.connection import Connection

__all__ = ["wake"]


def wake(connection: Connection, tenant: str, datasets: Iterable[str]) -> None:
    """Safe to repeat and to leave out: without the right to invoke the function, dispatch looks within a minute."""
    from botocore.exceptions import ClientError

    from glue_scripts.arguments import JOBS

    functions = connection.client("lambda")
    for dataset in datasets:
        for job in JOBS:
            payload = {"tenant": tenant, "dataset": dataset, "job": job}
            try:
                functions.invoke(
                    FunctionName=connection.platform.dispatch_function,
                    InvocationType="Event",
                    Payload=json.dumps(payload).encode(),
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in {"AccessDenied", "AccessDeniedException"}:
                    raise
                return
