"""An AWS look-alike for one machine: `supervisor` runs it, `state` finds it, `parity` lists where it differs from AWS."""
