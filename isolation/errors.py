"""What the proof refuses to guess.

IsolationError
├── UnknownIntrinsic    a function or reference of a template that is not modelled
├── UnknownType         a type of resource that nobody has said anything about
├── UnknownPolicy       a policy, or a part of one, whose meaning is not known here
├── UnknownCondition    a condition operator that is not modelled
└── UnknownService      actions of a service whose actions are not in the catalogue
"""

__all__ = [
    "IsolationError",
    "UnknownCondition",
    "UnknownIntrinsic",
    "UnknownPolicy",
    "UnknownService",
    "UnknownType",
]


class IsolationError(Exception):
    """Raised when nothing can be proved, because something in a template is not understood."""


class UnknownIntrinsic(IsolationError):
    """Raised when a value of a template cannot be resolved to plain text."""


class UnknownType(IsolationError):
    """Raised when it is not said who may act on a resource of this type."""


class UnknownPolicy(IsolationError):
    """Raised when a policy has a form, or refers to a document, that is not modelled."""


class UnknownCondition(IsolationError):
    """Raised when a condition uses an operator that is not modelled."""


class UnknownService(IsolationError):
    """Raised when a tenant's role is allowed something of a service that nobody has asked about."""
