"""Plumbing without a word of the domain: journal storage, group commit, tail, clock, files, logs, web basics.

Reading order: `journal.py` (the port), `journal_memory.py`, `journal_sqlite.py`, `journal_postgres.py` (its adapters,
over the recorders of `eventsourcing`), `commit_loop.py`, `tail.py`, then the small ones.
"""
