"""The edge: what every route of the directory shares. What the application is wired to, and who may call a route.

Source: design page 4; PROTOCOL.md W1 to W3 and W9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from timebank_contracts.names import Identity
from timebank_contracts.registry import Registry
from timebank_contracts.tokens import SCOPES, Caller, Issuer, TokenKey, audience, bearer, peer_issuers
from timebank_directory.assertions import Assertions
from timebank_directory.attempts import Attempts
from timebank_directory.clients import Clients
from timebank_directory.people import People
from timebank_directory.rooms import LedgerDoor, PeerDirectories
from timebank_directory.used_keys import Asked, UsedKeys, asked_under
from timebank_kit.clock import Clock
from timebank_kit.idempotency import KEY_HEADER, check_key
from timebank_kit.oidc import OutsideIssuer, caller_of
from timebank_kit.openapi import needs
from timebank_kit.problem_answers import EdgeProblem
from timebank_kit.rate_limit import RateLimit

RATE_PER_SECOND: Final = 50
RATE_BURST: Final = 2_000
"""Of each client and each peer's node; operators, who enrol a whole town in a row, are not counted."""


@dataclass(frozen=True, kw_only=True)
class Directory:
    """What the application is wired to."""

    identity: Identity
    people: People
    clients: Clients
    assertions: Assertions
    ledger: LedgerDoor
    peers: PeerDirectories
    registry: Callable[[], Registry | None]
    token_key: TokenKey
    token_public: bytes
    clock: Clock
    new_id: Callable[[], str]
    """Makes an opaque id of 20 characters a-z, 2-7."""
    metrics: CollectorRegistry
    used_keys: UsedKeys
    outside: OutsideIssuer | None = None
    """An issuer that the town believes beside its directory."""
    attempts: Attempts = field(default_factory=Attempts)
    rates: RateLimit = field(default_factory=lambda: RateLimit(per_second=RATE_PER_SECOND, burst=RATE_BURST))

    def count(self, client: str) -> None:
        """Count a request of a client; raises `EdgeProblem` (`rate_limited`) when they ask too often."""
        seconds = self.rates.take(client, now=self.clock.monotonic())
        if seconds:
            raise EdgeProblem("rate_limited", headers={"Retry-After": str(ceil(seconds))})

    @property
    def issuer(self) -> Issuer:
        """The directory as an issuer of tokens."""
        return Issuer(f"{self.identity.node}/directory", (self.token_public,), SCOPES - {"federation"})

    @property
    def audience(self) -> str:
        """For whom its tokens are: the town."""
        return audience(self.identity.network, self.identity.node)


def _directory(request: Request) -> Directory:
    found: Directory = request.app.state.directory
    return found


TheDirectory = Annotated[Directory, Depends(_directory)]


def guarded(scope: str, *, keyed: bool = False) -> dict[str, Any]:
    """What a route says of itself that needs a token of this scope: the document, and the check.

    Args:
        scope: what the token must allow.
        keyed: an Idempotency-Key is demanded, see `asked_with`.
    """

    def check(request: Request, directory: TheDirectory) -> None:
        issuers = {directory.issuer.name: directory.issuer, **peer_issuers(directory.registry())}
        caller = caller_of(
            bearer(request.headers.get("authorization")),
            issuers=issuers,
            outside=directory.outside,
            audience=directory.audience,
            now_seconds=int(directory.clock.now().timestamp()),
        )
        if scope not in caller.scopes:
            raise EdgeProblem("forbidden", f"This needs a token of scope {scope}.")
        if "operate" not in caller.scopes:
            directory.count(f"{caller.issuer}/{caller.subject}")
        request.state.caller = caller
        if keyed:
            check_key(request.headers.get(KEY_HEADER))

    return {"dependencies": [Depends(check)], "openapi_extra": needs(scope, keyed=keyed)}


def asked_with(request: Request, **content: Any) -> Asked:
    """A keyed route's request under its key; `content` is all that was asked.

    Args:
        request: its caller is judged.
    """
    caller: Caller = request.state.caller
    key = check_key(request.headers.get(KEY_HEADER))
    return asked_under(key, client=f"{caller.issuer}/{caller.subject}", content=content)
