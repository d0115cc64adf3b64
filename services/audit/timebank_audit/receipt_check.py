"""Checks a receipt without any journal: does the paper alone prove the transfer, and under whose keys?

    registry ── signed by its own operators? ── the hash that was pinned? ──▶ keys
    entry ── leaf ── audit path ──▶ root of the checkpoint ── signed by the log key?
    message ── hashes of the segment ──▶ chain head of the statement ── signed by the sender's event key?

Source: c2sp.org/tlog-proof; RFC 9162 2.1.3.2; PROTOCOL.md S2, G3 to G6.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from msgspec import UNSET

from timebank_audit.codes import Verdict
from timebank_audit.past import is_signed
from timebank_audit.receipts import PROOF_HEAD, Receipt, Sent
from timebank_contracts import dsse
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint, parse_checkpoint, parse_decimal
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.merkle import leaf_hash, root_from_inclusion
from timebank_contracts.messages import TransferSentMessage, decode_message
from timebank_contracts.names import parse_origin, parse_transfer
from timebank_contracts.note import VerifierKey, open_note
from timebank_contracts.registry import PAYLOAD_TYPE, Registry, read_registry, signatures_of
from timebank_contracts.segments import is_signed_by, open_statement

PATH_MAX = 64


class Checked(NamedTuple):
    """What a receipt comes to: the verdict, and a sentence for each step."""

    verdict: Verdict
    steps: list[str]


class _Fails(Exception):
    """The receipt does not prove what it says."""


def check_receipt(receipt: Receipt, *, log_keys: dict[str, VerifierKey], registry_sha256: str | None = None) -> Checked:
    """Check a receipt.

    Args:
        receipt: as it was handed in.
        log_keys: keys by origin that the reader has from elsewhere; may be empty.
        registry_sha256: the hash of the registry version that the reader has from elsewhere.

    Returns:
        PASS only when a key or the registry was known from elsewhere; else NOT PROVEN; FAIL when a step does not hold.

    Raises:
        Malformed: a part of it has another form.
    """
    steps: list[str] = []
    try:
        registry = _registry(receipt, registry_sha256, steps)
        checkpoint = _entry(receipt, registry, log_keys, steps)
        if receipt.sent is not UNSET:
            _message(receipt, receipt.sent, registry, steps)
    except _Fails as failed:
        return Checked(Verdict.FAIL, [*steps, str(failed)])
    if registry_sha256 is None and checkpoint.origin not in log_keys:
        steps.append("Not proven: the keys came with the receipt. Compare the registry's hash, or give the log's key.")
        return Checked(Verdict.NOT_PROVEN, steps)
    if registry_sha256 is None and receipt.sent is not UNSET:
        steps.append("Not proven: the sender's event key came with the receipt. Compare the registry's hash.")
        return Checked(Verdict.NOT_PROVEN, steps)
    return Checked(Verdict.PASS, steps)


def _registry(receipt: Receipt, pinned: str | None, steps: list[str]) -> Registry:
    envelope = b64_decode(receipt.registry)
    registry = read_registry(dsse.open_payload(envelope, payload_type=PAYLOAD_TYPE))
    if signatures_of(envelope, registry.operators) < registry.operators.k:
        raise _Fails("The registry is not signed by its operators.")
    if pinned is not None and registry.sha256 != pinned:
        raise _Fails(f"The registry is another: {registry.sha256}.")
    how = "as you know it" if pinned is not None else "which came with the receipt"
    steps.append(f"Registry version {registry.version} of {registry.network}, sha256 {registry.sha256}, {how}.")
    return registry


def _entry(receipt: Receipt, registry: Registry, log_keys: dict[str, VerifierKey], steps: list[str]) -> Checkpoint:
    entry, name = b64_decode(receipt.proved.entry), parse_transfer(receipt.transfer)
    index, path, note = parse_proof(b64_decode(receipt.proved.proof))
    checkpoint = parse_checkpoint(open_note(note, []).text)
    identity = parse_origin(checkpoint.origin)
    if (identity.network, identity.node, identity.generation) != (registry.network, name.node, name.generation):
        raise _Fails(f"The checkpoint is of {checkpoint.origin}, not of the town that paid.")
    try:
        root = root_from_inclusion(leaf_hash(entry), index, checkpoint.size, path)
    except Malformed as error:
        raise _Fails(f"The audit path does not fit: {error}") from error
    if root != checkpoint.root:
        raise _Fails("The audit path does not lead from this entry to the checkpoint's root.")
    known = log_keys.get(checkpoint.origin)
    registered = registry.find(name.node)
    listed = [] if registered is None else [b64_decode(key) for key in registered.log_keys]
    if not is_signed(note, checkpoint.origin, listed if known is None else [known.public]):
        raise _Fails(f"The checkpoint is not signed by the log key of {checkpoint.origin}.")
    _same_transfer(receipt, entry, index)
    steps.append(f"Entry {index} of {checkpoint.size} is in the log of {checkpoint.origin}, signed by its log key.")
    return checkpoint


def _same_transfer(receipt: Receipt, raw: bytes, index: int) -> None:
    entry, name = e.decode_entry(raw), parse_transfer(receipt.transfer)
    if entry.n != index:
        raise _Fails("The entry says another position.")
    if name.peer is None:
        if name.position != index or not isinstance(entry, e.TransferPosted | e.TransferReversed):
            raise _Fails(f"The entry is not the transfer {receipt.transfer}.")
        return
    if not isinstance(entry, e.TransferSent) or entry.out is UNSET or _transfer(bytes(entry.out)) != receipt.transfer:
        raise _Fails(f"The entry does not send the transfer {receipt.transfer}.")
    if receipt.sent is not UNSET and bytes(entry.out) != b64_decode(receipt.sent.message):
        raise _Fails("The entry and the segment hold different messages.")


def _message(receipt: Receipt, sent: Sent, registry: Registry, steps: list[str]) -> None:
    name, envelope, message = parse_transfer(receipt.transfer), b64_decode(sent.envelope), b64_decode(sent.message)
    said = open_statement(envelope)
    sender = registry.find(name.node)
    keys = () if sender is None else tuple(b64_decode(key) for key in sender.event_keys)
    if (said.network, said.from_, said.generation, said.to) != (
        registry.network,
        name.node,
        name.generation,
        name.peer,
    ):
        raise _Fails("The statement is of another stream.")
    if not is_signed_by(envelope, keys):
        raise _Fails(f"The statement is not signed by an event key of {name.node} in this registry.")
    if said.count != len(sent.hashes) or sent.index >= len(sent.hashes) or said.first + sent.index != name.position:
        raise _Fails("The statement does not cover this message.")
    if sha256(message).hexdigest() != sent.hashes[sent.index]:
        raise _Fails("The message is not the one whose hash stands in the segment.")
    chain = bytes.fromhex(said.prior)
    for hashed in sent.hashes:
        chain = sha256(chain + bytes.fromhex(hashed)).digest()
    if chain.hex() != said.head:
        raise _Fails("The hashes do not fold to the head that the sender signed.")
    steps.append(
        f"Message {name.position} from {name.node} to {name.peer} stands under {name.node}'s signed statement."
    )


def _transfer(raw: bytes) -> str:
    message = decode_message(raw)
    if not isinstance(message, TransferSentMessage):
        return ""
    return str(message.data.transfer)


def parse_proof(raw: bytes) -> tuple[int, list[bytes], bytes]:
    """Index, audit path and checkpoint note of a tlog-proof; raises `Malformed`."""
    head, blank, note = raw.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("A proof is ASCII text before its checkpoint.") from error
    if not blank or len(lines) < 2 or lines[0] != PROOF_HEAD or not lines[1].startswith("index "):
        raise Malformed(f"A proof begins with {PROOF_HEAD} and an index.")
    if len(lines) - 2 > PATH_MAX:
        raise Malformed(f"A proof has at most {PATH_MAX} hashes.")
    return parse_decimal(lines[1].removeprefix("index ")), [b64_decode(line) for line in lines[2:]], note
