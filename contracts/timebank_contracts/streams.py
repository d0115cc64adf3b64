"""Streams: the messages from one node to another, numbered from 1, chained by SHA-256. Pure folds.

    c0 = SHA-256("timebank stream v1" LF network LF from LF generation LF to)
    cn = SHA-256(c(n-1) || SHA-256(message n))

Source: design page 2, "Stream, segment, acknowledgement"; PROTOCOL.md S1 and S2.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32


class StreamHead(NamedTuple):
    """How far a stream is known: position (0 = nothing yet) and chain value there (32 bytes)."""

    n: int
    chain: bytes


def chain_start(*, network: str, sender: str, generation: str, receiver: str) -> bytes:
    """c0 of the stream from `sender` (in `generation`) to `receiver`: 32 bytes."""
    return sha256(f"timebank stream v1\n{network}\n{sender}\n{generation}\n{receiver}".encode("ascii")).digest()


def chain_next(chain: bytes, message: bytes) -> bytes:
    """cn from c(n-1) and the bytes of message n."""
    return sha256(chain + sha256(message).digest()).digest()


def fold(chain: bytes, messages: Iterable[bytes]) -> list[bytes]:
    """The chain value after each message, in order; empty for no messages."""
    values = []
    for message in messages:
        chain = chain_next(chain, message)
        values.append(chain)
    return values
