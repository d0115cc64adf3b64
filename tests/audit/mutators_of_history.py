"""Faults in what a log showed before, in its keys, and in what a town gave out: one for each check.

An auditor's own files lie beside the towns: `policy` and `earlier.json`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.audit.builder import Network, Writer, key
from tests.audit.given_out import cosign_all, cosigned, figures, policy_text
from tests.audit.mutators import MUTATORS, lie
from tests.audit.mutators_between_towns import accepted
from tests.audit.season import season
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts.keys import b64_encode
from timebank_contracts.registry import Registry


def another_past(town: Writer) -> list[bytes]:
    """The town's entries, one of them another."""
    return [raw.replace(b'"bryn",30', b'"bryn",31') for raw in town.raws]


@lie("A11")
def own_checkpoint_contradicted(network: Network) -> None:
    town = network.towns["caernarfon"]
    town.extras["checkpoints/two"] = town.note(20, raws=another_past(town))


@lie("A15")
def two_logs_shown(network: Network) -> None:
    town = network.towns["caernarfon"]
    network.towns["barry"].extras["notes/second"] = town.note(20, raws=another_past(town))


@lie("A15b")
def two_logs_shown_of_a_town_that_was_not_given(network: Network) -> None:
    town = Writer(network, "dinas")
    town.raws = [b"one"]
    registry = network.make_registry(limit=2_000, previous=network.registry)
    joined = msgspec.structs.replace(
        registry.nodes[0],
        node="dinas",
        event_keys=[b64_encode(town.event_key.public)],
        log_keys=[b64_encode(town.log_key.public)],
    )
    registry = msgspec.structs.replace(registry, nodes=[*registry.nodes, joined])
    for holder in network.towns.values():
        holder.accept(registry, network.sign(registry))
    network.towns["barry"].extras["notes/dinas"] = town.note()
    network.towns["aberdare"].extras["notes/dinas"] = town.note(raws=[b"two"])


@lie("A16")
def another_state_told_to_a_peer(network: Network) -> None:
    sender, town = network.towns["caernarfon"], network.towns["barry"]
    true = sender.raws
    sender.tells_size, sender.raws = True, another_past(sender)
    town.hear(sender)
    sender.raws = true


@lie("A17")
def tail_cut_with_its_checkpoint(network: Network) -> None:
    """M-1: the last entries and the checkpoint over them are both gone; a peer shows that they were there."""
    town = network.towns["caernarfon"]
    note = town.note()
    town.rewind(len(town.raws) - 1)
    network.towns["barry"].extras["notes/later"] = note


@lie("A17b")
def tail_cut_although_a_segment_told(network: Network) -> None:
    """M-1."""
    sender, town = network.towns["caernarfon"], network.towns["barry"]
    sender.tells_size = True
    sender.give(5)
    town.hear(sender)
    sender.rewind(len(sender.raws) - 1)


@lie("A24")
def segment_signed_by_the_log_key(network: Network) -> None:
    sender, town = network.towns["aberdare"], network.towns["barry"]
    after = town.book.peers["aberdare"].incoming.n
    accepted(town, "aberdare", sender.segment("barry", after=after, signed_by=sender.log_key))


@lie("A24b")
def checkpoint_signed_by_the_event_key(network: Network) -> None:
    town = network.towns["barry"]
    town.log_key = town.event_key


def next_registry(network: Network, **changes: Any) -> Registry:
    """The next version, its second node changed."""
    registry = network.make_registry(limit=2_000, previous=network.registry)
    first, second, *rest = registry.nodes
    return msgspec.structs.replace(registry, nodes=[first, msgspec.structs.replace(second, **changes), *rest])


@lie("A25")
def key_of_another_before(network: Network) -> None:
    """Caernarfon gets a new log key in one version, and barry has the old one in the next."""
    old, new = network.towns["caernarfon"].log_key, key("caernarfon log 2")
    registry = network.make_registry(limit=2_000, previous=network.registry)
    *nodes, last = registry.nodes
    changed = msgspec.structs.replace(last, log_keys=[b64_encode(new.public)])
    network.registry = msgspec.structs.replace(registry, nodes=[*nodes, changed])
    barry_keys = [*nodes[1].log_keys, b64_encode(old.public)]
    after = msgspec.structs.replace(
        network.make_registry(limit=2_000, previous=network.registry),
        nodes=[nodes[0], msgspec.structs.replace(nodes[1], log_keys=barry_keys), changed],
    )
    network.towns["caernarfon"].log_key = new
    # What was signed by the old key is left out: it is good, and another test's.
    network.towns["caernarfon"].extras.clear()
    network.towns["aberdare"].extras.clear()
    for town in network.towns.values():
        town.accept(network.registry, network.sign(network.registry))
    network.towns["aberdare"].accept(after, network.sign(after))


@lie("A25b")
def key_twice_in_a_document(network: Network) -> None:
    registry = next_registry(network, log_keys=list(network.registry.nodes[0].log_keys))
    network.towns["aberdare"].accept(registry, network.sign(registry))


@lie("A36")
def statement_prettier(network: Network) -> None:
    change(
        network, "statements/alys.json", lambda said: said["lines"][0].update(minutes=said["lines"][0]["minutes"] + 1)
    )


@lie("A36b")
def statement_without_a_line(network: Network) -> None:
    change(network, "statements/alys.json", lambda said: said["lines"].pop())


@lie("A36c")
def statement_opens_with_more(network: Network) -> None:
    change(network, "statements/alys.json", lambda said: said.update(opening=said["opening"] + 5))


@lie("A36d")
def statement_closes_with_more(network: Network) -> None:
    change(network, "statements/alys.json", lambda said: said.update(closing=said["closing"] + 5))


@lie("A51")
def another_segment_captured(network: Network) -> None:
    sender = network.towns["caernarfon"]
    message = sender.messages("barry")[0]
    changed = message.replace(b'"minutes":33', b'"minutes":34')
    assert changed != message
    network.towns["barry"].extras["segments/second"] = sender.segment("barry", after=0, messages=[changed])


@lie("A70")
def figure_rounded_up(network: Network) -> None:
    change(network, "figures/trial.json", lambda said: said["rows"][0].update(credit=said["rows"][0]["credit"] + 60))


@lie("A70b")
def figure_added_wrongly(network: Network) -> None:
    change(network, "figures/trial.json", lambda said: said.update(credit=said["credit"] + 60))


@lie("A70c")
def hours_counted_that_nobody_gave(network: Network) -> None:
    """O-1."""
    town = network.towns["caernarfon"]
    said = figures(town, len(town.raws) - 1)
    said["product"]["given_minutes"] += 600
    town.extras["figures/2026.json"] = json.dumps(said).encode()


@lie("A70d")
def figures_of_another_history(network: Network) -> None:
    town = network.towns["caernarfon"]
    said = figures(town, len(town.raws))
    said["cut"]["root"] = "0" * 64
    town.extras["figures/2026.json"] = json.dumps(said).encode()


def change(network: Network, path: str, edit: Any) -> None:
    """Change a document that the third town gave out."""
    town = network.towns["caernarfon"]
    said = json.loads(town.extras[path])
    edit(said)
    town.extras[path] = json.dumps(said).encode()


def seen(code: str) -> Callable[[Callable[[Network], None]], Callable[[Network], None]]:
    """Register a fault that an auditor with a policy finds, in logs that a witness cosigned."""

    def register(change: Callable[[Network], None]) -> Callable[[Network], None]:
        def mutate(directory: Path) -> None:
            network = season()
            cosign_all(network)
            change(network)
            network.export(directory)
            (directory / "policy").write_text(policy_text(network))

        MUTATORS[code] = mutate
        return change

    return register


@seen("A10b")
def cosignature_changed(network: Network) -> None:
    town = network.towns["barry"]
    note = town.extras["checkpoint"]
    other = network.towns["aberdare"].extras["checkpoint"]
    town.extras["checkpoint"] = b"".join([*note.splitlines(keepends=True)[:-1], other.splitlines(keepends=True)[-1]])


@seen("A13")
def cosigned_before_it_was_written(network: Network) -> None:
    town = network.towns["barry"]
    town.extras["checkpoint"] = cosigned(town.note(), at=1_600_000_000)


@seen("A13b")
def cosigned_later_when_it_was_smaller(network: Network) -> None:
    town = network.towns["caernarfon"]
    town.extras["checkpoints/one"] = cosigned(town.note(20), at=2_000_000_000)


@seen("A14")
def cosigned_by_nobody(network: Network) -> None:
    town = network.towns["barry"]
    town.extras["checkpoint"] = town.note()


@seen("A14b")
def cosigned_by_somebody_unknown(network: Network) -> None:
    town = network.towns["barry"]
    town.extras["checkpoint"] = cosigned(town.note(), at=1_900_000_000, name="west")


def audited_before(code: str) -> Callable[[Callable[[Network], None]], Callable[[Network], None]]:
    """Register a fault that an auditor finds who was there before."""

    def register(change: Callable[[Network], None]) -> Callable[[Network], None]:
        def mutate(directory: Path) -> None:
            network = season()
            write_earlier(network, directory)
            change(network)
            network.export(directory)

        MUTATORS[code] = mutate
        return change

    return register


def write_earlier(network: Network, directory: Path) -> None:
    """The report of an audit of the towns as they are now."""
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        report = make_report(verify([network.export(Path(folder))]), version="test")
    (directory / "earlier.json").write_text(json.dumps(report))


@audited_before("A12")
def history_rewritten_after_an_audit(network: Network) -> None:
    for holder in network.towns.values():
        holder.extras.clear()
    town = network.towns["caernarfon"]
    town.rewind(len(town.raws) - 1)
    town.give(5)
    town.give(6)


@audited_before("A17c")
def log_shorter_than_at_an_audit(network: Network) -> None:
    """M-1."""
    town = network.towns["caernarfon"]
    town.rewind(len(town.raws) - 1)
