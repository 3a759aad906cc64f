"""Errors of the runner.

Refused             GitHub would not begin such a run, or this runner cannot
└── Unsupported     GitHub would; this runner knows no such thing
"""

__all__ = ["Refused", "Unsupported"]


class Refused(Exception):
    """Raised before anything runs: wrong inputs, a file with faults, more rights than the caller has."""


class Unsupported(Refused):
    """Raised rather than skipping in silence what this runner cannot do."""
