"""The closed set of checks: a code, a name, what it proves, and the verdict when it finds something.

    0 PASS         every check that had something to examine found nothing
    1 FAIL         proof of corruption or wrongdoing
    2 (malformed)  the input or the command is not what it must be; nothing is said about the towns
    3 NOT PROVEN   nothing wrong found, but something is missing that the proof needs

Source: design page 5, "Verdicts and exit codes" and "Checks".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Verdict(StrEnum):
    """What a check, and the whole audit, comes to."""

    PASS = "PASS"  # noqa: S105  # a verdict, not a password
    FAIL = "FAIL"
    NOT_PROVEN = "NOT PROVEN"
    SKIPPED = "SKIPPED"
    """Of a check only: there was nothing to examine, or an earlier finding made it meaningless."""


MALFORMED_EXIT: Final = 2
EXITS: Final = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.NOT_PROVEN: 3}


class Code(NamedTuple):
    """A check. `unit` names what its count counts."""

    name: str
    proves: str
    unit: str
    verdict: Verdict = Verdict.FAIL


CODES: Final[dict[str, Code]] = {
    "A01": Code("FILE_HASH", "the hash tiles on disk are those of the entries", "tiles"),
    "A02": Code("TAIL_TRUNCATED", "every entry that the checkpoint counts is there", "entries"),
    "A03": Code("NOT_CANONICAL", "every entry is in its one canonical form", "entries"),
    "A04": Code("ROOT_MISMATCH", "the entries have the Merkle root of the checkpoint", "entries"),
    "A05": Code("SEQ_MISMATCH", "every entry says its own position", "entries"),
    "A06": Code("UNKNOWN_TYPE", "every entry and message is of a type known here", "entries", Verdict.NOT_PROVEN),
    "A10": Code("CHECKPOINT_SIG", "the checkpoint is signed by the log's key", "checkpoints"),
    "A11": Code("NOT_APPEND_ONLY", "every earlier checkpoint of a town is a beginning of its log", "checkpoints"),
    "A12": Code("PRIOR_AUDIT_REWRITTEN", "what an earlier audit saw is a beginning of the log", "earlier checkpoints"),
    "A13": Code("COSIG_TIME", "no cosignature is older than what it covers", "cosignatures"),
    "A14": Code("NO_QUORUM", "the witnesses of the policy saw this log grow", "checkpoints", Verdict.NOT_PROVEN),
    "A15": Code("EQUIVOCATION", "no checkpoint that others hold contradicts the log", "checkpoints held by others"),
    "A16": Code("GOSSIP_CONFLICT", "what a town told its peers of its log is true", "states told"),
    "A17": Code("STALE_EXPORT", "no later state of the log is known", "towns", Verdict.NOT_PROVEN),
    "A20": Code("BAD_SIGNATURE", "the signature on every accepted segment is good", "segments"),
    "A21": Code("KEY_NOT_VALID_HERE", "every key is the one that the registry in force gives", "keys"),
    "A22": Code("REGISTRY_CHAIN", "every registry version is signed and follows its predecessor", "versions"),
    "A24": Code("WRONG_USE", "every signature is by a key that is for this use", "signatures"),
    "A25": Code("WEAK_OR_REUSED_KEY", "no key is weak, or of two holders or uses", "documents and logs"),
    "A26": Code("MISSING_SIGNATURE", "no accepted segment is unsigned", "segments"),
    "A27": Code("REGISTRY_FORK", "all towns mean the same document by one registry version", "versions"),
    "A28": Code("GENERATION_BREAK", "a town that lost state goes on from what it had published", "breaks"),
    "A29": Code("INPUT_UNPROVEN", "every peer's message stands under a segment that the peer signed", "messages"),
    "A30": Code("UNBALANCED_ENTRY", "the postings of every entry sum to 0", "entries"),
    "A31": Code("UNKNOWN_OR_CLOSED_ACCOUNT", "minutes move between open accounts only", "entries"),
    "A32": Code("LIMIT_BREACH", "no floor, ceiling, limit or tolerance is passed", "entries"),
    "A33": Code("DUPLICATE_KEY", "no command and no entry was entered twice", "keys"),
    "A34": Code("BAD_REVERSAL", "of a transfer no more is taken or given back than it moved", "reversals and refunds"),
    "A35": Code("NODE_SUM", "all balances of a town sum to 0, transit equals what is open", "towns"),
    "A36": Code("STATEMENT_MISMATCH", "account statements that were given out are those of the journal", "statements"),
    "A38": Code("TIME_ORDER", "time never runs backwards", "entries"),
    "A39": Code("RULE_BREACH", "every entry follows every other rule of the book", "entries"),
    "A40": Code("UNRESOLVED", "no transfer is open longer than the stated age", "open transfers", Verdict.NOT_PROVEN),
    "A41": Code("SIDES_DIFFER", "both towns wrote the same about every transfer", "messages"),
    "A42": Code(
        "BAD_REF",
        "every decision is about a transfer that was open, every confirmation about a claim that was, and thanks, "
        "refunds and records of money about something that is there",
        "references",
    ),
    "A43": Code("PHANTOM_CREDIT", "nothing was credited that the other town never sent", "messages"),
    "A44": Code("DOUBLE_CREDIT", "no message was applied twice", "messages"),
    "A45": Code("RETURNED_AND_RECEIVED", "nothing was both returned to the payer and credited", "messages"),
    "A46": Code("CLEARING_MISMATCH", "what two towns owe each other agrees", "pairs of towns"),
    "A47": Code("FEDERATION_SUM", "the minutes of the whole network sum to 0", "towns"),
    "A48": Code("PEER_MISSING", "the other side of every stream was given", "streams", Verdict.NOT_PROVEN),
    "A49": Code("CUT_INCONSISTENT", "both towns hold the same stream, message for message", "streams"),
    "A51": Code("SEGMENT_CONFLICT", "captured segments say what the sender's journal says", "messages"),
    "A53": Code("STREAM_GAP", "no message of a stream is left out", "messages"),
    "A70": Code("FIGURE_MISMATCH", "published figures are those of the journal", "figures"),
}
