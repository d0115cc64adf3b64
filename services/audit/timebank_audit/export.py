"""Makes a bundle from exported towns: a folder, or a tar archive. The same towns give the same bytes.

Only what belongs to an export is taken: the tiles of the checkpoint's size, registry versions, and the folders beside
the log. It is written beside its place and renamed when it is whole, so an end in between leaves nothing there.
Source: design page 5, "Bundle".
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files as package_files
from pathlib import Path
from typing import Final

from timebank_audit.bundle import EXTRA_BYTES_MAX, EXTRAS, FORM, HOW_TO, SUMS, Manifest, TownListed
from timebank_audit.files import MANIFEST, TownFiles, find_towns
from timebank_audit.log import BUNDLE_BYTES_MAX, read_checkpoint, read_tile
from timebank_audit.stores import show_path
from timebank_audit.trust import VKEY_BYTES_MAX
from timebank_contracts import canonical
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import HASH_BYTES
from timebank_contracts.names import parse_origin
from timebank_contracts.note import NOTE_BYTES_MAX
from timebank_contracts.registry import REGISTRY_BYTES_MAX
from timebank_contracts.tiles import TILE_WIDTH, decode_bundle, encode_bundle, tile_path, tiles_of

_MODE: Final = 0o644


def export(paths: list[Path], into: Path, *, tar: bool) -> Manifest:
    """Write a bundle of exported towns.

    Args:
        paths: exported towns, or directories or bundles that hold some.
        into: what is made; nothing may be there yet.
        tar: one archive in place of a folder.

    Raises:
        Malformed: an export is not whole, or something is in the way.
    """
    if into.exists() or into.is_symlink():
        raise Malformed(f"{show_path(into)} exists already; name a new one.")
    given, _ = find_towns(paths)
    towns = sorted(
        ((read_checkpoint(files), files) for files in given), key=lambda town: (town[0].origin, town[0].size)
    )
    listed = [_listed(checkpoint) for checkpoint, _ in towns]
    if len({town.folder for town in listed}) < len(listed):
        raise Malformed("A town is given twice; give one export of each generation.")
    part = into.with_name(f".{into.name}.part")
    folder = part.with_name(f"{part.name}.files") if tar else part
    try:
        folder.mkdir(parents=True)
        sums = [_write(folder, path, content) for path, content in _files(towns, listed)]
        raw = "".join(f"{digest}  {path}\n" for path, digest in sorted(sums)).encode("ascii")
        _write(folder, SUMS, raw)
        manifest = Manifest(form=FORM, sums=sha256(raw).hexdigest(), towns=listed)
        _write(folder, MANIFEST, canonical.encode(manifest))
        if tar:
            _write_tar(folder, part)
        part.replace(into)
    finally:
        for left in {folder, part}:
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)
    return manifest


def _listed(checkpoint: Checkpoint) -> TownListed:
    identity = parse_origin(checkpoint.origin)
    generation = "" if identity.generation == "g1" else f".{identity.generation}"
    return TownListed(
        folder=identity.node + generation,
        network=identity.network,
        node=identity.node,
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
    )


def _files(towns: list[tuple[Checkpoint, TownFiles]], listed: list[TownListed]) -> Iterator[tuple[str, bytes]]:
    yield HOW_TO, package_files("timebank_audit").joinpath(HOW_TO).read_bytes()
    for (checkpoint, files), town in zip(towns, listed, strict=True):
        for path, content in _town(checkpoint, files):
            yield f"{town.folder}/{path}", content


def _town(checkpoint: Checkpoint, files: TownFiles) -> Iterator[tuple[str, bytes]]:
    for path, bytes_max in (("checkpoint", NOTE_BYTES_MAX), ("vkey", VKEY_BYTES_MAX)):
        raw = files.peek(path, bytes_max=bytes_max)
        if raw is not None:
            yield path, raw
    for name in tiles_of(checkpoint.size):
        entries = name.level is None
        found, raw = read_tile(files.peek, name, BUNDLE_BYTES_MAX if entries else TILE_WIDTH * HASH_BYTES)
        if raw is None:
            raise Malformed(f"There is no file {found} in {files.store.name}: the export is not whole.")
        yield tile_path(name), encode_bundle(decode_bundle(raw)[: name.width]) if entries else raw
    for folder, bytes_max in (("registry", REGISTRY_BYTES_MAX), *((extra, EXTRA_BYTES_MAX) for extra in EXTRAS)):
        for file in files.names(folder):
            raw = files.peek(f"{folder}/{file}", bytes_max=bytes_max)
            if raw is not None:
                yield f"{folder}/{file}", raw


def _write(folder: Path, path: str, content: bytes) -> tuple[str, str]:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return path, sha256(content).hexdigest()


def _write_tar(folder: Path, into: Path) -> None:
    """Every file in order of path, without owner, time or mode of this machine."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    with tarfile.open(into, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in paths:
            content = (folder / path).read_bytes()
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.mtime = len(content), _MODE, 0
            archive.addfile(member, io.BytesIO(content))
