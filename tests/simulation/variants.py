"""Rules that are broken on purpose: the simulation must notice each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET

from tests.simulation.protocol_variants import PROTOCOL_VARIANTS
from tests.simulation.registries import public
from tests.simulation.rules import Rules
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.book import Read
from timebank_contracts.errors import Refusal
from timebank_contracts.registry import Registry
from timebank_contracts.rules_claims_between import end_sent_claim
from timebank_contracts.rules_reversal import reversal_target
from timebank_contracts.segments import parse_segment
from timebank_contracts.state import Book, Claim, SentClaim
from timebank_contracts.streams import StreamHead
from timebank_federation.outgoing import Due, Outgoing
from timebank_ledger import commands as c
from timebank_ledger.peers import take_segment
from timebank_ledger.propose import perform
from timebank_ledger.timer import due_commands


def without_high_water_mark(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """Believes that whatever comes is new."""
    statement = parse_segment(raw).statement
    peer = book.peers.get(statement.from_)
    if peer is not None and 0 < statement.count <= statement.last <= peer.incoming.n:
        peer.incoming = StreamHead(statement.first - 1, bytes.fromhex(statement.prior))
    return take_segment(book, raw, time=time, read=read)


class OnceOnly(Outgoing):
    """Sends everything once: no repetition, no statement."""

    __slots__ = ()

    def due(self, now: float) -> Due | None:
        found = super().due(now)
        return found if found is not None and found.why == "fresh" else None

    def due_at(self, now: float) -> float:
        return now if self.sent < self.head else now + 10.0


def with_a_stranger(registry: Registry) -> Registry:
    """Lets the attacker sign for every town."""
    nodes = [
        msgspec.structs.replace(node, event_keys=[*node.event_keys[:3], public("attacker")]) for node in registry.nodes
    ]
    return msgspec.structs.replace(registry, nodes=nodes)


def confirming_again(book: Book, command: c.Command, **rest: Any) -> list[Any]:
    """A claim that was confirmed may be confirmed again."""
    if isinstance(command, c.ConfirmClaim) and command.claim not in book.claims and "." in command.claim:
        made = rest["cite"](min(int(command.claim.rpartition(".")[2]), book.n - 1))
        if isinstance(made, e.ClaimMadeEntry):
            data = made.data
            claim = Claim(data.giver, data.receiver, data.minutes, data.activity, data.served_on, 0, "", 0, "", "")
            book.claims[command.claim] = claim
            for account in (data.giver, data.receiver):
                book.accounts[account].open_claims += 1
    return perform(book, command, **rest)


def without_tolerance(book: Book, command: c.Command, **rest: Any) -> list[Any]:
    """A claim may be confirmed for twice as much."""
    policy, book.claim_tolerance_percent = book.claim_tolerance_percent, 1_000
    try:
        return perform(book, command, **rest)
    finally:
        book.claim_tolerance_percent = policy
        if isinstance(command, c.ChangePolicy):
            book.claim_tolerance_percent = command.claim_tolerance_percent


def deaf_to_disputes(book: Book, command: c.Command, **rest: Any) -> list[Any]:
    """The rule looked for disputes when its round began, and does not look again."""
    before = book.claims.get(command.claim) if isinstance(command, c.ConfirmClaim) else None
    if before is None or command.by.kind != "rule" or not isinstance(command, c.ConfirmClaim):
        return perform(book, command, **rest)
    book.claims[command.claim] = replace(before, disputed=False)
    try:
        return perform(book, command, **rest)
    finally:
        if command.claim in book.claims:
            book.claims[command.claim] = before


def forgetting_parts(book: Book, command: c.Command, **rest: Any) -> list[Any]:
    """What was taken back before is not remembered."""
    if isinstance(command, c.ReverseTransfer):
        with suppress(Refusal):
            book.reversed.pop(reversal_target(book, command.transfer), None)
    return perform(book, command, **rest)


def counting_final_refunds_only(book: Book, command: c.Command, **rest: Any) -> list[Any]:
    """A refund that is under way is not counted."""
    if not isinstance(command, c.RefundTransfer):
        return perform(book, command, **rest)
    name, before = command.transfer, dict(book.refunded)
    under_way = sum(found.minutes for found in book.open_transfers.values() if found.refunds == name)
    book.refunded[name] = before.get(name, 0) - under_way
    try:
        written = perform(book, command, **rest)
    except Refusal:
        book.refunded = before
        raise
    book.refunded[name] += under_way
    return written


def crediting_what_was_withdrawn(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """A claim that its giver withdrew is credited all the same."""
    segment = parse_segment(raw)
    remembered = []
    for message in map(m.decode_message, segment.messages):
        data = message.data
        if not isinstance(data, m.Sent) or data.claim is UNSET or data.claim in book.sent_claims:
            continue
        alias = None if data.payee is UNSET else book.aliases.get(data.payee)
        if alias is not None:
            book.sent_claims[data.claim] = SentClaim(alias.account, segment.statement.from_, 0, "")
            book.accounts[alias.account].open_claims += 1
            remembered.append(data.claim)
    try:
        return take_segment(book, raw, time=time, read=read)
    finally:
        for name in remembered:
            if name in book.sent_claims:
                end_sent_claim(book, name)


def paying_while_closing(book: Book, command: c.Command, **rest: Any) -> list[Any]:
    """A leaver still pays."""
    closing = [account for account in book.accounts.values() if account.state == "closing"]
    if not isinstance(command, c.PostTransfer | c.SendTransfer):
        return perform(book, command, **rest)
    for account in closing:
        account.state = "open"
    try:
        return perform(book, command, **rest)
    finally:
        for account in closing:
            account.state = "closing"


def forgetful_timer(book: Book, time: str) -> Iterator[c.Command]:
    """Claims never expire."""
    return (command for command in due_commands(book, time) if not isinstance(command, c.EndClaim))


def timer_of_one_town(book: Book, time: str) -> Iterator[c.Command]:
    """Claims on other towns never expire."""
    return (
        command
        for command in due_commands(book, time)
        if not isinstance(command, c.EndClaim) or command.claim not in book.sent_claims
    )


VARIANTS: dict[str, tuple[Rules, str]] = {
    "the receiver skips the high-water mark": (Rules(take_segment=without_high_water_mark), "P3"),
    "the sender never repeats": (Rules(outgoing=OnceOnly), "P8"),
    "the writer answers before the commit": (Rules(answers_after_commit=False), "P2"),
    "the sender does not wait for the commit": (Rules(sends_after_commit=False), "P6"),
    "nobody looks keys up": (Rules(looks_keys_up=False), "P3"),
    "a commit can be torn": (Rules(commits_whole_batches=False), "P8"),
    "a claim ends twice": (Rules(perform=confirming_again), "P5"),
    "claims have no tolerance": (Rules(perform=without_tolerance), "P5"),
    "the rule does not hear disputes": (Rules(perform=deaf_to_disputes), "P5"),
    "parts of a reversal are forgotten": (Rules(perform=forgetting_parts), "P5"),
    "refunds under way are not counted": (Rules(perform=counting_final_refunds_only), "P5"),
    "a withdrawn claim is still credited": (Rules(take_segment=crediting_what_was_withdrawn), "P5"),
    "a leaver still pays": (Rules(perform=paying_while_closing), "P5"),
    "the timer forgets claims": (Rules(due_commands=forgetful_timer), "P8"),
    "the timer forgets claims on other towns": (Rules(due_commands=timer_of_one_town), "P8"),
    "an attacker's key counts": (Rules(read_registry=with_a_stranger), "P6"),
    **PROTOCOL_VARIANTS,
}
"""What is broken → the rules, and the promise that some seed must see broken."""
