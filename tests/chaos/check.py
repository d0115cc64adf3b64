"""The offline checker: a history of clients against the journals of all towns. It asks no node anything.

    ok       one entry with this key, and every answer named its transfer
    fail     no entry with this key
    unknown  at most one
    and each transfer that was sent: one decision at the payee's town, one ending at the payer's, and they agree

Reading order: `read_journal`, `check`. A violation is a sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import UNSET

from tests.chaos.history import Attempt, amount_to
from timebank_contracts.entries import (
    Entry,
    TransferReceived,
    TransferRejected,
    TransferReturned,
    TransferSent,
    TransferSettled,
    decode_entry,
)
from timebank_contracts.messages import Sent, decode_message
from timebank_kit.journal import open_journal

KEPT_MAX = 5
"""Violations of one kind that are told."""


@dataclass
class TownJournal:
    """What one town's journal says of transfers between towns."""

    sent: dict[str, str | None] = field(default_factory=dict)
    """Transfer → key."""
    ended: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    decided: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    keys: list[str] = field(default_factory=list)


def read_journal(url: str, name: str, *, start: int) -> TownJournal:
    """Read a journal from a position to its end."""
    journal = open_journal(url, name)
    try:
        entries = [decode_entry(record.state) for record in journal.scan(start, journal.length())]
    finally:
        journal.close()
    return of_entries(entries)


def of_entries(entries: Sequence[Entry]) -> TownJournal:
    """What entries say of transfers between towns."""
    found = TownJournal()
    for entry in entries:
        if isinstance(entry.key, str):
            found.keys.append(entry.key)
        if isinstance(entry, TransferSent):
            found.sent[_sent(entry)] = entry.key if isinstance(entry.key, str) else None
        elif isinstance(entry, TransferSettled | TransferReturned):
            found.ended[entry.data.transfer].append("settled" if isinstance(entry, TransferSettled) else "returned")
        elif isinstance(entry, TransferReceived | TransferRejected):
            found.decided[entry.data.transfer].append("received" if isinstance(entry, TransferReceived) else "rejected")
    return found


def check(history: Sequence[Attempt], journals: Mapping[str, TownJournal]) -> list[str]:
    """Hold the journals to what the clients saw; returns the violations.

    Args:
        history: every attempt since the journals' first position.
        journals: by town.
    """
    found = [*_check_commands(history, journals), *_check_decisions(journals)]
    by_kind: dict[str, list[str]] = defaultdict(list)
    for violation in found:
        by_kind[violation.partition(":")[0]].append(violation)
    return [
        line
        for kind, lines in by_kind.items()
        for line in [*lines[:KEPT_MAX], *([f"{kind}: {len(lines)} in all"] if len(lines) > KEPT_MAX else [])]
    ]


def _check_commands(history: Sequence[Attempt], journals: Mapping[str, TownJournal]) -> Iterator[str]:
    commands: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in history:
        commands[attempt.town, attempt.key].append(attempt)
    written: dict[tuple[str, str], list[str]] = defaultdict(list)
    for town, journal in journals.items():
        for transfer, key in journal.sent.items():
            if key is None or (town, key) not in commands:
                yield f"written and asked by nobody: {transfer}"
            else:
                written[town, key].append(transfer)
        if len(set(journal.keys)) < len(journal.keys):
            yield f"a key has two entries: in the journal of {town}"
    for command, attempts in commands.items():
        transfers = written[command]
        answered = {attempt.said for attempt in attempts if attempt.outcome == "ok"}
        outcome = amount_to(attempts)
        if len(answered) > 1:
            yield f"one key, two answers: {command} {sorted(answered)}"
        if len(transfers) > 1:
            yield f"written twice: {command} {transfers}"
        if outcome == "ok" and set(transfers) != answered:
            yield f"acknowledged and lost: {command} {sorted(answered)}, written {transfers}"
        if outcome == "fail" and transfers:
            yield f"refused and written: {command} {attempts[-1].said}, written {transfers}"


def _check_decisions(journals: Mapping[str, TownJournal]) -> Iterator[str]:
    agreed = {"settled": "received", "returned": "rejected"}
    decided: dict[str, list[str]] = defaultdict(list)
    for journal in journals.values():
        for transfer, decisions in journal.decided.items():
            decided[transfer] += decisions
    for journal in journals.values():
        for transfer in journal.sent:
            ends, decisions = journal.ended.get(transfer, []), decided.get(transfer, [])
            if len(ends) != 1:
                yield f"not ended once: {transfer} {ends}"
            elif decisions != [agreed[ends[0]]]:
                yield f"two towns differ: {transfer} {ends} at the payer's, {decisions} at the payee's"


def _sent(entry: TransferSent) -> str:
    assert entry.out is not UNSET
    message = decode_message(bytes(entry.out))
    assert isinstance(message.data, Sent)
    return message.data.transfer
