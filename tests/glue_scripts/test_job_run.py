from glue_scripts.job_run import one_line


def test_of_a_failure_in_the_jvm_the_bottom_is_told():
    error = RuntimeError(
        "An error occurred while calling o1.sql.\n: org.apache.spark.SparkException: Job aborted\n"
        "\tat x.y\nCaused by: java.io.IOException: upper\n\tat x\nCaused by: java.io.IOException: disk full\n\tat z"
    )

    assert one_line(error) == "RuntimeError: java.io.IOException: disk full"


def test_of_a_failure_in_a_python_worker_its_exception_is_told():
    error = RuntimeError(
        "\n  An exception was thrown from the Python worker.\nTraceback (most recent call last):\n  File x\n"
        "botocore.exceptions.ClientError: AccessDenied\n"
    )

    assert one_line(error) == "RuntimeError: botocore.exceptions.ClientError: AccessDenied"


def test_of_anything_else_the_first_line_is_told_and_no_more_than_the_ledger_keeps():
    assert one_line(ValueError("wrong\nand more")) == "ValueError: wrong"
    assert len(one_line(ValueError("x" * 9000))) == 500
