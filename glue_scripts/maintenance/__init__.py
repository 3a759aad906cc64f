"""Work on a tenant's tables and ledger that is no batch of files: one module per task of the job `maintain`."""
