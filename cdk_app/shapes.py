"""The shape of a tenant's stack: whatever may decide what is in it, and not only what it is called or how large it is.

Tenants of one shape have one template but for their values. Tier, state and retention are values.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

from cdk_app.holes import holed
from cdk_app.stencils import refuse_holes_in
from cdk_app.values import SavedQuery, TenantValues
from tenants.model import Environment

__all__ = ["PLATFORM", "Request", "Shape", "ShapeError"]

PLATFORM = "platform"
"""What the platform's stack is called among the shapes."""


class ShapeError(Exception):
    """Raised when shapes cannot be synthesised, or a template made from one breaks an invariant."""


@dataclass(frozen=True)
class Shape:
    """The parts of a tenant's values that constructs may look at."""

    datasets: tuple[str, ...]
    queries: tuple[SavedQuery, ...]

    @classmethod
    def of(cls, values: TenantValues) -> Self:
        return cls(values.datasets, values.queries)

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()

    @property
    def label(self) -> str:
        return "shape of " + ", ".join(self.datasets)

    def holed(self) -> TenantValues:
        """Raises HoleMistaken if a dataset or query holds what looks like a hole."""
        facts = {f"dataset {name}": name for name in self.datasets}
        for query in self.queries:
            facts[f"query {query.name}"] = f"{query.name}\n{query.description}\n{query.sql}"
        refuse_holes_in(facts)
        return holed(self.datasets, self.queries)


@dataclass(frozen=True)
class Request:
    """What `cdk_app.shape_app` shall synthesise for one cell."""

    organization: str
    cell: Environment
    shapes: tuple[Shape, ...]
    platform: bool

    def facts(self) -> dict[str, Any]:
        return {
            "organization": self.organization,
            "cell": self.cell.model_dump(mode="json"),
            "shapes": [asdict(shape) for shape in self.shapes],
            "platform": self.platform,
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        shapes = (
            Shape(tuple(each["datasets"]), tuple(SavedQuery(**query) for query in each["queries"]))
            for each in facts["shapes"]
        )
        return cls(facts["organization"], Environment(**facts["cell"]), tuple(shapes), facts["platform"])
