"""What the platform hosts: tenants, environments and contracts, as values that other rooms can trust."""
