"""Proof, from the synthesised templates, that no principal of one tenant can act on anything of another."""
