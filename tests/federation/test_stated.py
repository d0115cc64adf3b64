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
from timebank_federation.stated import SIZES_MAX, Stated

PEER = registry().nodes[0]


def stating(size: int, root: int, *, generation: str = "g1", key: SigningKey = EVENT) -> Segment:
    names = {"network": NETWORK, "generation": generation}
    raw = make_segment(
        identity=Identity(NETWORK, "aberdare", generation),
        to="barry",
        after=StreamHead(0, chain_start(**names, sender="aberdare", receiver="barry")),
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
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_no_contradiction_accuses_nobody(tmp_path: Path) -> None:
    """PROTOCOL.md V6: a size again, another size, another generation, no checkpoint yet, another signer."""
    stated = Stated(tmp_path)
    for size, root in ((7, 1), (7, 1), (8, 2), (0, 3), (0, 4)):
        assert stated.take(stating(size, root), PEER) is None
    assert stated.take(stating(7, 9, generation="g2"), PEER) is None
    assert stated.take(stating(7, 9, key=SigningKey(bytes([5]) * 32)), PEER) is None
    assert (stated.contradictions, list(tmp_path.iterdir())) == (0, [])


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    stated = Stated(tmp_path)
    for size in range(1, SIZES_MAX + 2):
        stated.take(stating(size, 1), PEER)
    assert stated.take(stating(1, 2), PEER) is None, "the oldest size was forgotten"
    assert stated.take(stating(SIZES_MAX + 1, 2), PEER) is not None
