"""What can go wrong here.

TenantsError
├── RegistryError       everything wrong in the YAML files, one problem per line
├── InvalidName         an id that no resource may be named after
└── NotFound            something asked for by name that the registry does not hold
    └── Offboarded      a tenant that left

    try:
        registry = load(Path("tenants"))
    except RegistryError as error:
        for problem in error.problems:
            print(problem)
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["InvalidName", "NotFound", "Offboarded", "Problem", "RegistryError", "TenantsError", "shortened"]


SHOWN = 400  # characters of a name or message; what stands in a file may be a million long


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, and where: `tenants/tenants.yaml:12: tenants[acme].onwer: unknown key …`.

    As text it is one line, whatever stands in the file: a log that takes lines for commands reads none of it.
    """

    file: str
    line: int
    where: str
    message: str

    def __str__(self) -> str:
        parts = (f"{self.file}:{self.line}", self.where, self.message)
        return ": ".join(_on_one_line(part) for part in parts if part)


def _on_one_line(text: str) -> str:
    """`text` with what does not print spelled out, and without its middle if it is long."""
    text = shortened(text, SHOWN)
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shortened(text: str, most: int) -> str:
    """`text` of at most about that many characters, its begin and its end."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


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


class Offboarded(NotFound):
    """Raised when a tenant is asked for that left; its id stays taken."""

    def __init__(self, name: str) -> None:
        LookupError.__init__(
            self,
            f"tenant {name!r} is offboarded, tenants.yaml says so: nothing stands for it; `lake tenant "
            f"verify-certificate {name} -e ENV` checks that",
        )
        self.kind, self.name, self.known = "tenant", name, ()
