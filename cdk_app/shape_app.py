"""The CDK app that synthesises shapes instead of tenants: `python -m cdk_app.shape_app`, requests as JSON on stdin.

Each shape has an app and a folder of its own, so that nothing in it depends on which other shapes there are.
"""

import gc
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cdk_app.app import PROJECT, context
from cdk_app.holes import HoleError
from cdk_app.node import prepare
from cdk_app.shapes import PLATFORM, Request, Shape
from cdk_app.stencils import HOLE
from cdk_app.values import Site

if TYPE_CHECKING:
    import aws_cdk as cdk

    from cdk_app.code import Code

__all__ = ["main"]


def main() -> int:
    """Writes, below the folder `CDK_OUTDIR` and the position of each request, an assembly per shape and its digest."""
    prepare(os.environ, PROJECT)
    gc.disable()  # what is imported stays, and everything else is small
    # Whoever asks finds out in the meantime what to ask for.
    from cdk_app import platform_stack, tenant_stack  # noqa: F401 - ready when they are needed
    from cdk_app.code import pack

    with tempfile.TemporaryDirectory() as scratch:
        code = pack(PROJECT, Path(scratch))
        requests = [Request.of(facts) for facts in json.loads(sys.stdin.read())]
        for position, request in enumerate(requests):
            synthesise(request, Path(os.environ["CDK_OUTDIR"], str(position)), code)
    return 0


def synthesise(request: Request, folder: Path, code: "Code") -> None:
    """A shape that fails leaves its reason, and the others go on."""
    folder.mkdir(parents=True)
    site = Site.of(request.organization, request.cell)
    if request.platform:
        attempt(folder / PLATFORM, partial(platform, site=site, code=code))
    for shape in request.shapes:
        attempt(folder / shape.digest, partial(tenant, site=site, code=code, shape=shape))


def attempt(folder: Path, build: Callable[["cdk.App"], None]) -> None:
    import aws_cdk as cdk

    app = cdk.App(outdir=str(folder), context=context(), builtin_cloud_formation_validation=False, tree_metadata=False)
    try:
        build(app)
        app.synth()
    except Exception as error:  # of constructs, of whatever kind
        folder.with_name(f"{folder.name}.failed").write_text(reason(error), encoding="utf-8")


def platform(app: "cdk.App", *, site: Site, code: "Code") -> None:
    from cdk_app.platform_stack import PlatformStack

    PlatformStack(app, site.platform.stack, site=site, code=code)


def tenant(app: "cdk.App", *, site: Site, code: "Code", shape: Shape) -> None:
    import aws_cdk as cdk

    from cdk_app.tenant_stack import TenantStack

    values = shape.holed()
    # Empty: the platform's name is all that a tenant's stack knows of it.
    alone = cdk.Stack(app, site.platform.stack, env=site.cdk_environment)
    TenantStack(app, f"{values.names.stack}", site=site, values=values, code=code).add_stack_dependency(alone)


def reason(error: Exception) -> str:
    """One line; of what nobody foresaw also the kind, and the line of ours that it came through."""
    said = HOLE.sub(lambda found: f"<{found['text']}>", str(error).strip().partition("\n")[0])
    if isinstance(error, HoleError):
        return said
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(PROJECT))]
    here = [frame for frame in ours if ".venv" not in frame.filename and frame.filename != __file__]
    place = f"{Path(here[-1].filename).relative_to(PROJECT)}:{here[-1].lineno}: " if here else ""
    return f"{place}{type(error).__name__}: {said}"


if __name__ == "__main__":
    sys.exit(main())
