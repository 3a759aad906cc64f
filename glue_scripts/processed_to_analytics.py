"""Second job: processed rows into the tables people query. Run by Glue with the arguments of `JobArguments`.

take ─► commit objects ─► their files ─► one commit to the table ─► ledger ─► finalise

Of a replay the same commit takes out what the files had brought before.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from pyspark.sql import SparkSession

from glue_scripts import plain_table, replaced, tables, zones
from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, RAW_TO_PROCESSED
from glue_scripts.bucket import Bucket, ObjectGone
from glue_scripts.catalog import register_partitions
from glue_scripts.commit_object import CommitObject, SourceFile
from glue_scripts.errors import CommitObjectUnreadable, TableMoved
from glue_scripts.job_run import JobRun, carry_out
from glue_scripts.runtime import invocation, session
from lineage.history import claim_key
from lineage.items import Claim
from lineage.values import CommitRecord, InputResult, Member, Output

READERS = 16
LOOKS = 4
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
            plain_table.publish(job, plain_table.of_today(commits, places_overtaken(job, commits)))
        snapshot = None
    else:
        snapshot = merge(job, spark, commits)
    register_partitions(job.arguments, *commits)  # should their own runs have died before
    code, contract = job.arguments.code, job.plan.fingerprint
    job.commit(record(job.run.dataset, job.run.members, commits, snapshot=snapshot, code=code, contract=contract))
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
    for look in range(1, LOOKS + 1):
        try:
            with job.step("merge"):
                return _merge(job, spark, table, commits)
        except TableMoved as moved:
            if look == LOOKS:
                raise
            job.log(note=str(moved))
        table.look()
    raise AssertionError


def _merge(job: JobRun, spark: SparkSession, table: tables.Table, commits: Sequence[CommitObject]) -> str | None:
    earliest = min(member.arrived_at for member in job.run.members) - CLOCKS_DIFFER
    before = {batch: snapshot for snapshot in table.snapshots_since(earliest) for batch in snapshot.batches}
    found = [commit.batch for commit in commits if commit.batch in before]
    if found:
        job.log(note="batches that an earlier run brought into the table", batches=found)
    fresh = [commit for commit in commits if commit.batch not in before]
    overtaken = places_overtaken(job, fresh)
    sources = [source for commit in fresh for source in _up_to_date(commit, overtaken) if source.replaces]
    if not sources and not any(commit.files for commit in fresh):
        return before[found[0]].id if found else None
    change = tables.Change(
        rows=zones.without(zones.read_processed(spark, job.bucket, job.plan, fresh), overtaken),
        commits=fresh,
        replaced=replaced.portions(sources, replaced.earlier(job.bucket, job.run.dataset, sources)),
    )
    # After the look at the table: whoever does a fenced run's work commits later than this, and this write fails.
    job.still_ours()
    return table.write(change, labels(job))


def labels(job: JobRun) -> dict[str, str]:
    """What a snapshot's summary says of its run, beside the batches; a ledger written anew takes it from there."""
    return {
        tables.RUN_PROPERTY: job.run.run,
        "lake.code": job.arguments.code,
        "lake.started": job.started.isoformat(),
        "lake.glue-run": job.run.glue_run,
        "lake.attempt": str(job.run.attempt),
        "lake.contract": job.plan.fingerprint,
    }


def places_overtaken(job: JobRun, commits: Sequence[CommitObject]) -> dict[str, set[int]]:
    """The files, by batch and place, of which a later replay is under way or done: their rows here are history.

    It happens where a commit object that could not be merged is taken up again after some of its files were replayed.
    """
    keys = {
        (commit.batch, place): claim_key(job.run.tenant, source.id, RAW_TO_PROCESSED)
        for commit in commits
        for place, source in enumerate(commit.sources)
        if source.id
    }
    claims = job.ledger.store.batch_get(Claim, set(keys.values()))
    overtaken: dict[str, set[int]] = defaultdict(set)
    for commit in commits:
        for place, source in enumerate(commit.sources):
            claim = claims.get(keys.get((commit.batch, place), ("", "")))
            if claim is not None and claim.epoch > source.epoch:
                overtaken[commit.batch].add(place)
    if overtaken:
        job.log(note="files that have been replayed since", places={batch: sorted(p) for batch, p in overtaken.items()})
    return dict(overtaken)


def _up_to_date(commit: CommitObject, overtaken: Mapping[str, Collection[int]]) -> list[SourceFile]:
    old = overtaken.get(commit.batch, ())
    return [source for place, source in enumerate(commit.sources) if place not in old]


def record(
    dataset: str,
    members: Sequence[Member],
    commits: Sequence[CommitObject],
    *,
    snapshot: str | None,
    code: str,
    contract: str,
) -> CommitRecord:
    """What the ledger is told: one output per partition."""
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
            for member, commit in zip(members, commits, strict=True)
        ],
        rows_in=total,
        rows_out=total,
        rejected=0,
        snapshot=snapshot,
        code=code,
        contract=contract,
    )


if __name__ == "__main__":
    main(sys.argv)
