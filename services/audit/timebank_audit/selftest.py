"""Whether this installation finds what it must find: known answers, a good bundle, and faults planted into it.

Run it before an audit that matters: a damaged installation, or one that somebody changed, should not say PASS.
It cannot prove itself; that an honest copy was installed is for the installer's hashes to say.
Source: design page 5, `selftest`; RFC 6962; RFC 8032 7.1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, NamedTuple

from timebank_audit.codes import Verdict
from timebank_audit.report import overall
from timebank_audit.stores import Archive, Store
from timebank_audit.verify import verify
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import verify as verify_signature
from timebank_contracts.merkle import EMPTY_ROOT, leaf_hash, root_of

BUNDLE: Final = "selftest.tar"
FILE_BYTES_MAX: Final = 1_048_576
_RFC_6962_LEAVES: Final = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
_RFC_6962_ROOT: Final = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
_RFC_8032_KEY: Final = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
_RFC_8032_SIGNATURE: Final = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
    "b00d291612bb0c00"
)


class Step(NamedTuple):
    """One thing that was tried."""

    what: str
    is_right: bool


def selftest() -> Iterator[Step]:
    """Try everything; a step that is not right means that this installation must not be believed."""
    yield Step("the root of the empty tree", sha256(b"").digest() == EMPTY_ROOT)
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in _RFC_6962_LEAVES]
    yield Step("the root of RFC 6962's eight leaves", root_of(leaves).hex() == _RFC_6962_ROOT)
    key, signature = bytes.fromhex(_RFC_8032_KEY), bytes.fromhex(_RFC_8032_SIGNATURE)
    yield Step("a signature of RFC 8032", verify_signature(key, b"\x72", signature))
    yield Step("the same signature over another text is refused", not verify_signature(key, b"\x73", signature))
    with as_file(files("timebank_audit").joinpath(BUNDLE)) as bundle, tempfile.TemporaryDirectory() as folder:
        yield Step("a good bundle passes", _outcome(bundle) == "PASS")
        for number, (what, expected, plant) in enumerate(_FAULTS):
            copy = Path(folder) / str(number)
            _unpack(bundle, copy)
            plant(copy / "barry")
            yield Step(f"{what} is found ({expected})", _outcome(copy) == expected)


def _outcome(path: Path) -> str:
    """PASS, or the first code that was found, or `malformed`."""
    try:
        audit = verify([path])
    except Malformed:
        return "malformed"
    if audit.findings.found:
        return min(finding.code for finding in audit.findings.found)
    return "PASS" if overall(audit) is Verdict.PASS else "NOT PROVEN"


def _unpack(bundle: Path, into: Path) -> None:
    """Our own bundle's towns, as folders of their own: without the list of files, so that the finer checks must see."""
    for town in Archive(bundle).parts():
        folder = into / town.name.rsplit("/", 1)[1]
        for path in _paths(town, ""):
            raw = town.read(path, bytes_max=FILE_BYTES_MAX)
            assert raw is not None, "it was listed"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(raw)


def _paths(town: Store, below: str) -> Iterator[str]:
    for name in town.names(below):
        path = f"{below}/{name}" if below else name
        if town.has(path):
            yield path
        else:
            yield from _paths(town, path)


def _change(file: Path, old: bytes, new: bytes) -> None:
    raw = file.read_bytes()
    assert old in raw, "the bundle is ours"
    file.write_bytes(raw.replace(old, new, 1))


def _bundle_of(town: Path) -> Path:
    return next((town / "tile/entries").glob("000.p/*"))


def _cut_tail(town: Path) -> None:
    file = _bundle_of(town)
    raw, at, last = file.read_bytes(), 0, 0
    while at < len(raw):
        last, at = at, at + 2 + int.from_bytes(raw[at : at + 2], "big")
    file.write_bytes(raw[:last])


def _flip(file: Path, at: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1
    file.write_bytes(bytes(raw))


def _swap(file: Path, at: int) -> None:
    """Another letter of base64."""
    raw = bytearray(file.read_bytes())
    raw[at] = ord("B") if raw[at] == ord("A") else ord("A")
    file.write_bytes(bytes(raw))


def _change_signature(town: Path) -> None:
    file = town / "registry/1.json"
    _swap(file, file.read_bytes().rindex(b'"sig":"') + len(b'"sig":"'))


def _take_away(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    folder.rmdir()


_FAULTS: Final[list[tuple[str, str, Callable[[Path], None]]]] = [
    ("a changed tile", "A01", lambda town: _flip(next((town / "tile/0").glob("000.p/*")), 40)),
    ("a tail that was cut", "A02", _cut_tail),
    ("a changed entry", "A04", lambda town: _change(_bundle_of(town), b'"garden"', b'"repair"')),
    ("a checkpoint that nobody signed", "A10", lambda town: _swap(town / "checkpoint", -20)),
    ("a registry that its operators did not sign", "A22", _change_signature),
    ("a town that was left out", "A48", _take_away),
    ("a link in place of a file", "malformed", lambda town: _link(town / "vkey")),
]


def _link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")
