"""Assemblies, and how they come to stand in accounts: CloudFormation, and what is known of it here."""
