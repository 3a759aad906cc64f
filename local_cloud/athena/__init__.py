"""Athena's API for one machine: the emulator permits, sqlglot and DuckDB answer; `server.serve` starts it."""
