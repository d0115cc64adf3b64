"""A witness: what it answers, and that it never signs backwards nor two roots, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.federation.towns import NETWORK, OPERATORS, START
from timebank_contracts.checkpoint import Checkpoint, open_cosignatures, sign_checkpoint
from timebank_contracts.equivocation import check_evidence
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, root_of
from timebank_contracts.note import COSIGNATURE, VerifierKey
from timebank_contracts.registry import FIRST_PREVIOUS, Operators, RegisteredNode, Registry
from timebank_contracts.registry import Witness as RegisteredWitness
from timebank_contracts.witness_request import WitnessRequest, make_request
from timebank_federation.witness import Witness, WitnessRefused
from timebank_kit.clock import ManualClock
from timebank_kit.files import atomic_write

ORIGIN = f"{NETWORK}/aberdare/g1"
LOG = SigningKey(bytes([1]) * 32)
EVENT = SigningKey(bytes([2]) * 32)
WITNESS = SigningKey(bytes([3]) * 32)
LOG_VKEY = VerifierKey(ORIGIN, LOG.public)
WITNESS_VKEY = VerifierKey("witness.example/w1", WITNESS.public, COSIGNATURE)
LEAVES = [leaf_hash(bytes([number])) for number in range(24)]
FORKED = [*LEAVES[:6], *(leaf_hash(b"other" + bytes([number])) for number in range(6, 24))]
BRANCHES = {"ours": LEAVES, "forked": FORKED}


def registry(*, state: str = "open", witness: bool = True) -> Registry:
    node = RegisteredNode(
        node="aberdare",
        generation="g1",
        state=state,  # type: ignore[arg-type]  # a word of the closed set
        event_keys=[b64_encode(EVENT.public)],
        log_keys=[b64_encode(LOG.public)],
        protocols=[1],
        url="http://aberdare.example",
        limit=600,
    )
    key = b64_encode(WITNESS.public if witness else SigningKey(bytes([4]) * 32).public)
    named = RegisteredWitness(name=WITNESS_VKEY.name, key=key, url="http://witness.example")
    operators = Operators(k=1, keys=[b64_encode(OPERATORS[0].public)])
    return Registry(
        protocol=1,
        network=NETWORK,
        version=1,
        previous=FIRST_PREVIOUS,
        operators=operators,
        nodes=[node],
        witnesses=[named],
    )


def made(folder: Path, *, said: Registry | None = None, write: Callable[[Path, bytes], None] = atomic_write) -> Witness:
    found = said or registry()
    return Witness(key=WITNESS, folder=folder, registry=lambda: found, clock=ManualClock(START), write=write)


def note(size: int, *, leaves: list[bytes] = LEAVES, key: SigningKey = LOG, origin: str = ORIGIN) -> bytes:
    return sign_checkpoint(Checkpoint(origin, size, root_of(leaves[:size])), key)


def request(old: int, size: int, *, leaves: list[bytes] = LEAVES) -> bytes:
    proof = consistency_proof(leaves[:size], old) if 0 < old <= size else []
    return make_request(WitnessRequest(old, proof, note(size, leaves=leaves)))


def refused(witness: Witness, raw: bytes) -> tuple[str, int | None]:
    with pytest.raises(WitnessRefused) as found:
        witness.add_checkpoint(raw)
    return found.value.code, found.value.size


def test_a_log_that_grows_is_cosigned_and_what_was_signed_is_shown(tmp_path: Path) -> None:
    """PROTOCOL.md V2, V3, V4."""
    witness = made(tmp_path)
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 20)):
        line = witness.add_checkpoint(request(old, size))
        assert open_cosignatures(note(size) + line, LOG_VKEY, [WITNESS_VKEY]) == {WITNESS_VKEY: int(START.timestamp())}
        shown = witness.latest(next(tmp_path.glob("*.note")).stem)
        assert shown == note(size) + line
    assert witness.counts["cosigned"] == 4


def test_another_size_than_the_last_is_answered_with_the_last(tmp_path: Path) -> None:
    """PROTOCOL.md V2."""
    witness = made(tmp_path)
    witness.add_checkpoint(request(0, 8))
    assert refused(witness, request(3, 9)) == ("proof_invalid", 8)
    assert refused(witness, request(0, 3)) == ("proof_invalid", 8)
    assert refused(made(tmp_path), request(9, 9)) == ("proof_invalid", 8)


def test_a_proof_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    """PROTOCOL.md V2."""
    witness = made(tmp_path)
    witness.add_checkpoint(request(0, 7))
    bad = make_request(WitnessRequest(7, consistency_proof(LEAVES[:10], 7)[:-1], note(10)))
    assert refused(witness, bad) == ("proof_invalid", None)
    assert not witness.evidence, "a bad proof accuses nobody"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"old 1\n", "malformed"),
        (request(0, 3) + b"more", "malformed"),
        (make_request(WitnessRequest(4, [], note(3))), "malformed"),
        (make_request(WitnessRequest(0, [], note(3, origin=f"{NETWORK}/barry/g1"))), "not_found"),
        (make_request(WitnessRequest(0, [], note(3, origin=f"{NETWORK}/aberdare/g2"))), "not_found"),
        (make_request(WitnessRequest(0, [], note(3, key=EVENT))), "forbidden"),
        (make_request(WitnessRequest(0, [], sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), LOG))), "proof_invalid"),
    ],
    ids=["no-note", "text-behind", "old-above", "another-node", "another-generation", "another-key", "no-empty-root"],
)
def test_what_is_not_cosigned_has_a_code(tmp_path: Path, raw: bytes, code: str) -> None:
    """PROTOCOL.md V2."""
    assert refused(made(tmp_path), raw)[0] == code


def test_the_empty_log_is_cosigned(tmp_path: Path) -> None:
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), LOG)
    assert made(tmp_path).add_checkpoint(make_request(WitnessRequest(0, [], empty)))


def test_a_closed_town_and_a_witness_that_is_not_named_are_turned_away(tmp_path: Path) -> None:
    """PROTOCOL.md V2."""
    assert refused(made(tmp_path, said=registry(state="closed")), request(0, 3))[0] == "not_found"
    assert refused(made(tmp_path, said=registry(witness=False)), request(0, 3))[0] == "not_ready"


def test_one_checkpoint_asked_about_again_and_again_is_slowed_down_and_the_next_is_not(tmp_path: Path) -> None:
    """PROTOCOL.md V2."""
    witness = made(tmp_path)
    witness.add_checkpoint(request(0, 3))
    codes = []
    for _ in range(12):
        try:
            witness.add_checkpoint(request(3, 3))
        except WitnessRefused as found:
            codes.append((found.code, found.seconds))
    assert codes == [("rate_limited", 1)] * 3
    assert witness.add_checkpoint(request(3, 4))


def test_two_roots_of_one_size_are_kept_as_evidence(tmp_path: Path) -> None:
    """PROTOCOL.md V6."""
    witness = made(tmp_path)
    witness.add_checkpoint(request(0, 9))
    for _ in range(2):
        assert refused(witness, request(9, 9, leaves=FORKED)) == ("proof_invalid", 9)
    [file] = witness.evidence
    assert "two roots" in check_evidence(file.read_bytes())[1]


def test_a_log_that_grew_another_way_is_kept_as_evidence_with_its_own_proof(tmp_path: Path) -> None:
    """PROTOCOL.md V6."""
    witness = made(tmp_path)
    witness.add_checkpoint(request(0, 9))
    assert refused(witness, request(9, 12, leaves=FORKED)) == ("proof_invalid", None)
    [file] = witness.evidence
    assert "do not begin with them" in check_evidence(file.read_bytes())[1]


class Dies(Exception):
    """The process ends here."""


asked = st.tuples(st.sampled_from(sorted(BRANCHES)), st.integers(0, 24), st.integers(1, 24), st.booleans())
crash = st.sampled_from(["", "", "", "before the write", "after the write", "disk full"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(asked, crash), min_size=1, max_size=30))
def test_a_witness_never_signs_backwards_nor_two_roots(steps: list[tuple[tuple[str, int, int, bool], str]]) -> None:
    """PROTOCOL.md V4: whoever asks what, and wherever the process dies."""
    with TemporaryDirectory() as name:
        folder, now = Path(name), ""

        def write(path: Path, content: bytes) -> None:
            if now == "before the write":
                raise Dies
            if now == "disk full":
                raise OSError(28, "No space left on device")
            atomic_write(path, content)
            if now == "after the write":
                raise Dies

        witness, signed = made(folder, write=write), dict[int, str]()
        kept, last = 0, 0
        for (branch, named, size, follows), now in steps:
            try:
                old = kept if follows else named
                line = witness.add_checkpoint(request(old, size, leaves=BRANCHES[branch]))
            except (WitnessRefused, OSError):
                continue
            except Dies:
                witness = made(folder, write=write)
                kept = size if now == "after the write" else kept
                continue
            leaves = BRANCHES[branch]
            assert open_cosignatures(note(size, leaves=leaves) + line, LOG_VKEY, [WITNESS_VKEY])
            assert size >= last, "never backwards"
            root = root_of(leaves[:size]).hex()
            assert signed.setdefault(size, root) == root, "never two roots"
            assert root_of(leaves[:last]).hex() == signed.get(last, root_of(leaves[:last]).hex()), "one history"
            kept = last = size


def test_many_that_ask_at_once_are_answered_one_after_another(tmp_path: Path) -> None:
    """PROTOCOL.md V4."""
    witness = made(tmp_path)
    witness.add_checkpoint(request(0, 7))

    def ask(number: int) -> str | None:
        branch = ("ours", "forked")[number % 2]
        try:
            witness.add_checkpoint(request(7, 8 + number // 2, leaves=BRANCHES[branch]))
        except WitnessRefused:
            return None
        return branch

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(16)))
    assert {branch for branch in answers if branch} == {"ours"}
    assert len([branch for branch in answers if branch]) == 1, "the size that was cosigned last is another one then"
