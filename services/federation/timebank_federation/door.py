"""What federation's routes work with, and who calls them: a peer by its node token, or somebody of this town."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from timebank_contracts.names import Identity
from timebank_contracts.tokens import Caller, Issuer, audience, bearer, peer_issuers
from timebank_federation.agreements import Agreements
from timebank_federation.receiver import Receiver
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender
from timebank_federation.witnessing import Witnessing
from timebank_kit.clock import Clock
from timebank_kit.oidc import OutsideIssuer, caller_of


@dataclass(frozen=True, kw_only=True)
class Door:
    """What the routes work with."""

    identity: Identity
    sender: Sender
    receiver: Receiver
    registries: Registries
    clock: Clock
    operators: Issuer
    metrics: CollectorRegistry
    trouble: Callable[[], str | None]
    directory: httpx.Client
    outside: OutsideIssuer | None
    agreements: Agreements
    witnessing: Witnessing


def _door(request: Request) -> Door:
    found: Door = request.app.state.door
    return found


TheDoor = Annotated[Door, Depends(_door)]


def _caller(request: Request, door: TheDoor) -> Caller:
    issuers = {door.operators.name: door.operators, **peer_issuers(door.registries.latest)}
    return caller_of(
        bearer(request.headers.get("authorization")),
        issuers=issuers,
        outside=door.outside,
        audience=audience(door.identity.network, door.identity.node),
        now_seconds=int(door.clock.now().timestamp()),
    )


TheCaller = Annotated[Caller, Depends(_caller)]
