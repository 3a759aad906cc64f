"""One JSON line per thing that happened, on stdout, where CloudWatch Logs finds the fields again."""

import json
import sys
from datetime import UTC, datetime
from typing import Any


def write(event: str, **fields: Any) -> None:
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    sys.stdout.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()
