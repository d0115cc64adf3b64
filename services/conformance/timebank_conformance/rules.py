"""Every numbered rule of PROTOCOL.md, and why some cannot be seen by a peer. A test compares this with the text.

A rule that stands in neither table is examined by some check, or the report says that it was not.
"""

from __future__ import annotations

from typing import Final

LAST: Final = {
    "A": 4, "N": 7, "C": 5, "M": 3, "E": 9, "S": 13, "T": 16, "D": 14, "F": 3, "X": 12, "R": 10, "L": 11, "B": 5,
    "I": 8, "K": 5, "G": 9, "V": 6, "W": 10, "H": 1,
}  # fmt: skip
"""The number of the last rule under each letter."""

ALL: Final = tuple(f"{letter}{number}" for letter, last in LAST.items() for number in range(1, last + 1))

_OWN_TOWN = "It is about what a town does inside; no peer sees it. `timebank audit verify` judges it from the log."
_BROKER = "It is about a broker; this kit speaks HTTPS only."
_SEVERAL = "It is about several journals at one cut; `timebank audit verify` judges it from exported logs."
_OPERATOR = "It needs an operator's act in the node under test, which no peer can cause."
_SCREEN = "It is about what people type and read."
_OWN_CLIENTS = "It is between a town and its own programs; no peer takes part."
_WITNESS = "It is about a witness; the kit's registry names none."
_RETURNING = "It is about a node that comes back after it lost state; the kit does not take that from it."

NOT_REACHABLE: Final[dict[str, str]] = {
    "A2": _SCREEN,
    "A3": _SCREEN,
    "A4": _OWN_TOWN,
    "N7": _SCREEN,
    "M2": _OWN_TOWN,
    "E4": "A node writes no entry of a type that it does not know; the kit reads entries and sends none.",
    "E9": "The kit's towns speak version 1, and there is no other yet.",
    "S11": _BROKER,
    "S12": _BROKER,
    "S13": _BROKER,
    **{f"T{number}": _OWN_TOWN for number in (1, 2, 3, 4, 12, 13, 14)},
    "T5": _OPERATOR,
    **{f"D{number}": _OWN_TOWN for number in (1, 2, 3, 4, 5, 6, 7, 12, 13)},
    "D8": _OPERATOR,
    "D10": _OPERATOR,
    **{f"F{number}": _OWN_TOWN for number in (1, 2, 3)},
    "X1": _RETURNING,
    **{f"V{number}": _WITNESS for number in (1, 2, 3, 4, 5, 6)},
    **{f"X{number}": _RETURNING for number in (7, 8, 9, 10, 11, 12)},
    "X5": _OPERATOR,
    "X6": _OPERATOR,
    "R6": "A fork stops the node until its operator has put the evidence away, so nothing more could be examined.",
    "R10": _OPERATOR,
    **{f"L{number}": _OWN_TOWN for number in (2, 3, 4, 5, 8, 9, 10, 11)},
    "B2": _OWN_TOWN,
    "B5": _OWN_TOWN,
    **{f"I{number}": _SEVERAL for number in (5, 6, 7, 8)},
    **{f"K{number}": _BROKER for number in (1, 2, 3, 4, 5)},
    "W8": _OWN_CLIENTS,
    "W9": _OWN_CLIENTS,
    "W10": _RETURNING,
}
"""Why a rule cannot be examined from outside."""
