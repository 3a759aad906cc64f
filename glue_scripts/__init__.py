"""The data plane: Glue jobs that take a batch from one zone to the next."""
