"""A town on paper: an honest node made of the contracts alone, for vectors and tests. No I/O, no clock, no chance.

It proposes each entry by hand and lets `apply` judge it, so it is a second writer beside the ledger's: what both
agree on is what the contracts say. Keys come from labels, times from positions: the same calls give the same bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar

from msgspec import UNSET, Raw

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts import segments
from timebank_contracts.accept import Fresh, judge_segment
from timebank_contracts.book import Book, apply
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_contracts.moments import show_time
from timebank_contracts.names import clearing, federated_transfer, local_transfer, transit
from timebank_contracts.rules_between import decide
from timebank_contracts.rules_claims_between import judge_claim
from timebank_contracts.rules_closing import closing_postings
from timebank_contracts.rules_returning import is_silent
from timebank_contracts.rules_reversal import reversal_postings
from timebank_contracts.rules_thanks import thanked_side
from timebank_contracts.state import PeerState
from timebank_contracts.streams import StreamHead, chain_start, fold

NETWORK = "timebank.wales"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NEVER = "2099-12-31T23:59:59.999Z"
OPERATOR = e.Actor(kind="operator", id="op-1")
MEMBER = e.Actor(kind="member", id="mb-1")

AnEntry = TypeVar("AnEntry", bound=e.Entry)


def make_key(label: str) -> SigningKey:
    """The key pair whose seed is SHA-256 of the label: public by design, good for examples only."""
    return SigningKey(sha256(label.encode()).digest())


class PaperTown:
    """One town: its book, the bytes of its journal, the messages to each peer, its keys."""

    def __init__(self, node: str, *, debt_limit: int = 100_000, network: str = NETWORK) -> None:
        self.node = node
        self.book = Book()
        self.entries: list[e.Entry] = []
        self.journal: list[bytes] = []
        self.sent: dict[str, list[bytes]] = {}
        self.taken: dict[str, list[bytes]] = {}
        """By peer and generation, as `barry/g1`: the segments that brought something new."""
        self.event_key = make_key(f"{node} event key")
        self.log_key = make_key(f"{node} log key")
        self.waited = timedelta()
        opened = e.Opened(network=network, node=node, generation="g1", rules=1)
        self.write(e.NodeOpened, opened)
        self.write(e.PolicyChanged, e.Policy(default_floor=-600, default_ceiling=6000, debt_limit=debt_limit))

    @property
    def now(self) -> str:
        """The time of the next entry: a minute for each position, and what was waited."""
        return show_time(START + timedelta(minutes=self.book.n) + self.waited)

    def wait(self, days: int) -> None:
        """Let days pass before the next entry."""
        self.waited += timedelta(days=days)

    def write(self, kind: type[AnEntry], data: Any, *, by: e.Actor = OPERATOR, **rest: Any) -> AnEntry:
        """Build the next entry, let `apply` judge it and keep its bytes; raises what `apply` raises."""
        head: dict[str, Any] = {"n": self.book.n, "time": self.now, "by": by, "data": data}
        entry = kind(**(head | rest))
        raw = e.encode_entry(entry)
        apply(self.book, entry, read=self.entries.__getitem__)
        self.entries.append(entry)
        self.journal.append(raw)
        if entry.out is not UNSET:
            out = bytes(entry.out)
            self.sent.setdefault(m.decode_message(out).subject, []).append(out)
        return entry

    def account(self, account: str, kind: Any = "member", *, floor: int = -600, ceiling: int = 6000) -> None:
        """Open an account."""
        self.write(e.AccountOpenedEntry, e.AccountOpened(account=account, kind=kind, floor=floor, ceiling=ceiling))

    def alias(self, account: str, *, audience: str | None = None) -> str:
        """Issue a receiving address, made from the account's name."""
        alias = sha256(f"{self.node} {account} {audience}".encode()).hexdigest()[:32]
        only = UNSET if audience is None else audience
        self.write(e.AliasIssuedEntry, e.AliasIssued(account=account, alias=alias, audience=only))
        return alias

    def meet(self, peer: PaperTown, *, limit: int = 3000, state: Any = "open") -> None:
        """Enter a peer as a registry would say it."""
        data = e.Peer(
            peer=peer.node,
            generation="g1",
            state=state,
            owe_limit=limit,
            owed_limit=limit,
            event_keys=[b64_encode(peer.event_key.public)],
        )
        self.write(e.PeerChanged, data)

    def post(self, *postings: tuple[str, int], purpose: Any = "gift", by: e.Actor = MEMBER, **data: Any) -> e.Entry:
        """A transfer within the town."""
        if purpose == "service":
            data = {"activity": "garden", "served_on": self.now[:10], **data}
        if purpose == "support":
            data = {"reason": "welcome", **data}
        posted = e.Posted(purpose=purpose, confirmed_by="receiver", **data)
        return self.write(e.TransferPosted, posted, by=by, postings=list(postings))

    def reverse(self, position: int, minutes: int | None = None) -> e.Entry:
        """Take the transfer at a journal position back, or so many minutes of it."""
        part = UNSET if minutes is None else minutes
        data = e.Reversed(transfer=f"{self.node}.g1.{position}", reason="mistake", minutes=part)
        postings = reversal_postings(self.book, self.entries[position], minutes)
        return self.write(e.TransferReversed, data, postings=postings)

    def claim(self, giver: str, receiver: str, minutes: int, *, by: e.Actor = MEMBER, **said: Any) -> str:
        """A claim of the giver; returns its name."""
        day = {"activity": "household", "served_on": self.now[:10]}
        data = e.ClaimMade(giver=giver, receiver=receiver, minutes=minutes, **(day | said))
        return local_transfer(self.book.me, self.write(e.ClaimMadeEntry, data, by=by).n)

    def confirm(
        self, claim: str, minutes: int | None = None, *, by: e.Actor = MEMBER, said: Any = "receiver"
    ) -> e.Entry:
        """The transfer that confirms a claim, as claimed or for other minutes."""
        found = self.book.claims[claim]
        activity: Any = found.activity
        data = e.Posted(
            purpose="service",
            confirmed_by=said,
            activity=activity,
            served_on=found.served_on,
            given=[(found.giver, found.given_minutes)] if found.given_minutes else UNSET,
            programme=found.programme or UNSET,
            claim=claim,
        )
        moved = minutes or found.minutes
        return self.write(e.TransferPosted, data, by=by, postings=[(found.receiver, -moved), (found.giver, moved)])

    def leave(self, account: str, taker: str, *, by: e.Actor = OPERATOR) -> e.Entry:
        """Close an account; what is left goes to somebody, or comes from the pot."""
        postings = closing_postings(self.book.accounts[account], taker)
        return self.write(e.AccountClosed, e.AccountNamed(account=account), by=by, postings=postings or UNSET)

    def envelope(self, peer: str) -> dict[str, Any]:
        """The CloudEvents attributes of the next message to a peer."""
        position = len(self.sent.get(peer, [])) + 1
        return {
            "id": m.message_id(peer, self.book.me.generation, position),
            "source": self.node,
            "specversion": "1.0",
            "subject": peer,
            "time": self.now,
        }

    def send(self, payer: str, peer: str, payee: str, minutes: int, **said: Any) -> str:
        """A gift to an alias in another town; `said` replaces fields of the message. Returns the transfer's id."""
        transfer = federated_transfer(self.node, self.book.me.generation, peer, len(self.sent.get(peer, [])) + 1)
        tag = sha256(f"tag {transfer}".encode()).hexdigest()[:30]
        fields: dict[str, Any] = {
            "transfer": transfer,
            "at": self.book.n,
            "minutes": minutes,
            "payee": payee,
            "payer_tag": tag,
            "purpose": "gift",
            "expires_at": NEVER,
        }
        message = m.TransferSentMessage(**self.envelope(peer), data=m.Sent(**(fields | said)))
        postings = [(payer, -minutes), (transit(peer), minutes)]
        out = Raw(m.encode_message(message))
        self.write(e.TransferSent, e.SentTo(peer=peer), by=MEMBER, postings=postings, out=out)
        return transfer

    def segment(self, peer: str, first: int = 1, last: int | None = None, **said: Any) -> bytes:
        """The messages `first` to `last` of the stream to a peer, cut and signed now; `said` replaces what is said."""
        sent = self.sent.get(peer, [])
        stop = len(sent) if last is None else last
        me, known = self.book.me, self.book.peers[peer]
        start = chain_start(network=me.network, sender=self.node, generation=me.generation, receiver=peer)
        chain = [start, *fold(start, sent)][first - 1]
        heard = known.incoming
        tree = self.tree()
        fields: dict[str, Any] = {
            "identity": me,
            "to": peer,
            "after": StreamHead(first - 1, chain),
            "messages": sent[first - 1 : stop],
            "heard": segments.Heard(generation=known.generation, n=heard.n, chain=heard.chain.hex()),
            "registry": 1,
            "size": tree.size,
            "root": tree.root(),
            "key": self.event_key,
        }
        return segments.make_segment(**(fields | said))

    def take(self, raw: bytes) -> list[e.Entry]:
        """Judge a segment and enter what is new in it; no entries for a duplicate or a gap."""
        segment = segments.parse_segment(raw)
        judged = judge_segment(self.book, segment)
        if not isinstance(judged, Fresh):
            return []
        said = segment.statement
        self.taken.setdefault(f"{said.from_}/{said.generation}", []).append(raw)
        by = e.Actor(kind="peer", id=said.from_)
        first = len(self.entries)
        self.write(e.SegmentAcceptedEntry, e.SegmentAccepted(envelope=Raw(segment.envelope)), by=by)
        for message in judged.messages:
            self.answer(message, by)
        return self.entries[first:]

    def answer(self, raw: bytes, by: e.Actor) -> e.Entry:
        """The one entry that a peer's message causes."""
        message, peer = m.decode_message(raw), self.book.peers[str(by.id)]
        rest: dict[str, Any] = {"by": by, "in_": Raw(raw)}
        data = message.data
        if isinstance(data, m.Sent):
            return self._decide(peer.peer, data, rest)
        if not isinstance(data, m.Received | m.Rejected):
            return self._note(peer, message, rest)
        found = self.book.open_transfers[data.transfer]
        left = (transit(peer.peer), -found.minutes)
        if isinstance(data, m.Received):
            postings = [left, (clearing(peer.peer), found.minutes)]
            return self.write(e.TransferSettled, e.Settled(transfer=data.transfer), postings=postings, **rest)
        postings = [left, (found.payer, found.minutes)]
        returned = e.Returned(transfer=data.transfer, reason=data.reason)
        return self.write(e.TransferReturned, returned, postings=postings, **rest)

    def _note(self, peer: PeerState, message: m.AnyMessage, rest: dict[str, Any]) -> e.Entry:
        """What a peer says of claims, and its thanks."""
        match message:
            case m.ClaimMadeMessage(data=data):
                judged = judge_claim(self.book, peer, data, self.now)
                if not isinstance(judged, str):
                    return self.write(e.ClaimReceived, e.ClaimPut(claim=data.claim, account=judged.account), **rest)
                reason: Any = judged
                no = m.Disputed(claim=data.claim, reason=reason)
                silent = is_silent(self.book, data.claim)
                out = UNSET if silent else self.tell(peer.peer, m.ClaimDisputedMessage, no)
                return self.write(e.ClaimRefusedEntry, e.ClaimRefused(claim=data.claim, reason=reason), out=out, **rest)
            case m.ClaimWithdrawnMessage(data=withdrawn):
                return self.write(e.ClaimWithdrawn, e.ClaimNamed(claim=withdrawn.claim), **rest)
            case m.ClaimDisputedMessage(data=said):
                disputed = e.ClaimDisputed(claim=said.claim, reason=said.reason)
                return self.write(e.ClaimDisputedEntry, disputed, **rest)
        assert isinstance(message, m.ThanksGivenMessage)
        side: Any = thanked_side(self.book, message, peer, peer.incoming.n + 1)
        return self.write(e.ThanksGivenEntry, e.ThanksGiven(transfer=message.data.transfer, side=side), **rest)

    def tell(self, peer: str, message: type[Any], data: Any) -> Raw:
        """The next message to a peer, as an entry carries it in `out`."""
        return Raw(m.encode_message(message(**self.envelope(peer), data=data)))

    def _decide(self, peer: str, data: m.Sent, rest: dict[str, Any]) -> e.Entry:
        judged = decide(self.book, self.book.peers[peer], data, self.now, read=self.entries.__getitem__)
        silent = is_silent(self.book, data.transfer)
        if isinstance(judged, str):
            reason: Any = judged
            no = m.Rejected(transfer=data.transfer, minutes=data.minutes, reason=reason)
            out = UNSET if silent else self.tell(peer, m.TransferRejectedMessage, no)
            returned = e.Returned(transfer=data.transfer, reason=reason)
            return self.write(e.TransferRejected, returned, out=out, **rest)
        yes = m.Received(transfer=data.transfer, minutes=data.minutes)
        out = UNSET if silent else self.tell(peer, m.TransferReceivedMessage, yes)
        postings = [(clearing(peer), -data.minutes), (judged.account, data.minutes)]
        return self.write(e.TransferReceived, e.Settled(transfer=data.transfer), postings=postings, out=out, **rest)

    def tree(self) -> Tree:
        """The Merkle tree over the journal so far."""
        tree = Tree()
        for raw in self.journal:
            tree.append(leaf_hash(raw))
        return tree


def two_towns(*, limit: int = 3000) -> tuple[PaperTown, PaperTown, str, str]:
    """Aberdare with `alys`, Barry with `bryn`, each other's peers; and an alias of alys and of bryn."""
    aberdare, barry = PaperTown("aberdare"), PaperTown("barry")
    aberdare.account("alys")
    barry.account("bryn")
    aberdare.meet(barry, limit=limit)
    barry.meet(aberdare, limit=limit)
    return aberdare, barry, aberdare.alias("alys"), barry.alias("bryn", audience="aberdare")


def talk(one: PaperTown, other: PaperTown) -> None:
    """Carry every message both ways until nothing is unheard."""
    for sender, receiver in ((one, other), (other, one), (one, other)):
        first = receiver.book.peers[sender.node].incoming.n + 1
        if first <= len(sender.sent.get(receiver.node, [])):
            receiver.take(sender.segment(receiver.node, first))
