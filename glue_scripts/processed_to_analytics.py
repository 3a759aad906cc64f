"""Second job: processed rows into the tables people query. Run by Glue with the arguments of `JobArguments`.

take ─► commit objects ─► their files ─► one commit to the table ─► ledger ─► finalise
"""

import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from pyspark.sql import SparkSession

from glue_scripts import plain_table, tables, zones
from glue_scripts.arguments import PROCESSED_TO_ANALYTICS
from glue_scripts.bucket import Bucket, ObjectGone
from glue_scripts.catalog import register_partitions
from glue_scripts.commit_object import CommitObject
from glue_scripts.errors import CommitObjectUnreadable
from glue_scripts.job_run import JobRun, carry_out
from glue_scripts.runtime import invocation, session
from lineage.values import CommitRecord, InputResult, Member, Output

READERS = 16
CLOCKS_DIFFER = timedelta(minutes=1)


def main(argv: Sequence[str]) -> None:
    started = invocation(argv)

    def work(job: JobRun) -> None:
        with session(started.job_name, argv) as spark:
            process(job, spark)

    carry_out(PROCESSED_TO_ANALYTICS, started, work)


def process(job: JobRun, spark: SparkSession) -> None:
    """One batch of commit objects from processed to analytics-ready."""
    with job.step("commit objects"):
        commits = commit_objects(job.bucket, job.run.members)
    if job.plan.format == "parquet":
        with job.step("publish"):
            plain_table.publish(job.arguments, job.bucket, job.plan, commits)
        snapshot = None
    else:
        snapshot = merge(job, spark, commits)
    for commit in commits:
        if commit.quarantine:  # should its own run have died before
            register_partitions(job.arguments, commit)
    job.commit(record(job, commits, snapshot))
    job.finalise()


def commit_objects(bucket: Bucket, members: Sequence[Member]) -> list[CommitObject]:
    """The members' content, in their order. Raises CommitObjectUnreadable."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda member: _commit_object(bucket, member), members))


def _commit_object(bucket: Bucket, member: Member) -> CommitObject:
    try:
        content = bucket.open(member.key, member.version, member.etag)
    except ObjectGone as gone:
        raise CommitObjectUnreadable(f"{member.key}: the object {gone}.") from gone
    with content.body as body:
        return CommitObject.from_json(body.read(), member.key)


def merge(job: JobRun, spark: SparkSession, commits: Sequence[CommitObject]) -> str | None:
    """One commit for all batches that no earlier run has brought; gives the id of the snapshot that holds them."""
    with job.step("open the table"):
        tables.prepare(spark, job.bucket, small=zones.is_small(commits))
        table = tables.Table(spark, job.bucket, job.arguments.database, job.plan)
        earliest = min(member.arrived_at for member in job.run.members) - CLOCKS_DIFFER
        before = {batch: snapshot for snapshot in table.snapshots_since(earliest) for batch in snapshot.batches}
    found = [commit.batch for commit in commits if commit.batch in before]
    if found:
        job.log(note="batches that an earlier run brought into the table", batches=found)
    fresh = [commit for commit in commits if commit.files and commit.batch not in before]
    if not fresh:
        return before[found[0]].id if found else None
    with job.step("merge"):
        rows = zones.read_processed(spark, job.bucket, job.plan, fresh)
        return table.write(rows, fresh, job.run.run)


def record(job: JobRun, commits: Sequence[CommitObject], snapshot: str | None) -> CommitRecord:
    """What the ledger is told: one output per partition."""
    dataset = job.run.dataset
    rows, size = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for commit in commits:
        for file in commit.files:
            rows[file.year, file.month] += file.rows
            size[file.year, file.month] += file.bytes
    total = sum(commit.rows for commit in commits)
    return CommitRecord(
        outputs=[
            Output(
                key=f"analytics-ready/{dataset}/year={year}/month={month}",
                version=snapshot,
                zone="analytics-ready",
                dataset=dataset,
                year=year,
                month=month,
                rows=rows[year, month],
                bytes=size[year, month],
            )
            for year, month in sorted(rows)
        ],
        inputs=[
            InputResult(key=member.key, version=member.version, rows=commit.rows, rejected=0, id=member.id)
            for member, commit in zip(job.run.members, commits, strict=True)
        ],
        rows_in=total,
        rows_out=total,
        rejected=0,
        snapshot=snapshot,
        code=job.arguments.code,
    )


if __name__ == "__main__":
    main(sys.argv)
