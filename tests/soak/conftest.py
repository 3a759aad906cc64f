"""What a failure leaves: logs of the cloud and of its runs, where no later session clears them away."""

import shutil
import tempfile
import time
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    lake = item.funcargs.get("lake")
    if report.failed and lake is not None:
        kept = Path(tempfile.gettempdir()) / "soak-logs" / f"{item.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        for part in ("logs", "runs"):
            shutil.copytree(lake.home / part, kept / part, dirs_exist_ok=True)
        report.sections.append(("logs", f"kept in {kept}"))
    return report
