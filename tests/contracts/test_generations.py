"""Generations: what a peer lost never happened, what it had said before happened once, and nothing stays open."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.vectors.paper_town import NEVER, PaperTown, make_key, talk, two_towns
from tests.contracts.test_book_refunds import refund
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.accept import StopsAt
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.keys import b64_encode
from timebank_contracts.names import Identity
from timebank_contracts.rules_streams import Stale
from timebank_contracts.segments import Heard, make_segment
from timebank_contracts.streams import StreamHead, chain_start, fold

RULE = e.Actor(kind="rule")
PEER = e.Actor(kind="peer", id="aberdare")


class NextGeneration:
    """What Aberdare says under g2: any messages, validly signed."""

    def __init__(self, number: int = 2) -> None:
        self.generation = f"g{number}"
        self.key = make_key(f"aberdare {self.generation} event key")
        self.messages: list[bytes] = []

    def say(self, raw: bytes) -> None:
        """Say again, under its old id, what a message of g1 said."""
        message = m.decode_message(raw)
        fields = {name: getattr(message, name) for name in ("source", "specversion", "subject", "time", "data")}
        position = len(self.messages) + 1
        again = type(message)(id=m.message_id("barry", self.generation, position), **fields)
        self.messages.append(m.encode_message(again))

    def send(self, payee: str, minutes: int) -> str:
        """A transfer of its own."""
        position = len(self.messages) + 1
        transfer = f"aberdare.{self.generation}.barry.{position}"
        data = m.Sent(
            transfer=transfer,
            at=40 + position,
            minutes=minutes,
            payee=payee,
            payer_tag="0" * 30,
            purpose="gift",
            expires_at=NEVER,
        )
        head: dict[str, Any] = {"source": "aberdare", "specversion": "1.0", "subject": "barry"}
        name = m.message_id("barry", self.generation, position)
        message = m.TransferSentMessage(id=name, time="2026-03-02T12:00:00.000Z", data=data, **head)
        self.messages.append(m.encode_message(message))
        return transfer

    def segment(self, first: int = 1, *, heard: Heard | None = None) -> bytes:
        start = chain_start(network="timebank.wales", sender="aberdare", generation=self.generation, receiver="barry")
        chain = [start, *fold(start, self.messages)]
        other = chain_start(network="timebank.wales", sender="barry", generation="g1", receiver="aberdare")
        return make_segment(
            identity=Identity("timebank.wales", "aberdare", self.generation),
            to="barry",
            after=StreamHead(first - 1, chain[first - 1]),
            messages=self.messages[first - 1 :],
            heard=heard or Heard(generation="g1", n=0, chain=other.hex()),
            registry=2,
            size=0,
            root=bytes(32),
            key=self.key,
        )


def ended(town: PaperTown, peer: str = "aberdare", **said: Any) -> e.GenerationClosed:
    found = town.book.peers[peer]
    fields: dict[str, Any] = {"peer": peer, "generation": found.generation, "last_in": found.incoming.n}
    return e.GenerationClosed(**(fields | {"chain": found.incoming.chain.hex()} | said))


def registry(town: PaperTown) -> None:
    version = town.book.registry_version + 1
    town.write(e.RegistryAcceptedEntry, e.RegistryAccepted(version=version, sha256="ab" * 32))


def changed(town: PaperTown, *, generation: str, state: Any = "open", key: bytes = b"") -> e.Peer:
    keys = [b64_encode(key)] if key else []
    limit = 3000 if state != "closed" else 0
    return e.Peer(
        peer="aberdare", generation=generation, state=state, owe_limit=limit, owed_limit=limit, event_keys=keys
    )


def succeed(town: PaperTown, following: NextGeneration) -> None:
    """The registry goes on to the next generation."""
    registry(town)
    town.write(e.PeerGenerationClosed, ended(town), by=RULE)
    data = changed(town, generation=following.generation, key=following.key.public)
    town.write(e.PeerChanged, data, by=RULE)


def close_for_ever(town: PaperTown) -> None:
    registry(town)
    town.write(e.PeerGenerationClosed, ended(town), by=RULE)
    town.write(e.PeerChanged, changed(town, generation="g1", state="closed"), by=RULE)


def give_back(town: PaperTown, transfer: str, *, by: e.Actor = RULE, **said: Any) -> e.Entry:
    found = town.book.open_transfers[transfer]
    fields: dict[str, Any] = {"reason": "peer_closed", "registry": town.book.registry_version}
    postings = [(f"transit:{found.peer}", -found.minutes), (found.payer, found.minutes)]
    return town.write(e.TransferReturned, e.Returned(transfer=transfer, **(fields | said)), by=by, postings=postings)


def refused(town: PaperTown, kind: type[e.Entry], data: Any, **rest: Any) -> str:
    before = deepcopy(town.book)
    with pytest.raises(Refusal) as caught:
        town.write(kind, data, **rest)
    assert town.book == before
    return caught.value.code


def test_a_generation_is_closed_once_with_what_was_applied_of_it() -> None:
    """PROTOCOL.md X1, X2."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 5)
    barry.take(aberdare.segment("barry"))
    assert refused(barry, e.PeerGenerationClosed, ended(barry, last_in=0), by=RULE) == "segment_invalid"
    assert refused(barry, e.PeerGenerationClosed, ended(barry, chain="00" * 32), by=RULE) == "segment_invalid"
    assert refused(barry, e.PeerGenerationClosed, ended(barry, generation="g2"), by=RULE) == "registry_invalid"
    assert refused(barry, e.PeerGenerationClosed, ended(barry), by=PEER) == "purpose_invalid"
    postings = [("bryn", 1), ("clearing:aberdare", -1)]
    assert refused(barry, e.PeerGenerationClosed, ended(barry), by=RULE, postings=postings) == "posting_invalid"
    stranger = e.GenerationClosed(peer="cardiff", generation="g1", last_in=0, chain="00" * 32)
    assert refused(barry, e.PeerGenerationClosed, stranger, by=RULE) == "peer_unknown"
    barry.write(e.PeerGenerationClosed, ended(barry), by=RULE)
    assert refused(barry, e.PeerGenerationClosed, ended(barry), by=RULE) == "registry_invalid"


def test_a_closed_generation_is_refused_and_does_not_come_back() -> None:
    """PROTOCOL.md X2, S5."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 5)
    assert refused(barry, e.PeerChanged, changed(barry, generation="g2")) == "registry_invalid"
    barry.write(e.PeerGenerationClosed, ended(barry), by=RULE)
    assert refused(barry, e.PeerChanged, changed(barry, generation="g1")) == "registry_invalid"
    with pytest.raises(Refusal, match="segment_invalid"):
        barry.take(aberdare.segment("barry"))
    following = NextGeneration(3)
    barry.write(e.PeerChanged, changed(barry, generation="g3", key=following.key.public), by=RULE)
    with pytest.raises(Refusal, match="segment_invalid"):
        barry.take(aberdare.segment("barry"))
    barry.write(e.PeerGenerationClosed, ended(barry), by=RULE)
    for earlier in ("g1", "g2"):
        assert refused(barry, e.PeerChanged, changed(barry, generation=earlier)) == "registry_invalid"


def test_the_next_generation_begins_its_own_stream_and_all_else_goes_on() -> None:
    """PROTOCOL.md X3, X5."""
    aberdare, barry, alys, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 50)
    talk(aberdare, barry)
    transfer = barry.send("bryn", "aberdare", alys, 20)
    following = NextGeneration()
    before = dict(barry.book.balances())
    succeed(barry, following)
    assert dict(barry.book.balances()) == before
    assert transfer in barry.book.open_transfers
    assert (
        refused(
            barry,
            e.TransferReturned,
            e.Returned(transfer=transfer, reason="peer_closed", registry=1),
            by=RULE,
            postings=[("transit:aberdare", -20), ("bryn", 20)],
        )
        == "segment_pending"
    )
    following.send(bryn, 7)
    entries = barry.take(following.segment())
    assert [e.entry_type(entry) for entry in entries] == ["segment.accepted", "transfer.received"]
    assert barry.book.accounts["bryn"].balance == 50 - 20 + 7


def test_a_new_generation_decides_what_was_sent_to_the_old_one() -> None:
    """PROTOCOL.md X5."""
    _, barry, alys, _ = two_towns()
    transfer = barry.send("bryn", "aberdare", alys, 20)
    following = NextGeneration()
    succeed(barry, following)
    head: dict[str, Any] = {"source": "aberdare", "specversion": "1.0", "subject": "barry"}
    yes = m.TransferReceivedMessage(
        id="barry/g2/1", time="2026-03-02T12:00:00.000Z", data=m.Received(transfer=transfer, minutes=20), **head
    )
    following.messages.append(m.encode_message(yes))
    barry.take(following.segment())
    assert not barry.book.open_transfers
    assert barry.book.accounts["clearing:aberdare"].balance == 20


def test_evidence_does_not_freeze_the_next_generation() -> None:
    """PROTOCOL.md X3, S9."""
    _, barry, _, bryn = two_towns()
    evidence = e.Frozen(
        peer="aberdare", generation="g1", position=1, code="message_malformed", segment_sha256="ab" * 32
    )
    barry.write(e.PeerFrozen, evidence, by=RULE)
    following = NextGeneration()
    following.send(bryn, 7)
    with pytest.raises(Refusal, match="stream_frozen"):
        barry.send("bryn", "aberdare", "0" * 32, 1)
    succeed(barry, following)
    barry.take(following.segment())
    assert barry.book.accounts["bryn"].balance == 7


def test_a_heard_of_the_next_generation_is_of_our_one_stream() -> None:
    """PROTOCOL.md X3, S6."""
    aberdare, barry, alys, bryn = two_towns()
    for _ in range(3):
        barry.send("bryn", "aberdare", alys, 1)
    talk(aberdare, barry)
    following = NextGeneration()
    succeed(barry, following)
    following.send(bryn, 1)
    with pytest.raises(Stale):
        barry.take(following.segment(heard=Heard(generation="g2", n=0, chain="00" * 32)))
    barry.take(following.segment())
    assert barry.book.peers["aberdare"].heard == 3, "a heard below one that came before is no news"


@settings(max_examples=60, deadline=None)
@given(
    sent=st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=8),
    taken=st.integers(0, 8),
    restored=st.integers(0, 8),
    cuts=st.lists(st.integers(1, 8), max_size=4),
)
def test_whatever_was_lost_each_message_happens_once_or_never(
    sent: list[tuple[int, bool]], taken: int, restored: int, cuts: list[int]
) -> None:
    """PROTOCOL.md X1, X2, X4: any point that the peer had applied, any point that the backup reached."""
    aberdare, barry, _, bryn = two_towns()
    for minutes, good in sent:
        aberdare.send("alys", "barry", bryn if good else "0" * 32, minutes)
    said = aberdare.sent["barry"]
    taken, restored = min(taken, len(said)), min(restored, len(said))
    if taken:
        barry.take(aberdare.segment("barry", 1, taken))
    following = NextGeneration()
    succeed(barry, following)
    for raw in said[taken:restored]:
        following.say(raw)
    following.send(bryn, 3)
    for first in (1, *[cut for cut in cuts if cut <= len(following.messages)]):
        barry.take(following.segment(first))
    happened = sent[: max(taken, restored)]
    assert barry.book.accounts["bryn"].balance == 3 + sum(minutes for minutes, good in happened if good)
    assert broken_invariants(barry.book) == []
    decided = [
        entry.data.transfer for entry in barry.entries if isinstance(entry, e.TransferReceived | e.TransferRejected)
    ]
    assert len(set(decided)) == len(decided) == len(happened) + 1


@pytest.mark.parametrize(
    ("order", "position"),
    [([0], 1), ([1], 1), ([3, 2], 2), ([2, 2], 2), ([2, 3, 2], 3)],
    ids=["happened-first", "happened-last", "out-of-order", "twice", "twice-later"],
)
def test_what_happened_or_came_before_is_not_said_again(order: list[int], position: int) -> None:
    """PROTOCOL.md X4, S9."""
    aberdare, barry, _, bryn = two_towns()
    for minutes in (1, 2, 3, 4):
        aberdare.send("alys", "barry", bryn, minutes)
    barry.take(aberdare.segment("barry", 1, 2))
    following = NextGeneration()
    succeed(barry, following)
    for index in order:
        following.say(aberdare.sent["barry"][index])
    if position == 1:
        with pytest.raises(Breach, match="message_misplaced"):
            barry.take(following.segment())
        return
    with pytest.raises(StopsAt) as stopped:
        barry.take(following.segment())
    assert stopped.value.position == position
    last = following.messages.pop()
    barry.take(following.segment())
    following.messages.append(last)
    with pytest.raises(Breach, match="message_misplaced"):
        barry.take(following.segment())


def test_two_generations_later_the_first_one_s_words_are_still_taken_once() -> None:
    """PROTOCOL.md X4."""
    aberdare, barry, _, bryn = two_towns()
    for minutes in (1, 2, 4):
        aberdare.send("alys", "barry", bryn, minutes)
    barry.take(aberdare.segment("barry", 1, 1))
    second, third = NextGeneration(2), NextGeneration(3)
    succeed(barry, second)
    second.say(aberdare.sent["barry"][1])
    barry.take(second.segment())
    succeed(barry, third)
    third.say(aberdare.sent["barry"][2])
    barry.take(third.segment())
    assert barry.book.accounts["bryn"].balance == 7
    third.say(aberdare.sent["barry"][1])
    with pytest.raises(Breach, match="message_misplaced"):
        barry.take(third.segment(2))


@settings(max_examples=30, deadline=None)
@given(amounts=st.lists(st.integers(1, 50), min_size=1, max_size=6), decided=st.integers(0, 6), heard=st.integers(0, 6))
def test_a_town_closed_for_ever_strands_no_minute_of_its_peers(amounts: list[int], decided: int, heard: int) -> None:
    """PROTOCOL.md X6, I1 to I4: whatever it decided and whatever was heard of that."""
    aberdare, barry, alys, _ = two_towns()
    for minutes in amounts:
        barry.send("bryn", "aberdare", alys, minutes)
    decided = min(decided, len(amounts))
    heard = min(heard, decided)
    if decided:
        aberdare.take(barry.segment("aberdare", 1, decided))
    if heard:
        barry.take(aberdare.segment("barry", 1, heard))
    close_for_ever(barry)
    for transfer in list(barry.book.open_transfers):
        give_back(barry, transfer)
        assert broken_invariants(barry.book) == []
    assert barry.book.accounts["bryn"].balance == -sum(amounts[:heard])
    assert barry.book.accounts["clearing:aberdare"].balance == sum(amounts[:heard])
    assert barry.book.accounts["transit:aberdare"].balance == barry.book.accounts["bryn"].in_transit == 0
    if decided > heard:
        with pytest.raises(Refusal, match="peer_unknown"):
            barry.take(aberdare.segment("barry", heard + 1))


def test_only_the_rule_returns_and_only_from_a_town_that_is_closed_for_ever() -> None:
    """PROTOCOL.md X6, B3."""
    _, barry, alys, _ = two_towns()
    transfer = barry.send("bryn", "aberdare", alys, 20)
    registry(barry)
    for _ in range(2):
        with pytest.raises(Refusal, match="segment_pending"):
            give_back(barry, transfer)
        barry.write(e.PeerChanged, changed(barry, generation="g1", state="closed"), by=RULE)
    barry.write(e.PeerGenerationClosed, ended(barry), by=RULE)
    for wrong in ({"registry": 7}, {"registry": UNSET}, {"reason": "expired"}):
        with pytest.raises(Refusal, match="registry_invalid"):
            give_back(barry, transfer, **wrong)
    with pytest.raises(Refusal, match="purpose_invalid"):
        give_back(barry, transfer, by=e.Actor(kind="operator", id="op-1"))
    data = e.Returned(transfer=transfer, reason="peer_closed", registry=1)
    wrong_postings = [("transit:aberdare", -19), ("bryn", 19)]
    assert refused(barry, e.TransferReturned, data, by=RULE, postings=wrong_postings) == "posting_invalid"
    give_back(barry, transfer)
    assert refused(barry, e.TransferReturned, data, by=RULE, postings=[("transit:aberdare", -20), ("bryn", 20)]) == (
        "transfer_unknown"
    )


def test_a_return_from_a_closed_town_has_every_effect_of_a_return() -> None:
    """PROTOCOL.md X6, T15: a refund that comes back counts no more."""
    aberdare, barry, _, bryn = two_towns()
    sent = aberdare.send("alys", "barry", bryn, 50)
    talk(aberdare, barry)
    name = refund(barry, "aberdare", sent, 30)
    assert barry.book.refunded == {sent: 30}
    close_for_ever(barry)
    give_back(barry, name)
    assert barry.book.refunded == {}
    assert barry.book.accounts["bryn"].balance == 50
