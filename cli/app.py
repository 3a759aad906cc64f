"""`lake`: the command line of Tenantlake, run as `lake` or `python -m cli.app`."""

import sys
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Loads the commands only here, so that Ctrl-C is answered in one line from the first moment on."""
    try:
        from cli.commands import app

        app()
    except KeyboardInterrupt:
        sys.stderr.write("lake: interrupted\n")
        sys.exit(130)


def __getattr__(name: str) -> Any:
    if name == "app":
        from cli.commands import app

        return app
    raise AttributeError(f"module {__name__} has no attribute {name!r}")


if __name__ == "__main__":
    main()
