"""What goes wrong in the control plane.

ArrivalError             the message goes back to the queue, and after its last try to the dead-letter queue
├── NotAnArrival         it is not an S3 "Object Created" event
└── UnknownBucket        no tenant of this environment has the bucket
NoPlace                  Glue runs as many jobs as it may; the tenant takes its turn
WebhookRefused           an alert did not reach the chat; SNS tries again
"""


class ArrivalError(Exception):
    """Root of what keeps a message out of the ledger; the queue keeps the message."""


class NotAnArrival(ArrivalError):
    """Raised when a message is not an S3 "Object Created" event as EventBridge delivers it."""


class UnknownBucket(ArrivalError):
    """Raised when no tenant has the bucket: deploy the tenant, then redrive the dead-letter queue."""


class NoPlace(Exception):
    """Raised when Glue has no place for a run: of the account, or among the runs that the job may have at a time."""


class WebhookRefused(Exception):
    """Raised when a webhook is no URL that may be posted to, or its host did not take the alert."""
