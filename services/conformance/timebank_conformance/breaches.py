"""Messages that no honest town sends: each is validly signed, is the next of its stream, and freezes it. Pure.

Source: PROTOCOL.md S9, with C1 to C4, E5 to E7, A1, N6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from timebank_conformance.towns import PAST, KitTown


class BreachCase(NamedTuple):
    """What is wrong, the rules that say so, and how to make it."""

    what: str
    rules: str
    make: Callable[[KitTown], bytes]


def _of_node(town: KitTown, position: int) -> str:
    return f"{town.node.node}.{town.node.generation}.{town.name}.{position}"


def _about(kind: str, name: str) -> Callable[[KitTown], bytes]:
    return lambda town: town.message(kind, {name: _of_node(town, 999_999)})


def _as_bytes(old: bytes, new: bytes) -> Callable[[KitTown], bytes]:
    def make(town: KitTown) -> bytes:
        good = town.sent(1)
        assert good.count(old) >= 1, "what is replaced is there"
        return good.replace(old, new, 1)

    return make


def _reversed(town: KitTown) -> bytes:
    """The fields of a good message, those of its envelope in the opposite order."""
    good = town.sent(1)
    cut = good.index(b',"id":')
    return b"{" + good[cut + 1 : -1] + b"," + good[1:cut] + b"}"


BREACHES: Final = (
    BreachCase("a blank in a message", "S9 C1 C3", _as_bytes(b'"data":{', b'"data": {')),
    BreachCase("a key twice in a message", "S9 C3", _as_bytes(b'"minutes":1', b'"minutes":1,"minutes":1')),
    BreachCase("a decimal number in a message", "S9 C1 C3", _as_bytes(b'"minutes":1', b'"minutes":1.0')),
    BreachCase("an escape in a message", "S9 C2", _as_bytes(b'"purpose":"gift"', b'"purpose":"\\u0067ift"')),
    BreachCase("a message's fields in another order", "S9 C3", _reversed),
    BreachCase("an unknown field in a message", "S9 C3 E7", lambda town: town.sent(1, memo="x")),
    BreachCase("a message of 0 minutes", "S9 A1", lambda town: town.sent(0)),
    BreachCase("a message of 60,001 minutes", "S9 A1", lambda town: town.sent(60_001)),
    BreachCase("an address of another form", "S9 N5", lambda town: town.sent(1, payee="A" * 32)),
    BreachCase("a refund with a payee", "S9 T15", lambda town: town.sent(1, purpose="refund")),
    BreachCase("an id of another position", "S9 E6", lambda town: town.sent(1, position=2)),
    BreachCase(
        "another town as the source",
        "S9 E5",
        lambda town: town.message("transfer.sent", town.sent_data(1), source="kit-main"),
    ),
    BreachCase(
        "another receiver as the subject",
        "S9 E5",
        lambda town: town.message("transfer.sent", town.sent_data(1), subject="kit-main"),
    ),
    BreachCase(
        "a transfer that is named for another position",
        "S9 N6",
        lambda town: town.sent(1, transfer=town.transfer_id(7)),
    ),
    BreachCase(
        "a decision about a transfer that is not open",
        "S9 T8",
        lambda town: town.message("transfer.received", {"transfer": _of_node(town, 999_999), "minutes": 1}),
    ),
    BreachCase("a claim withdrawn that there never was", "S9 D11", _about("claim.withdrawn", "claim")),
    BreachCase("thanks for a transfer that there never was", "S9 D14", _about("thanks.given", "transfer")),
    BreachCase("a time of another form", "S9 M1", lambda town: town.sent(1, expires_at=PAST[:-1] + "+00:00")),
)
