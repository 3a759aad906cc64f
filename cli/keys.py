"""Under which key a file enters the lake, and which dataset will take it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import WrongInput
from lineage.routing import Rule, dataset_of

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["RAW", "Address", "address", "routes", "taker"]

RAW = "raw/"


@dataclass(frozen=True)
class Address:
    """A key and the dataset whose contract takes it; None means that it will be UNROUTED."""

    path: Path
    key: str
    dataset: str | None


def routes(registry: "Registry", tenant: str) -> dict[str, tuple[str, ...]]:
    """Datasets of a tenant with the globs of their contracts."""
    return {
        dataset.name: tuple(registry.contract(tenant, dataset.name).files_of(dataset.name))
        for dataset in registry.tenant(tenant).datasets
    }


def address(
    path: Path,
    datasets: dict[str, tuple[str, ...]],
    *,
    to: str | None = None,
    key: str | None = None,
    dataset: str | None = None,
) -> Address:
    """`key` as it is; else the name under `to`; else where the contract of `dataset`, or any contract, takes it."""
    if key is not None:
        return _routed(path, _raw(key, "--key"), datasets)
    if to is not None:
        prefix = to if to.startswith(RAW) or to == RAW.rstrip("/") else f"{RAW}{to.lstrip('/')}"
        return _routed(path, _raw(f"{prefix.rstrip('/')}/{path.name}", f"--to {to}:"), datasets)
    found = [_routed(path, each, datasets) for each in _candidates(path.name, datasets, dataset)]
    wanted = [each for each in found if each.dataset is not None and dataset in {None, each.dataset}]
    return (wanted or found)[0]


def _candidates(name: str, datasets: dict[str, tuple[str, ...]], dataset: str | None) -> list[str]:
    if dataset is not None:
        return [f"{RAW}{dataset}/{name}", f"{RAW}{name}"]
    return [f"{RAW}{name}", *(f"{RAW}{each}/{name}" for each in datasets if _begins(name, each))]


def _begins(name: str, dataset: str) -> bool:
    """Whether a file name says its dataset: `authors.json` and `authors-2024.json`, not `authorships.json`."""
    rest = name.removeprefix(dataset)
    return rest != name and not rest[:1].isalnum()


def _raw(key: str, option: str) -> str:
    if not key.startswith(RAW) or key.endswith("/"):
        raise WrongInput(f"{option} {key}: files enter the lake under {RAW}, for instance {RAW}transactions/today.csv")
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise WrongInput(f"{option} {key}: no part of a key may be empty, '.' or '..'; readers would look elsewhere")
    return key


def _routed(path: Path, key: str, datasets: dict[str, tuple[str, ...]]) -> Address:
    return Address(path, key, taker(key, datasets))


def taker(key: str, datasets: dict[str, tuple[str, ...]]) -> str | None:
    """The dataset whose contract takes this key."""
    return dataset_of(key, [Rule(dataset=name, files=globs) for name, globs in datasets.items()])
