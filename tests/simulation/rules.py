"""The rules a simulated town runs by: the real ones, or a variant that is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from timebank_contracts.registry import Registry
from timebank_federation.outgoing import Outgoing
from timebank_ledger.peers import take_segment
from timebank_ledger.propose import perform
from timebank_ledger.recovery import recover
from timebank_ledger.timer import due_commands


def _as_signed(registry: Registry) -> Registry:
    return registry


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a test may replace to prove that the simulation notices."""

    perform: Callable[..., list[Any]] = perform
    due_commands: Callable[..., Iterator[Any]] = due_commands
    take_segment: Callable[..., tuple[list[Any], Any]] = take_segment
    recover: Callable[..., list[Any]] = recover
    repeats_what_was_lost: bool = True
    """A town that came back says again what its peers never applied."""
    outgoing: Callable[..., Outgoing] = Outgoing
    read_registry: Callable[[Registry], Registry] = _as_signed
    answers_pulls: bool = True
    looks_keys_up: bool = True
    answers_after_commit: bool = True
    sends_after_commit: bool = True
    commits_whole_batches: bool = True
    remembers_keys: bool = True
    """After a restart; the journal has them."""


REAL = Rules()
