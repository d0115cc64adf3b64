"""The directory: who people are, and the tokens that all rooms believe. Read `people.py` first."""
