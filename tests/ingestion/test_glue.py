import pytest
from botocore.exceptions import ClientError

from ingestion.errors import JobFull, NoPlace
from ingestion.glue import GlueJobs, is_busy, is_job_full
from tests.ingestion.builders import Glue


def test_a_run_is_started_with_its_id_as_the_only_argument():
    glue = Glue()

    assert GlueJobs(glue).start("lake-acme-dev-maintain", "e1") == "jr_1"
    assert glue.started == [("lake-acme-dev-maintain", {"--run": "e1"})]


def test_a_glue_that_wants_fewer_calls_is_tried_again_with_growing_pauses():
    pauses: list[float] = []

    assert GlueJobs(Glue(errors=("ThrottlingException",) * 3), sleep=pauses.append).start("job", "r1") == "jr_1"
    assert [0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses)] == [True, True, True]


@pytest.mark.parametrize(("errors", "pauses"), [(("ThrottlingException",) * 5, 4), (("EntityNotFoundException",), 0)])
def test_what_does_not_pass_is_raised(errors, pauses):
    slept: list[float] = []

    with pytest.raises(ClientError, match=errors[0]):
        GlueJobs(Glue(errors=errors), sleep=slept.append).start("job", "r1")
    assert len(slept) == pauses


@pytest.mark.parametrize(
    ("error", "refusal"),
    [("ConcurrentRunsExceededException", JobFull), ("ResourceNumberLimitExceededException", NoPlace)],
)
def test_nobody_sleeps_for_a_place_and_it_is_told_whose_are_taken(error, refusal):
    slept: list[float] = []

    with pytest.raises(refusal, match=error) as refused:
        GlueJobs(Glue(errors=(error,)), sleep=slept.append).start("job", "r1")
    assert slept == []
    assert is_busy(f"could not be started: {refused.value}")
    assert is_job_full(f"could not be started: {refused.value}") == (refusal is JobFull)


def test_a_glue_run_is_stopped_once():
    glue = Glue()

    assert GlueJobs(glue).stop("job", "jr_1")
    assert not GlueJobs(glue).stop("job", "jr_1")
    assert glue.stopped == [("job", "jr_1")]


def test_a_glue_run_tells_what_it_was_started_for():
    glue = Glue()
    glue.start_job_run(JobName="job", Arguments={"--run": "e1"})
    glue.start_job_run(JobName="job", Arguments={})

    assert GlueJobs(glue).started_for("job", "jr_1") == "e1"
    assert GlueJobs(glue).started_for("job", "jr_2") is None


def test_an_error_says_whether_glue_was_only_busy():
    assert is_busy("could not be started: An error occurred (ThrottlingException) when calling StartJobRun: Rate")
    assert not is_busy("Glue run jr_1: FAILED. No space left on device")
    assert not is_busy(None)
