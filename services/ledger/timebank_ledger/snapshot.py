"""The snapshot of the book: a file from which a start goes on, so that it need not replay the whole journal.

    timebank snapshot <format> <SHA-256 of the rest> LF   size, tree's right edge, hashes of two entries, book (msgpack)

It is a cache and never truth: whoever deletes it pays with one replay. A file, and no table, because a restored
database must not bring an old one back as its own, and because writing it must not wait for the database or hold it up.
`format` is made from the shape of the state's classes and from the source of the rules: what other code wrote is
useless by itself, without anybody raising a number. The state is written as the dataclasses say, new fields with it.
An auditor never reads it: only a replay proves anything about the entries before it; `past.py` makes up for it.
Reading order: `read_back` (the start), `SnapshotFile`, `take`. When it is written: `snapshot_job.py`.
Source: design page 3, "Writer"; page 8, start-up.
"""

from __future__ import annotations

import logging
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_contracts.names import clearing, transit
from timebank_contracts.properties import conserved
from timebank_contracts.state import Book
from timebank_kit.files import atomic_write
from timebank_kit.journal import Journal
from timebank_ledger.head import HeadFile, JournalBehindHead
from timebank_ledger.replay import JournalDamaged, replay_on

SNAPSHOT_BYTES_MAX: Final = 1 << 30
_MAGIC: Final = b"timebank snapshot"
_HEADING_BYTES: Final = len(_MAGIC) + 2 * (1 + 64) + 1
_RULES: Final = "timebank_contracts"
_log = logging.getLogger(__name__)


class Useless(Exception):
    """This snapshot does not belong to this journal, or to this code; the text says why."""


class Unsound(Exception):
    """The book breaks P1: no snapshot is kept of it, and nothing more may be written on it."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the file holds: the state after the journal's first `size` entries."""

    size: int
    edge: tuple[bytes, ...]
    """Of the tree: the roots of its full subtrees, largest first."""
    published: tuple[int, str]
    """Size and root of the head file when it was taken: both are of this journal, the root in hex."""
    book: msgspec.Raw
    first: bytes = b""
    """Leaf hash of entry 0, which names the town and the generation."""
    last: bytes = b""
    """Leaf hash of entry `size` − 1."""


_snapshot: Final = msgspec.msgpack.Decoder(Snapshot)
_book: Final = msgspec.msgpack.Decoder(Book)


def read_back(journal: Journal, *, head: HeadFile, snapshot: SnapshotFile) -> tuple[Book, Tree]:
    """The book and the tree that the journal gives: from the snapshot on where it is of use, else from the beginning.

    Raises:
        JournalDamaged: the journal holds an entry that the rules refuse.
        JournalBehindHead: it is shorter than, or differs from, what was published.
    """
    if journal.length() < head.size:
        head.check(journal.length(), None)  # no replay could make it longer
    try:
        found = snapshot.load()
        if found is not None:
            book, tree = _go_on(journal, found, head)
            snapshot.unread = found.size, Tree.from_edge(found.size, found.edge).root().hex()
            return book, tree
    except (Useless, JournalDamaged, JournalBehindHead) as wrong:
        # Whatever is wrong with the journal itself, the replay finds it again, and says where.
        _log.warning("the snapshot is not used; the journal is replayed", extra={"reason": str(wrong)})
    book, tree, snapshot.unread = Book(), Tree(), None
    root = replay_on(journal, book, tree, mark=head.size)
    head.check(tree.size, root)
    return book, tree


def _go_on(journal: Journal, found: Snapshot, head: HeadFile) -> tuple[Book, Tree]:
    """The snapshot's state and the journal's entries after it; raises `Useless` and what `read_back` raises."""
    for position, leaf in ((0, found.first), (found.size - 1, found.last)):
        records = journal.read(position, 1)
        if not records or leaf_hash(records[0].state) != leaf:
            raise Useless(f"The journal's entry {position} is not the one that the snapshot names.")
    try:
        tree = Tree.from_edge(found.size, found.edge)
        book = decode_book(found.book)
    except (msgspec.MsgspecError, Malformed, KeyError, RecursionError) as error:
        raise Useless(f"The snapshot's content cannot be read: {error}.") from error
    if book.n != found.size:
        raise Useless("The snapshot's book and tree are of different sizes.")
    root = {found.published[0]: found.published[1], found.size: tree.root().hex()}.get(head.size)
    if head.size > found.size:
        root = replay_on(journal, book, tree, mark=head.size)
    else:
        replay_on(journal, book, tree)
    head.check(tree.size, root)
    return book, tree


def take(book: Book, tree: Tree, head: HeadFile) -> Snapshot:
    """A picture of the state, which must not change meanwhile; `SnapshotFile.store` completes it."""
    raw = msgspec.Raw(msgspec.msgpack.encode(book))
    return Snapshot(size=tree.size, edge=tree.edge, published=(head.size, head.root), book=raw)


def decode_book(raw: bytes | msgspec.Raw) -> Book:
    """A book from `msgspec.msgpack.encode(book)`; accounts that two places of the state share are one object again.

    Raises:
        MsgspecError, KeyError: it is none.
    """
    book = _book.decode(raw)
    said: dict[str, str] = {}
    for account in book.accounts.values():
        # A replay shares these few words among all accounts, too: each account would hold copies of its own.
        account.kind = said.setdefault(account.kind, account.kind)
        account.state = said.setdefault(account.state, account.state)
    book.accounts = {account.account: account for account in book.accounts.values()}
    for name, peer in book.peers.items():
        peer.clearing, peer.transit = book.accounts[clearing(name)], book.accounts[transit(name)]
    return book


class SnapshotFile:
    """The file; `path` None keeps nothing (tests, and journals that end with the process)."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.size = 0
        """Entries of the journal that the file is known to hold."""
        self.unread: tuple[int, str] | None = None
        """Size and root of the past that the start took from the file, and that nobody has read since."""

    def load(self) -> Snapshot | None:
        """What the file holds, or None when there is no file.

        Raises:
            Useless: it is damaged, or other code wrote it.
        """
        self.size = 0
        if self.path is None:
            return None
        try:
            if self.path.stat().st_size > SNAPSHOT_BYTES_MAX:
                raise Useless(f"The snapshot has more than {SNAPSHOT_BYTES_MAX} bytes.")
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Useless(f"The snapshot cannot be read: {error.strerror}.") from error
        heading, body = raw[:_HEADING_BYTES], memoryview(raw)[_HEADING_BYTES:]
        parts = heading.rstrip(b"\n").rsplit(b" ", 2)
        if len(parts) != 3 or parts[0] != _MAGIC:
            raise Useless("The file is no snapshot.")
        if parts[1] != state_format().encode():
            raise Useless("The snapshot was written by another version of this program.")
        if heading != _heading(body):
            raise Useless("The snapshot's content is not what was written.")
        try:
            found = _snapshot.decode(body)
        except msgspec.MsgspecError as error:
            raise Useless(f"The snapshot's content cannot be read: {error}.") from error
        if found.size < 1:
            raise Useless("The snapshot is of an empty journal.")
        self.size = found.size
        return found

    def discard(self) -> None:
        """Remove the file, so that the next start replays the journal."""
        self.size = 0
        if self.path is not None:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("the snapshot cannot be removed", extra={"reason": error.strerror})

    def store(self, taken: Snapshot, journal: Journal) -> bool:
        """Replace the file by this picture, of this journal; returns whether it was done.

        This is also the runtime check of P1, on the picture: the writer does not wait for it.
        A disk that does not take it is a warning, because nothing depends on the file.

        Raises:
            JournalTrouble: the journal cannot be read.
            Unsound: the picture breaks an invariant.
        """
        if self.path is None or taken.size < 1:
            return False
        broken = conserved(decode_book(taken.book))
        if broken:
            raise Unsound(f"After entry {taken.size - 1} the book is unsound: {broken[0]} Start the node again.")
        first, last = (leaf_hash(journal.read(position, 1)[0].state) for position in (0, taken.size - 1))
        body = msgspec.msgpack.encode(msgspec.structs.replace(taken, first=first, last=last))
        try:
            if len(body) > SNAPSHOT_BYTES_MAX - _HEADING_BYTES:
                raise OSError(0, f"it would have more than {SNAPSHOT_BYTES_MAX} bytes")
            atomic_write(self.path, _heading(body) + body)
        except OSError as error:
            _log.warning("no snapshot is written", extra={"size": taken.size, "reason": error.strerror})
            return False
        self.size = taken.size
        return True


def _heading(body: bytes | memoryview) -> bytes:
    return b"%s %s %s\n" % (_MAGIC, state_format().encode(), sha256(body).hexdigest().encode())


@cache
def state_format() -> str:
    """64 hex that change when a class of the state or a rule does: a snapshot of other code is not read."""
    said = sha256(repr(msgspec.inspect.type_info(Snapshot)).encode())
    said.update(repr(msgspec.inspect.type_info(Book)).encode())
    sources = [found for found in resources.files(_RULES).iterdir() if found.name.endswith(".py")]
    for source in sorted(sources, key=lambda found: found.name):
        said.update(source.name.encode() + b"\0" + sha256(source.read_bytes()).digest())
    return said.hexdigest()
