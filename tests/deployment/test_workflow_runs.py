import boto3
import moto
import pytest

from deployment.errors import DeployError
from deployment.workflow_runs import Row, WorkflowRun
from lineage.bucket_owner import insisting

ACCOUNT = "123456789012"
ACME, GLOBEX = (
    Row("dev", "acme", "created", 1.5, changes=("state: active → suspended",)),
    Row("dev", "globex", "failed"),
)


@pytest.fixture
def attempt(monkeypatch):
    """The run 7 in its first, second, … attempt."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        s3 = insisting(boto3.client("s3", region_name="us-east-1"), ACCOUNT)
        s3.create_bucket(Bucket="state")
        yield lambda number, run="7", repository="5": WorkflowRun(
            s3, "state", "mycompany-dev-platform", repository, run, str(number)
        )


def test_what_one_job_tells_another_reads(attempt):
    attempt(1).tell("portion-1", [ACME, GLOBEX])
    attempt(1).tell("first-1", [])

    assert attempt(1).told() == {"portion-1": [ACME, GLOBEX], "first-1": []}


def test_of_a_portion_that_was_done_twice_the_later_word_counts(attempt):
    attempt(9).tell("portion-1", [GLOBEX])
    attempt(10).tell("portion-1", [ACME])
    attempt(9).tell("portion-2", [GLOBEX])

    assert attempt(10).told() == {"portion-1": [ACME], "portion-2": [GLOBEX]}
    assert attempt(9).told() == {"portion-1": [GLOBEX], "portion-2": [GLOBEX]}


def test_what_was_told_of_another_plan_or_in_another_run_is_not_read(attempt):
    attempt(1).tell("portion-1", [GLOBEX])
    attempt(1, "77").tell("portion-1", [GLOBEX])

    assert attempt(2).told(since="2") == {}
    assert attempt(1, "8").told() == {}


def test_a_run_that_is_stopped_may_be_tried_again(attempt):
    assert attempt(1).stopped() is None

    attempt(1).stop("portion-1 had too many failures")

    assert attempt(1).stopped() == "portion-1 had too many failures"
    assert attempt(2).stopped() is None
    assert attempt(1).told() == {}


def test_a_run_is_overtaken_by_one_that_was_started_after_it_and_began_something(attempt):
    attempt(1, "9").begin("portion-1", {"acme"})

    assert attempt(1, "9").overtaken() is None
    assert attempt(1, "10").overtaken() is None

    attempt(1, "10").begin("portion-1", {"acme"})

    assert attempt(2, "9").overtaken() == (
        "workflow run 10 has begun something here after run 9 was started: start a new run"
    )
    assert attempt(1, "10").overtaken() is None


def test_a_run_that_was_stopped_or_told_of_what_it_did_not_begin_overtakes_nobody(attempt):
    later = attempt(1, "10")
    later.tell("portion-1", [Row("dev", "acme", "not begun"), Row("dev", "beta", "outdated"), GLOBEX])
    later.stop("portion-1 had too many failures")
    later.begin("portion-2", ())

    assert attempt(1, "9").overtaken() is None


def test_who_is_suspended_or_resumed_is_overtaken_only_by_what_was_begun_of_the_same_tenants_or_the_platform(attempt):
    attempt(1, "10").begin("portion-1", {"acme", "beta"})
    attempt(2, "11").begin("first-1", {None, "gamma"})

    assert "workflow run 10 has begun" in attempt(1, "9").overtaken({"globex", "acme"})
    assert "workflow run 11 has begun" in attempt(1, "9").overtaken({"globex", None})
    assert attempt(1, "9").overtaken({"globex"}) is None
    assert attempt(1, "10").overtaken({"acme", "beta"}) is None


def test_what_was_begun_is_nothing_that_became_of_a_portion(attempt):
    attempt(1).begin("portion-1", {None, "acme"})

    assert attempt(1).told() == {}


@pytest.mark.parametrize(
    "key", ["99999999/drift.json", "99999999/1/drift.json", "99999999/1/begun-portion-x.json", "x/1/begun-first-1.json"]
)
def test_what_no_job_began_overtakes_nobody_and_neither_do_runs_of_another_repository(attempt, key):
    run = attempt(1, "9")
    run.s3.put_object(Bucket="state", Key=f"{run.every}{key}", Body=b"[]")
    attempt(1, "99999999", "6").begin("portion-1", {"acme"})

    assert run.overtaken() is None


@pytest.mark.parametrize("run", ["", "0", "-1", "1/../../../record", "1\n", "one", "\u0661"])
def test_what_is_no_number_of_a_run_leads_to_no_object(attempt, run):
    with pytest.raises(
        DeployError, match="expected numbers, as in GITHUB_RUN_ID, GITHUB_REPOSITORY_ID and GITHUB_RUN_ATTEMPT"
    ):
        attempt(1, run)
