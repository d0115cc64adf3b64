"""The bundle `.tbaudit`: exported towns in one folder or archive, with the hash of every file and how to check it.

    manifest.json              what it holds, as canonical JSON: towns, sizes, roots, the hash of SHA256SUMS
    SHA256SUMS                 the hash of every other file, as `sha256sum --check` takes it
    VERIFY.md                  how to check all this with general tools and none of ours
    <town>/checkpoint, vkey, tile/…, registry/…         the log and its registry versions (tlog-tiles)
    <town>/checkpoints/…       earlier checkpoints that the town published, as signed notes
    <town>/notes/…             checkpoints of others that this town holds
    <town>/segments/…          captured segments, as they came by Kafka or HTTPS
    <town>/statements/…        account statements as they were given out; figures/…: trial balances

The same towns at the same checkpoints give the same bytes: no time, no name of a machine, one order.
Source: design page 5, "Bundle".
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from timebank_audit.files import MANIFEST
from timebank_audit.findings import Findings
from timebank_audit.log import BUNDLE_BYTES_MAX
from timebank_audit.stores import MEMBERS_MAX, Store, check_path
from timebank_contracts import canonical
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Hash, JournalPosition, Network, Node

FORM: Final = "timebank audit bundle 1"
SUMS: Final = "SHA256SUMS"
HOW_TO: Final = "VERIFY.md"
EXTRAS: Final = ("checkpoints", "notes", "segments", "statements", "figures")
"""Folders of a town that an export may hold beside its log."""
EXTRA_BYTES_MAX: Final = 1_048_576
MANIFEST_BYTES_MAX: Final = 1_048_576
SUMS_BYTES_MAX: Final = 64 * 1_048_576
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]{1,300})", re.ASCII)


class TownListed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A town of the bundle: its folder, and what its checkpoint says."""

    folder: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,80}$")]
    network: Network
    node: Node
    origin: Annotated[str, Meta(max_length=300)]
    size: JournalPosition
    root: Hash


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle says of itself. It proves nothing by itself; it shows damage, and what was left out."""

    form: Literal["timebank audit bundle 1"]
    sums: Hash
    """SHA-256 of `SHA256SUMS`."""
    towns: Annotated[list[TownListed], Meta(min_length=1, max_length=1_000)]


_decoder: Final = msgspec.json.Decoder(Manifest)


def read_manifest(store: Store) -> Manifest:
    """The manifest of a bundle; raises `Malformed`."""
    raw = store.read(MANIFEST, bytes_max=MANIFEST_BYTES_MAX)
    if raw is None:
        raise Malformed(f"{store.name} holds no {MANIFEST}: it is no bundle.")
    return canonical.decode(raw, _decoder, bytes_max=MANIFEST_BYTES_MAX)


def parse_sums(raw: bytes) -> list[tuple[str, str]]:
    """(hash, path) of every line of `SHA256SUMS`, in order of path; raises `Malformed`."""
    try:
        lines = raw.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed(f"{SUMS} is ASCII text.") from error
    if lines.pop() or len(lines) > MEMBERS_MAX:
        raise Malformed(f"{SUMS} ends with a line feed and has at most {MEMBERS_MAX} lines.")
    found: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        matched = _LINE.fullmatch(line)
        if matched is None or (found and matched[2] <= found[-1][1]):
            raise Malformed(f"Line {number} of {SUMS} is not a hash, two blanks and a path in order.")
        check_path(matched[2])
        found.append((matched[1], matched[2]))
    return found


def check_bundle(store: Store, findings: Findings) -> None:
    """A01: every file that the bundle lists is there and has its hash."""
    manifest = read_manifest(store)
    raw = store.read(SUMS, bytes_max=SUMS_BYTES_MAX)
    if raw is None:
        raise Malformed(f"{store.name} holds no {SUMS}: the bundle is not whole.")
    findings.examine("A01")
    if (said := sha256(raw).hexdigest()) != manifest.sums:
        findings.add("A01", town="", place=SUMS, expected=f"the list {manifest.sums}", found=said)
    for expected, path in parse_sums(raw):
        findings.examine("A01")
        content = store.read(path, bytes_max=BUNDLE_BYTES_MAX)
        found = "no such file" if content is None else sha256(content).hexdigest()
        if found != expected:
            town = path.partition("/")[0] if "/" in path else ""
            findings.add("A01", town=town, place=path, expected=f"a file with the hash {expected}", found=found)
