"""audit: the offline auditor. Reads exported files and keys, trusts no node, imports no service.

Reading order: `verify.py` (the story), `log.py`, `replay.py`, `refusals.py`, `registries.py`, `streams.py`, `cut.py`,
`pairs.py`, `report.py`; beside them `files.py` (hostile input), `codes.py` (the closed set of checks), `cli.py`.
"""
