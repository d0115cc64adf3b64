"""directory (being built)."""
