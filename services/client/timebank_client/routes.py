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
    "listAliases": ("GET", "/v1/accounts/{account}/aliases"),
    "getAlias": ("GET", "/v1/aliases/{alias}"),
    "getPaymentCode": ("GET", "/v1/aliases/{alias}/code"),
    "revokeAlias": ("DELETE", "/v1/aliases/{alias}"),
    "beginClosing": ("POST", "/v1/accounts/{account}/closing"),
    "getPolicy": ("GET", "/v1/policy"),
    # Transfers.
    "postTransfer": ("POST", "/v1/transfers"),
    "postTransfers": ("POST", "/v1/transfers/batch"),
    "uploadTransfers": ("POST", "/v1/transfers/bulk"),
    "getTransfer": ("GET", "/v1/transfers/{transfer}"),
    "reverseTransfer": ("POST", "/v1/transfers/{transfer}/reversal"),
    "refundTransfer": ("POST", "/v1/transfers/{transfer}/refund"),
    "thankForTransfer": ("POST", "/v1/transfers/{transfer}/thanks"),
    # Claims, and money beside hours.
    "makeClaim": ("POST", "/v1/claims"),
    "listClaims": ("GET", "/v1/claims"),
    "getClaim": ("GET", "/v1/claims/{claim}"),
    "confirmClaim": ("POST", "/v1/claims/{claim}/confirmation"),
    "disputeClaim": ("POST", "/v1/claims/{claim}/dispute"),
    "withdrawClaim": ("POST", "/v1/claims/{claim}/withdrawal"),
    "upholdClaim": ("POST", "/v1/claims/{claim}/upholding"),
    "recordMoney": ("POST", "/v1/money"),
    "listMoney": ("GET", "/v1/money"),
    # What happened.
    "readEvents": ("GET", "/v1/events"),
    "readAccountEvents": ("GET", "/v1/accounts/{account}/events"),
    "createWebhook": ("POST", "/v1/webhooks"),
    "listWebhooks": ("GET", "/v1/webhooks"),
    "getWebhook": ("GET", "/v1/webhooks/{webhook}"),
    "editWebhook": ("PUT", "/v1/webhooks/{webhook}"),
    "deleteWebhook": ("DELETE", "/v1/webhooks/{webhook}"),
    "rotateWebhookSecret": ("POST", "/v1/webhooks/{webhook}/secret"),
    "enableWebhook": ("POST", "/v1/webhooks/{webhook}/enable"),
    "listWebhookDeliveries": ("GET", "/v1/webhooks/{webhook}/deliveries"),
    "replayWebhookDelivery": ("POST", "/v1/webhooks/{webhook}/deliveries/{delivery}/replay"),
}
