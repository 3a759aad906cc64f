"""What a job is started with, for those who define it, start it, and are it."""

from dataclasses import asdict, dataclass, fields

RAW_TO_PROCESSED = "raw_to_processed"
PROCESSED_TO_ANALYTICS = "processed_to_analytics"

JOBS: tuple[str, ...] = (RAW_TO_PROCESSED, PROCESSED_TO_ANALYTICS)
"""The jobs of a tenant in the order of the zones; each is also the name of its script."""

MAINTAIN = "maintain"
"""The job for work that is no batch of files; its `run` is the id of an errand in the ledger."""

SCRIPTS: tuple[str, ...] = (*JOBS, MAINTAIN)


@dataclass(frozen=True, kw_only=True)
class JobDefaults:
    """The arguments that stand in a job's definition: the same for each of its runs."""

    tenant: str
    bucket: str
    database: str
    ledger: str
    account: str
    code: str

    def options(self) -> dict[str, str]:
        """As Glue wants them in `DefaultArguments`: `{"--tenant": "acme", …}`."""
        return {option(name): value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class JobArguments(JobDefaults):
    """All arguments of one run: the definition's and the run's id in the ledger."""

    run: str

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names without dashes, in the order of the fields: `("tenant", …, "run")`."""
        return tuple(field.name for field in fields(cls))


def option(name: str) -> str:
    """The name as it stands on a command line and in Glue's API: `--name`."""
    return f"--{name}"


def run_options(run: str) -> dict[str, str]:
    """What dispatch passes to `StartJobRun` as `Arguments`: everything else is in the job's definition."""
    return {option("run"): run}
