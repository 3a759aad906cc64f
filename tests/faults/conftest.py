"""Nothing of the developer's own account, region or endpoint reaches a test; a ledger table at moto for some."""

from tests.faults.lake import played
from tests.lineage.conftest import _ambient, aws, clock, ledger

__all__ = ["_ambient", "aws", "clock", "ledger", "played"]
