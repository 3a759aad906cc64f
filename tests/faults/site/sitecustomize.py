"""Python runs this as it starts when the folder is on PYTHONPATH: see `tests/faults/injection.py`."""

import contextlib
import importlib.util
import os
import sys
from pathlib import Path


def _load(name: str, path: Path) -> object:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


HERE = Path(__file__).resolve().parent

if os.environ.get("LAKE_FAULT") or os.environ.get("LAKE_FAULT_LOG"):
    with contextlib.suppress(ImportError):  # a Python without botocore makes no calls
        _load("lake_faults", HERE.parent / "injection.py").install_from_environment(os.environ)

for _folder in sys.path:  # the one that this hides
    _other = Path(_folder or ".", "sitecustomize.py").resolve()
    if _other.parent != HERE and _other.exists():
        _load("sitecustomize_behind", _other)
        break
