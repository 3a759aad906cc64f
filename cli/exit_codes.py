"""What `lake` says to a shell when it ends."""

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """Exit codes; `INPUT` is also what click uses for a wrong option.

    `CHANGES`: what was compared differs. `REFUSED`: nothing may be deployed as it is.
    """

    OK = 0
    FAILED = 1
    INPUT = 2
    NOT_FOUND = 3
    CHANGES = 10
    REFUSED = 11
    INTERRUPTED = 130
