"""`lake demo`: the whole loop on this machine, with files made for it."""

from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=10, help="Seconds that the files may take at most.")
    ] = 900,
) -> None:
    """Start, deploy, drop files of three tenants, ask, check the answers, show where one came from.

    A second run drops nothing twice and gives the same answers. The local cloud goes on running: `lake down` stops it.
    """
    from demo.steps import run

    run(timeout)
