"""A town that missed a registry learns of it from its peers' segments, and is told when its key is refused."""

from __future__ import annotations

from tests.federation.test_sender_follows import LedgerOfTown
from tests.simulation.registries import key_of
from tests.simulation.stories import Story
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode
from timebank_contracts.segments import parse_segment
from timebank_federation.ledger_client import TakenSegment
from timebank_federation.quarantine import Quarantine
from timebank_federation.receiver import Receiver
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender
from timebank_kit.clock import SystemClock


class TakingLedger(LedgerOfTown):
    """Says "duplicate" to every segment, and keeps the registries it was handed."""

    def __init__(self, story: Story) -> None:
        super().__init__(story)
        self.accepted: list[bytes] = []

    def take_segment(self, raw: bytes) -> TakenSegment:
        return TakenSegment("duplicate", parse_segment(raw).statement.last, None, None, None)

    def accept_registry(self, envelope: bytes) -> None:
        self.accepted.append(envelope)


class Door:
    """A peer that serves every version of the registry."""

    def __init__(self, story: Story) -> None:
        self.envelopes = story.registries.envelopes

    def segment_after(self, peer: RegisteredNode, *, to: Identity, after: int, limit: int) -> bytes | None:
        return None

    def registry(self, peer: RegisteredNode, version: int) -> bytes | None:
        return self.envelopes[version - 1] if version <= len(self.envelopes) else None


def receiver_of_a(story: Story, *, versions: int) -> tuple[Receiver, TakingLedger, Sender]:
    """A's receiver, which holds so many versions of the registry."""
    ledger, registries = TakingLedger(story), Registries(None)
    for envelope in story.registries.envelopes[:versions]:
        registries.add(envelope)
    sender = Sender(
        ledger=ledger,
        outbox=None,
        event_key=lambda: key_of("aberdare event 1"),
        registry_version=lambda: registries.version,
        clock=SystemClock(),
    )
    sender.load()
    receiver = Receiver(
        identity=story.a_mail.me,
        ledger=ledger,
        registries=registries,
        sender=sender,
        door=Door(story),
        quarantine=Quarantine(None),
        clock=SystemClock(),
    )
    return receiver, ledger, sender


def test_a_newer_registry_number_in_a_good_segment_is_fetched() -> None:
    story = Story()
    story.registries.change("barry", limit=60)
    story.b.submit(story.registries.latest, story.answers.append)
    story.run(0.1)
    receiver, ledger, _ = receiver_of_a(story, versions=1)
    assert receiver.take(story.forged_by(story.b, [], after=0)) == "duplicate"
    assert ledger.accepted == story.registries.envelopes[1:]


def test_a_peer_whose_retired_key_is_refused_is_owed_a_statement() -> None:
    story = Story()
    old = story.forged_by(story.b, [], after=0)
    story.registries.add_key("barry")
    story.registries.retire_key("barry")
    receiver, _, sender = receiver_of_a(story, versions=3)
    outgoing = sender.peers["barry"].outgoing
    outgoing.sent_segment(after=0, until=0, now=0.0)
    quiet = outgoing.due_at(0.0)
    assert receiver.take(old) == "unsigned"
    assert outgoing.due_at(0.0) < quiet
