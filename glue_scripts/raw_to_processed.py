"""First job: raw files to conforming rows. Run by Glue with the arguments of `JobArguments`.

take ─► read ─► conform ─► write ─► commit object ─► ledger ─► quarantine's partitions ─► finalise

A batch whose commit object is there has been read and written by an earlier attempt: the run goes on from there.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from glue_scripts import plain_table, zones
from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, RAW_TO_PROCESSED
from glue_scripts.bucket import Bucket, Content, ObjectGone
from glue_scripts.catalog import register_partitions
from glue_scripts.commit_object import CommitObject, PartFile, SourceFile
from glue_scripts.job_run import JobRun, carry_out
from glue_scripts.reading.source import Layout, Source
from glue_scripts.runtime import invocation, session
from glue_scripts.transforms.conform import conform
from glue_scripts.writing import ABSENT, REMARK, WriteTask, sources_by_index
from lineage.commits import key_of
from lineage.history import claim_key
from lineage.items import Claim
from lineage.table import node_id
from lineage.values import ClaimState, CommitRecord, FileVersion, InputResult, Member, Output

ROW_REASON_LENGTH = 500


@dataclass(frozen=True, kw_only=True)
class Published:
    """The commit object that holds, and its version; where another attempt put it, the file version to enter."""

    commit: CommitObject
    version: str | None
    found: FileVersion | None = None


def main(argv: Sequence[str]) -> None:
    started = invocation(argv)

    def work(job: JobRun) -> None:
        with job.step("look for the commit object"):
            published = find(job.bucket, job.run.tenant, job.run.dataset, job.run.batch)
        if published is None:
            with session(started.job_name, argv) as spark:
                published = process(job, spark)
        settle(job, published)

    carry_out(RAW_TO_PROCESSED, started, work)


def process(job: JobRun, spark: SparkSession) -> Published:
    """One batch from raw to processed."""
    is_plain = job.plan.format == plain_table.FORMAT
    if is_plain:
        plain_table.whole_batches(job.bucket, job.run.dataset, _replays(job.run.members))
    with job.step("read, conform, write"):
        written = convert(job, spark)
    if is_plain:
        plain_table.none_gone(job.run.members, written.sources)
    with job.step("commit object"):
        return publish(job.bucket, written)


def settle(job: JobRun, published: Published) -> None:
    """What follows once the batch has its commit object."""
    committed = published.commit
    if published.found is not None:
        job.log(note=f"already processed: run {committed.run} wrote batch {committed.batch}; its files count")
    job.commit(record(committed, published.version, committed.code or job.arguments.code))
    if committed.quarantine:
        # After the commit, so that only what counts is shown; the second job does it again, should we die here.
        with job.step("quarantine partitions"):
            register_partitions(job.arguments, committed)
    if published.found is not None:
        # Its event came long ago, perhaps to a ledger that was lost since: nobody will tell of it again.
        job.ledger.receive(published.found, PROCESSED_TO_ANALYTICS)
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
    return _commit_object(job, sources, results)


def _commit_object(job: JobRun, sources: Sequence[Source], results: Sequence[Any]) -> CommitObject:
    plan, run = job.plan, job.run
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
        sources=_source_files(results, sources, run.members, partial(_is_in_table, job)),
        code=job.arguments.code,
        started=job.started.isoformat(),
        glue_run=run.glue_run,
        attempt=run.attempt,
    )


def _replays(members: Sequence[Member]) -> list[SourceFile]:
    return [SourceFile(key=m.key, version=m.version, rows=0, rejected=0, id=m.id, replaces=m.replaces) for m in members]


def in_order(members: Sequence[Member]) -> list[Source]:
    """The members by arrival: the order that tells the newest of several rows with one key."""
    sources = [
        Source(
            index=0,
            key=member.key,
            version=member.version,
            size=member.size,
            etag=member.etag,
            arrived_at=member.arrived_at,
            # S3's events tell the second; this orders the versions of one key within it (hex, padded to compare).
            sequencer=member.sequencer.zfill(40),
            id=member.id,
        )
        for member in members
    ]
    ordered = sorted(sources, key=lambda source: (source.arrived_at, source.key, source.sequencer, source.id))
    return [replace(source, index=index) for index, source in enumerate(ordered)]


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


def _source_files(
    results: Sequence[Any], sources: Sequence[Source], members: Sequence[Member], is_in_table: Callable[[str], bool]
) -> tuple[SourceFile, ...]:
    counted = sources_by_index(results)
    absent = {result["source"] for result in results if result["kind"] == ABSENT}
    member_of = {member.id: member for member in members}
    nothing = {"rows": 0, "rejected": 0, "reason": None}
    found = []
    for source in sources:
        member = member_of[source.id]
        file = SourceFile(
            key=source.key,
            version=source.version,
            id=source.id,
            size=source.size,
            etag=source.etag,
            arrived_at=source.arrived_at.isoformat(),
            sequencer=member.sequencer,
            epoch=member.epoch,
            replaces=member.replaces,
            **counted.get(source.index, nothing),
        )
        brought_before = source.index in absent and file.replaces
        found.append(_still_there(file, is_in_table) if brought_before else _explained(file))
    return tuple(found)


def _still_there(source: SourceFile, is_in_table: Callable[[str], bool]) -> SourceFile:
    """What can no longer be read takes nothing away: its rows of the time when it could be stay in the table."""
    stays = "; the rows that it has brought before stay" if any(map(is_in_table, source.replaces)) else ""
    return replace(source, replaces=(), stay=source.replaces, reason=f"{source.reason}{stays}")


def _is_in_table(job: JobRun, batch: str) -> bool:
    """Has the second job brought it there, as far as the ledger knows; it forgets what was long ago."""
    node = node_id(key_of(job.run.dataset, batch), None)
    claim = job.ledger.store.get(Claim, claim_key(job.run.tenant, node, PROCESSED_TO_ANALYTICS))
    return claim is None or claim.st == ClaimState.DONE


def _explained(source: SourceFile) -> SourceFile:
    if not source.reason or not source.rejected:
        return source
    share = f"{source.rejected} of {source.rows + source.rejected}" if source.rows else f"all {source.rejected}"
    return replace(source, reason=f"{share} rows rejected; the first: {source.reason[:ROW_REASON_LENGTH]}")


def publish(bucket: Bucket, written: CommitObject) -> Published:
    """Puts the commit object, or finds that another attempt has: from then on the first one's list holds."""
    try:
        version = bucket.put_once(key_of(written.dataset, written.batch), written.to_json())
    except FileExistsError:
        found = find(bucket, written.tenant, written.dataset, written.batch)
        if found is None:
            raise  # there, and gone again
        return found
    return Published(commit=written, version=version)


def find(bucket: Bucket, tenant: str, dataset: str, batch: str) -> Published | None:
    """The commit object that an earlier attempt at the batch has put. Raises CommitObjectUnreadable."""
    key = key_of(dataset, batch)
    try:
        content = bucket.open(key)
    except ObjectGone:
        return None
    with content.body as body:
        committed = CommitObject.from_json(body.read(), key)
    return Published(commit=committed, version=content.version, found=_entry(tenant, dataset, key, content))


def _entry(tenant: str, dataset: str, key: str, content: Content) -> FileVersion:
    return FileVersion(
        tenant=tenant,
        dataset=dataset,
        key=key,
        version=content.version,
        size=content.size,
        etag=content.etag,
        arrived_at=datetime.now(UTC),
    )


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
        contract=committed.fingerprint,
    )


if __name__ == "__main__":
    main(sys.argv)
