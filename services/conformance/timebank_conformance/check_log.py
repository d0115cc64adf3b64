"""The node's log: checkpoints, tiles, and with a token its entries, replayed by the rules of the book.

Source: PROTOCOL.md G4 to G9, B1, B3, B4, I1 to I4, E1 to E3, M1, M3, C5, L1, L7.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from msgspec import UNSET

from timebank_conformance.session import Session
from timebank_contracts.book import apply
from timebank_contracts.checkpoint import Checkpoint, open_checkpoint
from timebank_contracts.entries import AnyEntry, NodeOpened, decode_entry
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.keys import b64_decode
from timebank_contracts.merkle import leaf_hash, root_of
from timebank_contracts.note import VerifierKey
from timebank_contracts.state import Book
from timebank_contracts.tiles import TILE_WIDTH, TileName, decode_bundle, split_tile, tile_path, tiles_of

ENTRIES_MAX: Final = 65_536
"""A test node's log is short; a longer one is not read whole."""
SIZES_MAX: Final = 1_000
LEVELS: Final = 8
"""Of tiles: more than any log has."""
LOG_RULES: Final = "G4 G5 G6 G7 G9"
ENTRY_RULES: Final = "G8 B1 B3 B4 I1 I2 I3 I4 E1 E2 E3 M1 M3 C5 L1 L7"


def take_checkpoint(session: Session) -> Checkpoint | None:
    """The node's latest checkpoint, when it is signed by its log key."""
    answer = session.door.checkpoint()
    keys = [VerifierKey(session.network.origin, b64_decode(key)) for key in session.network.described.log_keys]
    why = f"status {answer.status_code}"
    if answer.status_code == HTTPStatus.OK:
        for key in keys:
            try:
                found = open_checkpoint(answer.content, key)
            except Malformed as error:
                why = str(error)
                continue
            session.findings.expect("G5 G6 N4", "a checkpoint", True, expected="")
            return found
    expected = "a note of three lines, signed by the log key"
    session.findings.expect("G5 G6 N4", "a checkpoint", False, expected=expected, found=why)
    return None


def check_log(session: Session, first: Checkpoint | None, token: Callable[[], str | None]) -> None:
    """The tiles of the last checkpoint, the first one as its beginning, and what the statements named."""
    expect = session.findings.expect
    last = take_checkpoint(session)
    if first is None or last is None:
        session.findings.skip(f"{LOG_RULES} {ENTRY_RULES}", "The node gave no checkpoint.")
        return
    if last.size > ENTRIES_MAX:
        session.findings.skip(f"{LOG_RULES} {ENTRY_RULES}", f"The log has more than {ENTRIES_MAX} entries.")
        return
    leaves = _read_tiles(session, last)
    if leaves is None:
        session.findings.skip(ENTRY_RULES, "The log's tiles cannot be read.")
        return
    grown = last.size >= first.size and root_of(leaves[: first.size]) == first.root
    what = "a later checkpoint continues an earlier one"
    expect("G4", what, grown, expected=f"size {first.size} of root {first.root.hex()}", found="another beginning")
    for size, root in sorted(session.sizes.items())[-SIZES_MAX:]:
        is_so = size <= last.size and root_of(leaves[:size]).hex() == root
        expect("S4 G4", "size and root in statements", is_so, expected=f"size {size} of root {root}", found="another")
    # A token lives for minutes, and a run may take longer: it is asked for when it is used.
    operator = token()
    if operator is None:
        session.findings.skip(ENTRY_RULES, "Entries are read with a token of the node's operator (--token-file).")
        return
    _check_entries(session, last, leaves, operator)


def _read_tiles(session: Session, last: Checkpoint) -> list[bytes] | None:
    """The leaf hashes; every level's tiles are compared with what they stand for."""
    expect = session.findings.expect
    levels: list[list[bytes]] = [[] for _ in range(LEVELS)]
    for name in tiles_of(last.size):
        if name.level is None:
            continue
        answer, path = session.door.tile(name), tile_path(name)
        try:
            hashes = split_tile(answer.content if answer.status_code == HTTPStatus.OK else b"", name)
        except Malformed as error:
            expect("G7", "a tile", False, expected=f"{path}", found=f"{answer.status_code}: {error}")
            return None
        expect("G7", "a tile", True, expected="")
        if name.level:
            below = levels[name.level - 1][name.number * TILE_WIDTH * TILE_WIDTH :]
            wanted = [root_of(below[at * TILE_WIDTH : (at + 1) * TILE_WIDTH]) for at in range(name.width)]
            expect("G9", "a tile of a higher level", hashes == wanted, expected="of the level below", found=path)
        levels[name.level] += hashes
    is_so = root_of(levels[0]) == last.root
    expect("G4 G7 G9", "the tiles come to the root", is_so, expected=last.root.hex(), found=root_of(levels[0]).hex())
    return levels[0] if is_so else None


def _check_entries(session: Session, last: Checkpoint, leaves: list[bytes], token: str) -> None:
    expect, entries = session.findings.expect, []
    for number in range(-(-last.size // TILE_WIDTH)):
        name = TileName(None, number, min(TILE_WIDTH, last.size - number * TILE_WIDTH))
        answer = session.door.tile(name, token=token)
        if answer.status_code != HTTPStatus.OK:
            session.findings.skip(ENTRY_RULES, f"The node answers {answer.status_code} to {tile_path(name)}.")
            return
        try:
            entries += decode_bundle(answer.content, count_max=name.width)
        except Malformed as error:
            expect("G8", "a bundle", False, expected=tile_path(name), found=error)
            return
    is_so = list(map(leaf_hash, entries)) == leaves
    expect("G8 G4", "the bundles are what the leaves stand for", is_so, expected="the same hashes", found="others")
    if is_so:
        _replay(session, entries)


def _replay(session: Session, raws: list[bytes]) -> None:
    expect, book = session.findings.expect, Book()
    entries: list[AnyEntry] = []
    for raw in raws:
        try:
            entry = decode_entry(raw)
            apply(book, entry, read=entries.__getitem__)
        except (Malformed, Refusal) as error:
            what = f"entry {len(entries)} of the log"
            expect("B1 B4", what, False, expected="what the rules of the book take", found=error)
            return
        entries.append(entry)
        if broken := broken_invariants(book):
            expect("I1 I2 I3 I4", f"entry {entry.n} of the log", False, expected="every invariant", found=broken[0])
            return
    opened = bool(entries) and isinstance(entries[0], NodeOpened)
    expect("L1", "the first entry", opened, expected="node.opened", found=raws[0][:80])
    what = "the log replays by the rules of the book"
    expect("B1 B3 B4 E1 E2 E3 M1 M3 L7 I1 I2 I3 I4", what, True, expected="")
    town = session.town("main")
    causes = {bytes(entry.in_) for entry in entries if entry.in_ is not UNSET}
    is_so = causes.issuperset(town.said)
    expect("C5", "our messages stand in the log as they came", is_so, expected="the same bytes", found="others")
