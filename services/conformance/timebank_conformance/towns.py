"""The kit's own towns: their keys, what each says in its stream, what it heard of the node's. No I/O, no clock.

A town keeps its true stream (`said`); what is false is made beside it by `forged`, and leaves the true stream alone.
Source: PROTOCOL.md E5, E6, N6, S1 to S4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from timebank_contracts import canonical, dsse
from timebank_contracts.keys import SigningKey
from timebank_contracts.messages import AnyMessage, message_id
from timebank_contracts.names import Identity, federated_transfer
from timebank_contracts.segments import PAYLOAD_TYPE
from timebank_contracts.streams import StreamHead, chain_start, fold

FAR: Final = "2099-12-31T23:59:59.999Z"
"""The `expires_at` of what does not expire during a run."""
PAST: Final = "2020-01-01T00:00:00.000Z"
TAG: Final = "0" * 30
Json = dict[str, Any]


@dataclass(kw_only=True)
class KitTown:
    """One town that the kit plays.

    Args:
        identity: of the town.
        node: of the node under test.
        key: its event key.
        clock: tells the time as messages carry it.
    """

    identity: Identity
    node: Identity
    key: SigningKey
    clock: Callable[[], str]
    said: list[bytes] = field(default_factory=list)
    """The messages of its stream, from position 1."""
    got: list[bytes] = field(default_factory=list)
    """The node's messages to it, from position 1."""
    decoded: list[AnyMessage] = field(default_factory=list)
    """The same, decoded."""
    answers: str = ""
    """The generation of ours that the node's statements answered last."""
    alias: str = ""
    """The test account's address for this town."""
    registry: int = 1
    """The version that its statements name."""
    says_heard: int | None = None
    """What its statements claim to have heard; None: what it heard."""

    @property
    def name(self) -> str:
        return self.identity.node

    def chain(self, n: int) -> bytes:
        """The chain value at position `n` of what it said."""
        return self._fold(self._start, self.said[:n])

    @property
    def _start(self) -> bytes:
        return chain_start(
            network=self.identity.network,
            sender=self.name,
            generation=self.identity.generation,
            receiver=self.node.node,
        )

    @property
    def incoming(self) -> StreamHead:
        """The node's stream to it, as far as it heard it."""
        return StreamHead(len(self.got), self.chain_of_node(len(self.got)))

    def chain_of_node(self, n: int) -> bytes:
        """The chain value at position `n` of the node's stream to it."""
        start = chain_start(
            network=self.node.network, sender=self.node.node, generation=self.node.generation, receiver=self.name
        )
        return self._fold(start, self.got[:n])

    @staticmethod
    def _fold(start: bytes, messages: list[bytes]) -> bytes:
        return [start, *fold(start, messages)][-1]

    def transfer_id(self, position: int) -> str:
        """The name of a transfer that is born at a position of its stream."""
        return federated_transfer(self.name, self.identity.generation, self.node.node, position)

    # What it says --------------------------------------------------------------------------------------------------

    def message(self, kind: str, data: Json, *, position: int | None = None, **changes: Any) -> bytes:
        """A message of its stream, of the next position if none is named; `changes` make its envelope false."""
        at = len(self.said) + 1 if position is None else position
        event = {
            "specversion": "1.0",
            "id": message_id(self.node.node, self.identity.generation, at),
            "source": self.name,
            "subject": self.node.node,
            "time": self.clock(),
            "type": kind,
            "data": data,
        }
        return canonical.encode({**event, **changes})

    def sent_data(self, minutes: int = 1, *, position: int | None = None, **changes: Any) -> Json:
        """The data of a `transfer.sent` to the test account, with changes; a field that is None is left out."""
        at = len(self.said) + 1 if position is None else position
        data: Json = {
            "transfer": self.transfer_id(at),
            "at": at,
            "minutes": minutes,
            "payer_tag": TAG,
            "purpose": "gift",
            "expires_at": FAR,
            "payee": self.alias,
        }
        return {name: value for name, value in {**data, **changes}.items() if value is not None}

    def sent(self, minutes: int = 1, *, position: int | None = None, **changes: Any) -> bytes:
        """A `transfer.sent` message, not yet said."""
        return self.message("transfer.sent", self.sent_data(minutes, position=position, **changes), position=position)

    def say(self, message: bytes) -> int:
        """Add a message to its stream; returns its position."""
        self.said.append(message)
        return len(self.said)

    def send(self, minutes: int = 1, **changes: Any) -> str:
        """Say a `transfer.sent`; returns the transfer's name."""
        return self.transfer_id(self.say(self.sent(minutes, **changes)))

    # Segments ------------------------------------------------------------------------------------------------------

    def statement(self, first: int, messages: list[bytes], **changes: Any) -> Json:
        """The statement of a segment of messages from position `first`, with changes."""
        prior = self.chain(first - 1)
        heard = len(self.got) if self.says_heard is None else self.says_heard
        said: Json = {
            "protocol": 1,
            "network": self.identity.network,
            "from": self.name,
            "generation": self.identity.generation,
            "to": self.node.node,
            "first": first,
            "count": len(messages),
            "prior": prior.hex(),
            "head": self._fold(prior, messages).hex(),
            "heard": {"generation": self.node.generation, "n": heard, "chain": self.chain_of_node(heard).hex()},
            "registry": self.registry,
            "size": 0,
            "root": "0" * 64,
        }
        return {**said, **changes}

    def forged(
        self, messages: list[bytes], *, first: int | None = None, key: SigningKey | None = None, **changes: Any
    ) -> bytes:
        """A segment of any messages, from its head on unless `first` is named; its stream stays as it is."""
        at = len(self.said) + 1 if first is None else first
        return self.signed(canonical.encode(self.statement(at, messages, **changes)), messages, key=key)

    def signed(self, payload: bytes, messages: list[bytes], *, key: SigningKey | None = None) -> bytes:
        """A segment of any statement's bytes and any messages."""
        envelope = dsse.sign(payload, payload_type=PAYLOAD_TYPE, keys=[key or self.key])
        return b"\n".join([envelope, *messages]) + b"\n"

    def segment_after(self, after: int, limit: int) -> bytes:
        """A segment of its true stream: at most `limit` messages behind a position."""
        after = min(after, len(self.said))
        return self.forged(self.said[after : after + limit], first=after + 1)
