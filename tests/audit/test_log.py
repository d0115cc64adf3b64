"""The walk of a log: every size, every level of tiles, and the first bad leaf by its position."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit.builder import key
from timebank_audit.files import TownFiles
from timebank_audit.findings import Findings
from timebank_audit.log import EntryFile, LogWalk, read_checkpoint
from timebank_contracts.log_files import town_files
from timebank_contracts.names import Identity
from timebank_contracts.tiles import decode_bundle, encode_bundle

ME = Identity("timebank.wales", "aberdare", "g1")


def write(directory: Path, size: int) -> list[bytes]:
    entries = [b"entry %d" % n for n in range(size)]
    for path, content in town_files(ME, entries, log_key=key("log"), registries={}):
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return entries


def walk(directory: Path) -> tuple[list[bytes], Findings, bool]:
    files = TownFiles(directory)
    log = LogWalk(files, read_checkpoint(files))
    entries = [raw for raws in log.bundles() for raw in raws]
    findings = Findings()
    return entries, findings, log.judge(findings, "aberdare")


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 600, 1024])
def test_a_log_of_any_size_walks_to_its_signed_root(size: int, tmp_path: Path) -> None:
    entries = write(tmp_path, size)
    found, findings, good = walk(tmp_path)
    assert good
    assert found == entries
    assert not findings.found
    again = EntryFile(TownFiles(tmp_path), size)
    assert [again[at] for at in range(size)] == entries


def test_tiles_of_every_level_are_compared(tmp_path: Path) -> None:
    size = 65_536 + 256 * 3 + 5
    write(tmp_path, size)
    assert walk(tmp_path)[2]
    for path in ("tile/0/100", "tile/1/000", "tile/1/001.p/3", "tile/2/000.p/1"):
        file = tmp_path / path
        good = file.read_bytes()
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        _, findings, _ = walk(tmp_path)
        assert [(finding.code, finding.place) for finding in findings.found] == [("A01", path)]
        file.write_bytes(good)


def test_the_first_bad_leaf_is_named(tmp_path: Path) -> None:
    write(tmp_path, 600)
    file = tmp_path / "tile/entries/001"
    entries = decode_bundle(file.read_bytes())
    entries[7] = b"another"
    entries[9] = b"another"
    file.write_bytes(encode_bundle(entries))
    _, findings, good = walk(tmp_path)
    assert not good
    assert [(finding.code, finding.place) for finding in findings.found] == [("A04", "entry 263 (the first bad leaf)")]


@pytest.mark.parametrize(
    ("path", "found"),
    [("tile/entries/001", "256: 256 to 599 are missing"), ("tile/entries/002.p/88", "512: 512 to 599 are missing")],
)
def test_missing_entries_are_named(path: str, found: str, tmp_path: Path) -> None:
    write(tmp_path, 600)
    (tmp_path / path).unlink()
    _, findings, good = walk(tmp_path)
    assert not good
    assert [finding.code for finding in findings.found] == ["A02"]
    assert findings.found[0].found.startswith(found)
