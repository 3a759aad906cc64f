"""Tenants for which no template could be made: told, while a command does what it can for all others."""

from collections.abc import Mapping

from cli import output
from cli.options import tenants_folder

__all__ = ["sentences", "tell"]


def tell(failures: Mapping[str, str]) -> bool:
    """Whether there are any."""
    for said in sentences(failures):
        output.message(f"lake: {said}", style="red")
    return bool(failures)


def sentences(failures: Mapping[str, str]) -> list[str]:
    """By tenant: where it stands, and the reason."""
    if not failures:
        return []
    from cli.planning import Lines

    lines = Lines(tenants_folder())
    placed = ((f"{where}: " if (where := lines.of(each)) else "", each, why) for each, why in failures.items())
    return [f"{where}tenant {tenant}: has no template and is left out: {why}" for where, tenant, why in placed]
