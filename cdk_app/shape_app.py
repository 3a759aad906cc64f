"""The CDK app that synthesises shapes instead of tenants: `python -m cdk_app.shape_app`, with a `Request` on stdin.

Each shape has an app and a folder of its own, so that nothing in it depends on which other shapes there are.
"""

import os
import sys
import tempfile
from pathlib import Path

from cdk_app.app import PROJECT, context
from cdk_app.node import prepare
from cdk_app.shapes import PLATFORM, Request
from cdk_app.values import Site

__all__ = ["main"]


def main() -> int:
    """Writes an assembly per shape below the folder `CDK_OUTDIR`, each named by the shape's digest."""
    prepare(os.environ, PROJECT)
    import aws_cdk as cdk

    from cdk_app.code import pack
    from cdk_app.platform_stack import PlatformStack
    from cdk_app.tenant_stack import TenantStack

    # Node is up by now; whoever asks may have found out in the meantime what to ask for.
    folder, given, request = Path(os.environ["CDK_OUTDIR"]), context(), Request.read(sys.stdin.read())
    site = Site.of(request.organization, request.environment)

    def app(name: str) -> cdk.App:
        return cdk.App(
            outdir=str(folder / name), context=given, builtin_cloud_formation_validation=False, tree_metadata=False
        )

    with tempfile.TemporaryDirectory() as scratch:
        code = pack(PROJECT, Path(scratch))
        if request.platform:
            alone = app(PLATFORM)
            PlatformStack(alone, site.platform.stack, site=site, code=code)
            alone.synth()
        for shape in request.shapes:
            of_shape, values = app(shape.digest), shape.holed()
            # Empty: the platform's name is all that a tenant's stack knows of it.
            platform = cdk.Stack(of_shape, site.platform.stack, env=site.cdk_environment)
            stack = TenantStack(of_shape, f"{values.names.stack}", site=site, values=values, code=code)
            stack.add_stack_dependency(platform)
            of_shape.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
