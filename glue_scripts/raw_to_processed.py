"""First job: raw files to conforming rows. Run by Glue with the arguments of `JobArguments`.

take ─► read ─► conform ─► write ─► commit object ─► ledger ─► quarantine's partitions ─► finalise
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from glue_scripts import zones
from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, RAW_TO_PROCESSED
from glue_scripts.bucket import Bucket
from glue_scripts.catalog import register_partitions
from glue_scripts.commit_object import CommitObject, PartFile, SourceFile, key_of
from glue_scripts.job_run import JobRun, carry_out
from glue_scripts.reading.source import Layout, Source
from glue_scripts.runtime import invocation, session
from glue_scripts.transforms.conform import conform
from glue_scripts.writing import REMARK, WriteTask, sources_by_index
from lineage.values import CommitRecord, FileVersion, InputResult, Member, Output

ROW_REASON_LENGTH = 500


def main(argv: Sequence[str]) -> None:
    started = invocation(argv)

    def work(job: JobRun) -> None:
        with session(started.job_name, argv) as spark:
            process(job, spark)

    carry_out(RAW_TO_PROCESSED, started, work)


def process(job: JobRun, spark: SparkSession) -> None:
    """One batch from raw to processed."""
    with job.step("read, conform, write"):
        written = convert(job, spark)
    with job.step("commit object"):
        committed, version, found = publish(job.bucket, written)
    if found is not None:
        job.log(note=f"batch {written.batch} was written by run {committed.run} already; its files count, not ours")
    job.commit(record(committed, version, job.arguments.code))
    if committed.quarantine:
        # After the commit, so that only what counts is shown; the second job does it again, should we die here.
        with job.step("quarantine partitions"):
            register_partitions(job.arguments, committed)
    if found is not None:
        # Its event came long ago, perhaps to a ledger that was lost since: nobody will tell of it again.
        job.ledger.receive(found, PROCESSED_TO_ANALYTICS)
    job.finalise()


def convert(job: JobRun, spark: SparkSession) -> CommitObject:
    """Reads and writes all files of the run; gives what a commit object would say of it."""
    plan, run = job.plan, job.run
    sources = in_order(run.members)
    raw = zones.read_raw(spark, job.bucket, sources, Layout.of(plan))
    task = _write_task(job, sources)
    results = zones.write_processed(conform(raw, plan), plan, task)
    for result in results:
        if result["kind"] == REMARK:
            job.log(file=sources[result["source"]].key, note=result["reason"])
    arrivals = [source.arrived_at.isoformat() for source in sources]
    return CommitObject(
        batch=run.batch,
        run=run.run,
        tenant=run.tenant,
        dataset=run.dataset,
        contract=plan.contract,
        version=plan.version,
        fingerprint=plan.fingerprint,
        arrived=(arrivals[0], arrivals[-1]),
        files=_part_files(results, "processed"),
        quarantine=_part_files(results, "quarantine"),
        sources=_source_files(results, sources),
    )


def in_order(members: Sequence[Member]) -> list[Source]:
    """The members by arrival: the order that tells the newest of several rows with one key."""
    # S3's events tell the second; the sequencer orders the versions of one key within it (hex, padded to compare).
    ordered = sorted(members, key=lambda member: (member.arrived_at, member.key, member.sequencer.zfill(40), member.id))
    return [
        Source(
            index=index,
            key=member.key,
            version=member.version,
            size=member.size,
            etag=member.etag,
            arrived_at=member.arrived_at,
            id=member.id,
        )
        for index, member in enumerate(ordered)
    ]


def _write_task(job: JobRun, sources: Sequence[Source]) -> WriteTask:
    return WriteTask(
        bucket=job.bucket,
        dataset=job.run.dataset,
        run=job.run.run,
        batch=job.run.batch,
        now=job.started,
        processed_format=job.plan.processed_format,
        sources=tuple((source.key, source.version) for source in sources),
    )


def _part_files(results: Sequence[Any], kind: str) -> tuple[PartFile, ...]:
    names = ("key", "rows", "bytes", "year", "month")
    found = [PartFile(**{name: row[name] for name in names}) for row in results if row["kind"] == kind]
    return tuple(sorted(found, key=lambda file: file.key))


def _source_files(results: Sequence[Any], sources: Sequence[Source]) -> tuple[SourceFile, ...]:
    counted = sources_by_index(results)
    nothing = {"rows": 0, "rejected": 0, "reason": None}
    return tuple(
        _source_file(
            SourceFile(key=source.key, version=source.version, id=source.id, **counted.get(source.index, nothing))
        )
        for source in sources
    )


def _source_file(source: SourceFile) -> SourceFile:
    if not source.reason or not source.rejected:
        return source
    share = f"{source.rejected} of {source.rows + source.rejected}" if source.rows else f"all {source.rejected}"
    return replace(source, reason=f"{share} rows rejected; the first: {source.reason[:ROW_REASON_LENGTH]}")


def publish(bucket: Bucket, written: CommitObject) -> tuple[CommitObject, str | None, FileVersion | None]:
    """Puts the commit object, or finds that another attempt has: from then on the first one's list holds.

    Gives the commit object that holds, its version, and where it was found the file version to enter in the ledger.
    """
    key = key_of(written.dataset, written.batch)
    try:
        return written, bucket.put_once(key, written.to_json()), None
    except FileExistsError:
        content = bucket.open(key)
    with content.body as body:
        committed = CommitObject.from_json(body.read(), key)
    found = FileVersion(
        tenant=written.tenant,
        dataset=written.dataset,
        key=key,
        version=content.version,
        size=content.size,
        etag=content.etag,
        arrived_at=datetime.now(UTC),
    )
    return committed, content.version, found


def record(committed: CommitObject, version: str | None, code: str) -> CommitRecord:
    """What the ledger is told."""
    dataset = committed.dataset
    key = key_of(dataset, committed.batch)
    outputs = [Output(key=key, version=version, zone="processed", dataset=dataset, rows=committed.rows)]
    for zone, files in (("processed", committed.files), ("quarantine", committed.quarantine)):
        outputs += [
            Output(
                key=file.key,
                version=None,
                zone=zone,
                dataset=dataset,
                year=file.year,
                month=file.month,
                rows=file.rows,
                bytes=file.bytes,
            )
            for file in files
        ]
    rejected = sum(source.rejected for source in committed.sources)
    return CommitRecord(
        outputs=outputs,
        inputs=[
            InputResult(key=s.key, version=s.version, rows=s.rows, rejected=s.rejected, reason=s.reason, id=s.id)
            for s in committed.sources
        ],
        rows_in=committed.rows + rejected,
        rows_out=committed.rows,
        rejected=rejected,
        code=code,
    )


if __name__ == "__main__":
    main(sys.argv)
