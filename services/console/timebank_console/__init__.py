"""console (being built)."""
