"""What can go wrong here.

TenantsError
├── RegistryError       everything wrong in the YAML files, one problem per line
├── InvalidName         an id that no resource may be named after
└── NotFound            something asked for by name that the registry does not hold

    try:
        registry = load(Path("tenants"))
    except RegistryError as error:
        for problem in error.problems:
            print(problem)
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["InvalidName", "NotFound", "Problem", "RegistryError", "TenantsError"]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, and where: `tenants/tenants.yaml:12: tenants[acme].onwer: unknown key …`."""

    file: str
    line: int
    where: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.where, self.message) if part)


class TenantsError(Exception):
    """Root of this package's errors."""


class RegistryError(TenantsError):
    """Raised when the files of a registry cannot all be used; `problems` holds every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class InvalidName(TenantsError, ValueError):
    """Raised when an id breaks the rule that all derived names rest on."""


class NotFound(TenantsError, LookupError):
    """Raised when the registry holds nothing of that name; the message lists what it holds."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"no {kind} {name!r}; known: {', '.join(self.known) or 'none'}")
