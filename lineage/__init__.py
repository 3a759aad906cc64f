"""The ledger of file versions, claims and runs, and what is read from it: lineage both ways."""
