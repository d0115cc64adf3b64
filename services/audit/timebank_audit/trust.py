"""Which log keys and witnesses an auditor believes: those obtained elsewhere, or for want of better the export's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from timebank_audit.files import TownFiles
from timebank_audit.policy import NO_WITNESSES, Policy, read_small
from timebank_contracts.errors import Malformed
from timebank_contracts.note import VerifierKey, parse_vkey

VKEY_BYTES_MAX: Final = 1_024


class Trust(NamedTuple):
    """Verifier keys by origin. Empty with `from_export`: each export's own `vkey` is used, and the report says so."""

    keys: dict[str, VerifierKey]
    from_export: bool
    policy: Policy = NO_WITNESSES
    """Witnesses and quorum."""

    def key_for(self, origin: str, files: TownFiles) -> VerifierKey | None:
        """The key by which the checkpoint of this origin is judged, or None; raises `Malformed` for a bad `vkey`."""
        if not self.from_export:
            return self.keys.get(origin)
        raw = files.read("vkey", bytes_max=VKEY_BYTES_MAX)
        return None if raw is None else parse_vkey(_text(raw, "vkey"))


FROM_EXPORT: Final = Trust({}, from_export=True)


def trust_keys(vkeys: Iterable[VerifierKey], policy: Policy = NO_WITNESSES) -> Trust:
    """Trust these keys, those of the policy's logs, and no others; raises `Malformed` when one log has two."""
    keys: dict[str, VerifierKey] = {}
    for key in [*vkeys, *policy.logs]:
        if keys.setdefault(key.name, key) != key:
            raise Malformed(f"Two different keys are given for the log {key.name}.")
    return Trust(keys, from_export=False, policy=policy)


def read_vkey(value: str) -> VerifierKey:
    """The verifier key in a text, or in the file that the text names; raises `Malformed`."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Malformed("A verifier key is UTF-8 text, or the name of a file that holds it.") from error
    if "+" in value and not Path(value).exists():
        return parse_vkey(value)
    return parse_vkey(_text(read_small(Path(value), VKEY_BYTES_MAX), value))


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{name!a} is not UTF-8 text.") from error
