"""Replays one town's journal with the one `apply`, and keeps what the comparison with its peers needs.

A refusal ends the replay of that town: after it no state is known. The other towns are replayed all the same.
Memory: accounts, aliases and open transfers, 8 bytes for each key, 4 for each message sent or received.
Source: design page 5; page 1, sentence 4.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from timebank_audit.findings import Findings
from timebank_audit.keys_seen import KeysSeen, duplicates
from timebank_audit.listed import Listing, is_listed
from timebank_audit.log import EntryFile
from timebank_audit.refusals import code_of
from timebank_audit.registries import Registries
from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.cut import StreamName
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.messages import TransferSentMessage, decode_message
from timebank_contracts.plain_transfers import PlainTransfers
from timebank_contracts.properties import conserved
from timebank_contracts.segments import open_statement
from timebank_contracts.state import Claim

_EVERY_ENTRY = ("A03", "A05", "A06", "A38", "A39")
_MOVES = ("A30", "A31", "A32")
_SEGMENTS = ("A20", "A26")
_MESSAGES = ("A29", "A44", "A53")
_DECISIONS: frozenset[type[e.Entry]] = frozenset({e.TransferSettled, e.TransferReturned})
_MOVING: frozenset[type[e.Entry]] = _DECISIONS | {e.TransferSent, e.TransferReversed, e.TransferReceived}
"""Entry types that move minutes, local transfers (counted by subtraction) and what leavers leave not among them."""
_REFERRING: frozenset[type[e.Entry]] = _DECISIONS | {
    e.ClaimWithdrawn,
    e.ClaimDisputedEntry,
    e.ClaimUpheld,
    e.ClaimExpired,
    e.MoneyRecordedEntry,
    e.ThanksGivenEntry,
}
"""Entry types that are about a transfer, a claim or a programme; the transfers that confirm a claim are so too."""
_PUT_BACK = (e.SegmentRecoveredEntry, e.MessageRecoveredEntry, e.StreamRecoveredEntry, e.MessageRepeatedEntry)
"""Entries by which a node that lost state puts back what its peers kept."""


Positions = dict[StreamName, "array[int]"]
"""By stream, journal positions of its messages, in order: message k is at index k − 1."""


class WentOn(NamedTuple):
    """Where the journal went on in a new generation, after it had lost state, and what it says of the one before."""

    position: int
    previous: e.Previous


class GivenUp(NamedTuple):
    """A transfer to a town that the registry closed for ever, returned by rule at this position."""

    position: int
    transfer: str
    peer: str
    minutes: int


class Replay:
    """The replay of one journal."""

    def __init__(self, entries: EntryFile, registries: Registries, findings: Findings, town: str) -> None:
        self.book = Book()
        self.stopped = ""
        """Why the replay ended before the log did."""
        self.out: Positions = defaultdict(lambda: array("I"))
        """Own generation and peer: the entries that sent a message, or put a lost one back."""
        self.in_: Positions = defaultdict(lambda: array("I"))
        """The peer's generation and the peer: the entries that applied a message."""
        self.again: dict[str, int] = {}
        """Transfer whose id an earlier generation of its payer's town gave → position of the decision about it."""
        self.restored: dict[StreamName, int] = {}
        """Own earlier generation and peer → the messages in `out` before those that the peer handed back."""
        self.last_words: dict[StreamName, int] = {}
        """Own earlier generation and peer → how far the peer said that it applied its stream."""
        self.heard_of: dict[str, array[int]] = defaultdict(lambda: array("I"))
        """By sender: positions of accepted segments that told a new size of the sender's log."""
        self._told: dict[str, int] = {}
        self.went_on: list[WentOn] = []
        self.listing = Listing()
        self.given_up: list[GivenUp] = []
        self.findings = findings
        self._entries = entries
        self._registries = registries
        self._town = town
        self._plain = PlainTransfers(self.book, leave=is_listed)
        self._keys = KeysSeen()
        self._applied = 0
        """Messages of peers."""
        self._seen: Counter[type[e.Entry]] = Counter()
        """Entries by type, without local transfers."""
        self._confirmations = 0
        self._refunds = 0
        self._remainders = 0
        self._refused_minutes = 0

    def take(self, raws: list[bytes]) -> None:
        """Replay the next entries."""
        if self.stopped:
            return
        book, start = self.book, self.book.n
        keys: list[str | UnsetType] = []
        entry: e.Entry
        try:
            for entry in self._plain.replay(raws, keys):
                try:
                    if isinstance(entry, e.TransferPosted):
                        self._take_posted(entry)
                    else:
                        self._take_other(entry)
                except (Refusal, Breach, Malformed) as error:
                    self._refuse(entry, error)
                    break
                keys.append(entry.key)
        except e.UnknownEntryType as error:
            self._stop("A06", "a type of these rules", str(error))
        except Malformed as error:
            self._stop("A03", "an entry in its canonical form", _where(raws[book.n - start], error))
        self._keys.add([key for key in keys if key is not UNSET])

    def _take_posted(self, entry: e.TransferPosted) -> None:
        data = entry.data
        if data.claim is UNSET:
            apply(self.book, entry)
        else:
            self._take_confirmation(entry, data.claim)
        if is_listed(data):
            self.listing.posted(entry)

    def _take_confirmation(self, entry: e.TransferPosted, name: str) -> None:
        claim = self.book.claims.get(name)
        apply(self.book, entry)
        self._confirmations += 1
        if claim is not None and claim.disputed:
            self.listing.overruled(entry)

    def _take_other(self, entry: e.Entry) -> None:
        kind = type(entry)
        if isinstance(entry, e.SegmentAcceptedEntry):
            self._check_segment_key(entry)
        claim = self.book.claims.get(entry.data.claim or "") if isinstance(entry, e.TransferSent) else None
        apply(self.book, entry, read=self._read)
        self._seen[kind] += 1
        if isinstance(entry, e.SegmentAcceptedEntry):
            self._take_segment(entry)
        elif isinstance(entry, e.NodeOpened) and entry.data.previous is not UNSET:
            self.went_on.append(WentOn(entry.n, entry.data.previous))
            self.listing.went_on(entry)
        elif isinstance(entry, _PUT_BACK):
            # What this node itself once sent, or the peer's word about it: no message of the peer is applied by it.
            self._take_back(entry)
            self.listing.other(entry)
        elif isinstance(entry, e.RegistryAcceptedEntry):
            self._registries.accepted(entry)
        elif isinstance(entry, e.PeerChanged):
            self._registries.peer_changed(entry)
        elif entry.in_ is not UNSET or entry.out is not UNSET:
            self._take_messages(entry)
            if isinstance(entry, e.TransferSent):
                self._take_sent(entry, claim)
            elif isinstance(entry, e.TransferReceived):
                self._take_received(entry)
        else:
            self._remainders += kind is e.AccountClosed and entry.postings is not UNSET
            if isinstance(entry, e.TransferReturned):
                self.given_up.append(_given_up(entry))
            self.listing.other(entry)

    def _take_back(self, entry: e.Entry) -> None:
        """Note what was put back: a lost message stands in its old stream, one said again in the present one."""
        before = "" if self.book.previous is None else self.book.previous.generation
        if isinstance(entry, e.MessageRecoveredEntry):
            stream = StreamName(before, entry.data.peer)
            self.restored.setdefault(stream, len(self.out[stream]))
            self.out[stream].append(entry.n)
        elif isinstance(entry, e.MessageRepeatedEntry):
            self.out[StreamName(self.book.me.generation, entry.data.peer)].append(entry.n)
        elif isinstance(entry, e.StreamRecoveredEntry):
            heard = open_statement(bytes(entry.data.envelope)).heard
            self.last_words[StreamName(before, entry.data.peer)] = heard.n

    def _take_segment(self, entry: e.SegmentAcceptedEntry) -> None:
        said = open_statement(bytes(entry.data.envelope))
        if self._told.get(said.from_) != said.size:
            self._told[said.from_] = said.size
            self.heard_of[said.from_].append(entry.n)

    def _take_sent(self, entry: e.TransferSent, claim: Claim | None) -> None:
        if entry.data.original is not UNSET:
            self._refunds += 1
            self.listing.refund(entry)
        if claim is not None:
            self._confirmations += 1
            if claim.disputed:
                self.listing.overruled(entry)

    def _take_received(self, entry: e.TransferReceived) -> None:
        assert entry.in_ is not UNSET, "apply demands the message"
        message = decode_message(bytes(entry.in_))
        if isinstance(message, TransferSentMessage) and message.data.refunds is not UNSET:
            self.listing.refund(entry)

    def _take_messages(self, entry: e.Entry) -> None:
        """Note where the messages of the streams stand that this entry applied and sent."""
        if entry.in_ is not UNSET:
            assert entry.by.id is not UNSET, "apply compares it with the segment's sender"
            self._applied += 1
            name = StreamName(self.book.peers[entry.by.id].generation, entry.by.id)
            self.in_[name].append(entry.n)
            self._note_again(entry, name)
        if entry.out is not UNSET:
            to = entry.data.peer if isinstance(entry, e.TransferSent) else decode_message(bytes(entry.out)).subject
            self.out[StreamName(self.book.me.generation, to)].append(entry.n)

    def _note_again(self, entry: e.Entry, name: StreamName) -> None:
        """A decision about what an earlier generation of the peer had said: its id tells no position of this stream."""
        if isinstance(entry, e.TransferReceived | e.TransferRejected):
            transfer = entry.data.transfer
            if not transfer.startswith(f"{name.peer}.{name.generation}."):
                self.again[transfer] = entry.n

    def _read(self, position: int) -> e.Entry:
        return e.decode_entry(self._entries[position])

    def _check_segment_key(self, entry: e.Entry) -> None:
        peer = self.book.peers.get(entry.by.id) if entry.by.id is not UNSET else None
        if peer is not None and isinstance(entry, e.SegmentAcceptedEntry):
            self._registries.check_peer(entry, peer)

    def _refuse(self, entry: e.Entry, error: Refusal | Breach | Malformed) -> None:
        if entry.postings is not UNSET:
            self._refused_minutes = sum(minutes for _, minutes in entry.postings)
        code = code_of(self.book, entry, error, self._entries)
        if code == "A21" and isinstance(entry, e.SegmentAcceptedEntry):
            code = "A24" if self._registries.other_use(bytes(entry.data.envelope)) else code
        accounts = [] if entry.postings is UNSET else [account for account, _ in entry.postings[:4]]
        of = ", ".join([e.entry_type(entry), *accounts, *([f"stream from {_peer(entry)}"] if _peer(entry) else [])])
        self._stop(code, f"what the rules allow ({of})", str(error))

    def _stop(self, code: str, expected: str, found: str) -> None:
        place = f"entry {self.book.n}"
        self.findings.add(code, town=self._town, place=place, expected=expected, found=found)
        self.stopped = f"{place} ({code})"

    def finish(self, *, size: int) -> None:
        """The checks that need the whole journal: A33, A35, A53 at the end; and what all of them examined."""
        add, examine = self.findings.add, self.findings.examine
        seen = self._seen
        for code in _EVERY_ENTRY:
            examine(code, self.book.n)
        moves = self.book.n - seen.total() + sum(seen[kind] for kind in _MOVING) + self._remainders
        counts = {
            **dict.fromkeys(_MOVES, moves),
            **dict.fromkeys(_SEGMENTS, seen[e.SegmentAcceptedEntry]),
            **dict.fromkeys(_MESSAGES, self._applied),
            "A21": seen[e.SegmentAcceptedEntry],
            "A24": seen[e.SegmentAcceptedEntry],
            "A34": seen[e.TransferReversed] + self._refunds,
            "A42": sum(seen[kind] for kind in _REFERRING) + self._confirmations,
        }
        for code, count in counts.items():
            examine(code, count)
        self._check_keys(size)
        self._check_sum()
        if self.book.pending is not None and not self.stopped:
            expected = f"messages until {self.book.pending.until} from {self.book.pending.peer}"
            found = f"the log ends at {self.book.peers[self.book.pending.peer].incoming.n}"
            add("A53", town=self._town, place=f"entry {size - 1}", expected=expected, found=found)

    def _check_keys(self, size: int) -> None:
        self.findings.examine("A33", len(self._keys))
        suspects = self._keys.repeated()
        if not suspects:
            return
        end = min(self.book.n, size)
        reader = EntryReader()
        decoded = (entry for raws in self._entries.bundles(end) for entry in reader.read(raws))
        for first, again in duplicates(decoded, suspects):
            expected = f"a key not used before (entry {first} has it)"
            self.findings.add("A33", town=self._town, place=f"entry {again}", expected=expected, found="the same key")

    def _check_sum(self) -> None:
        """A35, over the postings as the log says them: those of a refused entry count too, when nothing else tells."""
        if self.stopped and self.findings.found:
            return
        self.findings.examine("A35")
        broken = conserved(self.book)
        if self._refused_minutes:
            broken.append(f"The balances of the town sum to {self._refused_minutes} minutes, not to 0.")
        for sentence in broken:
            place = f"after entry {self.book.n - 1}"
            self.findings.add("A35", town=self._town, place=place, expected="sound sums", found=sentence)


def _peer(entry: e.Entry) -> str:
    return entry.by.id if entry.in_ is not UNSET and entry.by.id is not UNSET else ""


def _where(raw: bytes, error: Malformed) -> str:
    """The error, which names the byte where it can; the entry's length beside it."""
    return f"{error} ({len(raw)} bytes)"


def book_at(entries: EntryFile, end: int) -> Book:
    """The book after the entries before position `end`, all of which were replayed without a refusal before."""
    book = Book()
    plain = PlainTransfers(book, leave=lambda _: False)
    for raws in entries.bundles(end):
        for entry in plain.replay(raws, []):
            apply(book, entry, read=lambda position: e.decode_entry(entries[position]))
    return book


def _given_up(entry: e.TransferReturned) -> GivenUp:
    assert entry.postings is not UNSET, "apply compares them with the transfer"
    (transit, _), (_, minutes) = entry.postings
    return GivenUp(entry.n, entry.data.transfer, transit.partition(":")[2], minutes)
