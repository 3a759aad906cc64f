"""The control plane: what arrived is registered, batched and dispatched to the tenants' jobs."""
