"""What the Lambda functions are told by their environment; the templates take the variable names from here."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

LEDGER = "LAKE_LEDGER"
DISPATCH_FUNCTION = "LAKE_DISPATCH_FUNCTION"


class SettingError(Exception):
    """Raised when a function was deployed without one of its variables."""


@dataclass(frozen=True)
class Settings:
    ledger: str
    dispatch_function: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        names = dict(zip((field.name for field in fields(cls)), (LEDGER, DISPATCH_FUNCTION), strict=True))
        missing = sorted(variable for variable in names.values() if not environment.get(variable))
        if missing:
            raise SettingError(f"environment of the function: {', '.join(missing)} not set; deploy the platform stack")
        return cls(**{name: environment[variable] for name, variable in names.items()})

    def to_environment(self) -> dict[str, str]:
        """The variables a template gives to both functions."""
        return {LEDGER: self.ledger, DISPATCH_FUNCTION: self.dispatch_function}
