"""Files in a table's folder that no snapshot names: what failed commits and killed runs have left.

Only what an Iceberg writer names so is looked at, and only what lay there for days before the table was asked: whatever
else somebody keeps in the folder is not ours to remove.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from glue_scripts.bucket import Bucket, Listed
from glue_scripts.maintenance.iceberg import IcebergTable

GRACE = timedelta(days=3)
"""No writer works so long on one commit."""

_DATA = re.compile(r"(year=[^/]+/month=[^/]+/)\d{5}-\d+-[0-9a-f-]{36}[-\w]*\.parquet")
_METADATA = re.compile(r"metadata/([^/]+\.metadata\.json|[^/]+\.avro|[^/]+\.stats|[^/]+\.puffin)")


def orphans(bucket: Bucket, table: IcebergTable, now: datetime) -> list[Listed]:
    """Listed first and compared afterwards, so that what is committed meanwhile is known."""
    folder = f"analytics-ready/{table.dataset}/"
    old = [found for found in bucket.listed(folder) if found.modified < now - GRACE]
    ours = [found for found in old if _is_ours(found.key.removeprefix(folder))]
    if not ours:
        return []
    root = f"s3://{bucket.name}/"
    table.table.refresh()
    named = {path.removeprefix(root) for path in _named(table)}
    return [found for found in ours if found.key not in named]


def _is_ours(name: str) -> bool:
    return bool(_DATA.fullmatch(name) or _METADATA.fullmatch(name))


def _named(table: IcebergTable) -> Iterator[str]:
    """Everything that the table's metadata names, of all snapshots that are kept."""
    for column, metadata in (
        ("file_path", "all_files"),
        ("path", "all_manifests"),
        ("manifest_list", "snapshots"),
        ("file", "metadata_log_entries"),
    ):
        for row in table.query(f"DISTINCT {column}", metadata):
            yield row[0]
    yield table.metadata_file
    for statistics in (*table.table.statisticsFiles(), *table.table.partitionStatisticsFiles()):
        yield statistics.path()
