"""Commands about a network's registry: made, proposed, signed on separate machines, published, shown.

    init ──▶ document ── sign ──▶ sign ──▶ … ── publish ──▶ a node's registry folder, or a running node
    propose ──┘ (what is unsigned is the bare payload; signed, it is a DSSE envelope: both are files that travel)
Source: design page 2, "Registry"; PROTOCOL.md R1 to R3.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import (
    FIRST_PREVIOUS,
    PAYLOAD_TYPE,
    REGISTRY_BYTES_MAX,
    Operators,
    Registry,
    read_registry,
    signatures_of,
)
from timebank_federation.registries import Registries
from timebank_kit.fetch import fetch
from timebank_kit.files import atomic_write, read_secret
from timebank_node.home import read_description
from timebank_node.registry_changes import Change, follow
from timebank_node.registry_page import show_registry

PUBLISH_SECONDS: Final = 30.0


def init_network(out: Console, nodes: Sequence[Path], operators: Sequence[str], file: Path, *, k: int) -> None:
    """Write version 1, unsigned: the nodes described in files, the operators' public keys."""
    described = [read_description(path) for path in nodes]
    networks = {network for network, _ in described}
    if len(networks) != 1:
        raise Malformed(f"The nodes belong to different networks: {', '.join(sorted(networks))}.")
    registry = Registry(
        protocol=1,
        network=networks.pop(),
        version=1,
        previous=FIRST_PREVIOUS,
        operators=Operators(k=k, keys=list(operators)),
        nodes=[node for _, node in described],
    )
    _write(out, file, registry, before=None)


def propose(out: Console, in_force: Path, change: Change, file: Path) -> None:
    """Write the next version with one change, unsigned."""
    before = read_in_force(in_force)
    _write(out, file, follow(before, change), before=before)


def _write(out: Console, file: Path, registry: Registry, *, before: Registry | None) -> None:
    payload = canonical.encode(registry)
    read_registry(payload)
    atomic_write(file, payload)
    show_registry(out, registry, signed=None, before=before, whole=False)
    out.print(f"Unsigned, in {file}. Each operator, on their own machine: timebank network sign {file} --operator KEY")


def sign_document(out: Console, document: Path, operator: Path, file: Path | None) -> None:
    """Add one operator's signature; the document may be unsigned, or signed by others already."""
    key = SigningKey(read_secret(operator))
    registry, envelope = read_document(document)
    if envelope is None:
        signed = dsse.sign(canonical.encode(registry), payload_type=PAYLOAD_TYPE, keys=[key])
    else:
        signed = dsse.add_signatures(envelope, [key])
    target = document if file is None else file
    atomic_write(target, signed)
    out.print(f"Version {registry.version} of {registry.network}, sha256 {registry.sha256}, signed: {target}")
    if b64_encode(key.public) in registry.operators.keys:
        out.print(f"{signatures_of(signed, registry.operators)} of its {registry.operators.k} operators have signed.")
    else:
        out.print("The key is none of its own operators'; it counts where it is one of the version before.")


def publish(out: Console, documents: Sequence[Path], home: Path) -> None:
    """Join the signatures of the files, verify, and put the version into a node's registry folder."""
    envelope, registries = join_documents(documents), Registries(registry_folder(home))
    registry = registries.add(envelope)
    out.print(f"Version {registry.version} of {registry.network}, sha256 {registry.sha256}, is in {home}.")
    out.print("A running node finds it by itself; its peers fetch it from there.")


def publish_to(out: Console, documents: Sequence[Path], url: str, token: Path) -> None:
    """Join the signatures of the files and hand the version to a running node, which verifies it.

    Args:
        url: the node's address.
        token: the secret file of an operator's bearer token.
    """
    envelope = join_documents(documents)
    headers = {
        "Authorization": f"Bearer {read_secret(token).decode('ascii').strip()}",
        "Idempotency-Key": f"registry/{sha256(envelope).hexdigest()}",
        "Content-Type": "application/octet-stream",
    }
    where = f"{url.rstrip('/')}/v1/federation/registry"
    try:
        with httpx.Client(timeout=PUBLISH_SECONDS) as http:
            answer = fetch(
                http,
                "PUT",
                where,
                bytes_max=REGISTRY_BYTES_MAX,
                seconds_max=PUBLISH_SECONDS,
                headers=headers,
                content=envelope,
            )
    except httpx.HTTPError as error:
        raise Malformed(f"{url} does not answer ({type(error).__name__}); check the address.") from error
    if answer.status_code >= 400:
        raise Malformed(f"{url} answered {answer.status_code}: {answer.text[:300]}")
    out.print(f"{url} holds it: {answer.text[:200]}")


def show_document(out: Console, document: Path, before: Path | None) -> None:
    """Print a registry on one page; `before`: what it is compared with."""
    if document.is_dir():
        versions = list(Registries(registry_folder(document)).chain)
        if not versions:
            raise Malformed(f"There is no registry in {document}.")
        (registry, envelope), previous = versions[-1], versions[-2][0] if len(versions) > 1 else None
        show_registry(out, registry, signed=envelope, before=previous)
        return
    registry, signed = read_document(document)
    previous = None if before is None else _version_before(before, registry.version)
    show_registry(out, registry, signed=signed, before=previous)


def _version_before(place: Path, version: int) -> Registry | None:
    if not place.is_dir():
        return read_document(place)[0]
    found = [registry for registry, _ in Registries(registry_folder(place)).chain if registry.version == version - 1]
    return found[0] if found else None


def read_in_force(place: Path) -> Registry:
    """The registry in force: the last verified version of a home or folder, or a document signed by its own operators.

    Raises:
        Malformed: there is none, or too few of its operators signed it.
    """
    if place.is_dir():
        latest = Registries(registry_folder(place)).latest
        if latest is None:
            raise Malformed(f"There is no registry in {place}; name a node's home that accepted one.")
        return latest
    registry, envelope = read_document(place)
    if envelope is None or signatures_of(envelope, registry.operators) < registry.operators.k:
        raise Malformed(f"{place} is not in force: {registry.operators.k} of its operators must have signed it.")
    return registry


def read_document(file: Path) -> tuple[Registry, bytes | None]:
    """The registry in a file and, where it is signed, its envelope; who signed is not judged. Raises `Malformed`."""
    raw = file.read_bytes()
    if len(raw) > 2 * REGISTRY_BYTES_MAX:
        raise Malformed(f"{file} is too large for a registry.")
    try:
        payload = dsse.open_payload(raw, payload_type=PAYLOAD_TYPE)
    except Malformed as not_signed:
        try:
            return read_registry(raw), None
        except Malformed as error:
            signed = raw.startswith(b'{"payload":')
            raise Malformed(f"{file} is no registry document: {not_signed if signed else error}") from error
    return read_registry(payload), raw


def join_documents(documents: Sequence[Path]) -> bytes:
    """One envelope of all files, which hold one document. Raises `Malformed`."""
    envelopes = []
    for document in documents:
        _, envelope = read_document(document)
        if envelope is None:
            raise Malformed(f"{document} is not signed; sign it first: timebank network sign {document} --operator KEY")
        envelopes.append(envelope)
    return dsse.join(envelopes)


def registry_folder(place: Path) -> Path:
    """Where a home keeps its registry documents; any other folder is such a place itself."""
    return place / "registry" if (place / "node.json").exists() else place
