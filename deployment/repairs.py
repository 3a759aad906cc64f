"""What a stack needs before it can take a template, by the state that CloudFormation says it is in.

Who was interrupted, or failed half-way, leaves such states. Each has one known step out of it, and no step touches what
a tenant has: a stack is deleted only in a state that means that it never stood, and only if no deploy knows otherwise.
"""

from enum import Enum

from deployment.errors import StuckError

__all__ = ["SETTLED", "Step", "step"]

SETTLED = frozenset({"CREATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE"})
"""States in which a stack is what its template says."""


class Step(Enum):
    """The next thing to do with a stack."""

    CREATE = "create"
    UPDATE = "update"
    WAIT = "wait until nothing is in progress"
    CLEAR = "delete what a creation left that never succeeded"
    CONTINUE = "continue the rollback of an update"
    TAKE_BACK = "roll a failed update back"


_STEPS = {
    # Nothing of these was ever in use: CloudFormation has taken back, or asks to take back, whatever it made.
    **dict.fromkeys(("CREATE_FAILED", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"), Step.CLEAR),
    "UPDATE_ROLLBACK_FAILED": Step.CONTINUE,
    "UPDATE_FAILED": Step.TAKE_BACK,
    "DELETE_COMPLETE": Step.CREATE,
    **dict.fromkeys(
        (*SETTLED, "UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"),
        Step.UPDATE,
    ),
}


def step(name: str, status: str | None, *, stood: bool = False) -> Step:
    """The step for stack `name` in `status`, None where there is no stack; raises StuckError if a person must decide.

    `stood`: a deploy has recorded that the stack once was what it should be.
    """
    if status is None:
        return Step.CREATE
    found = _STEPS.get(status)
    if found is Step.CLEAR and stood:
        raise StuckError(
            f"stack {name}: is in state {status}, as if it had never been made, but an earlier deploy recorded "
            "that it stood, so it is not deleted: see what is left of it, then `aws cloudformation delete-stack "
            f"--stack-name {name}` and deploy again"
        )
    if found is not None:
        return found
    if status.endswith("_IN_PROGRESS"):
        return Step.WAIT
    raise StuckError(f"stack {name}: is in state {status}: {_ADVICE.get(status, _UNKNOWN)}")


_UNKNOWN = "no way out of it is known here; bring it to an end in CloudFormation, then deploy again"
_ADVICE = {
    "DELETE_FAILED": "its deletion was begun and failed; finish it in CloudFormation, then deploy again",
    "IMPORT_ROLLBACK_FAILED": "an import could not be taken back; finish it in CloudFormation, then deploy again",
}
