"""`lake`, the command line: one file per noun."""
