"""The policy file of an auditor: which logs and witnesses are believed, and how many witnesses must have cosigned.

    log <vkey> [url]
    witness <name> <vkey> [url]
    group <name> <k|any|all> <name>…        witnesses or groups named before
    quorum <name|none>

Source: c2sp.org/tlog-policy; design page 12.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from timebank_audit.stores import show_path
from timebank_contracts.errors import Malformed
from timebank_contracts.note import COSIGNATURE, ED25519, VerifierKey, parse_vkey

POLICY_BYTES_MAX: Final = 262_144
WITNESSES_MAX: Final = 1_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,189}", re.ASCII)
_COUNT: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


class Group(NamedTuple):
    """At least `k` of these members, witnesses or groups."""

    k: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """What a policy file says. `quorum` is empty when no witness is demanded."""

    logs: list[VerifierKey]
    witnesses: dict[str, VerifierKey]
    groups: dict[str, Group]
    quorum: str

    def is_met_by(self, cosigned: set[VerifierKey], name: str | None = None) -> bool:
        """Whether these witnesses make up the quorum; a group names only what stands before it, so this ends."""
        asked = self.quorum if name is None else name
        if asked in self.witnesses:
            return self.witnesses[asked] in cosigned
        group = self.groups[asked]
        return sum(self.is_met_by(cosigned, member) for member in group.members) >= group.k


NO_WITNESSES: Final = Policy([], {}, {}, "")


def parse_policy(text: str) -> Policy:
    """The policy in a text; raises `Malformed` naming the line."""
    policy = NO_WITNESSES._replace(logs=[], witnesses={}, groups={})
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split("#", 1)[0].split()
        try:
            if words:
                policy = _take(policy, words)
        except Malformed as error:
            raise Malformed(f"Line {number} of the policy: {error}") from error
    if not policy.logs:
        raise Malformed("The policy names no log; write a line: log <vkey>.")
    keys = [key.public for key in [*policy.logs, *policy.witnesses.values()]]
    if len(set(keys)) < len(keys):
        raise Malformed("The policy gives one key to two holders; each log and each witness has its own.")
    return policy


def _take(policy: Policy, words: list[str]) -> Policy:
    match words:
        case ["log", vkey] | ["log", vkey, _]:
            policy.logs.append(_key(vkey, ED25519))
        case ["witness", name, vkey] | ["witness", name, vkey, _]:
            policy.witnesses[_new(policy, name)] = _key(vkey, COSIGNATURE)
        case ["group", name, k, *members] if members:
            unknown = [member for member in members if member not in policy.witnesses and member not in policy.groups]
            if unknown or len(set(members)) < len(members):
                raise Malformed("a group names witnesses and groups that stand before it, each once.")
            count = {"any": 1, "all": len(members)}.get(k) or (int(k) if _COUNT.fullmatch(k) else 0)
            if not 1 <= count <= len(members):
                raise Malformed(f"a group of {len(members)} demands any, all, or 1 to {len(members)} of them.")
            policy.groups[_new(policy, name)] = Group(count, tuple(members))
        case ["quorum", name]:
            if policy.quorum or (name != "none" and name not in policy.witnesses and name not in policy.groups):
                raise Malformed("quorum stands once, and names a witness or a group before it, or none.")
            return policy._replace(quorum="" if name == "none" else name)
        case _:
            raise Malformed("it is not: log <vkey> [url], witness <name> <vkey> [url], group or quorum.")
    return policy


def _new(policy: Policy, name: str) -> str:
    if not _NAME.fullmatch(name) or name == "none" or name in policy.witnesses or name in policy.groups:
        raise Malformed("a witness or group has a new name of letters, digits, dots and dashes.")
    if len(policy.witnesses) + len(policy.groups) == WITNESSES_MAX:
        raise Malformed(f"at most {WITNESSES_MAX} witnesses and groups.")
    return name


def _key(vkey: str, kind: int) -> VerifierKey:
    key = parse_vkey(vkey)
    if key.kind != kind:
        raise Malformed("the key of a log is of type 1, that of a witness of type 4.")
    return key


def read_policy(path: Path) -> Policy:
    """The policy in a file; raises `Malformed`."""
    try:
        return parse_policy(read_small(path, POLICY_BYTES_MAX).decode())
    except UnicodeDecodeError as error:
        raise Malformed(f"{show_path(path)} is not UTF-8 text.") from error


def read_small(path: Path, bytes_max: int) -> bytes:
    """The content of a file of the auditor's own, up to a bound; raises `Malformed`."""
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except OSError as error:
        raise Malformed(f"{show_path(path)} cannot be read: {error.strerror}.") from error
    if len(raw) > bytes_max:
        raise Malformed(f"{show_path(path)} is larger than {bytes_max} bytes.")
    return raw
