"""The entries by which a stopped node comes back under its next generation, after its journal lost entries.

    verified prefix ── of this town, of the generation before? ──▶ node.opened {previous}, registry.accepted, …
They are appended together: the journal has all of them or none. What the prefix lacks, peers hand back afterwards.
Source: design page 2, "Rollback and generations"; decision 0010; PROTOCOL.md X7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import Tree
from timebank_contracts.names import Identity
from timebank_contracts.registry import Registry
from timebank_contracts.rules_accounts import RULES_VERSION
from timebank_contracts.rules_generations import number_of
from timebank_kit.journal import Journal, Record
from timebank_ledger import commands as c
from timebank_ledger.peers import accept_registry
from timebank_ledger.propose import perform
from timebank_ledger.replay import read_entry, replay

EVENT_KEYS_MAX = 16


def come_back(
    journal: Journal,
    me: Identity,
    *,
    registries: Sequence[Registry],
    first: Callable[[], Iterable[c.Command]],
    time: str,
    by: e.Actor,
) -> int:
    """Let a journal go on under the next generation; returns how many entries were restored.

    Args:
        journal: nobody else writes it; what is in it was verified by the caller, or the caller answers for it.
        me: the new identity.
        registries: every version that is known, in order; the last one names `me`.
        first: what a new town's journal begins with, after its `node.opened`: for one with nothing restored.
        time: the clock's time in wire form.
        by: the operator.

    Raises:
        Malformed: another town's journal or another generation's, one that ends within a segment, or one that came
            back already.
        JournalDamaged: it holds an entry that the rules refuse.
        JournalTrouble: it cannot be read or written; nothing was appended.
        Refusal: the rules do not let it go on so.
    """
    book, tree = replay(journal)
    size = tree.size
    _check_prefix(book, me)
    previous = _previous(me, tree, registries)
    opened = e.Opened(
        network=me.network, node=me.node, generation=me.generation, rules=RULES_VERSION, previous=previous
    )
    written: list[e.Entry] = [e.NodeOpened(n=book.n, time=max(time, book.time), by=by, data=opened)]
    apply(book, written[0])

    def cite(position: int) -> e.Entry | None:
        return written[position - size] if position >= size else read_entry(journal, position)

    for command in () if size else first():
        written += perform(book, command, time=time, cite=cite)
    written += accept_registry(book, registries[-1], own_limits={}, time=time, by=by)
    journal.append([_record(entry) for entry in written])
    return size


def _check_prefix(book: Book, me: Identity) -> None:
    if book.identity is None:
        return
    found = book.me
    if found == me:
        raise Malformed(f"This journal goes on as {me.generation} already: start the node.")
    if (found.network, found.node) != (me.network, me.node):
        raise Malformed(f"The journal is that of {found.origin}: restore this town's.")
    if number_of(found.generation) + 1 != number_of(me.generation):
        raise Malformed(f"The journal is of {found.generation}: only the one before {me.generation} is gone on from.")
    if book.pending is not None:
        raise Malformed(
            "The journal ends within a segment of a peer, as no backup of a running node does: restore another one."
        )


def _previous(me: Identity, tree: Tree, registries: Sequence[Registry]) -> e.Previous:
    generation = f"g{number_of(me.generation) - 1}"
    named = [(registry, registry.find(me.node)) for registry in registries]
    keys = [key for _, node in named if node is not None and node.generation == generation for key in node.event_keys]
    latest, node = named[-1]
    if node is None or node.generation != me.generation:
        raise Malformed(f"The latest registry does not name {me.node} {me.generation}: let the operators publish it.")
    distinct = list(dict.fromkeys(keys))
    if len(distinct) > EVENT_KEYS_MAX:
        raise Malformed(f"{generation} had more than {EVENT_KEYS_MAX} event keys: its lost segments cannot be judged.")
    return e.Previous(
        generation=generation,
        size=tree.size,
        root=tree.root().hex(),
        registry=latest.version,
        event_keys=distinct,
    )


def _record(entry: e.Entry) -> Record:
    return Record(entry.n, e.entry_type(entry), e.encode_entry(entry), None if entry.key is UNSET else entry.key)
