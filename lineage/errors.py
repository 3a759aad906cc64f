"""What the ledger raises.

LedgerError
├── NotInLedger          a tenant, dataset, run or file that has no entry
├── RunOpen              the job already has an open run on this dataset
│   └── NoSeat           the tenant has as many runs in flight as it may have
├── NothingClaimed       every file of the batch belongs to somebody else by now
├── RunNotOpen           the run was fenced, has ended, or belongs to another Glue run: stop working
├── OutputTaken          an output is already the work of another completed run
├── Unreadable           a row that is not as the ledger writes it; a tenant's jobs may write any into its own
├── ConditionFailed      (lineage.store) a conditional write was refused; the ledger turns it into one of the above
└── Cancelled            (lineage.store) the same for a transaction
"""


class LedgerError(Exception):
    """Root of everything the ledger raises on purpose."""


class NotInLedger(LedgerError):
    """Raised when a named tenant, dataset, run or file has no entry."""


class RunOpen(LedgerError):
    """Raised by `begin` when a living run of the same tenant, dataset and job exists; dispatch again when it ends."""


class NoSeat(RunOpen):
    """Raised by `begin` when the tenant has as many runs in flight as it may have; dispatch again when one ends."""


class NothingClaimed(LedgerError):
    """Raised by `begin` when no file of the batch could be claimed; nothing was started."""


class RunNotOpen(LedgerError):
    """Raised when a run may not go on: it is fenced, ended, or another Glue run took it. Write nothing, end quietly."""


class Unreadable(LedgerError, ValueError):
    """Raised when a row is not as the ledger writes it. Whose it is, is the only one whom that may keep waiting."""


class OutputTaken(LedgerError):
    """Raised by `commit` when an output version is already the work of another completed run."""
