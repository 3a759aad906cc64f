"""What `lake` says to a shell when it ends."""

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """Exit codes; `INPUT` is also what click uses for a wrong option."""

    OK = 0
    FAILED = 1
    INPUT = 2
    NOT_FOUND = 3
    INTERRUPTED = 130
