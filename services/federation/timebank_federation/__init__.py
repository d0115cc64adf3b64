"""federation (being built)."""
