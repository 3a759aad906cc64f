"""What keeps a stack from its template, or what is known of it from being kept.

DeployError
├── StackError      CloudFormation could not make or change a resource; names it with its reason
├── StuckError      the stack is in a state that only a person can decide about
├── BootstrapError  the account has no bucket for assets
├── Locked          another deploy is at work in the cell
└── Overtaken       another deploy has written what is known of the stacks
"""

__all__ = ["BootstrapError", "DeployError", "Locked", "Overtaken", "StackError", "StuckError"]


class DeployError(Exception):
    """Raised when a stack does not reach its template."""


class StackError(DeployError):
    """Raised when CloudFormation could not make or change a resource."""


class StuckError(DeployError):
    """Raised when a stack's state needs a person's decision."""


class BootstrapError(DeployError):
    """Raised when assets have nowhere to go."""


class Locked(DeployError):
    """Raised when another deploy is at work; wait for it."""


class Overtaken(DeployError):
    """Raised when another deploy has written since; read again, or stop."""
