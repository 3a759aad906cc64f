"""Free ports on the loopback interface, kept from one start to the next where possible."""

import random
import socket
from urllib.parse import urlsplit

from local_cloud.errors import PortInUseError
from local_cloud.state import HOST

# Below the ranges from which systems take ports for outgoing connections, so that a port is still free after a pause.
FIRST, LAST = 20000, 30000
ATTEMPTS = 200


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(wanted: int | None, taken: set[int]) -> int:
    """`wanted` while it is free and not in `taken`, else any free port."""
    if wanted and wanted not in taken and is_free(wanted):
        return wanted
    generator = random.SystemRandom()
    for _ in range(ATTEMPTS):
        port = generator.randrange(FIRST, LAST)
        if port not in taken and is_free(port):
            return port
    raise PortInUseError(f"{HOST}: no free port found between {FIRST} and {LAST}; end programs that listen there")


def of(url: str) -> int | None:
    return urlsplit(url).port
