"""node (being built)."""
