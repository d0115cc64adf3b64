"""An exported town's files: what the paths and bytes promise."""

from __future__ import annotations

import pytest

from timebank_contracts.checkpoint import open_checkpoint
from timebank_contracts.keys import SigningKey
from timebank_contracts.log_files import LogFiles, town_files
from timebank_contracts.merkle import leaf_hash, root_of
from timebank_contracts.names import Identity
from timebank_contracts.note import parse_vkey
from timebank_contracts.tiles import decode_bundle, tile_path, tiles_of

ME = Identity("timebank.wales", "aberdare", "g1")
KEY = SigningKey(b"k" * 32)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_536, 65_537, 70_000])
def test_the_files_are_those_that_the_size_demands_and_hold_every_entry(size: int) -> None:
    entries = [b"entry %d" % n for n in range(size)]
    log = LogFiles(entries)
    files = dict(log)
    assert set(files) == {tile_path(name) for name in tiles_of(size)}
    found = [raw for name in tiles_of(size) if name.level is None for raw in decode_bundle(files[tile_path(name)])]
    assert found == entries
    assert (log.size, log.root) == (size, root_of([leaf_hash(raw) for raw in entries]))


def test_a_town_ends_with_a_checkpoint_that_its_verifier_key_opens() -> None:
    files = list(town_files(ME, [b"one", b"two"], log_key=KEY, registries={2: b"two", 1: b"one"}))
    assert [path for path, _ in files][-4:] == ["registry/1.json", "registry/2.json", "vkey", "checkpoint"]
    content = dict(files)
    checkpoint = open_checkpoint(content["checkpoint"], parse_vkey(content["vkey"].decode()))
    assert (checkpoint.origin, checkpoint.size) == (ME.origin, 2)


def test_the_same_entries_give_the_same_bytes() -> None:
    entries = [b"x" * (n % 50) for n in range(600)]
    first = list(town_files(ME, entries, log_key=KEY, registries={}))
    assert first == list(town_files(ME, iter(entries), log_key=KEY, registries={}))
