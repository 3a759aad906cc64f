"""The infrastructure of the platform: one stack that tenants share, and one stack per tenant."""
