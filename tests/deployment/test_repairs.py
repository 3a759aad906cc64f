"""Every state of a stack has one step out of it, or is a person's."""

import botocore.session
import pytest

from deployment.errors import StuckError
from deployment.repairs import Step, step

STATES = {
    None: Step.CREATE,
    "CREATE_COMPLETE": Step.UPDATE,
    "CREATE_FAILED": Step.CLEAR,
    "CREATE_IN_PROGRESS": Step.WAIT,
    "DELETE_COMPLETE": Step.CREATE,
    "DELETE_FAILED": None,
    "DELETE_IN_PROGRESS": Step.WAIT,
    "IMPORT_COMPLETE": Step.UPDATE,
    "IMPORT_IN_PROGRESS": Step.WAIT,
    "IMPORT_ROLLBACK_COMPLETE": Step.UPDATE,
    "IMPORT_ROLLBACK_FAILED": None,
    "IMPORT_ROLLBACK_IN_PROGRESS": Step.WAIT,
    "REVIEW_IN_PROGRESS": Step.CLEAR,
    "ROLLBACK_COMPLETE": Step.CLEAR,
    "ROLLBACK_FAILED": Step.CLEAR,
    "ROLLBACK_IN_PROGRESS": Step.WAIT,
    "UPDATE_COMPLETE": Step.UPDATE,
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": Step.WAIT,
    "UPDATE_FAILED": Step.TAKE_BACK,
    "UPDATE_IN_PROGRESS": Step.WAIT,
    "UPDATE_ROLLBACK_COMPLETE": Step.UPDATE,
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": Step.WAIT,
    "UPDATE_ROLLBACK_FAILED": Step.CONTINUE,
    "UPDATE_ROLLBACK_IN_PROGRESS": Step.WAIT,
}


@pytest.mark.parametrize(("status", "expected"), STATES.items(), ids=str)
def test_each_state_has_its_step(status, expected):
    if expected is None:
        with pytest.raises(StuckError, match=f"stack a: is in state {status}: .*then deploy again"):
            step("a", status)
    else:
        assert step("a", status) is expected


def test_the_states_are_those_that_cloudformation_has():
    model = botocore.session.get_session().get_service_model("cloudformation")

    assert {each for each in STATES if each} == set(model.shape_for("StackStatus").enum)


@pytest.mark.parametrize("status", [each for each, expected in STATES.items() if expected is not Step.CLEAR])
def test_that_a_stack_stood_changes_nothing_of_steps_that_delete_nothing(status):
    try:
        expected = step("a", status)
    except StuckError:
        return
    assert step("a", status, stood=True) is expected


@pytest.mark.parametrize("status", [each for each, expected in STATES.items() if expected is Step.CLEAR])
def test_a_stack_that_stood_is_not_deleted(status):
    with pytest.raises(StuckError, match=r"recorded that it stood, so it is not deleted.*delete-stack --stack-name a"):
        step("a", status, stood=True)
