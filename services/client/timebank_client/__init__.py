"""A client of a timebank town's API. It imports nothing of the town's own software, so this folder may be copied out.

Reading order: `timebank.py` (what you make); `transfers.py`, `uploads.py`, `claims.py`, `accounts.py`, `money.py`,
`events.py`, `subscriptions.py`, `webhooks.py` (what you call, by noun); `asked.py`, `answers.py` and `errors.py` (what
goes in and comes out). Below them: `door.py`, `tokens.py`, `sending.py`; `routes.py` lists
all that it can ask.
"""

from timebank_client.answers import (
    Account,
    Alias,
    Balance,
    Claim,
    Event,
    Money,
    Payee,
    Policy,
    StatementLine,
    StatementPage,
    Transfer,
    TrialBalance,
    Webhook,
    WebhookDelivery,
)
from timebank_client.asked import Keyed, NewGroup, NewSession, NewTransfer, Scanned
from timebank_client.claims import NewClaim
from timebank_client.credentials import PrivateKey, read_private_key
from timebank_client.errors import (
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Refused,
    SignatureInvalid,
    TimebankError,
    Unauthorised,
    Unavailable,
    Unexpected,
)
from timebank_client.money import NewMoney
from timebank_client.retries import Retries
from timebank_client.sending import Surroundings
from timebank_client.timebank import Timebank
from timebank_client.uploads import UploadedLine, write_upload
from timebank_client.webhooks import verify_webhook

__all__ = [
    "Account",
    "Alias",
    "Balance",
    "Claim",
    "Event",
    "FieldError",
    "Forbidden",
    "Invalid",
    "Keyed",
    "Money",
    "NewClaim",
    "NewGroup",
    "NewMoney",
    "NewSession",
    "NewTransfer",
    "NotFound",
    "Payee",
    "Policy",
    "PrivateKey",
    "Problem",
    "Refused",
    "Retries",
    "Scanned",
    "SignatureInvalid",
    "StatementLine",
    "StatementPage",
    "Surroundings",
    "Timebank",
    "TimebankError",
    "Transfer",
    "TrialBalance",
    "Unauthorised",
    "Unavailable",
    "Unexpected",
    "UploadedLine",
    "Webhook",
    "WebhookDelivery",
    "read_private_key",
    "verify_webhook",
    "write_upload",
]
