"""How long the local cloud takes to be there, and what it holds when idle.

`python -m benchmarks.start` prints a Markdown table. Cold: an empty state folder and no cached synthesis.
"""

import time

from benchmarks.cloud import lake


def main() -> None:
    print("| measurement | result |\n|---|---|")
    with lake() as cloud:
        up, deploy = cloud.timed("up", "--spares", "0"), cloud.timed("deploy")
        print(f"| cold: `lake up` + `lake deploy` of the committed tenants | {up:.1f} + {deploy:.1f} s |", flush=True)
        print(f"| nothing changed: `lake deploy` | {cloud.timed('deploy'):.1f} s |", flush=True)
        time.sleep(20)
        parts = cloud.memory()
        print(f"| idle without spares | {sum(parts.values()):.0f} MB ({_listed(parts)}) |", flush=True)
        cloud("down")
        up, deploy = cloud.timed("up", "--spares", "0"), cloud.timed("deploy")
        print(f"| warm: `lake up` + `lake deploy` after `lake down` | {up:.1f} + {deploy:.1f} s |", flush=True)


def _listed(parts: dict[str, float]) -> str:
    return ", ".join(f"{kind} {megabytes:.0f}" for kind, megabytes in sorted(parts.items()))


if __name__ == "__main__":
    main()
