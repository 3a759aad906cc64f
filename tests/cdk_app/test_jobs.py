import pytest

from cdk_app.code import Code
from cdk_app.jobs import JobCode, Jobs
from glue_scripts.arguments import SCRIPTS, JobArguments, JobDefaults

NAMES = {
    "raw_to_processed": "mycompany-acme-prod-raw-to-processed",
    "processed_to_analytics": "mycompany-acme-prod-processed-to-analytics",
}
MAINTAIN = "mycompany-acme-prod-maintain"


@pytest.fixture
def jobs(stack, tmp_path, found):
    for name in ("lake.zip", *(f"{name}.py" for name in SCRIPTS)):
        (tmp_path / name).write_text(name)
    scripts = {name: tmp_path / f"{name}.py" for name in SCRIPTS}
    code = Code(functions=tmp_path / "lake.zip", library=tmp_path / "lake.zip", scripts=scripts, version="abc123")
    Jobs(
        stack,
        "Jobs",
        names=NAMES,
        maintenance=MAINTAIN,
        code=JobCode(stack, "Code", code=code),
        defaults=JobDefaults(
            tenant="acme",
            bucket="mycompany-acme-prod-datalake",
            database="mycompany_acme_prod",
            ledger="mycompany-prod-ledger",
            account="777788889999",
            code=code.version,
        ),
        role_arn="arn:aws:iam::777788889999:role/mycompany-acme-prod-job",
        log_prefix="/lake/mycompany/prod/acme/jobs",
        worker_type="G.2X",
        workers=10,
        max_concurrent_runs=8,
    )
    return {each["Name"]: each for each in found(stack, "AWS::Glue::Job")}


def test_a_tenant_has_its_own_definition_of_each_job(jobs):
    assert set(jobs) == {*NAMES.values(), MAINTAIN}
    assert {job["Role"] for job in jobs.values()} == {"arn:aws:iam::777788889999:role/mycompany-acme-prod-job"}


def test_jobs_run_on_glue_5_1_as_large_as_the_tenant_may(jobs):
    for name in NAMES.values():
        job = jobs[name]
        assert (job["GlueVersion"], job["WorkerType"], job["NumberOfWorkers"]) == ("5.1", "G.2X", 10)
        assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 8}


def test_errands_follow_each_other_on_two_workers(jobs):
    job = jobs[MAINTAIN]

    assert (job["GlueVersion"], job["WorkerType"], job["NumberOfWorkers"]) == ("5.1", "G.2X", 2)
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}


def test_glue_repeats_no_run_by_itself(jobs):
    for job in jobs.values():
        assert (job["MaxRetries"], job["Timeout"]) == (0, 120)
        assert job["Command"]["Name"] == "glueetl"


def test_a_definition_and_a_run_id_are_all_arguments_that_a_job_takes(jobs):
    for job in jobs.values():
        given = {name.removeprefix("--") for name in job["DefaultArguments"]}
        assert set(JobArguments.names()) - given == {"run"}


def test_jobs_find_their_code_in_the_platforms_bucket(jobs):
    scripts = {str(job["Command"]["ScriptLocation"]) for job in jobs.values()}

    assert len(scripts) == 3
    assert all(".py" in script for script in scripts)
    assert all(".zip" in str(job["DefaultArguments"]["--extra-py-files"]) for job in jobs.values())


def test_jobs_log_into_the_tenants_own_groups(jobs):
    for job in jobs.values():
        assert job["DefaultArguments"]["--custom-logGroup-prefix"] == "/lake/mycompany/prod/acme/jobs"
