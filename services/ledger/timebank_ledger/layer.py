"""A layer over a book: it says what the book says, takes every change, and leaves the book as it is until it settles.

    layer_over(book) ── perform, as the rules say ──▶ settle(layer, book): it was committed
                                                 └──▶ forgotten: a dry run, a refusal by the store, a bug

So the book below is committed state at every moment, and readers need not wait for a commit that is under way, nor for
a database that does not answer. A layer copies an account or a peer when it is first looked at: it costs what a batch
touches, and not what the town holds.
Source: design page 3, "Writer"; "Group session": what is shown before it is confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, MutableSet
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Final, TypeVar, cast

from timebank_contracts.state import Account, Book, PeerState

K = TypeVar("K")
V = TypeVar("V")

_EMPTY: Final = Book()
_FIELDS: Final = tuple(field.name for field in fields(Book))
_MAPS: Final = tuple(name for name in _FIELDS if isinstance(getattr(_EMPTY, name), dict))
_SETS: Final = tuple(name for name in _FIELDS if isinstance(getattr(_EMPTY, name), set))
_PLAIN: Final = tuple(name for name in _FIELDS if name not in _MAPS and name not in _SETS)
_book_values: Final = attrgetter(*_FIELDS)
_account_values: Final = attrgetter(*(field.name for field in fields(Account)))


class LayerMap(MutableMapping[K, V]):
    """A mapping over another one, which it leaves as it is until `settle`. No value is None.

    Args:
        below: what shows through.
        make_copy: gives what may be changed instead of a value below; the value itself when it never changes.
    """

    def __init__(self, below: MutableMapping[K, V], make_copy: Callable[[V], V]) -> None:
        self.below = below
        self._copy = make_copy
        self.own: dict[K, V] = {}
        """What was looked at, or put in."""
        self._gone: set[K] = set()

    def __getitem__(self, key: K) -> V:
        found = self.own.get(key)
        if found is None:
            if key in self._gone:
                raise KeyError(key)
            found = self.own[key] = self._copy(self.below[key])
        return found

    def get(self, key: K, default: Any = None) -> Any:
        """As a dictionary's: the rules look an account up so, several times for each transfer."""
        found = self.own.get(key)
        if found is None and key not in self._gone:
            seen = self.below.get(key)
            if seen is not None:
                found = self.own[key] = self._copy(seen)
        return default if found is None else found

    def __contains__(self, key: object) -> bool:
        return key in self.own or (key in self.below and key not in self._gone)

    def __setitem__(self, key: K, value: V) -> None:
        self.own[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self.own.pop(key, None)
        if key in self.below:
            self._gone.add(key)

    def __iter__(self) -> Iterator[K]:
        """What was there in its own order, then what came: as in the dictionary that this stands for."""
        yield from (key for key in self.below if key not in self._gone)
        yield from [key for key in self.own if key not in self.below or key in self._gone]

    def __len__(self) -> int:
        came = sum(1 for key in self.own if key not in self.below or key in self._gone)
        return len(self.below) - len(self._gone) + came

    def settle(self) -> None:
        """Make what is below say the same, in the same order; the layer is not used any more."""
        for key in self._gone:
            del self.below[key]
        self.below.update(self.own)


class LayerSet(MutableSet[K]):
    """A set over another one, which it leaves as it is until `settle`."""

    def __init__(self, below: MutableSet[K]) -> None:
        self.below = below
        self._own: set[K] = set()
        self._gone: set[K] = set()

    def __contains__(self, value: object) -> bool:
        return value in self._own or (value in self.below and value not in self._gone)

    def __iter__(self) -> Iterator[K]:
        yield from (value for value in self.below if value not in self._gone)
        yield from set(self._own)

    def __len__(self) -> int:
        return len(self.below) - len(self._gone) + len(self._own)

    def add(self, value: K) -> None:
        """Put a value in."""
        self._gone.discard(value)
        if value not in self.below:
            self._own.add(value)

    def discard(self, value: K) -> None:
        """Take a value out, if it is there."""
        self._own.discard(value)
        if value in self.below:
            self._gone.add(value)

    def settle(self) -> None:
        """Make what is below say the same; the layer is not used any more."""
        self.below -= self._gone
        self.below |= self._own


def layer_over(book: Book) -> Book:
    """A book that says what this one says, and whose changes leave it as it is.

    Args:
        book: must not change while the layer is in use; it may be a layer itself.
    """
    layer = Book(*_book_values(book))
    accounts = _map(book.accounts, _copy_account)

    def copy_peer(peer: PeerState) -> PeerState:
        # A peer's two accounts are the same objects that the book lists.
        return replace(
            peer,
            clearing=accounts[peer.clearing.account],
            transit=accounts[peer.transit.account],
            unheard=_map(peer.unheard, _same),
        )

    for name in _MAPS:
        setattr(layer, name, _map(getattr(layer, name), _same))
    for name in _SETS:
        setattr(layer, name, cast("set[Any]", LayerSet(getattr(layer, name))))
    layer.accounts = accounts
    layer.peers = _map(book.peers, copy_peer)
    return layer


def settle(layer: Book, book: Book) -> None:
    """Make a book say what a layer over it says; the layer is not used any more.

    Args:
        layer: from `layer_over(book)`.
        book: nobody reads it meanwhile.
    """
    for name in _PLAIN:
        setattr(book, name, getattr(layer, name))
    for peer in _layer_map(layer.peers).own.values():
        if isinstance(peer.unheard, LayerMap):
            unheard = _layer_map(peer.unheard)
            unheard.settle()
            peer.unheard = cast("dict[int, bytes]", unheard.below)
    for name in _MAPS:
        _layer_map(getattr(layer, name)).settle()
    for name in _SETS:
        getattr(layer, name).settle()
    # An account that was looked at is another object now, and a peer's two are those that the book lists.
    accounts = book.accounts
    for peer in book.peers.values():
        peer.clearing, peer.transit = accounts[peer.clearing.account], accounts[peer.transit.account]


def _copy_account(account: Account) -> Account:
    return Account(*_account_values(account))


def _map(below: dict[K, V], make_copy: Callable[[V], V]) -> dict[K, V]:
    # The rules use a dictionary as a mapping only, so that whatever behaves like one may stand in its place.
    return cast("dict[K, V]", LayerMap(below, make_copy))


def _layer_map(mapping: object) -> LayerMap[Any, Any]:
    assert isinstance(mapping, LayerMap), "a layer's mappings are layers"
    return mapping


def _same(value: Any) -> Any:
    """For values that never change: frozen, or plain."""
    assert not isinstance(value, Account | PeerState), "these change in place"
    return value
