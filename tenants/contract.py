"""Contracts: what a dataset promises, read from ODCS 3.x files."""

from dataclasses import dataclass
from pathlib import Path

from open_data_contract_standard.model import OpenDataContractStandard

from tenants.document import read
from tenants.errors import Problem, RegistryError
from tenants.validation import checked

__all__ = ["Contract", "read_contract"]

# Nested properties and quality rules stand deep.
MAX_DEPTH = 24


@dataclass(frozen=True)
class Contract:
    """A contract that can be compiled."""

    id: str
    files: tuple[str, ...]

    def files_of(self, dataset: str) -> tuple[str, ...]:
        return self.files or (f"raw/{dataset}/**",)


def read_contract(path: Path, shown: str) -> tuple[Contract | None, list[Problem]]:
    """The contract in `path`, or None, and every problem found in it."""
    try:
        document = read(path, shown, max_depth=MAX_DEPTH)
    except RegistryError as error:
        return None, list(error.problems)
    standard, problems = checked(document, OpenDataContractStandard, open_keys=("servers", "logicalTypeOptions"))
    return (Contract(path.stem, ()) if standard else None), problems
