"""Makes exported towns for the auditor's tests, with the ledger's own pure code and fixed keys.

`Network` holds towns and one clock; a town writes by the real `perform` and `take_segment`, and may lie: `force` puts
into its journal what no honest ledger would write. The export signs whatever the journal holds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from msgspec import UNSET

from timebank_contracts import canonical, dsse
from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.checkpoint import Checkpoint, sign_checkpoint
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.log_files import town_files
from timebank_contracts.moments import show_time
from timebank_contracts.names import Identity
from timebank_contracts.registry import FIRST_PREVIOUS, PAYLOAD_TYPE, Operators, RegisteredNode, Registry
from timebank_contracts.segments import Heard, make_segment
from timebank_contracts.streams import StreamHead, chain_start, fold
from timebank_contracts.tiles import root_of_entries
from timebank_ledger import commands as c
from timebank_ledger.peers import accept_registry, take_segment
from timebank_ledger.propose import perform

NETWORK = "timebank.wales"
OPERATOR = e.Actor(kind="operator", id="op-1")
MEMBER = e.Actor(kind="member", id="alys")


def key(name: str) -> SigningKey:
    """A fixed key."""
    return SigningKey(sha256(name.encode()).digest())


def alias(account: str) -> str:
    """A fixed receiving address."""
    return sha256(account.encode()).hexdigest()[:32]


class Writer:
    """One town's journal: entries as bytes, and the book that they make."""

    def __init__(self, network: Network, node: str) -> None:
        self.network = network
        self.identity = Identity(NETWORK, node, "g1")
        self.event_key = key(f"{node} event")
        self.log_key = key(f"{node} log")
        self.raws: list[bytes] = []
        self.taken: dict[str, list[bytes]] = {}
        """By sender's origin: the segments that were heard."""
        self.book = Book()
        self.registries: dict[int, bytes] = {}
        self.extras: dict[str, bytes] = {}
        """Files beside the log, by path."""
        self.tells_size = False
        """Whether segments tell the state of this town's log, as a real sender's do."""

    @property
    def node(self) -> str:
        return self.identity.node

    def open(self, registry: Registry, envelope: bytes) -> None:
        data = e.Opened(network=NETWORK, node=self.node, generation="g1", rules=1)
        self.write([e.NodeOpened(n=0, time=self.network.tick(), by=OPERATOR, data=data)])
        self.do(c.ChangePolicy(by=OPERATOR, default_floor=-600, default_ceiling=3_000, debt_limit=6_000))
        for account in ("pot", "grant"):
            self.do(c.OpenAccount(by=OPERATOR, account=account, kind=account, floor=-10_000, ceiling=10_000))
        for account in ("alys", "bryn"):
            self.do(c.OpenAccount(by=OPERATOR, account=account, kind="member"))
            self.do(c.IssueAlias(by=OPERATOR, account=account, alias=alias(f"{account} {self.node}")))
        self.accept(registry, envelope)

    def accept(self, registry: Registry, envelope: bytes) -> None:
        """Accept a registry version."""
        time = self.network.tick()
        written = accept_registry(self.book, registry, own_limits={}, time=time, by=OPERATOR)
        self.registries[registry.version] = envelope
        self.raws += [e.encode_entry(entry) for entry in written]

    def write(self, written: list[e.Entry]) -> None:
        """Apply entries and keep them."""
        for entry in written:
            apply(self.book, entry, read=lambda at: e.decode_entry(self.raws[at]))
            self.raws.append(e.encode_entry(entry))

    def do(self, command: c.Command, *, time: str | None = None) -> e.Entry:
        """Perform a command as the ledger does."""
        now = time or self.network.tick()
        written = perform(self.book, command, time=now, cite=lambda at: e.decode_entry(self.raws[at]))
        self.raws += [e.encode_entry(entry) for entry in written]
        return written[0]

    def give(self, minutes: int = 60, *, client_key: str | None = None, payer: str = "alys") -> e.Entry:
        """A local service."""
        payee = "bryn" if payer == "alys" else "alys"
        return self.do(
            c.PostTransfer(
                by=MEMBER,
                key=None if client_key is None else c.key_of("app", client_key),
                postings=((payer, -minutes), (payee, minutes)),
                purpose="service",
                confirmed_by="receiver",
                activity="garden",
                served_on="2026-01-01",
            )
        )

    def send(self, peer: str, minutes: int, *, payee: str = "bryn") -> e.Entry:
        """A service to a member of another town; an unknown `payee` will be rejected there."""
        return self.do(
            c.SendTransfer(
                by=MEMBER,
                payer="alys",
                peer=peer,
                payee=alias(f"{payee} {peer}"),
                minutes=minutes,
                payer_tag="0" * 30,
                purpose="service",
                expires_at="2027-01-01T00:00:00.000Z",
                activity="repair",
                served_on="2026-01-01",
            )
        )

    def force(self, entry: e.Entry | bytes) -> None:
        """Put into the journal what the rules do not allow."""
        self.raws.append(entry if isinstance(entry, bytes) else e.encode_entry(entry))

    def rewind(self, position: int) -> None:
        """Forget the entries from `position` on: the operator writes another history."""
        kept, self.raws, self.book = self.raws[:position], [], Book()
        self.write([e.decode_entry(raw) for raw in kept])

    def messages(self, peer: str) -> list[bytes]:
        """Every message to a peer, in order."""
        entries = [e.decode_entry(raw) for raw in self.raws]
        sent = [bytes(entry.out) for entry in entries if entry.out is not UNSET]
        return [raw for raw in sent if f'"id":"{peer}/{self.identity.generation}/'.encode() in raw]

    def segment(
        self,
        to: str,
        *,
        after: int,
        messages: list[bytes] | None = None,
        heard: Heard | None = None,
        signed_by: SigningKey | None = None,
    ) -> bytes:
        """A signed segment with this town's messages after a position, or with other ones."""
        own = self.messages(to)
        generation = self.identity.generation
        start = chain_start(network=NETWORK, sender=self.node, generation=generation, receiver=to)
        known = self.book.peers[to]
        into = known.incoming
        return make_segment(
            identity=self.identity,
            to=to,
            after=StreamHead(after, [start, *fold(start, own)][after]),
            messages=own[after:] if messages is None else messages,
            heard=heard or Heard(generation=known.generation, n=into.n, chain=into.chain.hex()),
            registry=max(1, self.book.registry_version),
            size=len(self.raws) if self.tells_size else 0,
            root=root_of_entries(self.raws) if self.tells_size else b"\0" * 32,
            key=signed_by or self.event_key,
        )

    def hear(
        self, sender: Writer, *, until: int | None = None, heard: Heard | None = None, time: str | None = None
    ) -> None:
        """Take what the other town sent and this one did not hear yet, or a part of it."""
        after = self.book.peers[sender.node].incoming.n
        messages = sender.messages(self.node)[after:until]
        segment = sender.segment(self.node, after=after, messages=messages, heard=heard)
        self.taken.setdefault(sender.identity.origin, []).append(segment)
        written, _ = take_segment(self.book, segment, time=time or self.network.tick(), read=self._read)
        self.raws += [e.encode_entry(entry) for entry in written]

    def _read(self, position: int) -> e.Entry:
        return e.decode_entry(self.raws[position])

    def note(self, size: int | None = None, *, raws: list[bytes] | None = None) -> bytes:
        """A signed checkpoint of this log, or of other entries under its key."""
        entries = (self.raws if raws is None else raws)[:size]
        return sign_checkpoint(Checkpoint(self.identity.origin, len(entries), root_of_entries(entries)), self.log_key)

    def export(self, directory: Path) -> Path:
        """Write the exported town below `directory`."""
        town = directory / self.node
        log = town_files(self.identity, self.raws, log_key=self.log_key, registries=self.registries)
        for path, content in [*log, *self.extras.items()]:
            file = town / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return town


class Network:
    """Towns under one registry and one clock."""

    def __init__(self, *nodes: str) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.operators = [key("operator 1"), key("operator 2")]
        self.towns = {node: Writer(self, node) for node in nodes}
        self.registry = self.make_registry(limit=3_000, previous=None)
        for town in self.towns.values():
            town.open(self.registry, self.sign(self.registry))

    def tick(self, minutes: int = 1) -> str:
        """The time, later at every call."""
        self.now += timedelta(minutes=minutes)
        return show_time(self.now)

    def make_registry(self, *, limit: int, previous: Registry | None) -> Registry:
        """A registry version that lists every town."""
        nodes = [
            RegisteredNode(
                node=node,
                generation=town.identity.generation,
                state="open",
                event_keys=[b64_encode(town.event_key.public)],
                log_keys=[b64_encode(town.log_key.public)],
                protocols=[1],
                url=f"https://{node}.example",
                limit=limit,
            )
            for node, town in self.towns.items()
        ]
        return Registry(
            protocol=1,
            network=NETWORK,
            version=1 if previous is None else previous.version + 1,
            previous=FIRST_PREVIOUS if previous is None else previous.sha256,
            operators=Operators(k=2, keys=[b64_encode(operator.public) for operator in self.operators]),
            nodes=nodes,
        )

    def sign(self, registry: Registry) -> bytes:
        """The registry's envelope, signed by both operators."""
        return dsse.sign(canonical.encode(registry), payload_type=PAYLOAD_TYPE, keys=self.operators)

    def accept_all(self, *, limit: int) -> None:
        """Publish the next version, and let every town accept it."""
        self.registry = self.make_registry(limit=limit, previous=self.registry)
        for town in self.towns.values():
            town.accept(self.registry, self.sign(self.registry))

    def export(self, directory: Path) -> Path:
        """Write every town below `directory`."""
        for town in self.towns.values():
            town.export(directory)
        return directory
