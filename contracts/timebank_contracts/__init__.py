"""contracts (being built)."""
