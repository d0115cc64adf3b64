"""What all checks work with: the stage, the door, the findings, and bounded waiting until the node has looked.

A node learns of its peers by asking them. So a check puts answers into towns' queues, waits until each town was asked
again behind them, and then reads what the node says that it heard of each town: `heard` in the statements of its own
streams, and its decisions. Every segment that the node gives is judged on the way.
Source: PROTOCOL.md S3, S4, S7, W4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from timebank_conformance.door import NodeAway, NodeDoor
from timebank_conformance.findings import Findings
from timebank_conformance.setting import KitNetwork
from timebank_conformance.stage import Stage
from timebank_conformance.towns import KitTown
from timebank_contracts import messages as m
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.segments import Segment, is_signed_by, parse_segment
from timebank_kit.clock import Clock

LOOK_SECONDS: Final = 0.2
"""Between two looks whether the node has asked."""
PULLS_MAX: Final = 64
"""Segments that are read of one stream in one go."""


class Bounds(NamedTuple):
    """How long the node may take."""

    step_seconds: float = 120.0
    """Until it has asked every town for what is new."""
    registry_seconds: float = 120.0
    """Until it holds a registry version that a statement named; without one it looks every 300 seconds."""
    operator_seconds: float = 900.0
    """Until its operator did what was asked."""


class Session:
    """One run.

    Args:
        network: the towns and the registry.
        stage: what is served to the node.
        door: the way to it.
        findings: what was seen.
        clock: measures waiting.
        pause: lets so many seconds go by.
        bounds: how long is waited.
        say: tells the operator a line.
    """

    def __init__(
        self,
        *,
        network: KitNetwork,
        stage: Stage,
        door: NodeDoor,
        findings: Findings,
        clock: Clock,
        pause: Callable[[float], None],
        bounds: Bounds,
        say: Callable[[str], None],
    ) -> None:
        self.network = network
        self.stage = stage
        self.door = door
        self.findings = findings
        self.clock = clock
        self.bounds = bounds
        self.say = say
        self._pause = pause
        self.sizes: dict[int, str] = {}
        """Sizes and roots that the node's statements named."""

    def town(self, name: str) -> KitTown:
        """The town `kit-<name>`."""
        return self.network.towns[f"kit-{name}"]

    def wait(self, is_so: Callable[[], bool], *, seconds: float) -> bool:
        """Wait until something is so, at most so long; says whether it is."""
        until = self.clock.monotonic() + seconds
        while not is_so():
            if self.clock.monotonic() >= until:
                return False
            self._pause(LOOK_SECONDS)
        return True

    # Being asked ---------------------------------------------------------------------------------------------------

    def serve(self, answers: Mapping[str, list[bytes]], *, seconds: float | None = None) -> set[str]:
        """Give these answers to towns' next questions, and wait until each town was asked once more behind them.

        Returns:
            The towns whose answers were all fetched.
        """
        before = {name: self.stage.times_asked(name) + len(raws) for name, raws in answers.items()}
        for name, raws in answers.items():
            for raw in raws:
                self.stage.put(name, raw)
        bound = self.bounds.step_seconds if seconds is None else seconds
        self.wait(lambda: all(self.stage.times_asked(name) > count for name, count in before.items()), seconds=bound)
        fetched = {name for name in answers if not self.stage.waits(name)}
        self.stage.clear()
        return fetched

    def settle(self, *names: str) -> None:
        """Wait until the node has taken what these towns said, as far as it will: it asks twice, or time is up."""
        self.serve({f"kit-{name}": [] for name in names})
        self.serve({f"kit-{name}": [] for name in names})

    # Asking --------------------------------------------------------------------------------------------------------

    def heard(self, town: KitTown) -> int:
        """Read the node's stream to a town to its end, judge it, and return how much the node applied of the town's.

        Returns:
            The position in `heard`, −1 when the node names another chain value than the town's there.

        Raises:
            NodeAway: it does not give the stream.
        """
        segment = self._next_segment(town)
        for _ in range(PULLS_MAX):
            if not segment.messages:
                break
            segment = self._next_segment(town)
        heard = segment.statement.heard
        town.answers = heard.generation
        if heard.generation != town.identity.generation or heard.n > len(town.said):
            return -1
        return heard.n if heard.chain == town.chain(heard.n).hex() else -1

    def _next_segment(self, town: KitTown) -> Segment:
        token = self.door.token(town, self.seed(town))
        answer = self.door.stream(town, len(town.got), token=token)
        if answer.status_code != 200:
            raise NodeAway(f"The node answers {answer.status_code} to {town.name}'s question for its stream.")
        expect = self.findings.expect
        try:
            segment = parse_segment(answer.content)
        except Malformed as error:
            expect("S3 W4", "a segment of the node", False, expected="a segment that is well formed", found=error)
            raise NodeAway(f"The node's segment is malformed: {error}") from error
        expect("S3 C1 C3 C4 W4", "a segment of the node", True, expected="")
        self._judge(town, segment)
        return segment

    def _judge(self, town: KitTown, segment: Segment) -> None:
        said, node, expect = segment.statement, town.node, self.findings.expect
        keys = tuple(map(b64_decode, self.network.described.event_keys))
        signed = is_signed_by(segment.envelope, keys)
        expect("R8 G2 G3", "the node signs", signed, expected="signed by a registered event key", found=said.from_)
        names = (said.protocol, said.network, said.from_, said.generation, said.to)
        wanted = (1, node.network, node.node, node.generation, town.name)
        expect("S4 N1 N2 N3", "the names in the statement", names == wanted, expected=str(wanted), found=names)
        first, prior = len(town.got) + 1, town.incoming.chain.hex()
        is_next = (said.first, said.prior) == (first, prior)
        expect("S1 S2 S7", "the stream goes on in its chain", is_next, expected=f"{first} after {prior}", found=said)
        if not is_next:
            raise NodeAway(f"The node's stream to {town.name} does not go on where it was.")
        if said.size:
            self.sizes.setdefault(said.size, said.root)
        for raw in segment.messages:
            self._take(town, raw)

    def _take(self, town: KitTown, raw: bytes) -> None:
        expect, position = self.findings.expect, len(town.got) + 1
        town.got.append(raw)
        try:
            message = m.decode_message(raw)
        except Malformed as error:
            expect("E5 E7", "a message of the node", False, expected="a message of version 1", found=error)
            raise NodeAway(f"A message of the node is malformed: {error}") from error
        town.decoded.append(message)
        found = (message.id, message.source, message.subject)
        wanted = (m.message_id(town.name, town.node.generation, position), town.node.node, town.name)
        expect("E5 E6 E7", "messages of the node", found == wanted, expected=str(wanted), found=found)
        if isinstance(message, m.TransferReceivedMessage | m.TransferRejectedMessage):
            name = message.data.transfer
            same = [one for one in decisions(town) if one.data.transfer == name]
            expect(
                "T6 S7", "a transfer is decided once", len(same) == 1, expected="one decision", found=f"{name} again"
            )

    def seed(self, town: KitTown) -> bytes:
        """The seed of the key with which a town signs now."""
        own = self.network.seeds[town.name]
        return self.network.new_seed if town.name == "kit-rotate" and town.registry > 1 else own


def decisions(town: KitTown) -> list[m.TransferReceivedMessage | m.TransferRejectedMessage]:
    """The node's decisions about what a town sent, in order."""
    kinds = m.TransferReceivedMessage | m.TransferRejectedMessage
    return [message for message in town.decoded if isinstance(message, kinds)]


def decision(town: KitTown, transfer: str) -> str:
    """What the node decided about a transfer: `received`, a reason, or "" for nothing yet."""
    for message in decisions(town):
        if message.data.transfer == transfer:
            return message.data.reason if isinstance(message, m.TransferRejectedMessage) else "received"
    return ""
