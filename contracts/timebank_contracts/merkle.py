"""The Merkle tree of RFC 6962: roots, inclusion and consistency proofs. Pure.

    leaf = SHA-256(00 || entry)      node = SHA-256(01 || left || right)      empty tree = SHA-256("")

Source: RFC 6962 section 2.1, RFC 9162 section 2.1; design page 12; PROTOCOL.md G4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from timebank_contracts.errors import Malformed

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash of an entry as a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two neighbours."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree that keeps only its right edge: the roots of its full subtrees, largest first."""

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        edge, size = self._edge, self.size
        while size & 1:
            leaf = sha256(b"\x01" + edge.pop() + leaf).digest()
            size >>= 1
        edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root at the present size."""
        if not self._edge:
            return EMPTY_ROOT
        found = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            found = node_hash(left, found)
        return found

    @property
    def edge(self) -> tuple[bytes, ...]:
        """The right edge: together with the size it is all that the tree needs in order to grow."""
        return tuple(self._edge)

    @classmethod
    def from_edge(cls, size: int, edge: Sequence[bytes]) -> Tree:
        """The tree of this size and right edge; raises `Malformed` when no tree of the size has such an edge."""
        if size < 0 or len(edge) != size.bit_count() or any(len(part) != HASH_BYTES for part in edge):
            raise Malformed(f"This is not the right edge of a tree of {size} leaves.")
        tree = cls()
        tree.size, tree._edge = size, list(edge)
        return tree

    def copy(self) -> Tree:
        """An independent tree of the same content."""
        twin = Tree()
        twin.size, twin._edge = self.size, self._edge.copy()
        return twin


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of these leaf hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


NodeReader = Callable[[int, int], bytes]
"""`read(level, index)`: hash of the full subtree of 2**level leaves that begins at leaf index * 2**level."""


def leaf_reader(leaves: Sequence[bytes]) -> NodeReader:
    """A reader that computes every hash from the leaf hashes: for tests and short logs."""
    return lambda level, index: root_of(leaves[index << level : (index + 1) << level])


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index` in the tree of these leaf hashes, from the leaf up."""
    return inclusion_proof_from(leaf_reader(leaves), index=index, size=len(leaves))


def inclusion_proof_from(read: NodeReader, *, index: int, size: int) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size`, from the leaf up. RFC 6962 2.1.1.

    Raises:
        Malformed: there is no such leaf.
    """
    if not 0 <= index < size:
        raise Malformed(f"There is no leaf {index} among {size}.")
    ranges = []
    start, stop = 0, size
    while stop - start > 1:
        at = start + _split(stop - start)
        if index < at:
            ranges.append((at, stop))
            stop = at
        else:
            ranges.append((start, at))
            start = at
    return [_range_root(read, first, end) for first, end in reversed(ranges)]


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _range_root(read: NodeReader, start: int, stop: int) -> bytes:
    """The root over the leaves from `start` to before `stop`, a range whose start is a multiple of its largest part."""
    parts = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        parts.append(read(level, start >> level))
        start += 1 << level
    found = parts.pop()
    while parts:
        found = node_hash(parts.pop(), found)
    return found


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that an audit path leads to; raises `Malformed` when it does not fit. RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        raise Malformed(f"There is no leaf {index} in a tree of {size}.")
    at, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise Malformed("The inclusion proof is too long.")
        if len(step) != HASH_BYTES:
            raise Malformed(f"A hash of a proof has {HASH_BYTES} bytes.")
        if at & 1 or at == last:
            found = node_hash(step, found)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            found = node_hash(found, step)
        at >>= 1
        last >>= 1
    if last:
        raise Malformed("The inclusion proof is too short.")
    return found


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The proof that the tree of the first `old` leaves is the beginning of this one; 0 <= old <= size."""
    return consistency_proof_from(leaf_reader(leaves), old=old, size=len(leaves))


def consistency_proof_from(read: NodeReader, *, old: int, size: int) -> list[bytes]:
    """The proof that the tree of size `old` is the beginning of the tree of `size`. RFC 6962 2.1.2.

    Raises:
        Malformed: `old` is not within 0 to `size`.
    """
    if not 0 <= old <= size:
        raise Malformed(f"A consistency proof needs an old size from 0 to {size}.")
    if old == 0:
        return []
    ranges = []
    start, stop = 0, size
    while old != stop:
        at = start + _split(stop - start)
        if old <= at:
            ranges.append((at, stop))
            stop = at
        else:
            ranges.append((start, at))
            start = at
    if start:  # else the part left is the old tree itself, whose root the verifier has
        ranges.append((start, stop))
    return [_range_root(read, first, end) for first, end in reversed(ranges)]


def is_consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree (old, old_root) is the beginning of (size, root). RFC 9162 2.1.4.2.

    The empty tree is the beginning of every tree, by an empty proof.
    """
    if not 0 <= old <= size:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT and (size > 0 or root == EMPTY_ROOT)
    if old == size:
        return not proof and old_root == root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    try:
        return roots_from_consistency(old, size, path) == (old_root, root)
    except Malformed:
        return False


def roots_from_consistency(old: int, size: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots at both sizes that a consistency path leads to; 0 < old < size.

    Args:
        path: a consistency proof whose first hash is that of a subtree which ends at `old`; where `old` is a power of
            two this is the old root itself, which the proofs of RFC 6962 leave out.

    Raises:
        Malformed: the path is too short or too long, or of other than 32 bytes a step.
    """
    if not 0 < old < size or not path or any(len(step) != HASH_BYTES for step in path):
        raise Malformed("A consistency path leads from a size above 0 to a greater one, in steps of 32 bytes.")
    at, last = old - 1, size - 1
    while at & 1:
        at >>= 1
        last >>= 1
    first = second = path[0]
    for step in path[1:]:
        if last == 0:
            raise Malformed("The consistency path is too long.")
        if at & 1 or at == last:
            first = node_hash(step, first)
            second = node_hash(step, second)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            second = node_hash(second, step)
        at >>= 1
        last >>= 1
    if last:
        raise Malformed("The consistency path is too short.")
    return first, second


def root_from(read: NodeReader, size: int) -> bytes:
    """The root over the first `size` leaves, from the hashes of full subtrees."""
    return _range_root(read, 0, size) if size else EMPTY_ROOT
