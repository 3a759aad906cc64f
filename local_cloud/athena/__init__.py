"""Athena's API for one machine: the emulator checks the caller, sqlglot and DuckDB answer; start it with `server.serve`."""
