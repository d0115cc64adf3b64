"""Which log keys an auditor believes: those obtained elsewhere, or, for want of better, those in the export itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from timebank_audit.files import TownFiles
from timebank_audit.stores import show_path
from timebank_contracts.errors import Malformed
from timebank_contracts.note import VerifierKey, parse_vkey

VKEY_BYTES_MAX: Final = 1_024
POLICY_BYTES_MAX: Final = 262_144


class Trust(NamedTuple):
    """Verifier keys by origin. Empty with `from_export`: each export's own `vkey` is used, and the report says so."""

    keys: dict[str, VerifierKey]
    from_export: bool

    def key_for(self, origin: str, files: TownFiles) -> VerifierKey | None:
        """The key by which the checkpoint of this origin is judged, or None; raises `Malformed` for a bad `vkey`."""
        if not self.from_export:
            return self.keys.get(origin)
        raw = files.read("vkey", bytes_max=VKEY_BYTES_MAX)
        return None if raw is None else parse_vkey(_text(raw, "vkey"))


FROM_EXPORT: Final = Trust({}, from_export=True)


def trust_keys(vkeys: Iterable[VerifierKey]) -> Trust:
    """Trust these keys and no others; raises `Malformed` when one log has two."""
    keys: dict[str, VerifierKey] = {}
    for key in vkeys:
        if keys.setdefault(key.name, key) != key:
            raise Malformed(f"Two different keys are given for the log {key.name}.")
    return Trust(keys, from_export=False)


def read_vkey(value: str) -> VerifierKey:
    """The verifier key in a text, or in the file that the text names; raises `Malformed`."""
    if "+" in value and not Path(value).exists():
        return parse_vkey(value)
    return parse_vkey(_text(_read_file(Path(value), VKEY_BYTES_MAX), value))


def read_policy(path: Path) -> list[VerifierKey]:
    """The keys of a policy file's `log` lines (C2SP tlog-policy); raises `Malformed` for an unknown line or no log.

    Lines about witnesses are read over: this version judges no cosignature, and the report says so.
    """
    keys = []
    for number, line in enumerate(_text(_read_file(path, POLICY_BYTES_MAX), str(path)).split("\n"), start=1):
        words = line.split("#", 1)[0].split()
        if not words or words[0] in ("witness", "group", "quorum"):
            continue
        if words[0] != "log" or not 2 <= len(words) <= 3:
            raise Malformed(f"Line {number} of the policy is not: log <vkey> [url].")
        keys.append(parse_vkey(words[1]))
    if not keys:
        raise Malformed("The policy names no log; write a line: log <vkey>.")
    return keys


def _read_file(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except OSError as error:
        raise Malformed(f"{show_path(path)} cannot be read: {error.strerror}.") from error
    if len(raw) > bytes_max:
        raise Malformed(f"{show_path(path)} is larger than {bytes_max} bytes.")
    return raw


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{name!a} is not UTF-8 text.") from error
