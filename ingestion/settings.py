"""What the Lambda functions are told by their environment; the templates take the variable names from here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

PREFIX = "LAKE_"


class SettingError(Exception):
    """Raised when a function was deployed without one of its variables."""


@dataclass(frozen=True, kw_only=True)
class _Told:
    """A field `ledger` is the variable `LAKE_LEDGER`."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        names = {field.name: variable(field.name) for field in fields(cls)}
        missing = sorted(name for name in names.values() if not environment.get(name))
        if missing:
            raise SettingError(f"environment of the function: {', '.join(missing)} not set; deploy the platform stack")
        return cls(**{field: environment[name] for field, name in names.items()})

    def to_environment(self) -> dict[str, str]:
        """The variables that a template gives to each function."""
        return {variable(field): value for field, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class Settings(_Told):
    """The same for every function that works on the ledger."""

    ledger: str
    dispatch_function: str
    reconcile_function: str
    topic: str
    """ARN of the platform's topic for alerts."""
    queue: str
    """URL of the queue of arrivals."""
    dead_letter_queue: str
    """URL."""
    environment: str
    """Name of the environment, for the commands that alerts propose."""

    @property
    def account(self) -> str:
        """The account that all of this stands in; every tenant's bucket belongs to it."""
        return self.topic.split(":")[4]


@dataclass(frozen=True, kw_only=True)
class WebhookSettings(_Told):
    """Of the function that carries alerts to a chat."""

    webhook_parameter: str
    """Name of the SSM parameter that holds the URL."""
    webhook_format: str
    """One of `ingestion.webhook.FORMATS`."""


def variable(field: str) -> str:
    return PREFIX + field.upper()
