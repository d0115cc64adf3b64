"""Which keys were in force where: every registry version of every journal, with the keys it brought and took away.

A key is valid for the positions between the entry that brought it and the one that took it away, and nowhere else.
Source: design page 2, "Registry"; PROTOCOL.md R1 to R5.
"""

from __future__ import annotations

from collections.abc import Iterator

from timebank_audit.key_uses import uses_of
from timebank_audit.registries import decode_version
from timebank_audit.towns import Town
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import key_id
from timebank_contracts.log_files import registry_path
from timebank_contracts.registry import REGISTRY_BYTES_MAX


def key_history(towns: list[Town]) -> Iterator[str]:
    """The history as lines: a town, its versions by position, and under each the keys that changed."""
    for town in towns:
        yield f"{town.identity.origin}: checkpoint signed by {town.key.text if town.key else 'no key that is known'}"
        before: dict[bytes, str] = {}
        for accepted in town.registries.history:
            yield f"  from entry {accepted.position}: registry version {accepted.version}, sha256 {accepted.sha256}"
            now = _uses(town, accepted.version)
            for key, use in sorted(now.items(), key=lambda pair: (pair[1], pair[0])):
                if before.get(key) != use:
                    yield f"    + {key_id(key)}  {use}"
            for key, use in sorted(before.items(), key=lambda pair: (pair[1], pair[0])):
                if key not in now:
                    yield f"    - {key_id(key)}  {use}"
            before = now


def _uses(town: Town, version: int) -> dict[bytes, str]:
    raw = town.files.peek(registry_path(version), bytes_max=REGISTRY_BYTES_MAX)
    if raw is None:
        raise Malformed(f"{registry_path(version)} changed while it was audited; copy the export first.")
    return {key: str(use) for key, use in uses_of(decode_version(raw))}
