"""A13, A14: what witnesses saw. Their cosignatures on a town's checkpoints, beside the auditor's policy.

A witness signs a checkpoint with its time when the log grew from what it saw before. So a cosignature cannot be older
than the newest entry that it covers, nor can one witness's times run backwards as a log grows.
Source: c2sp.org/tlog-cosignature; design page 12; design page 5, A13 and A14.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from timebank_audit.findings import Findings
from timebank_audit.past import is_signed
from timebank_audit.policy import Policy
from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint, open_cosignatures, parse_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.moments import parse_time
from timebank_contracts.note import NOTE_BYTES_MAX, VerifierKey, open_note

CLOCKS_DIFFER_SECONDS: Final = 300
"""By so much the clocks of a town and a witness may differ."""


def judge_witnesses(towns: list[Town], policy: Policy, findings: Findings) -> None:
    """Judge the cosignatures on the checkpoint of every town, and on the earlier ones that it published."""
    if not policy.quorum:
        return
    for town in towns:
        if town.key is None or town.key.public in {witness.public for witness in policy.witnesses.values()}:
            continue
        latest: dict[VerifierKey, int] = {}
        for path in [*(f"checkpoints/{name}" for name in _by_size(town)), "checkpoint"]:
            raw = town.files.peek(path, bytes_max=NOTE_BYTES_MAX) or b""
            if not is_signed(raw, town.checkpoint.origin, [town.key.public]):
                continue  # A10 and A11 judge what the log itself did not sign.
            try:
                cosigned = open_cosignatures(raw, town.key, policy.witnesses.values())
            except Malformed as error:
                expected = "good cosignatures of the witnesses of the policy"
                findings.add("A10", town=town.node, place=path, expected=expected, found=str(error))
                continue
            _judge_times(town, path, raw, cosigned, latest, findings)
            if path == "checkpoint":
                _judge_quorum(town, policy, set(cosigned), findings)


def judge_holders(towns: list[Town], policy: Policy, findings: Findings) -> None:
    """A25: no two logs, and no log and witness, have one key."""
    holders = {witness.public: f"the witness {name}" for name, witness in policy.witnesses.items()}
    for town in towns:
        if town.key is None:
            continue
        findings.examine("A25", min(1, len(holders)))
        holder = holders.setdefault(town.key.public, f"the log of {town.node}")
        if holder != f"the log of {town.node}":
            expected = f"a log key of its own for {town.node}"
            findings.add("A25", town=town.node, place="checkpoint", expected=expected, found=f"the key of {holder}")


def _by_size(town: Town) -> list[str]:
    sizes = {}
    for name in town.files.names("checkpoints"):
        raw = town.files.peek(f"checkpoints/{name}", bytes_max=NOTE_BYTES_MAX) or b""
        sizes[name] = parse_checkpoint(open_note(raw, []).text).size
    return sorted(sizes, key=lambda name: (sizes[name], name))


def _judge_times(
    town: Town,
    path: str,
    raw: bytes,
    cosigned: dict[VerifierKey, int],
    latest: dict[VerifierKey, int],
    findings: Findings,
) -> None:
    checkpoint = parse_checkpoint(open_note(raw, []).text)
    newest = _newest_entry(town, checkpoint)
    for witness, at_seconds in cosigned.items():
        findings.examine("A13")
        earliest = max(latest.get(witness, 0), newest - CLOCKS_DIFFER_SECONDS)
        latest[witness] = max(at_seconds, latest.get(witness, 0))
        if at_seconds < earliest:
            expected = f"a time of {_show(earliest)} or later: what it covers was written, or cosigned, by then"
            place = f"{path}, cosigned by {witness.name}"
            findings.add("A13", town=town.node, place=place, expected=expected, found=_show(at_seconds))


def _newest_entry(town: Town, checkpoint: Checkpoint) -> int:
    """Seconds since 1970 of the last entry that a checkpoint covers; 0 where it is not at hand."""
    if not 1 <= checkpoint.size <= town.size:
        return 0
    return int(parse_time(e.decode_entry(town.entries[checkpoint.size - 1]).time).timestamp())


def _judge_quorum(town: Town, policy: Policy, cosigned: set[VerifierKey], findings: Findings) -> None:
    findings.examine("A14")
    if not policy.is_met_by(cosigned):
        found = ", ".join(sorted(witness.name for witness in cosigned)) or "no witness of the policy"
        findings.add(
            "A14",
            town=town.node,
            place="checkpoint",
            expected=f"cosignatures that make up the quorum {policy.quorum}",
            found=f"cosigned by {found}",
        )


def _show(at_seconds: int) -> str:
    if at_seconds > 253_402_300_799:
        return f"{at_seconds} seconds since 1970"
    return datetime.fromtimestamp(at_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
