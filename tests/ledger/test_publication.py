"""Publication: what is served and exported is the log, byte for byte."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.ledger.town_api import Town, gift
from timebank_contracts.checkpoint import open_checkpoint
from timebank_contracts.log_files import town_files
from timebank_contracts.note import VerifierKey
from timebank_contracts.tiles import TileName, decode_bundle, log_files, parse_tile_path
from timebank_kit.journal import Record, open_journal, scan
from timebank_kit.journal_memory import MemoryJournal
from timebank_kit.tail import Tail
from timebank_ledger.publication import Publication, export_town


def _journal(count: int) -> MemoryJournal:
    journal = open_journal("memory:", "test")
    assert isinstance(journal, MemoryJournal)
    journal.append([Record(n, "x", b"entry %d" % n, None) for n in range(count)])
    return journal


@pytest.mark.parametrize("size", [1, 255, 256, 257, 70_000])
def test_every_tile_and_bundle_of_a_log_is_served_as_it_would_be_written(size: int) -> None:
    journal = _journal(size)
    publication = Publication(journal, Tail(size))
    for path, content in log_files(record.state for record in scan(journal, 0, size)):
        name = parse_tile_path(path)
        served = publication.bundle(name) if name.level is None else publication.tile(name)
        assert served == content, path


def test_a_partial_tile_of_an_earlier_size_stays_available() -> None:
    publication = Publication(_journal(300), Tail(300))
    whole = publication.tile(TileName(0, 0, 256))
    assert whole is not None
    assert publication.tile(TileName(0, 0, 17)) == whole[: 17 * 32]


def test_a_tile_beyond_what_is_committed_is_not_there() -> None:
    publication = Publication(_journal(300), Tail(256))
    assert publication.tile(TileName(0, 1, 1)) is None
    assert publication.bundle(TileName(None, 1, 1)) is None
    assert publication.tile(TileName(1, 0, 1)) is not None
    assert publication.tile(TileName(1, 0, 2)) is None
    assert publication.tile(TileName(7, 0, 1)) is None


def _vkey(town: Town) -> VerifierKey:
    return VerifierKey("timebank.example/aberdare/g1", town.keys.log.public)


def test_the_served_checkpoint_is_signed_by_the_log_key_over_what_is_committed(town: Town) -> None:
    checkpoint = open_checkpoint(town.http.get("/checkpoint").content, _vkey(town))
    assert checkpoint.size == 6
    town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5))
    assert open_checkpoint(town.http.get("/checkpoint").content, _vkey(town)).size == 6, "one a second"
    town.clock.advance(1)
    assert open_checkpoint(town.http.get("/checkpoint").content, _vkey(town)).size == 7


def test_hash_tiles_are_for_everybody_and_entries_for_auditors(town: Town) -> None:
    assert len(town.http.get("/tile/0/000.p/6").content) == 6 * 32
    assert town.http.get("/tile/entries/000.p/6").status_code == 401
    bundle = town.client("audit:read").get("/tile/entries/000.p/6")
    assert decode_bundle(bundle.content) == [record.state for record in town.journal.read(0, 6)]
    assert bundle.headers["Cache-Control"].startswith("private")


def test_the_journal_is_read_from_any_position_in_bounded_parts(town: Town) -> None:
    federation = town.federation()
    whole = federation.get("/v1/journal")
    assert (whole.headers["X-First-Position"], whole.headers["X-Position"]) == ("0", "6")
    states = [record.state for record in town.journal.read(0, 6)]
    assert decode_bundle(whole.content) == states
    part = federation.get("/v1/journal", after=1, limit=2)
    assert decode_bundle(part.content) == states[2:4]
    assert federation.get("/v1/journal", after=5).content == b""


def test_a_reader_of_the_tail_waits_for_the_next_entry(town: Town) -> None:
    """The answer comes because an entry was written while the reader waited, not because the time was over."""
    found: list[bytes] = []
    federation = town.federation()
    reader = threading.Thread(
        target=lambda: found.append(federation.get("/v1/journal", after=5, wait_seconds=30).content)
    )
    reader.start()
    town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5))
    reader.join(timeout=20)
    assert not reader.is_alive()
    assert decode_bundle(found[0]) == [town.journal.read(6, 1)[0].state]


def test_an_exported_town_is_the_log_with_its_key_and_checkpoint(town: Town, tmp_path: Path) -> None:
    commands = [gift("alys", "bryn", 1) | {"key": f"k{number}"} for number in range(300)]
    town.member("alys").post("/v1/transfers/batch", commands, key=None)
    registries = {1: b"first", 2: b"second"}
    checkpoint = town.writer.checkpoint(fresh=True)
    vkey = _vkey(town)
    count = export_town(
        town.journal, checkpoint=checkpoint, vkey=vkey, registries=registries, directory=tmp_path / "out"
    )
    states = [record.state for record in town.journal.read(0, count)]
    with town.writer.reading() as book:
        expected = dict(town_files(book.me, states, log_key=town.keys.log, registries=registries))
    written = {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert written == expected


def test_an_export_leaves_out_what_came_after_its_checkpoint(town: Town, tmp_path: Path) -> None:
    checkpoint = town.writer.checkpoint(fresh=True)
    town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5))
    assert export_town(town.journal, checkpoint=checkpoint, vkey=_vkey(town), registries={}, directory=tmp_path) == 6
    assert decode_bundle((tmp_path / "tile/entries/000.p/6").read_bytes())[-1] == town.journal.read(5, 1)[0].state
