"""Faults in refunds, claims and thanks between two towns: lies of a town that signs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from tests.audit.between_told import claim_there, meet, paying, refunding, tell_between, thanking
from tests.audit.builder import MEMBER, Network, Writer
from tests.audit.mutators import MUTATORS
from tests.audit.mutators_between_towns import accepted, credit
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_ledger import commands as c
from timebank_ledger.propose import propose

SENT = "aberdare.g1.barry.1"


def lie_between(code: str) -> Callable[[Callable[[Network], None]], Callable[[Network], None]]:
    """Register a fault in a journal of the two towns, under which the operator signs."""

    def register(change: Callable[[Network], None]) -> Callable[[Network], None]:
        def mutate(directory: Path) -> None:
            network = tell_between()
            change(network)
            network.export(directory)

        MUTATORS[code] = mutate
        return change

    return register


def proposed(town: Writer, command: c.Command) -> Any:
    """The entry that a ledger would write, which nobody has judged."""
    return propose(town.book, command, town.network.tick(), lambda at: e.decode_entry(town.raws[at]))


def next_message(town: Writer, sender: Writer) -> bytes:
    """The sender's next message, under a segment that the town accepts."""
    after = town.book.peers[sender.node].incoming.n
    message = sender.messages(town.node)[after]
    accepted(town, sender.node, sender.segment(town.node, after=after, messages=[message]))
    return message


@lie_between("A34c")
def refunded_above_the_original(network: Network) -> None:
    town = network.towns["barry"]
    town.force(proposed(town, refunding(town, SENT, 41)))


@lie_between("A41c")
def refunded_to_another_account(network: Network) -> None:
    town, sender = network.towns["aberdare"], network.towns["barry"]
    sender.do(refunding(sender, SENT, 10))
    town.force(credit(town, next_message(town, sender), "barry"))


@lie_between("A42e")
def refunded_what_never_came(network: Network) -> None:
    town = network.towns["barry"]
    entry = proposed(town, refunding(town, SENT, 10))
    town.force(replace(entry, data=replace(entry.data, original=entry.data.original - 1)))


@lie_between("A39g")
def refunded_by_somebody_else(network: Network) -> None:
    town = network.towns["barry"]
    entry = proposed(town, refunding(town, SENT, 10))
    town.force(replace(entry, postings=[("alys", -10), ("transit:aberdare", 10)]))


@lie_between("A42f")
def paid_twice(network: Network) -> None:
    town = network.towns["aberdare"]
    name = claim_there(network.towns["barry"], "aberdare", 12)
    meet(town, network.towns["barry"])
    claim = town.book.claims[name]
    town.do(paying(name))
    town.book.claims[name] = claim
    town.force(proposed(town, paying(name)))


@lie_between("A42g")
def credited_although_withdrawn(network: Network) -> None:
    payer, town = network.towns.values()
    name = claim_there(town, "aberdare", 12)
    meet(payer, town)
    payer.do(paying(name))
    town.do(c.EndClaim(by=MEMBER, claim=name, how="withdrawn"))
    town.force(credit(town, next_message(town, payer), "aberdare"))


@lie_between("A39h")
def rejected_as_withdrawn_which_was_not(network: Network) -> None:
    payer, town = network.towns.values()
    name = claim_there(town, "aberdare", 12)
    meet(payer, town)
    payer.do(paying(name))
    message = next_message(town, payer)
    yes = credit(town, message, "aberdare")
    answer = m.decode_message(bytes(yes.out))  # type: ignore[arg-type]  # a credit is told
    no = m.Rejected(transfer=yes.data.transfer, minutes=12, reason="claim_withdrawn")
    head = {name: getattr(answer, name) for name in ("id", "source", "specversion", "subject", "time")}
    town.force(
        e.TransferRejected(
            n=yes.n,
            time=yes.time,
            by=yes.by,
            data=e.Returned(transfer=yes.data.transfer, reason="claim_withdrawn"),
            in_=Raw(message),
            out=Raw(m.encode_message(m.TransferRejectedMessage(**head, data=no))),
        )
    )


@lie_between("A42h")
def thanked_for_nothing(network: Network) -> None:
    town = network.towns["barry"]
    command = thanking(town)
    town.force(proposed(town, c.GiveThanks(by=MEMBER, transfer=SENT + "1", side="payee", position=command.position)))


@lie_between("A39i")
def thanked_twice(network: Network) -> None:
    town = network.towns["barry"]
    town.force(proposed(town, thanking(town)))
