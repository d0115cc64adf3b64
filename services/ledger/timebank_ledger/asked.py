"""From what a client asks to a command: whose account, under which key, for which payee. Pure, given secrets and time.

Single transfers, groups and the commands of a batch meet here, so one key serves one command on every route.
Source: design page 1, "Life of a transfer", step 1; page 2, "Transfer between towns" (`payer_tag`).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, Protocol

from timebank_contracts.errors import Refusal
from timebank_contracts.http import NewGroup, NewSession, NewTransfer, PayeeHere, PayeeScanned, Session
from timebank_contracts.moments import show_time
from timebank_contracts.payment_address import read_payment_address
from timebank_contracts.split import session_postings
from timebank_contracts.tokens import Caller
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, actor, check_account
from timebank_ledger.payer_tags import payer_tag

CROSS_PURPOSES: Final = frozenset({"service", "gift"})
_BROKERS: Final = frozenset({"broker", "operator"})
_CONFIRMS: Final = {"member": "receiver", "delegate": "delegate", "broker": "broker", "operator": "broker"}
"""Who confirms what they pay themselves, by kind of actor; a partner must say it."""


class Single(Protocol):
    """A transfer from one payer to one payee, in whichever way it was decoded."""

    @property
    def payer(self) -> str: ...
    @property
    def minutes(self) -> int: ...
    @property
    def purpose(self) -> str: ...
    @property
    def activity(self) -> str | None: ...
    @property
    def served_on(self) -> str | None: ...
    @property
    def given_minutes(self) -> int | None: ...
    @property
    def confirmed_by(self) -> str | None: ...
    @property
    def programme(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def expires_in_seconds(self) -> int | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks, under which key, and what a command needs from the town."""

    caller: Caller
    key: str
    """The client's own Idempotency-Key."""
    network: str
    node: str
    """This town."""
    now: datetime
    expires_after_seconds: int
    tag_key: bytes

    def head(self, content: dict[str, Any]) -> dict[str, Any]:
        """What every command carries; `content` is what was asked, without what is None."""
        return command_head(self.caller, self.key, content)

    @property
    def expires_at(self) -> str:
        """Until when the payee's town may take a transfer that does not say."""
        return _time_after(self.now, self.expires_after_seconds)

    @property
    def hashed_key(self) -> str:
        """The key as entries keep it: scoped to the client."""
        return c.key_of(f"{self.caller.issuer}/{self.caller.subject}", self.key)


@lru_cache(maxsize=64)
def _time_after(now: datetime, seconds: int) -> str:
    """The commands of a batch have one time."""
    return show_time(now + timedelta(seconds=seconds))


def command_head(caller: Caller, key: str, content: dict[str, Any]) -> dict[str, Any]:
    """What every command carries: who acts, and hashes of the client's key and of what it asked.

    Args:
        caller: who asks.
        key: the client's own Idempotency-Key.
        content: what was asked, without what is None; its `kind` tells routes apart.
    """
    hashed = c.key_of(f"{caller.issuer}/{caller.subject}", key)
    return {"by": actor(caller), "key": hashed, "digest": c.digest_of(content)}


def transfer_command(asked: NewTransfer | NewGroup | NewSession, asking: Asking) -> c.Command:
    """The command for a transfer body; raises `Refusal` or `Forbidden`."""
    if isinstance(asked, NewSession):
        return group_command(asked, _session(asked.session), None, asking)
    if isinstance(asked, NewGroup):
        given = None if asked.given is None else tuple(asked.given)
        return group_command(asked, tuple(asked.postings), given, asking)
    if isinstance(asked.payee, PayeeHere):
        return single_command(asked, asking, account=asked.payee.account, node=None, alias=None)
    if isinstance(asked.payee, PayeeScanned):
        node, alias = place_of(asked.payee.address, network=asking.network)
        return single_command(asked, asking, account=None, node=node, alias=alias)
    return single_command(asked, asking, account=None, node=asked.payee.node, alias=asked.payee.alias)


def place_of(address: str, *, network: str) -> tuple[str, str]:
    """Node and alias of a scanned address; raises `Malformed`, or `Refusal` when it is of another network."""
    found = read_payment_address(address)
    if found.network != network:
        raise Refusal("peer_unknown", f"The address is of the network {found.network}; this town is of {network}.")
    return found.node, found.alias


def _session(asked: Session) -> Shares:
    """Who pays and who is credited; raises `session_invalid` when an account stands twice."""
    attendees: dict[str, int | None] = dict(asked.attendees)
    attendees |= dict.fromkeys(asked.sharing)
    leaders = dict(asked.leaders)
    if len(attendees) != len(asked.attendees) + len(asked.sharing) or len(leaders) != len(asked.leaders):
        raise Refusal("session_invalid")
    return session_postings(attendees=attendees, leaders=leaders, shared_minutes=asked.shared_minutes)


def single_command(
    asked: Single, asking: Asking, *, account: str | None, node: str | None, alias: str | None
) -> c.Command:
    """The command for one payer and one payee: an account here, or an alias at a node."""
    check_account(asking.caller, asked.payer)
    head = asking.head(
        _content(
            "transfer",
            account=account,
            activity=asked.activity,
            alias=alias,
            confirmed_by=asked.confirmed_by,
            expires_in_seconds=asked.expires_in_seconds,
            given_minutes=asked.given_minutes,
            minutes=asked.minutes,
            node=node,
            payer=asked.payer,
            programme=asked.programme,
            purpose=asked.purpose,
            reason=asked.reason,
            served_on=asked.served_on,
        )
    )
    if node is not None and node != asking.node:
        assert alias is not None
        return _send(asked, asking, head, node, alias)
    paid, given_minutes = (asked.payer, -asked.minutes), asked.given_minutes
    said: dict[str, Any] = {
        "purpose": asked.purpose,
        "confirmed_by": confirmed_by(asking.caller, asked.confirmed_by),
        "activity": asked.activity,
        "served_on": asked.served_on,
        "programme": asked.programme,
        "reason": asked.reason,
    }
    if account is None:
        return c.PostTransfer(**head, **said, postings=(paid,), payee=alias, given_minutes=given_minutes)
    given = None if given_minutes is None else ((account, given_minutes),)
    return c.PostTransfer(**head, **said, postings=(paid, (account, asked.minutes)), given=given)


def _send(asked: Single, asking: Asking, head: dict[str, Any], node: str, alias: str) -> c.SendTransfer:
    if asked.purpose not in CROSS_PURPOSES:
        raise Refusal("purpose_invalid", "Between towns a transfer is a service or a gift.")
    if asked.reason is not None:
        raise Refusal("reason_needed")
    expires_at = asking.expires_at
    if asked.expires_in_seconds is not None:
        expires_at = _time_after(asking.now, asked.expires_in_seconds)
    return c.SendTransfer(
        **head,
        payer=asked.payer,
        peer=node,
        payee=alias,
        minutes=asked.minutes,
        payer_tag=payer_tag(asking.tag_key, key=head["key"], account=asked.payer),
        purpose=asked.purpose,
        expires_at=expires_at,
        activity=asked.activity,
        served_on=asked.served_on,
        given_minutes=asked.given_minutes,
        confirmed_by=confirmed_by(asking.caller, asked.confirmed_by),
        programme=asked.programme,
    )


class Said(Protocol):
    """What is said of a group's transfer, in whichever way it was decoded."""

    @property
    def purpose(self) -> str: ...
    @property
    def activity(self) -> str | None: ...
    @property
    def served_on(self) -> str | None: ...
    @property
    def confirmed_by(self) -> str | None: ...
    @property
    def programme(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...


Shares = Sequence[tuple[str, int]]


def group_command(asked: Said, postings: Shares, given: Shares | None, asking: Asking) -> c.PostTransfer:
    """The command for one act of several accounts; the caller must act for every one that pays."""
    for account, minutes in postings:
        if minutes <= 0:
            check_account(asking.caller, account)
    head = asking.head(
        _content(
            "group",
            activity=asked.activity,
            confirmed_by=asked.confirmed_by,
            given=None if given is None else [list(share) for share in given],
            postings=[list(posting) for posting in postings],
            programme=asked.programme,
            purpose=asked.purpose,
            reason=asked.reason,
            served_on=asked.served_on,
        )
    )
    return c.PostTransfer(
        **head,
        postings=tuple(postings),
        purpose=asked.purpose,
        confirmed_by=confirmed_by(asking.caller, asked.confirmed_by),
        activity=asked.activity,
        served_on=asked.served_on,
        given=None if given is None else tuple(given),
        programme=asked.programme,
        reason=asked.reason,
    )


def _content(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind} | {name: value for name, value in fields.items() if value is not None}


def confirmed_by(caller: Caller, said: str | None) -> str:
    """Who confirmed it: a member's own payment is confirmed by the receiver of the service, who is the payer."""
    kind = actor(caller).kind
    if said is None:
        if kind not in _CONFIRMS:
            raise Refusal("confirmation_needed")
        return _CONFIRMS[kind]
    if said in ("broker", "rule") and kind not in _BROKERS:
        raise Forbidden(f"Only a broker or operator says that it was confirmed by the {said}.")
    return said


def new_alias(tag_key: bytes, *, key: str, account: str) -> str:
    """A receiving address, 32 hex that nobody guesses: HMAC of key and account, so that one command asks for one."""
    return hmac.new(tag_key, f"alias\n{key}\n{account}".encode("ascii"), sha256).hexdigest()[:32]
