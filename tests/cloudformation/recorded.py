"""`lake`, with every AWS call that it makes written down: `python -m tests.cloudformation.recorded FILE ARGUMENT…`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from botocore.client import BaseClient

from tests.bucket_owners import whose

# What the local cloud is made ready with, and what it leaves out of a template: an account has it done for it.
ONLY_LOCAL = "local_cloud"


def main() -> None:
    file = Path(sys.argv.pop(1))
    call = BaseClient._make_api_call

    def recording(client: Any, operation: str, given: dict[str, Any]) -> Any:
        by = client._request_signer._credentials
        line = {
            "service": client.meta.service_model.service_name,
            "operation": operation,
            "given": given,
            "room": whose(sys._getframe(1)),
            # Calls as somebody else, whose role was assumed, are that role's.
            "own": by is not None and by.access_key == os.environ.get("AWS_ACCESS_KEY_ID"),
        }
        with file.open("a") as lines:
            lines.write(json.dumps(line, default=str) + "\n")
        return call(client, operation, given)

    BaseClient._make_api_call = recording
    from cli.app import main as lake

    lake()


if __name__ == "__main__":
    main()
