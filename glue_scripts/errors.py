"""What the jobs raise.

JobError
├── ArgumentMissing      the job was started without an argument it needs
├── PlanUnreadable       the dataset's plan in the ledger is not what this code can execute
├── CommitObjectUnreadable   a commit object is gone or is not what `raw_to_processed` writes
├── PartitionNotRegistered   Glue refused a partition
├── TableUnfit           the table in analytics-ready has a shape the plan cannot be written into
├── TableMoved           somebody else has committed to the table since this run looked at it
└── ErrandRefused        what an errand asks for cannot be done
"""


class JobError(Exception):
    """Root of everything the jobs raise on purpose."""


class ArgumentMissing(JobError):
    """Raised when an argument of the job's definition or of its run is absent."""


class PlanUnreadable(JobError):
    """Raised when a plan lacks a part or holds one of the wrong kind; deploy the tenant again."""


class CommitObjectUnreadable(JobError):
    """Raised when a commit object is gone or is not the JSON that `raw_to_processed` writes."""


class TableUnfit(JobError):
    """Raised when a column of the table and of the contract differ in a way no table can follow."""


class TableMoved(JobError):
    """Raised when a commit to the table was refused, or has an unknown outcome, because of others' commits."""


class ErrandRefused(JobError):
    """Raised when an errand names what is not there, or asks for what its dataset's format does not offer."""


class PartitionNotRegistered(JobError):
    """Raised when Glue refuses a partition for another reason than that it has it."""
