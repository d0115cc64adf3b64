"""Tiles: the paths of the specification, strict bundles, and proofs read back from the files of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import (
    consistency_proof,
    consistency_proof_from,
    inclusion_proof,
    inclusion_proof_from,
    leaf_hash,
    root_of,
)
from timebank_contracts.tiles import (
    TileName,
    decode_bundle,
    encode_bundle,
    log_files,
    parse_tile_path,
    root_of_entries,
    split_tile,
    tile_path,
    tile_reader,
    tiles_of,
)

ENTRIES = [b"entry %d" % number for number in range(70_000)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (TileName(0, 0, 256), "tile/0/000"),
        (TileName(0, 5, 256), "tile/0/005"),
        (TileName(3, 999, 1), "tile/3/999.p/1"),
        (TileName(0, 1000, 256), "tile/0/x001/000"),
        (TileName(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (TileName(None, 1_234_067, 255), "tile/entries/x001/x234/067.p/255"),
        (TileName(None, 0, 112), "tile/entries/000.p/112"),
    ],
)
def test_a_path_is_that_of_the_specification(name: TileName, path: str) -> None:
    assert tile_path(name) == path
    assert parse_tile_path(path) == name


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 2**56), st.integers(1, 256))
def test_a_path_reads_as_it_is_written(level: int | None, number: int, width: int) -> None:
    name = TileName(level, number, width)
    assert parse_tile_path(tile_path(name)) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/234",
        "tile/0/x001/x234",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/entry/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000\n",
        "/tile/0/000",
        "tile/0/../0/000",
        "tile/0/٠٠٠",
        "tile/0/X001/000",
        "tile/0/" + "x001/" * 12 + "000",
    ],
)
def test_a_path_of_another_form_is_malformed(path: str) -> None:
    with pytest.raises(Malformed):
        parse_tile_path(path)


def test_a_size_names_its_tiles_as_in_the_specification() -> None:
    """The example of c2sp.org/tlog-tiles: a tree of 70,000."""
    names = list(tiles_of(70_000))
    paths = [tile_path(name) for name in names]
    assert [path for path in paths if ".p/" in path] == [
        "tile/entries/273.p/112",
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert len(paths) == len(set(paths)) == 2 * 274 + 2 + 1
    assert list(tiles_of(0)) == []
    assert [tile_path(name) for name in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


def test_a_bundle_is_lengths_and_entries() -> None:
    assert encode_bundle([b"", b"ab", b"c" * 258]) == b"\x00\x00" + b"\x00\x02ab" + b"\x01\x02" + b"c" * 258
    assert decode_bundle(encode_bundle([b"x" * 65_535])) == [b"x" * 65_535]


@pytest.mark.parametrize("raw", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x01a\x00", b"\x00\x01a\xff\xffb"])
def test_a_bundle_cut_short_or_with_bytes_behind_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed, match="cut short"):
        decode_bundle(raw)


def test_a_bundle_with_more_entries_than_its_width_is_malformed() -> None:
    assert len(decode_bundle(b"\x00\x00" * 256)) == 256
    with pytest.raises(Malformed, match="at most 256"):
        decode_bundle(b"\x00\x00" * 257)
    with pytest.raises(Malformed, match="at most 3"):
        decode_bundle(b"\x00\x00" * 4, count_max=3)


def test_an_entry_too_long_for_its_length_field_is_refused() -> None:
    with pytest.raises(Malformed):
        encode_bundle([b"x" * 65_536])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_the_files_of_a_log_are_exactly_the_tiles_of_its_size(size: int) -> None:
    files = dict(log_files(ENTRIES[:size]))
    assert set(files) == {tile_path(name) for name in tiles_of(size)}
    for path, content in files.items():
        name = parse_tile_path(path)
        if name.level is None:
            first = 256 * name.number
            assert decode_bundle(content) == ENTRIES[first : first + name.width]
        else:
            hashes = split_tile(content, name)
            span = 256**name.level
            at = 256 * name.number * span
            assert hashes[-1] == root_of(LEAVES[at + (name.width - 1) * span : at + name.width * span])


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1000, 65_536, 65_793, 70_000])
def test_proofs_from_stored_tiles_are_those_from_all_leaves(size: int) -> None:
    files = dict(log_files(ENTRIES[:size]))
    read = tile_reader(lambda name: files[tile_path(name)], size=size)
    leaves = LEAVES[:size]
    for index in {0, size // 3, size - 1}:
        assert inclusion_proof_from(read, index=index, size=size) == inclusion_proof(leaves, index)
    for old in {0, 1, size // 2, size - 1, size}:
        assert consistency_proof_from(read, old=old, size=size) == consistency_proof(leaves, old)


def test_a_tile_of_another_length_than_its_name_says_is_malformed() -> None:
    name = TileName(0, 0, 2)
    assert split_tile(bytes(64), name) == [bytes(32), bytes(32)]
    for length in (0, 32, 63, 65, 96):
        with pytest.raises(Malformed):
            split_tile(bytes(length), name)


def test_the_root_of_entries_is_that_of_their_leaf_hashes() -> None:
    assert root_of_entries(ENTRIES[:1000]) == root_of(LEAVES[:1000])
