"""A mirror keeps what is proved, and nothing else; who contradicts it leaves evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.vectors.paper_town import make_key
from tests.node.logs import PaperLog, long_log
from timebank_contracts.checkpoint import open_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_node.mirror import LogContradicts, Mirror
from timebank_node.mirror_door import LogAway

TOWN, LOG = long_log()
ENTRIES = list(TOWN.journal)


def log(entries: list[bytes] = ENTRIES) -> PaperLog:
    return PaperLog(LOG.origin, LOG.key, entries)


def states(mirror: Mirror) -> list[bytes]:
    return [record.state for record in mirror.journal.scan(0, mirror.journal.length())]


def test_a_mirror_holds_the_log_byte_for_byte_and_goes_on_from_what_it_has(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", LOG.vkey, page_entries=100)
    assert mirror.advance(log(ENTRIES[:300])) == 300
    mirror.close()
    again = Mirror(tmp_path / "mirror", page_entries=100)
    assert again.advance(log()) == len(ENTRIES) - 300
    assert again.advance(log()) == 0
    assert states(again) == ENTRIES
    assert again.is_whole
    again.close()


def test_keys_and_types_are_kept_beside_the_entries_as_the_node_keeps_them(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", LOG.vkey)
    mirror.advance(log())
    first, second = mirror.journal.read(0, 2)
    assert (first.topic, second.topic) == ("node.opened", "policy.changed")
    mirror.close()


def test_a_run_that_was_cut_off_is_finished_by_the_next(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", LOG.vkey, page_entries=100)
    short = log()
    short.answers = 2
    with pytest.raises(LogAway):
        mirror.advance(short)
    assert mirror.tree.size == 200
    assert not mirror.is_whole
    mirror.close()
    again = Mirror(tmp_path / "mirror", LOG.vkey, page_entries=100)
    again.advance(log())
    assert states(again) == ENTRIES
    again.close()


@pytest.mark.parametrize("at", [0, 99, 100, 557])
def test_an_entry_that_is_not_the_log_s_is_not_kept(tmp_path: Path, at: int) -> None:
    mirror = Mirror(tmp_path / "mirror", LOG.vkey, page_entries=100)
    liar = log()
    liar.given = [*ENTRIES[:at], ENTRIES[at].replace(b'"time":"2026', b'"time":"2025'), *ENTRIES[at + 1 :]]
    with pytest.raises(Malformed, match="none was kept"):
        mirror.advance(liar)
    assert states(mirror) == ENTRIES[: at // 100 * 100]
    mirror.close()


@settings(max_examples=12, deadline=None)
@given(had=st.integers(1, 400), shown=st.integers(1, 400), cut=st.integers(0, 399))
def test_a_log_that_does_not_continue_its_mirror_leaves_evidence(
    tmp_path_factory: pytest.TempPathFactory, had: int, shown: int, cut: int
) -> None:
    """PROTOCOL.md G4, G6."""
    folder = tmp_path_factory.mktemp("mirror")
    mirror = Mirror(folder, LOG.vkey)
    mirror.advance(log(ENTRIES[:had]))
    other = [*ENTRIES[:cut], *(raw.replace(b'"time":"2026', b'"time":"2027') for raw in ENTRIES[cut:shown])][:shown]
    if shown >= had and other[:had] == ENTRIES[:had]:
        mirror.advance(log(other))
        assert states(mirror) == other
        mirror.close()
        return
    with pytest.raises(LogContradicts, match="contradicts its mirror"):
        mirror.advance(log(other))
    assert states(mirror) == ENTRIES[:had]
    evidence = open_checkpoint((folder / "contradiction").read_bytes(), LOG.vkey)
    assert evidence.size == shown
    mirror.close()


def test_a_checkpoint_under_another_key_is_refused(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", LOG.vkey)
    with pytest.raises(Malformed, match="not signed by"):
        mirror.advance(PaperLog(LOG.origin, make_key("a stranger"), ENTRIES))
    assert mirror.tree.size == 0
    mirror.close()


def test_a_folder_mirrors_one_log(tmp_path: Path) -> None:
    Mirror(tmp_path / "mirror", LOG.vkey).close()
    with pytest.raises(Malformed, match="choose another folder"):
        Mirror(tmp_path / "mirror", PaperLog(LOG.origin, make_key("a stranger"), []).vkey)
    with pytest.raises(Malformed, match="is no mirror"):
        Mirror(tmp_path / "nothing")


def test_a_store_that_was_changed_is_no_mirror_any_more(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", LOG.vkey)
    mirror.advance(log(ENTRIES[:10]))
    mirror.journal.append([mirror.journal.read(9, 1)[0]._replace(position=10)])
    mirror.close()
    with pytest.raises(Malformed, match="begin a new mirror"):
        Mirror(tmp_path / "mirror")


def test_the_tree_of_a_mirror_is_that_of_its_entries(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", LOG.vkey)
    mirror.advance(log())
    tree = Tree()
    for raw in ENTRIES:
        tree.append(leaf_hash(raw))
    assert mirror.tree.root() == tree.root() == mirror.seen.root
    mirror.close()
