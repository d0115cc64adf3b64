"""The four kinds of error, drawn once, and the closed set of refusal codes.

    Exception
    ├── Malformed      bytes or text that are not what the contract says   (quarantined or answered, never retried)
    ├── Refusal        well-formed, and the rules say no                   (stable code, sentence says what to do)
    └── Breach         a validly signed message breaks the contract        (its stream freezes; it is evidence)

Trouble (network, database) belongs to the rooms that meet it; a bug is an assertion.
Source: design page 7, "Habits"; PROTOCOL.md B2, E8 and S9.
"""

from __future__ import annotations

from typing import Final


class Malformed(ValueError):
    """Input that does not have the form the contract demands; the text says what was expected."""


class Refusal(Exception):
    """The rules say no: nothing was written.

    Args:
        code: one of `REFUSALS`; stable, never translated.
        detail: an English sentence for this case, without names or free text.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        assert code in REFUSALS, f"{code} is not in the closed set"
        super().__init__(f"{code}: {detail or REFUSALS[code]}")
        self.code = code
        self.detail = detail or REFUSALS[code]


class Breach(Exception):
    """A validly signed message at `position` of a stream that no honest node would send.

    Args:
        code: one of `BREACHES`.
        position: stream position of the message, from 1.
        detail: what was expected and what was found.
    """

    def __init__(self, code: str, position: int, detail: str) -> None:
        assert code in BREACHES, f"{code} is not in the closed set"
        super().__init__(f"{code} at stream position {position}: {detail}")
        self.code = code
        self.position = position
        self.detail = detail


REFUSALS: Final[dict[str, str]] = {
    "account_unknown": "No account has this id here; look the account up again.",
    "account_exists": "An account with this id exists already; use another id.",
    "account_closed": "The account is closed; choose another account.",
    "account_closing": "The account is closing and makes no new payment; a broker can open it again.",
    "account_frozen": "The account is frozen; ask a broker to unfreeze it first.",
    "account_not_empty": "The account still holds or owes minutes, or has open transfers or claims; end them first.",
    "account_kind": "This kind of account cannot be used so; see the ledger's README for the kinds.",
    "alias_exists": "This receiving address exists already; make a new one.",
    "alias_limit": "An account has at most 1,000 receiving addresses; revoke some first.",
    "alias_unknown": "The receiving address is unknown or revoked; ask the payee for a new one.",
    "already_reversed": "This transfer was reversed already; nothing is left to take back.",
    "amount_ambiguous": "Write the unit: 1:30, 1h30, 90m or 1.5h; a bare number could be hours or minutes.",
    "amount_out_of_range": "Minutes must be a whole number from 1 to 60,000.",
    "ceiling_exceeded": "The payee's account would pass its ceiling; let them spend first, pay less, or ask a broker.",
    "claim_disputed": "The claim is disputed; a broker decides it.",
    "claim_limit": "An account has at most 1,000 open claims; confirm, withdraw or dispute some first.",
    "claim_mismatch": "A confirmation repeats the claim's accounts, activity, day and programme.",
    "claim_not_due": "The rule does not confirm or end this claim now; see the town's policy.",
    "claim_not_disputed": "The claim is not disputed; only a dispute can be decided.",
    "claim_tolerance": "More minutes than claimed, above the town's tolerance; ask for a new claim.",
    "claim_unknown": "No open claim has this id here; it may have been confirmed, withdrawn or expired.",
    "claim_withdrawn": "The claim was withdrawn, or ended otherwise, before its payment came to the giver's town.",
    "confirmation_needed": "Say who confirmed it: receiver, broker, delegate, rule or none.",
    "debt_limit_exceeded": "The town would owe other towns more than its limit; wait until hours come back.",
    "expired": "The transfer's time was over when the payee's town decided.",
    "floor": "The payer's account would pass its floor; give some hours first, pay less, or ask a broker.",
    "key_missing": "Send an Idempotency-Key header of 1 to 200 characters, a new one for each new command.",
    "key_reused": "This Idempotency-Key came with another command before; use a new key for a new command.",
    "not_reversible": "Only a transfer within this town can be reversed, by no more than is left of it.",
    "money_invalid": "Name a transfer or a programme of this town, and minor units above 0; a correction the reverse.",
    "money_unknown": "No record of money has this id here, or it was corrected already.",
    "node_not_opened": "The journal must begin with node.opened.",
    "node_opened": "The journal is open already.",
    "pair_limit_exceeded": "One town would owe the other more than their limit; wait until hours come back.",
    "peer_needs_upgrade": "The other town's node does not know this kind of message yet; wait until it is upgraded.",
    "peer_recovering": "What this town lost with that one is being put back; come again in some minutes.",
    "peer_suspended": "The other town is suspended; wait until the operators lift it.",
    "peer_unknown": "No town of this name is in the registry in force here.",
    "policy_invalid": "A floor must be 0 or less, a ceiling or limit 0 or more, each within 10,000,000 minutes.",
    "posting_invalid": "2 to 256 postings, each account once, none of them 0, the sum exactly 0.",
    "precondition_failed": "It was changed since you read it; read it again, and decide again.",
    "programme_unknown": "No open programme has this id here; look it up among the accounts.",
    "purpose_invalid": "This purpose does not fit these accounts or this actor.",
    "reason_needed": "Support from the pot names its reason; other transfers than support, grant and correction none.",
    "refund_exceeded": "Together, refunds give back no more than the transfer; see what was given back already.",
    "registry_invalid": "The registry must follow the one in force: version + 1, or the first.",
    "segment_invalid": "The segment's statement does not fit this node, this peer or this position.",
    "segment_pending": "The messages of the accepted segment come first, each as one entry, in order.",
    "session_invalid": "A session names each account once, and leaves everybody at least one minute.",
    "self_transfer": "Payer and payee are the same account; choose another payee.",
    "served_on_invalid": "served_on must be a date from 366 days ago until today.",
    "service_incomplete": "A service names its activity and the day on which it was given.",
    "stream_frozen": "The stream with this town is frozen as evidence; an operator must thaw it.",
    "thanks_given": "This side thanked for it already; once is enough.",
    "thanks_late": "A transfer can be thanked for within 90 days.",
    "time_order": "The entry's time is before the previous entry's.",
    "transfer_unknown": "No transfer has this id here.",
    "wrong_position": "The entry is not the next one of this journal.",
}
"""Code → what it means and what to do. A code is never removed or given another meaning."""

REJECTIONS: Final = frozenset(
    {
        "alias_unknown",
        "account_closed",
        "ceiling_exceeded",
        "expired",
        "pair_limit_exceeded",
        "peer_suspended",
        "claim_withdrawn",
    }
)
"""Reasons of a `transfer.rejected`: the closed set that crosses towns (PROTOCOL.md T7)."""

BREACHES: Final = frozenset(
    {
        "message_malformed",
        "message_misplaced",
        "decision_unfounded",
        "decision_minutes",
        "claim_unfounded",
        "thanks_unfounded",
    }
)
"""What makes a validly signed message evidence (PROTOCOL.md S9)."""
