"""What keeps a stack from its template.

DeployError
├── StackError      CloudFormation could not make or change a resource; names it with its reason
├── StuckError      the stack is in a state that only a person can decide about
└── BootstrapError  the account has no bucket for assets
"""

__all__ = ["BootstrapError", "DeployError", "StackError", "StuckError"]


class DeployError(Exception):
    """Raised when a stack does not reach its template."""


class StackError(DeployError):
    """Raised when CloudFormation could not make or change a resource."""


class StuckError(DeployError):
    """Raised when a stack's state needs a person's decision."""


class BootstrapError(DeployError):
    """Raised when assets have nowhere to go."""
