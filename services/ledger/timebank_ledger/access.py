"""Access: who calls, what they may do, and as whom they act. Pure, given keys and time.

    token ── verify ──▶ Caller (scopes, accounts) ── actor ──▶ `by` of the entry

The ledger holds no users: it believes its town's directory, its own node's event key for scope `federation` alone, and
an outside issuer where the settings name one.
Source: design page 3, "HTTP API"; page 4, "Sign-in"; PROTOCOL.md W1 to W3 and W9.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from timebank_contracts.entries import Actor
from timebank_contracts.tokens import SCOPES, Caller, Issuer, Rejected, audience
from timebank_kit.oidc import OutsideIssuer, caller_of

_SUBJECT = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Unauthorised(Exception):
    """No token, or not a valid one; the text says what to do."""


class Forbidden(Exception):
    """A valid token that does not allow this; the text names the scope or account that is missing."""


def issuers_of(*, node: str, token_keys: Sequence[bytes], event_keys: Sequence[bytes]) -> dict[str, Issuer]:
    """Whom a town's ledger believes: its directory for every scope but `federation`, its own node for that alone."""
    directory = Issuer(f"{node}/directory", tuple(token_keys), SCOPES - {"federation"})
    own = Issuer(node, tuple(event_keys), frozenset({"federation"}))
    return {issuer.name: issuer for issuer in (directory, own)}


@dataclass(frozen=True, slots=True)
class Access:
    """Judges tokens for one town.

    Args:
        network: the network's name.
        node: the town's name.
        issuers: by name, see `issuers_of`.
        outside: an issuer that the town believes beside its directory, or instead of it.
    """

    network: str
    node: str
    issuers: dict[str, Issuer]
    outside: OutsideIssuer | None = None

    def verify(self, authorization: str | None, *, scopes: frozenset[str], now: datetime) -> Caller:
        """The caller behind an `Authorization` header.

        Args:
            authorization: the header, None when there is none.
            scopes: the caller needs one of these.
            now: the present moment, aware.

        Raises:
            Unauthorised: no bearer token, or one that is not valid here and now.
            Forbidden: none of the scopes.
            KeysAway: the outside issuer's keys cannot be had now.
        """
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Unauthorised("Send a token: Authorization: Bearer <token>.")
        try:
            caller = caller_of(
                token,
                issuers=self.issuers,
                outside=self.outside,
                audience=audience(self.network, self.node),
                now_seconds=int(now.timestamp()),
            )
        except Rejected as rejected:
            raise Unauthorised(str(rejected)) from rejected
        if not _SUBJECT.fullmatch(caller.subject):
            raise Unauthorised("The token's subject is an opaque id: a-z, 0-9 and -, at most 63.")
        if not scopes & caller.scopes:
            raise Forbidden(f"This needs a token of scope {' or '.join(sorted(scopes))}.")
        return caller


def actor(caller: Caller) -> Actor:
    """As whom a caller acts in the journal.

    `operate` makes an operator, a mandate a delegate who names it, every account of the town a broker, one's own
    account a member, others a partner.
    """
    if "operate" in caller.scopes:
        return Actor(kind="operator", id=caller.subject)
    if "federation" in caller.scopes:
        return Actor(kind="rule", id=UNSET)
    if caller.mandate is not None:
        return Actor(kind="delegate", id=caller.subject, mandate=caller.mandate)
    if caller.accounts is None:
        return Actor(kind="broker", id=caller.subject)
    return Actor(kind="member" if caller.subject in caller.accounts else "partner", id=caller.subject)


def check_account(caller: Caller, account: str) -> None:
    """Raise `Forbidden` unless the caller acts for this account; an operator may see and keep every one."""
    if not caller.may_use(account):
        raise Forbidden(f"The token was not granted the account {account}.")


def may_see(caller: Caller, account: str) -> bool:
    """Whether the caller may see this account: granted, or an operator's or auditor's eyes."""
    return caller.may_use(account) or bool({"operate", "audit:read"} & caller.scopes)


def check_seen(caller: Caller, account: str) -> None:
    """Raise `Forbidden` unless the caller may see this account."""
    if not may_see(caller, account):
        raise Forbidden(f"The token was not granted the account {account}.")
