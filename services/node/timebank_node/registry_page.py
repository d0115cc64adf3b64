"""A registry on one page, for a person who decides whether to sign it."""

from __future__ import annotations

from rich.console import Console

from timebank_contracts import dsse
from timebank_contracts.amounts import show_hours
from timebank_contracts.keys import b64_decode, b64_encode, key_id
from timebank_contracts.registry import Registry
from timebank_node.registry_changes import differences


def show_registry(
    out: Console, registry: Registry, *, signed: bytes | None, before: Registry | None, whole: bool = True
) -> None:
    """Print a registry.

    Args:
        registry: what is shown.
        signed: its envelope, None while it is unsigned.
        before: what it is compared with, None for nothing.
        whole: operators, nodes and witnesses too; else only its name and what differs.
    """
    out.print(f"Registry version {registry.version} of {registry.network}")
    out.print(f"sha256   {registry.sha256}")
    out.print(f"follows  {registry.previous}")
    if whole:
        _show_operators(out, registry, signed)
        for node in registry.nodes:
            out.print(f"{node.node:14} {node.state:9} {node.generation}  {node.url}")
            speaks = ", ".join(str(number) for number in node.protocols)
            out.print(f"{'':14} limit {show_hours(node.limit)}  protocols {speaks}")
            out.print(f"{'':14} event {' '.join(node.event_keys)}")
            out.print(f"{'':14} log   {' '.join(node.log_keys)}")
        for witness in registry.witnesses or ():
            out.print(f"witness {witness.name}  {witness.url}  {witness.key}")
    if before is not None or registry.version == 1:
        out.print(f"What differs from {'nothing' if before is None else f'version {before.version}'}:")
        for sentence in differences(before, registry):
            out.print(f"  {sentence}")


def _show_operators(out: Console, registry: Registry, signed: bytes | None) -> None:
    keys = [b64_decode(key) for key in registry.operators.keys]
    found = frozenset() if signed is None else dsse.signers(signed, keys)
    out.print(f"signed   by {len(found)} of {len(keys)} operators; {registry.operators.k} must")
    for key in keys:
        mark = "signed" if key in found else "      "
        out.print(f"  {mark}  {b64_encode(key)}  id {key_id(key)[:16]}")
