"""What peers state of their logs: two roots for one size make a file that anybody checks."""

from __future__ import annotations

from pathlib import Path

from tests.federation.test_witness import EVENT, registry
from tests.federation.towns import NETWORK
from timebank_contracts.equivocation import check_evidence
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard, Segment, make_segment, parse_segment
from timebank_contracts.streams import StreamHead, chain_start
from timebank_federation.stated import LINES_MAX, SIZES_MAX, Stated

PEER = registry().nodes[0]


def stating(
    size: int,
    root: int,
    *,
    generation: str = "g1",
    key: SigningKey = EVENT,
    after: StreamHead | None = None,
) -> Segment:
    names = {"network": NETWORK, "generation": generation}
    raw = make_segment(
        identity=Identity(NETWORK, "aberdare", generation),
        to="barry",
        after=after or StreamHead(0, chain_start(**names, sender="aberdare", receiver="barry")),
        messages=[],
        heard=Heard(generation="g1", n=0, chain="00" * 32),
        registry=1,
        size=size,
        root=bytes([root]) * 32,
        key=key,
    )
    return parse_segment(raw)


def test_two_roots_for_one_size_are_kept_as_evidence_with_both_envelopes(tmp_path: Path) -> None:
    """PROTOCOL.md V6."""
    stated = Stated(tmp_path)
    assert stated.take(stating(7, 1), PEER) is None
    file = stated.take(stating(7, 2), PEER)
    assert file is not None
    assert "two roots for its first 7 entries" in check_evidence(file.read_bytes())[1]
    assert stated.take(stating(7, 2), PEER) == file
    assert (stated.contradictions, len(list(tmp_path.glob("*.json")))) == (1, 1)


def test_what_is_no_contradiction_accuses_nobody(tmp_path: Path) -> None:
    """PROTOCOL.md V6: a size again, another size, another generation, no checkpoint yet, another signer."""
    stated = Stated(tmp_path)
    for size, root in ((7, 1), (7, 1), (8, 2), (0, 3), (0, 4)):
        assert stated.take(stating(size, root), PEER) is None
    assert stated.take(stating(7, 9, generation="g2"), PEER) is None
    assert stated.take(stating(7, 9, key=SigningKey(bytes([5]) * 32)), PEER) is None
    assert (stated.contradictions, list(tmp_path.glob("*.json"))) == (0, [])


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    stated = Stated(tmp_path)
    for size in range(1, SIZES_MAX + 2):
        stated.take(stating(size, 1), PEER)
    assert stated.take(stating(1, 2), PEER) is None, "the oldest size was forgotten"
    assert stated.take(stating(SIZES_MAX + 1, 2), PEER) is not None


def at(position: int, chain: int) -> StreamHead:
    return StreamHead(position, bytes([chain]) * 32)


def test_two_chain_values_for_one_position_are_evidence_too(tmp_path: Path) -> None:
    """PROTOCOL.md V6."""
    stated = Stated(tmp_path)
    assert stated.take(stating(7, 1, after=at(3, 1)), PEER) is None
    assert stated.take(stating(8, 2, after=at(3, 1)), PEER) is None
    assert stated.take(stating(9, 3, after=at(4, 9)), PEER) is None
    file = stated.take(stating(10, 4, after=at(3, 2)), PEER)
    assert file is not None
    assert "two chain values for message 3" in check_evidence(file.read_bytes())[1]


def test_what_was_stated_is_remembered_over_a_restart_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    """PROTOCOL.md V6."""
    first = Stated(tmp_path)
    first.take(stating(7, 1, after=at(3, 1)), PEER)
    [kept] = (tmp_path / "stated").iterdir()
    with kept.open("ab") as file:
        file.write(b'\n{"payload":"eyJ')
    Stated(tmp_path).take(stating(8, 3), PEER)
    assert Stated(tmp_path).take(stating(8, 4), PEER) is not None
    assert Stated(tmp_path).take(stating(7, 2), PEER) is not None
    again = Stated(tmp_path)
    assert again.take(stating(9, 2, after=at(3, 2)), PEER) is not None
    assert again.contradictions == 3


def test_the_file_of_what_was_stated_is_bounded_and_says_what_is_remembered(tmp_path: Path) -> None:
    stated = Stated(tmp_path)
    for size in range(1, LINES_MAX + 2):
        stated.take(stating(size, 1), PEER)
    [kept] = (tmp_path / "stated").iterdir()
    assert kept.read_bytes().count(b"\n") == SIZES_MAX
    again = Stated(tmp_path)
    assert again.take(stating(LINES_MAX, 2), PEER) is not None
    assert again.take(stating(1, 2), PEER) is None


def test_a_disk_that_takes_nothing_holds_up_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    stated = Stated(tmp_path / "file" / "folder")
    assert stated.take(stating(7, 1), PEER) is None
    assert stated.take(stating(7, 2), PEER) is None
