"""What is done to rows: pure functions from DataFrame to DataFrame."""
