"""Commands of a node that lost entries which it had published, and that no mirror has whole.

    node lost   ──▶ next generation's keys, request ── the operators' registry closes the old one, names the new ──▶
    node return ──▶ what is left of the journal (or a mirror's part) goes on; peers hand back the rest once it serves
Source: design page 2, "Rollback and generations"; decision 0010; PROTOCOL.md X7.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from timebank_contracts import dsse
from timebank_contracts.book import Book, apply
from timebank_contracts.entries import Actor, Entry, NodeOpened, decode_entry
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_encode
from timebank_contracts.moments import show_time
from timebank_contracts.registry import PAYLOAD_TYPE, Registry, read_registry
from timebank_contracts.rules_generations import number_of
from timebank_federation.registries import Registries
from timebank_kit.clock import Clock, SystemClock
from timebank_kit.files import atomic_write
from timebank_kit.journal import Journal, open_journal
from timebank_kit.settings import read_settings
from timebank_ledger.comeback import come_back
from timebank_ledger.commands import Command
from timebank_ledger.replay import read_entry
from timebank_ledger.settings import Settings
from timebank_node.bootstrap import TownPolicy, first_commands
from timebank_node.commands_node import own_variables
from timebank_node.compose import environment
from timebank_node.home import Home, open_home, read_description
from timebank_node.mirror import Mirror
from timebank_node.requests import Request, sign_request
from timebank_node.restore import copy_journal

OPERATOR = Actor(kind="operator", id="node-return")


def ask_to_return(
    out: Console, folder: Path, file: Path, *, random: Callable[[int], bytes] = secrets.token_bytes
) -> None:
    """Make the next generation's keys, and write the request to the operators; the same one when it is asked again.

    Raises:
        Malformed: no registry that is held names this node under its present generation, or that has not begun.
        JournalTrouble: the journal cannot be opened, of a generation that came back before.
        UnsafeFile: a key can be read by others.
    """
    home = open_home(folder)
    latest = Registries(home.registry_folder).latest
    named = None if latest is None else latest.find(home.identity.node)
    present = number_of(home.identity.generation)
    if named is None or number_of(named.generation) not in (present, present - 1):
        raise Malformed(
            f"The registry held here does not name {home.identity.node} {home.identity.generation}: there is no "
            "generation that could be followed. Accept the latest registry first, or ask to join."
        )
    if named.generation == home.identity.generation:
        _check_begun(home)
        home = home.begin_generation(f"g{present + 1}", random)
    old_keys = home.lost_event_keys(named.generation)
    request = Request(
        network=home.identity.network,
        node=home.identity.node,
        kind="return",
        described=read_description(folder / "node.json")[1],
    )
    atomic_write(file, sign_request(request, [*old_keys, *home.event_keys]))
    out.print(f"Give {file} to the network's operators: timebank network propose … --request {file.name}")
    out.print(f"They close {named.generation} for ever. When their registry is accepted here: timebank node return")


def _check_begun(home: Home) -> None:
    """Raise `Malformed` when the present generation is named and has not begun: no later one could follow it."""
    settings = read_settings(Settings, environment(home, own_variables()))
    if number_of(home.identity.generation) == 1 or settings.journal_url == "memory:":
        return
    journal = open_journal(settings.journal_url, f"{settings.network}/{settings.node}")
    try:
        opened = [record for record in journal.scan(0, journal.length()) if record.topic == "node.opened"]
    finally:
        journal.close()
    if not opened:
        return  # Lost, with what it may have begun: a mirror may have it.
    entry = decode_entry(opened[-1].state)
    assert isinstance(entry, NodeOpened), "the store says so"
    if entry.data.generation != home.identity.generation:
        raise Malformed(
            f"The registry names {home.identity.generation} and the journal ends with {entry.data.generation}: "
            "let it go on first, with `timebank node return`."
        )


def return_node(out: Console, folder: Path, *, mirror_folder: Path | None, clock: Clock | None = None) -> None:
    """Let what is left of the journal go on under the generation that the registry names.

    Raises:
        Malformed: there is no such registry, or the journal or mirror is not this node's last generation's.
        JournalDamaged, JournalTrouble, Refusal, UnsafeFile: the text says what to do.
    """
    home = open_home(folder)
    settings = read_settings(Settings, environment(home, own_variables()))
    if settings.journal_url == "memory:":
        raise Malformed("TIMEBANK_LEDGER_JOURNAL_URL names no store that lasts; nothing can go on in it.")
    registries = _registries(home)
    journal = open_journal(settings.journal_url, f"{settings.network}/{settings.node}")
    try:
        if mirror_folder is not None:
            _take_mirror(journal, home, mirror_folder, registries)
        size = come_back(
            journal,
            home.identity,
            registries=registries,
            first=lambda: _first(home),
            time=show_time((clock or SystemClock()).now()),
            by=OPERATOR,
        )
    finally:
        journal.close()
    out.print(f"{home.identity.origin} goes on from {size} restored entries.")
    out.print("Start the node: its peers hand back what they know of the rest. See: timebank status")


def _registries(home: Home) -> list[Registry]:
    held = Registries(home.registry_folder).envelopes
    payloads = [dsse.open_payload(held[version], payload_type=PAYLOAD_TYPE) for version in sorted(held)]
    registries = [read_registry(payload) for payload in payloads]
    named = registries[-1].find(home.identity.node) if registries else None
    if named is None or named.generation != home.identity.generation:
        raise Malformed(
            f"The registry held here does not name {home.identity.node} {home.identity.generation} yet: get the "
            "operators' next version, and accept it with `timebank node accept`."
        )
    home.check_keys(named)
    return registries


def _take_mirror(journal: Journal, home: Home, folder: Path, registries: list[Registry]) -> None:
    """Copy a mirror of the generation before into the store: each of its entries is proved by a signed checkpoint."""
    mirror = Mirror(folder)
    try:
        found = mirror.identity
        before = f"g{number_of(home.identity.generation) - 1}"
        if (found.network, found.node, found.generation) != (home.identity.network, home.identity.node, before):
            raise Malformed(f"{folder} mirrors {found.origin}, not {home.identity.node} {before}.")
        keys = [node.log_keys for one in registries if (node := one.find(found.node)) and node.generation == before]
        if not any(b64_encode(mirror.vkey.public) in named for named in keys):
            raise Malformed(f"{folder} follows a log under a key that no registry names for {before}.")
        copy_journal(mirror.journal, journal, _whole(mirror))
    finally:
        mirror.close()


def _whole(mirror: Mirror) -> int:
    """How many of a mirror's entries may be gone on from: it may have been cut off within a segment of a peer."""
    book, whole = Book(), 0

    def read(position: int) -> Entry | None:
        return read_entry(mirror.journal, position)

    for record in mirror.journal.scan(0, mirror.tree.size):
        apply(book, decode_entry(record.state), read=read)
        if book.pending is None:
            whole = book.n
    return whole


def _first(home: Home) -> Iterator[Command]:
    """What a new town's journal begins with, after its `node.opened`."""
    commands = first_commands(home.identity, TownPolicy())
    next(commands)
    yield from commands
