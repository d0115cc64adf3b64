"""A dry run: commands are tried on a layer over the book, which is thrown away, so that nothing below it changes.

    layer_over(book) ── perform, as for a real command ──▶ the entry that it would be ──▶ answered, and forgotten

A layer copies an account or a peer when it is first looked at, so a dry run costs what it touches and not what the town
holds. The writer's thread does it, in the order of the queue: the answer is what the real command would have got there.
Source: design page 3, "Group session": what is shown before it is confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, MutableSet
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from timebank_contracts.state import Account, Book, PeerState
from timebank_ledger import commands as c

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Trial:
    """Commands that are tried one after another, each on what those before it would have written."""

    commands: tuple[c.Command, ...]


class LayerMap(MutableMapping[K, V]):
    """A mapping over another one, which it never changes.

    Args:
        below: what shows through.
        make_copy: gives what may be changed instead of a value below; the value itself when it never changes.
    """

    def __init__(self, below: MutableMapping[K, V], make_copy: Callable[[V], V]) -> None:
        self._below = below
        self._copy = make_copy
        self._own: dict[K, V] = {}
        self._gone: set[K] = set()

    def __getitem__(self, key: K) -> V:
        if key in self._own:
            return self._own[key]
        if key in self._gone:
            raise KeyError(key)
        found = self._own[key] = self._copy(self._below[key])
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._own or (key in self._below and key not in self._gone)

    def __setitem__(self, key: K, value: V) -> None:
        self._own[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self._own.pop(key, None)
        if key in self._below:
            self._gone.add(key)

    def __iter__(self) -> Iterator[K]:
        """What was there in its own order, then what came: as in the dictionary that this stands for."""
        yield from (key for key in self._below if key not in self._gone)
        yield from [key for key in self._own if key not in self._below or key in self._gone]

    def __len__(self) -> int:
        came = sum(1 for key in self._own if key not in self._below or key in self._gone)
        return len(self._below) - len(self._gone) + came


class LayerSet(MutableSet[K]):
    """A set over another one, which it never changes."""

    def __init__(self, below: MutableSet[K]) -> None:
        self._below = below
        self._own: set[K] = set()
        self._gone: set[K] = set()

    def __contains__(self, value: object) -> bool:
        return value in self._own or (value in self._below and value not in self._gone)

    def __iter__(self) -> Iterator[K]:
        yield from (value for value in self._below if value not in self._gone)
        yield from set(self._own)

    def __len__(self) -> int:
        return len(self._below) - len(self._gone) + len(self._own)

    def add(self, value: K) -> None:
        """Put a value in."""
        self._gone.discard(value)
        if value not in self._below:
            self._own.add(value)

    def discard(self, value: K) -> None:
        """Take a value out, if it is there."""
        self._own.discard(value)
        if value in self._below:
            self._gone.add(value)


def layer_over(book: Book) -> Book:
    """A book that says what this one says, and whose changes leave it as it is.

    Args:
        book: must not change while the layer is in use.
    """
    layer = copy(book)
    accounts = _map(book.accounts, replace)

    def copy_peer(peer: PeerState) -> PeerState:
        # A peer's two accounts are the same objects that the book lists.
        return replace(
            peer,
            clearing=accounts[peer.clearing.account],
            transit=accounts[peer.transit.account],
            unheard=_map(peer.unheard, _same),
        )

    layer.accounts = accounts
    layer.peers = _map(book.peers, copy_peer)
    for name in book.__dataclass_fields__:
        value = getattr(layer, name)
        if isinstance(value, dict):
            setattr(layer, name, _map(value, _same))
        elif isinstance(value, set):
            setattr(layer, name, cast("set[Any]", LayerSet(value)))
    return layer


def _map(below: dict[K, V], make_copy: Callable[[V], V]) -> dict[K, V]:
    # The rules use a dictionary as a mapping only, so that whatever behaves like one may stand in its place.
    return cast("dict[K, V]", LayerMap(below, make_copy))


def _same(value: Any) -> Any:
    """For values that never change: frozen, or plain."""
    assert not isinstance(value, Account | PeerState), "these change in place"
    return value
