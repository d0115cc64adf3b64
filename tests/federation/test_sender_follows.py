"""The sender follows a journal that grows while it reads: no message is counted twice."""

from __future__ import annotations

from typing import Any

import httpx

from tests.simulation.registries import key_of
from tests.simulation.stories import Story
from timebank_contracts.checkpoint import Checkpoint, sign_checkpoint
from timebank_federation.ledger_client import LedgerClient
from timebank_federation.sender import Sender
from timebank_kit.clock import SystemClock


class LedgerOfTown(LedgerClient):
    """A ledger whose journal is a simulated town's."""

    def __init__(self, story: Story) -> None:
        super().__init__(httpx.Client(), lambda: "")
        self.town = story.a

    def streams(self) -> dict[str, Any]:
        book = self.town.book
        return {
            "identity": book.me._asdict(),
            "position": book.n,
            "registry": {"version": book.registry_version, "sha256": book.registry_sha256},
            "streams": [
                {
                    "peer": peer.peer,
                    "generation": peer.generation,
                    "incoming": {"n": peer.incoming.n, "chain": peer.incoming.chain.hex()},
                    "outgoing": {"n": peer.outgoing.n, "chain": peer.outgoing.chain.hex()},
                    "heard": peer.heard,
                    "open_transfers": len(book.open_transfers),
                }
                for peer in book.peers.values()
            ],
        }

    def journal_after(self, position: int, *, wait_seconds: float) -> list[bytes]:
        return self.town.disk.entries[position + 1 :]

    def checkpoint(self) -> bytes:
        memory = self.town.memory
        return sign_checkpoint(Checkpoint(memory.book.me.origin, memory.tree.size, memory.tree.root()), key_of("log"))


def test_entries_that_came_with_a_new_peer_are_not_followed_twice() -> None:
    story = Story()
    for _ in range(3):
        story.send(minutes=10)
    story.run(5.0)
    sender = Sender(
        ledger=LedgerOfTown(story),
        outbox=None,
        event_key=lambda: key_of("aberdare event 1"),
        registry_version=lambda: 1,
        clock=SystemClock(),
    )
    sender.load()
    sender.peers.clear()
    sender.position = -1
    sender.step(wait_seconds=0.0)
    found, peer = sender.peers["barry"], story.a.book.peers["barry"]
    assert (found.head, found.incoming) == (peer.outgoing, peer.incoming)
    assert sender.position == story.a.book.n - 1
