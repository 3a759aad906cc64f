"""What the tests of this folder have to say at the end of a run, by what it is about."""

__all__ = ["SAID"]

SAID: dict[str, str] = {}
