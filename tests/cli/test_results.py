"""The report of a workflow run."""

from cli.orders import Order, Task
from cli.results import Results
from deployment.portions import Portion
from deployment.workflow_runs import Row

ORDER = Order("dev", Task.DEPLOY)
FIRST, SECOND = Portion("first-1", "dev", ("acme",)), Portion("portion-1", "dev", ("globex", "initech"))
WELL = {"first": "success", "apply": "success"}
PLATFORM, ACME = Row("dev", None, "updated", 3.0), Row("dev", "acme", "updated", 1.25, changes=("retention: 7 → 30",))
GLOBEX, INITECH = Row("dev", "globex", "created", 2.0), Row("dev", "initech", "created", 2.0)


def results(told, jobs=WELL, portions=(FIRST, SECOND)):
    return Results.of(ORDER, portions, told, jobs)


def table(found):
    return [line for line in found.in_markdown() if line.startswith("| ")][1:]


def test_a_run_in_which_all_went_well_is_a_table_of_its_tenants():
    found = results({"first-1": [PLATFORM, ACME], "portion-1": [GLOBEX, INITECH]})

    assert found.is_good
    assert next(found.in_markdown()) == "### deploy in dev: 2 created, 2 updated"
    assert table(found) == [
        "| the platform | dev | updated | 3.0 |  |",
        "| acme | dev | updated | 1.2 | retention: 7 → 30 |",
        "| globex | dev | created | 2.0 |  |",
        "| initech | dev | created | 2.0 |  |",
    ]


def test_what_failed_comes_first_with_its_reason_and_the_run_is_not_good():
    failed = Row("dev", "initech", "failed", 2.0, "stack x|y: <b>\n`no`")

    found = results({"first-1": [PLATFORM, ACME], "portion-1": [GLOBEX, failed]})

    assert not found.is_good
    assert table(found)[0] == "| initech | dev | **failed** | 2.0 | stack x\\|y: &lt;b> \\`no\\` |"


def test_of_whom_a_job_died_without_a_word_that_is_said():
    found = results({"first-1": [ACME]}, {"first": "success", "apply": "cancelled"})

    assert not found.is_good
    assert [(row.tenant, row.action) for row in found.rows][:2] == [("globex", "no word"), ("initech", "no word")]
    assert "- job apply: **cancelled**" in found.in_markdown()


def test_who_was_not_begun_since_those_that_go_first_failed_is_named():
    found = results({"first-1": [Row("dev", "acme", "failed", error="no")]}, {"first": "failure", "apply": "skipped"})

    assert [(row.tenant, row.action) for row in found.rows] == [
        ("acme", "failed"),
        ("globex", "not begun"),
        ("initech", "not begun"),
    ]


def test_a_tenant_that_another_run_has_done_meanwhile_is_unchanged():
    found = results({"first-1": [], "portion-1": [GLOBEX]})

    assert found.is_good
    assert [(row.tenant, row.action) for row in found.rows] == [
        ("acme", "unchanged"),
        ("globex", "created"),
        ("initech", "unchanged"),
    ]


def test_a_platform_that_stood_already_is_told_by_no_portion():
    assert table(results({"first-1": [Row("dev", None, "unchanged"), ACME], "portion-1": [GLOBEX, INITECH]}))[0] == (
        "| acme | dev | updated | 1.2 | retention: 7 → 30 |"
    )


def test_a_job_that_failed_fails_the_run_though_every_tenant_is_well():
    told = {"first-1": [ACME], "portion-1": [GLOBEX, INITECH]}

    assert not results(told, {"first": "success", "apply": "failure"}).is_good


def test_of_a_great_many_those_that_failed_are_listed_and_the_others_counted():
    many = Portion("portion-1", "dev", tuple(f"t{number:04}" for number in range(3_000)))
    told = [Row("dev", each, "failed" if each == "t2999" else "updated") for each in many.tenants]

    lines = list(results({"portion-1": told}, portions=(many,)).in_markdown())

    assert "| t2999 | dev | **failed** |" in lines[4]
    assert lines[-1] == "…and 2,000 more, whose jobs say so."
