"""Measurements, run by hand: `python -m benchmarks.<name>`; each prints the table that docs/performance.md shows."""
