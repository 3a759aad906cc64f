"""What `benchmarks.synth` measures: `python -m benchmarks.stamped ENVIRONMENT TENANTS HOME` stamps once."""

import sys
from pathlib import Path

from cli.synthesis import synthesise

if __name__ == "__main__":
    environment, tenants, home = sys.argv[1:]
    print(len(synthesise(environment, Path(tenants), Path(home)).stacks))
