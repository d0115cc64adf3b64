"""Streams: chains that name their stream, and folds that do not depend on how they are cut."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.streams import chain_next, chain_start, fold

MESSAGES = st.lists(st.binary(min_size=1, max_size=20), max_size=12)
NAMES = {"network": "timebank.wales", "sender": "aberdare", "generation": "g1", "receiver": "barry"}


def test_a_chain_begins_with_the_names_of_its_stream() -> None:
    """PROTOCOL.md S1."""
    text = b"timebank stream v1\ntimebank.wales\naberdare\ng1\nbarry"
    assert chain_start(**NAMES) == sha256(text).digest()


def test_no_two_streams_begin_alike() -> None:
    """PROTOCOL.md S1."""
    others = [{**NAMES, name: "cardiff"} for name in NAMES] + [{**NAMES, "sender": "barry", "receiver": "aberdare"}]
    assert len({chain_start(**names) for names in (NAMES, *others)}) == 6


@given(MESSAGES)
def test_a_chain_value_is_the_hash_of_the_one_before_and_the_message(messages: list[bytes]) -> None:
    """PROTOCOL.md S2."""
    chain = chain_start(**NAMES)
    for message, value in zip(messages, fold(chain, messages), strict=True):
        chain = sha256(chain + sha256(message).digest()).digest()
        assert chain == value


@given(MESSAGES, st.data())
def test_a_fold_in_two_cuts_is_the_fold_of_the_whole(messages: list[bytes], data: st.DataObject) -> None:
    """PROTOCOL.md S7."""
    chain, at = chain_start(**NAMES), data.draw(st.integers(0, len(messages)))
    first = fold(chain, messages[:at])
    assert first + fold([chain, *first][-1], messages[at:]) == fold(chain, messages)


@given(MESSAGES, MESSAGES)
def test_other_messages_give_another_chain(one: list[bytes], other: list[bytes]) -> None:
    """PROTOCOL.md S2."""
    chain = chain_start(**NAMES)
    assert ([chain, *fold(chain, one)][-1] == [chain, *fold(chain, other)][-1]) is (one == other)


@given(st.binary(min_size=1), st.binary(min_size=1))
def test_two_messages_are_not_one_of_their_bytes_together(one: bytes, other: bytes) -> None:
    """PROTOCOL.md S2."""
    chain = chain_start(**NAMES)
    assert chain_next(chain_next(chain, one), other) != chain_next(chain, one + other)
