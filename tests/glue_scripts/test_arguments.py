import subprocess
import sys

from glue_scripts.arguments import JOBS, JobArguments, JobDefaults, run_options


def test_the_jobs_are_named_in_the_order_of_the_zones():
    assert JOBS == ("raw_to_processed", "processed_to_analytics")


def test_definition_and_run_together_give_every_argument():
    defaults = JobDefaults(
        tenant="acme",
        bucket="mycompany-acme-dev-datalake",
        database="mycompany_acme_dev",
        ledger="mycompany-dev-ledger",
        account="111122223333",
        code="0.1.0",
    )

    options = defaults.options() | run_options("0198-run")

    assert options == {
        "--tenant": "acme",
        "--bucket": "mycompany-acme-dev-datalake",
        "--database": "mycompany_acme_dev",
        "--ledger": "mycompany-dev-ledger",
        "--account": "111122223333",
        "--code": "0.1.0",
        "--run": "0198-run",
    }
    assert [f"--{name}" for name in JobArguments.names()] == list(options)


def test_arguments_need_the_standard_library_only():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, glue_scripts.arguments; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert not {"boto3", "pyspark", "pynamodb", "pyarrow"} & set(loaded)
