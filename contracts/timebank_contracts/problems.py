"""Problems: how an error is answered over HTTP. RFC 9457 bodies, and one table from code to status.

A code is either a refusal of the rules (`errors.REFUSALS`) or one of the edge (`EDGE`): both are stable, never
translated and never given another meaning. The table is complete; a test says so.
Source: RFC 9457; design page 7, "Errors, four kinds"; PROTOCOL.md H1.
"""

from __future__ import annotations

from typing import Any, Final

from timebank_contracts.errors import REFUSALS

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:timebank:problem:"

EDGE: Final[dict[str, str]] = {
    "alias_for_one_town": "This address is for one town, and a code is for anybody; make one without audience.",
    "client_unknown": "The client is not known here, or its secret is another; ask the town's operator.",
    "cursor_invalid": "This cursor is none that this route gave; send `next` of the page before, unchanged.",
    "delivery_unknown": "The log of this webhook has no such delivery; it keeps the last ones only.",
    "field_invalid": "A field is missing, unknown or has another form; `errors` names each one.",
    "forbidden": "The token does not allow this; ask for the scope or the account that the detail names.",
    "handle_invalid": "A handle is 1 to 30 of a-z, 0-9 and -, beginning with a letter.",
    "handle_taken": "The handle, or one that looks like it, is in use in this town; choose another.",
    "internal": "The node met a bug; the request changed nothing that was not answered. Tell its operator.",
    "malformed": "The body is not what this route takes; send it in the form that the API documents.",
    "method_not_allowed": "This path does not take this method; see the API's document.",
    "not_found": "There is nothing at this path; see the API's document.",
    "not_ready": "The service cannot do this now; /readyz says why. Come again later.",
    "outcome_unknown": "It is not known whether this was written; send it again with the same Idempotency-Key.",
    "payee_unknown": "Nobody of this handle can be paid from here; check it with the payee.",
    "person_unknown": "There is no such person; they may have been erased.",
    "position_ahead": "The journal has not come to the position in X-Position; come again, or ask without it.",
    "proof_invalid": "The proof does not lead from what was seen before to this; send what the log really holds.",
    "queue_full": "Too many commands wait; come again after the seconds that Retry-After says.",
    "rate_limited": "Too many requests from this client; come again after the seconds that Retry-After says.",
    "registry_unknown": "This version of the registry is not held here; ask for `latest`.",
    "room_away": "Another service or town that this needs does not answer; come again later.",
    "scope_not_granted": "The client was not granted this scope; ask for one that it has.",
    "stream_unknown": "This node has no such stream, or it is shorter than that.",
    "too_many_attempts": "This client failed too often to prove who it is; come again after Retry-After seconds.",
    "too_large": "The body is too large or too deep; send less at a time.",
    "too_slow": "The body did not arrive in time; send it again.",
    "unauthorised": "Send a valid token: Authorization: Bearer <token>.",
    "url_refused": "Nothing is sent to such a URL; name one with https and a public host.",
    "webhook_limit": "There are as many as may be; remove one first, or come again later.",
    "webhook_unknown": "The client has no webhook of this id.",
    "writer_stopped": "The ledger takes no commands now; /readyz says why. Come again later.",
}
"""Code → what it means and what to do, for what the rules never saw."""

STATUS: Final[dict[str, int]] = {
    # What was asked has not the form that it must have.
    "key_missing": 400,
    "malformed": 400,
    "scope_not_granted": 400,
    "amount_ambiguous": 422,
    "amount_out_of_range": 422,
    "account_kind": 422,
    "confirmation_needed": 422,
    "cursor_invalid": 422,
    "field_invalid": 422,
    "handle_invalid": 422,
    "claim_mismatch": 422,
    "key_reused": 422,
    "money_invalid": 422,
    "reason_needed": 422,
    "session_invalid": 422,
    "policy_invalid": 422,
    "proof_invalid": 422,
    "posting_invalid": 422,
    "purpose_invalid": 422,
    "segment_invalid": 422,
    "self_transfer": 422,
    "served_on_invalid": 422,
    "service_incomplete": 422,
    "precondition_failed": 412,
    "url_refused": 422,
    "too_slow": 408,
    "too_large": 413,
    # Who asks.
    "client_unknown": 401,
    "unauthorised": 401,
    "too_many_attempts": 429,
    "forbidden": 403,
    # What is asked for is not here.
    "account_unknown": 404,
    "alias_unknown": 404,
    "claim_unknown": 404,
    "claim_withdrawn": 409,
    "money_unknown": 404,
    "programme_unknown": 404,
    "delivery_unknown": 404,
    "not_found": 404,
    "webhook_unknown": 404,
    "payee_unknown": 404,
    "peer_unknown": 404,
    "person_unknown": 404,
    "registry_unknown": 404,
    "stream_unknown": 404,
    "transfer_unknown": 404,
    "method_not_allowed": 405,
    # The book, as it stands, does not allow it.
    "account_closed": 409,
    "account_closing": 409,
    "account_exists": 409,
    "account_frozen": 409,
    "account_not_empty": 409,
    "alias_exists": 409,
    "alias_for_one_town": 409,
    "alias_limit": 409,
    "already_reversed": 409,
    "ceiling_exceeded": 409,
    "claim_disputed": 409,
    "claim_limit": 409,
    "claim_not_disputed": 409,
    "claim_not_due": 409,
    "claim_tolerance": 409,
    "debt_limit_exceeded": 409,
    "expired": 409,
    "floor": 409,
    "handle_taken": 409,
    "node_not_opened": 409,
    "node_opened": 409,
    "not_reversible": 409,
    "pair_limit_exceeded": 409,
    "peer_needs_upgrade": 409,
    "peer_recovering": 409,
    "peer_suspended": 409,
    "refund_exceeded": 409,
    "registry_invalid": 409,
    "segment_pending": 409,
    "stream_frozen": 409,
    "thanks_given": 409,
    "thanks_late": 409,
    "time_order": 409,
    "webhook_limit": 409,
    "wrong_position": 409,
    "rate_limited": 429,
    # The node.
    "internal": 500,
    "not_ready": 503,
    "outcome_unknown": 503,
    "position_ahead": 503,
    "queue_full": 503,
    "room_away": 503,
    "writer_stopped": 503,
}
"""Code → HTTP status: the one table."""


def problem(code: str, detail: str = "", *, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """The body of a problem.

    Args:
        code: one of `STATUS`.
        detail: an English sentence for this case; the code's own sentence when empty.
        errors: for `field_invalid` and its kin: {field, code, detail} of each field.

    Returns:
        A JSON object of RFC 9457, with the members `code` and, where given, `errors`.
    """
    title = REFUSALS.get(code) or EDGE[code]
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": STATUS[code],
        "detail": detail or title,
        "code": code,
    }
    if errors:
        body["errors"] = errors
    return body
