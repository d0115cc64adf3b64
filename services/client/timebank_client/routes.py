"""The operations of the API that this client uses: operationId → method and path. The whole list, at a glance.

A test compares it with `contracts/openapi/`, and says of every other operation why a partner needs no method for it.
"""

from __future__ import annotations

from typing import Final

ROUTES: Final[dict[str, tuple[str, str]]] = {
    # Directory.
    "getToken": ("POST", "/v1/token"),
    "resolvePayee": ("POST", "/v1/payees/resolve"),
    # Ledger: accounts and what they add up to.
    "listAccounts": ("GET", "/v1/accounts"),
    "getAccount": ("GET", "/v1/accounts/{account}"),
    "getBalance": ("GET", "/v1/accounts/{account}/balance"),
    "getStatement": ("GET", "/v1/accounts/{account}/statement"),
    "getTrialBalance": ("GET", "/v1/trial-balance"),
    "issueAlias": ("POST", "/v1/accounts/{account}/aliases"),
    "revokeAlias": ("DELETE", "/v1/aliases/{alias}"),
    # Transfers.
    "postTransfer": ("POST", "/v1/transfers"),
    "postTransfers": ("POST", "/v1/transfers/batch"),
    "getTransfer": ("GET", "/v1/transfers/{transfer}"),
    "reverseTransfer": ("POST", "/v1/transfers/{transfer}/reversal"),
    # What happened.
    "readEvents": ("GET", "/v1/events"),
    "readAccountEvents": ("GET", "/v1/accounts/{account}/events"),
}
