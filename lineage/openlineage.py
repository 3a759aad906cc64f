"""A run told as OpenLineage RunEvents (specification 2-0-2), as plain dicts: no library, no transport.

RUNNING is told by START alone; an ended run by START and COMPLETE, FAIL or ABORT (fenced). Inputs and outputs are
repeated on the last event, which is what receivers keep. Datasets are told, not files: a run of a thousand files is
one input with its numbers, and the file level stays in the ledger.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lineage import commits
from lineage.history import History, names_of
from lineage.values import HeaderState, RunState

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets"

ENDINGS = {HeaderState.COMPLETED: "COMPLETE", HeaderState.FAILED: "FAIL", HeaderState.FENCED: "ABORT"}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How a tenant's datasets are named outside: by bucket, with the Glue table as symlink."""

    producer: str
    bucket: str
    database: str
    region: str
    account: str


def events(ledger: History, tenant: str, run: str, profile: Profile) -> list[dict[str, Any]]:
    """The RunEvents of one run, oldest first."""
    header = ledger.header(tenant, run)
    state = ledger.run_state(header)
    outputs = list(ledger.outputs_of(header).values()) if state.state == HeaderState.COMPLETED else []
    zones = {output.zone for output in outputs} or {_zone_after(state)}
    inputs = [_dataset(_zone_before(state), state.dataset, profile, inputFacets=_input_statistics(state, profile))]
    written = [
        _dataset(
            zone,
            state.dataset,
            profile,
            outputFacets=_output_statistics([o for o in outputs if o.zone == zone], profile),
        )
        for zone in sorted(zones)
    ]
    shared = {"job": _job(state, profile), "inputs": inputs, "outputs": written}
    told = [_event("START", state.started, state, profile, shared)]
    if state.ended is not None:
        told.append(_event(ENDINGS[state.state], state.ended, state, profile, shared))
    return told


def _event(kind: str, at: datetime, state: RunState, profile: Profile, shared: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": at.isoformat(),
        "producer": profile.producer,
        "schemaURL": SPEC,
        "run": {"runId": state.run, "facets": _run_facets(kind, state, profile)},
        **shared,
    }


def _run_facets(kind: str, state: RunState, profile: Profile) -> dict[str, Any]:
    engine = {"name": "spark", "version": "3.5.6", "openlineageAdapterVersion": "0.1.0"}
    facets = {"processing_engine": _facet("ProcessingEngineRunFacet", "1-1-1", profile, **engine)}
    if kind in {"FAIL", "ABORT"}:
        told = {"message": state.error or "unknown", "programmingLanguage": "python"}
        facets["errorMessage"] = _facet("ErrorMessageRunFacet", "1-0-1", profile, **told)
    return facets


def _job(state: RunState, profile: Profile) -> dict[str, Any]:
    kind = {"processingType": "BATCH", "integration": "GLUE", "jobType": "JOB"}
    return {
        "namespace": f"lake/{state.tenant}",
        "name": f"{state.job}.{state.dataset}",
        "facets": {"jobType": _facet("JobTypeJobFacet", "2-0-4", profile, **kind)},
    }


def _dataset(zone: str, dataset: str, profile: Profile, **facets: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "namespace": f"s3://{profile.bucket}",
        "name": f"{zone}/{dataset}",
        "facets": {},
        **{name: facet for name, facet in facets.items() if facet},
    }
    if zone in {"analytics-ready", "quarantine"}:
        made["facets"]["symlinks"] = _symlink(names_of(zone, dataset), profile)
    return made


def _symlink(name: str, profile: Profile) -> dict[str, Any]:
    glue = {
        "namespace": f"arn:aws:glue:{profile.region}:{profile.account}",
        "name": f"table/{profile.database}/{name}",
        "type": "TABLE",
    }
    return _facet("SymlinksDatasetFacet", "1-0-1", profile, identifiers=[glue])


def _input_statistics(state: RunState, profile: Profile) -> dict[str, Any]:
    told = {"fileCount": state.files} | ({} if state.rows_in is None else {"rowCount": state.rows_in})
    return {"inputStatistics": _facet("InputStatisticsInputDatasetFacet", "1-0-0", profile, **told)}


def _output_statistics(outputs: Iterable[Any], profile: Profile) -> dict[str, Any]:
    files = [output for output in outputs if not commits.is_commit(output.key)]
    if not files:
        return {}
    told = {"rowCount": int(sum(file.rows or 0 for file in files)), "fileCount": len(files)}
    return {"outputStatistics": _facet("OutputStatisticsOutputDatasetFacet", "1-0-2", profile, **told)}


def _facet(name: str, version: str, profile: Profile, /, **values: Any) -> dict[str, Any]:
    schema = f"{FACETS}/{version}/{name}.json#/$defs/{name}"
    return {"_producer": profile.producer, "_schemaURL": schema, **values}


def _zone_before(state: RunState) -> str:
    return "raw" if state.job.startswith("raw_") else "processed"


def _zone_after(state: RunState) -> str:
    return "processed" if state.job.startswith("raw_") else "analytics-ready"
