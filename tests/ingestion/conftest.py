"""The ledger of tests/lineage, for the functions that write to it."""

from tests.lineage.conftest import _ambient, aws, clock, ledger

__all__ = ["_ambient", "aws", "clock", "ledger"]
