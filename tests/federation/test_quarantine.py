"""Quarantine: bounded in number and size, kept over a restart; evidence outlives rubbish."""

from __future__ import annotations

from pathlib import Path

from timebank_federation.quarantine import Quarantine


def codes(quarantine: Quarantine) -> list[str]:
    return [item.code for item in quarantine.kept.values()]


def test_the_same_bytes_are_kept_once(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    for _ in range(3):
        quarantine.put(b"x", code="malformed", detail="no form")
    assert len(list(tmp_path.iterdir())) == 2


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, items_max=3)
    for number in range(10):
        quarantine.put(b"%d" % number, code=f"c{number}", detail="")
    assert codes(quarantine) == ["c7", "c8", "c9"]
    assert (quarantine.given_up, len(list(tmp_path.iterdir()))) == (7, 6)


def test_the_oldest_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, bytes_max=1_000)
    for number in range(10):
        quarantine.put(bytes([number]) * 300, code=f"c{number}", detail="")
    assert codes(quarantine) == ["c7", "c8", "c9"]
    assert sum(path.stat().st_size for path in tmp_path.glob("*.segment")) == 900
    quarantine.put(bytes(2_000), code="huge", detail="")
    assert codes(quarantine) == []


def test_evidence_of_a_breach_is_not_washed_away_by_rubbish(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, items_max=3)
    quarantine.put(b"evidence", code="message_misplaced", detail="")
    for number in range(10):
        quarantine.put(b"%d" % number, code="malformed", detail="")
    assert codes(quarantine) == ["message_misplaced", "malformed", "malformed"]


def test_evidence_is_bounded_too(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, items_max=3)
    for number in range(10):
        quarantine.put(b"%d" % number, code="message_misplaced", detail="")
    assert len(quarantine.kept) == 3


def test_it_is_there_after_a_restart_with_its_bytes_and_reasons(tmp_path: Path) -> None:
    Quarantine(tmp_path).put(b"bytes", code="unsigned", detail="why")
    again = Quarantine(tmp_path)
    (item,) = again.kept.values()
    assert (item.code, item.detail, item.size) == ("unsigned", "why", 5)
    assert (tmp_path / f"{item.sha256}.segment").read_bytes() == b"bytes"


def test_what_a_crash_left_half_written_is_removed_and_stops_nobody(tmp_path: Path) -> None:
    first = Quarantine(tmp_path)
    first.put(b"whole", code="unsigned", detail="")
    (tmp_path / f"{'a' * 64}.segment").write_bytes(b"no reason")
    (tmp_path / f"{'b' * 64}.segment").write_bytes(b"cut off")
    (tmp_path / f"{'b' * 64}.json").write_text('{"size": 3, "co')
    again = Quarantine(tmp_path)
    assert again.kept == first.kept
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_loses_bytes_and_not_the_reason(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    quarantine.put(b"x", code="malformed", detail="")
    assert codes(quarantine) == ["malformed"]
