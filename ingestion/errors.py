"""What goes wrong in the control plane.

ArrivalError             the message goes back to the queue, and after its last try to the dead-letter queue
├── NotAnArrival         it is not an S3 "Object Created" event
└── UnknownBucket        no tenant of this environment has the bucket
Refused                  Glue has no room for a run now
├── NoPlace              not in the whole account; the tenant takes its turn
└── JobFull              not for this job, which runs as often as it may: only its own ends make room
WebhookRefused           an alert did not reach the chat; SNS tries again
"""


class ArrivalError(Exception):
    """Root of what keeps a message out of the ledger; the queue keeps the message."""


class NotAnArrival(ArrivalError):
    """Raised when a message is not an S3 "Object Created" event as EventBridge delivers it."""


class UnknownBucket(ArrivalError):
    """Raised when no tenant has the bucket: deploy the tenant, then redrive the dead-letter queue."""


class Refused(Exception):
    """Root of what passes with the end of another run, minutes later perhaps."""


class NoPlace(Refused):
    """Raised when the account runs as much as it may: whoever asks next is refused too."""


class JobFull(Refused):
    """Raised when a tenant's job runs as often as it may, hung runs included: no concern of other tenants."""


class WebhookRefused(Exception):
    """Raised when a webhook is no URL that may be posted to, or its host did not take the alert."""
