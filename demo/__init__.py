"""The demo: input files made on this machine, the whole loop run on them, its answers checked."""
