"""How the tenants of an environment are divided among the jobs of a workflow: each once, by cell, in few portions."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, zip_longest

from deployment.errors import DeployError
from tenants.naming import CELL, ENVIRONMENT, TENANT

__all__ = ["LEAST", "MOST", "Portion", "divided", "size_for"]

MOST = 200
"""Portions of one workflow run. GitHub makes 256 jobs of a matrix at most."""
LEAST = 100
"""Tenants for which a job of their own is worth its start; portions of one cell wait for each other anyhow."""
ID = re.compile(r"(first|portion)-[1-9][0-9]{0,2}")


@dataclass(frozen=True)
class Portion:
    """What one job takes on: tenants of one cell. Without tenants it is the cell's platform alone."""

    id: str
    place: str
    tenants: tuple[str, ...]

    @property
    def is_first(self) -> bool:
        """Whether it shows, before any other is begun, that what changes is sound."""
        return self.id.startswith("first-")

    def facts(self) -> dict[str, str]:
        return asdict(self) | {"tenants": " ".join(self.tenants)}

    @classmethod
    def read(cls, text: str) -> "Portion":
        """What another job wrote; raises DeployError for anything else."""
        try:
            facts = json.loads(text)
            found = cls(facts["id"], facts["place"], tuple(facts["tenants"].split()))
            is_sound = found.is_sound() and set(facts) == {"id", "place", "tenants"}
        except (ValueError, TypeError, KeyError, AttributeError):
            is_sound = False
        if not is_sound:
            raise DeployError(
                'portion: expected {"id": …, "place": …, "tenants": "ID ID …"} as the plan of the same workflow run '
                "writes it"
            )
        return found

    def is_sound(self) -> bool:
        """Whether everything in it is a name."""
        environment, slash, cell = self.place.partition("/")
        is_place = ENVIRONMENT.match(environment) and (CELL.match(cell) if slash else True)
        return bool(is_place and ID.fullmatch(self.id) and all(map(TENANT.match, self.tenants)))


def divided(
    tenants: Mapping[str, Sequence[str]], *, kind: str = "portion", most: int = MOST, least: int = LEAST
) -> tuple[Portion, ...]:
    """`tenants` by place. Portions of one cell differ by one tenant at most; those of different cells take turns.

    >>> [(each.place, len(each.tenants)) for each in divided({"prod": [*"abcdef"], "prod/b": ["x"]}, least=4)]
    [('prod', 3), ('prod/b', 1), ('prod', 3)]
    """
    size = size_for([len(ids) for ids in tenants.values()], most, least)
    cells = [[(place, part) for part in parts(ids, size)] for place, ids in tenants.items()]
    turns = [each for turn in zip_longest(*cells) for each in turn if each is not None]
    return tuple(Portion(f"{kind}-{number}", place, tuple(part)) for number, (place, part) in enumerate(turns, 1))


def size_for(numbers: Sequence[int], most: int = MOST, least: int = LEAST) -> int:
    """Tenants of a portion, at most, so that there are not more than `most` portions.

    >>> size_for([1_000]), size_for([30_000]), size_for([30_000, 3])
    (100, 150, 151)
    """
    if sum(map(bool, numbers)) > most:
        raise DeployError(f"{len(numbers):,} cells have changes, and a workflow run takes {most:,}: name some tenants")
    size = least
    while sum(-(-number // size) for number in numbers) > most:
        size += 1
    return size


def parts(ids: Sequence[str], size: int) -> list[Sequence[str]]:
    """As few as can be with `size` tenants at most, and as equal."""
    count = -(-len(ids) // size)
    bounds = [len(ids) * number // count for number in range(count + 1)] if count else [0]
    return [ids[begin:end] for begin, end in pairwise(bounds)]
