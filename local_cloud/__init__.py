"""An AWS look-alike for one machine: `supervisor` runs it, `state` finds it, `parity` says where it differs."""
