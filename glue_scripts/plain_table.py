"""Plain Parquet in analytics-ready, for append-only datasets whose readers know no Iceberg.

The commit object of the first job is the redo log: each file it names is copied to a name made from batch and place in
the list, so that whoever repeats the copy writes the same objects. Files appear one by one; a reader who needs whole
batches takes an Iceberg table.

Rows cannot be taken out of a file. A replay therefore replaces whole batches: it must bring all files of those that it
replaces, and their copies are deleted once its own are there.

S3 has no copy on condition that a run still owns its batch. A run that slept, while others did its work and a replay
replaced it, puts old copies back; when it looks again after its copies it removes them. Only if it dies between the
two, or loses S3's answer, do they stay, until upkeep removes them: so long the rows of that batch are there twice.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from glue_scripts import replaced
from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, JobArguments
from glue_scripts.bucket import Bucket
from glue_scripts.catalog import PARQUET, add_partitions, client
from glue_scripts.commit_object import CommitObject, SourceFile
from glue_scripts.errors import TableUnfit
from glue_scripts.job_run import JobRun
from glue_scripts.maintenance import redo_log
from glue_scripts.maintenance.redo_log import Found
from glue_scripts.plan import Plan
from glue_scripts.zones import stored_columns
from lineage.errors import RunNotOpen
from lineage.history import claim_key
from lineage.items import Claim
from lineage.ledger import Ledger
from lineage.table import node_id
from lineage.values import ClaimState, Member

FORMAT = "parquet"
COPIES = 16


def of_today(commits: Sequence[CommitObject], overtaken: Mapping[str, Collection[int]]) -> list[CommitObject]:
    """Those whose files have not been replayed since; what was would be there twice. Raises TableUnfit for a half."""
    kept = []
    for commit in commits:
        replayed = len(overtaken.get(commit.batch, ()))
        if 0 < replayed < len(commit.sources):
            raise TableUnfit(
                f"{commit.dataset}: {replayed} of the {len(commit.sources)} files of batch {commit.batch} have been "
                "replayed since, and format parquet is append-only: replay the whole dataset."
            )
        if not replayed:
            kept.append(commit)
    return kept


def publish(job: JobRun, commits: Sequence[CommitObject]) -> None:
    """Files first, then their partitions, then what they replace. Raises TableUnfit for what no plain table can be."""
    arguments, bucket, plan = job.arguments, job.bucket, job.plan
    if plan.processed_format != "parquet" or plan.primary_key:
        raise TableUnfit(
            f"{plan.dataset}: format parquet is append-only; it needs processed files in Parquet and a contract "
            "without primary key."
        )
    batches = whole_batches(bucket, plan.dataset, [source for commit in commits for source in commit.sources])
    job.still_ours()
    pairs = [pair for commit in commits for pair in copies(commit)]
    with ThreadPoolExecutor(COPIES) as pool:
        list(pool.map(lambda pair: bucket.copy(*pair), pairs))
    try:
        job.still_ours()
    except RunNotOpen:
        bucket.delete(outdated(bucket, job.ledger, job.run.tenant, plan.dataset))
        raise
    enter(arguments, plan, commits)
    bucket.delete([target for batch in batches for _, target in copies(batch)])


def enter(arguments: JobArguments, plan: Plan, commits: Sequence[CommitObject]) -> None:
    """The catalog's table and its partitions, where they are not there yet."""
    columns = list(stored_columns(plan).items())
    _create_if_absent(arguments, plan, columns)
    places = sorted({(file.year, file.month) for commit in commits for file in commit.files})
    root = f"s3://{arguments.bucket}/analytics-ready/{plan.dataset}"
    partitions = [([year, month], f"{root}/year={year}/month={month}") for year, month in places]
    add_partitions(arguments, plan.dataset, partitions, columns)


def whole_batches(bucket: Bucket, dataset: str, sources: Sequence[SourceFile]) -> list[CommitObject]:
    """The batches that a replay replaces. Raises TableUnfit where it leaves out some of a batch's files."""
    batches = replaced.earlier(bucket, dataset, sources)
    left = replaced.left_over(sources, batches)
    if left:
        raise TableUnfit(
            f"{dataset}: format parquet is append-only: a replay must bring all files of a batch again, and this one "
            f"leaves out {len(left)}, the first: {left[0]}. Replay the whole dataset."
        )
    return [commit for commit in batches.values() if commit is not None]


def none_gone(members: Sequence[Member], sources: Sequence[SourceFile]) -> None:
    """Raises TableUnfit where a file that a replay should bring again could not be read any more.

    A commit object that said so would never be published: its batch would have to replace another only in part.
    """
    asked = {member.id for member in members if member.replaces}
    gone = [source.key for source in sources if source.id in asked and not source.replaces]
    if gone:
        raise TableUnfit(
            f"{', '.join(gone)}: no longer in the bucket. Format parquet is append-only: the rows of a batch can only "
            "be replaced together, so they stay as they are. Restore the object, then replay."
        )


def outdated(bucket: Bucket, ledger: Ledger, tenant: str, dataset: str) -> list[str]:
    """Copies that are there though a replay that is published has replaced their batches.

    It is published if its copies are all there; if it brought no row, the ledger tells.
    """
    there = [listed.key for listed in bucket.listed(f"analytics-ready/{dataset}/")]
    found, _unreadable = redo_log.read_sound(bucket, redo_log.keys(bucket, dataset))
    replays = [one for one in found if any(source.replaces for source in one.commit.sources)]
    nodes = {one.key: claim_key(tenant, node_id(one.key, None), PROCESSED_TO_ANALYTICS) for one in replays}
    claims = ledger.store.batch_get(Claim, nodes.values())

    def is_published(one: Found) -> bool:
        if one.commit.files:
            return {target for _, target in copies(one.commit)} <= set(there)
        claim = claims.get(nodes[one.key])
        return claim is not None and claim.st == ClaimState.DONE

    published = [one.commit for one in replays if is_published(one)]
    old = {batch for commit in published for source in commit.sources for batch in source.replaces}
    return [key for key in there if key.rpartition("/")[2].rpartition("-")[0] in old]


def copies(commit: CommitObject) -> list[tuple[str, str]]:
    root = f"analytics-ready/{commit.dataset}"
    return [
        (file.key, f"{root}/year={file.year}/month={file.month}/{commit.batch}-{number}.parquet")
        for number, file in enumerate(commit.files)
    ]


def _create_if_absent(arguments: JobArguments, plan: Plan, columns: Sequence[tuple[str, str]]) -> None:
    comments = {column.name: column.description[:255] for column in plan.contract_columns}
    described = [{"Name": name, "Type": kind, "Comment": comments.get(name, "")} for name, kind in columns]
    location = f"s3://{arguments.bucket}/analytics-ready/{plan.dataset}/"
    table = {
        "Name": plan.dataset,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE"},
        "PartitionKeys": [{"Name": "year", "Type": "string"}, {"Name": "month", "Type": "string"}],
        "StorageDescriptor": {"Columns": described, "Location": location} | PARQUET,
    }
    try:
        client().create_table(CatalogId=arguments.account, DatabaseName=arguments.database, TableInput=table)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AlreadyExistsException":
            raise
