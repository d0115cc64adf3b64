"""Federation, wired: the only place where its parts meet.

Reading order of the room: `sender.py` and `receiver.py` (what happens), `outgoing.py` (what is due), `worker.py`
(when), `broker.py` and `broker_kafka.py` (the fast path), `api.py` (the door to peers).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx
from fastapi import FastAPI

from timebank_contracts.names import Identity
from timebank_contracts.tokens import NODE_TOKEN_SECONDS, SCOPES, Issuer, TokenKey, audience
from timebank_federation.agreements import Agreements
from timebank_federation.api import make_app
from timebank_federation.broker import Inbox, Outbox
from timebank_federation.ledger_client import LedgerClient
from timebank_federation.metrics import federation_metrics
from timebank_federation.own_keys import OwnKeys
from timebank_federation.peer_door import HttpDoor
from timebank_federation.quarantine import Quarantine
from timebank_federation.receiver import Receiver
from timebank_federation.recovery import Recovery
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender
from timebank_federation.witness import Witness
from timebank_federation.witness_door import HttpWitnessDoor
from timebank_federation.witness_metrics import witness_metrics
from timebank_federation.witnessing import Witnessing
from timebank_federation.worker import Worker
from timebank_kit.clock import Clock
from timebank_kit.oidc import OutsideIssuer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What runs behind the door."""

    sender: Sender
    receiver: Receiver
    registries: Registries
    outbox: Outbox | None
    inbox: Inbox | None
    ledger: LedgerClient
    agreements: Agreements
    witnessing: Witnessing
    witness: Witness | None
    recovery: Recovery


@dataclass(frozen=True)
class Federation(Parts):
    """The parts, what makes them run, and the door to them."""

    worker: Worker
    app: FastAPI

    def hand_over_registries(self) -> int:
        """Give the ledger the registry versions that it has not accepted yet; returns how many. Raises `LedgerAway`."""
        return self.receiver.hand_over_registries()

    def close(self) -> None:
        """Stop what runs and release what is held."""
        self.worker.stop()
        if self.outbox is not None:
            self.outbox.close()


def node_token(key: TokenKey, identity: Identity, clock: Clock, *, aud: str) -> str:
    """A token of 60 seconds in the node's own name."""
    return key.issue(
        issuer=identity.node,
        subject=identity.node,
        audience=aud,
        scopes=frozenset({"federation"}),
        accounts=frozenset(),
        now_seconds=int(clock.now().timestamp()),
        seconds=NODE_TOKEN_SECONDS,
    )


def open_federation(
    *,
    identity: Identity,
    own_keys: OwnKeys,
    token_public: bytes,
    registries: Registries,
    ledger_http: httpx.Client,
    directory_http: httpx.Client,
    peer_http: httpx.Client,
    outbox: Outbox | None,
    inbox: Inbox | None,
    quarantine: Quarantine,
    clock: Clock,
    poll_seconds: float,
    outside: OutsideIssuer | None = None,
    on_registry: Callable[[], None] = lambda: None,
    agreements_folder: Path | None = None,
    witness: Witness | None = None,
    cosigned_folder: Path | None = None,
    witness_seconds: float = 30.0,
) -> Federation:
    """Wire one node's federation; nothing runs yet.

    Args:
        identity: this node.
        own_keys: its event keys.
        token_public: raw public key under which the town's directory issues operators' tokens.
        registries: who may sign.
        ledger_http: a client whose base URL is the town's ledger.
        directory_http: a client whose base URL is the town's directory.
        peer_http: a client for peers' URLs.
        outbox: the way to the broker, None without one.
        inbox: this node's topic, None without a broker.
        quarantine: keeps what had no effect.
        clock: for tokens and repetition.
        poll_seconds: pause between polls of peers without a broker.
        outside: an issuer that the town believes beside its directory.
        on_registry: called after the ledger accepted a newer registry.
        agreements_folder: keeps proposals and agreements of limits; None: in memory.
        witness: this node as a witness of its peers; None: it is none.
        cosigned_folder: keeps what witnesses cosigned of this node's log; None: in memory.
        witness_seconds: pause between two checkpoints that a witness is asked about.
    """
    own = audience(identity.network, identity.node)
    ledger = LedgerClient(ledger_http, lambda: node_token(own_keys.token(), identity, clock, aud=own))
    sender = Sender(
        ledger=ledger,
        outbox=outbox,
        event_key=own_keys.signing,
        registry_version=lambda: registries.version,
        clock=clock,
    )

    def accepted() -> None:
        on_registry()
        sender.load()

    door = HttpDoor(peer_http, lambda aud: node_token(own_keys.token(), identity, clock, aud=aud))
    receiver = Receiver(
        identity=identity,
        ledger=ledger,
        registries=registries,
        sender=sender,
        door=door,
        quarantine=quarantine,
        clock=clock,
        on_registry=accepted,
    )
    agreements = _agreements(identity, agreements_folder, registries, ledger, own_keys, door, clock)
    receiver.stated.folder = cosigned_folder
    asked = _Asked(HttpWitnessDoor(peer_http), witness, cosigned_folder, witness_seconds)
    witnessing = _witnessing(identity, registries, ledger, clock, asked)
    recovery = Recovery(identity=identity, ledger=ledger, registries=registries, door=door, sender=sender)
    parts = Parts(sender, receiver, registries, outbox, inbox, ledger, agreements, witnessing, witness, recovery)
    return _behind_one_door(
        parts, _worker(parts, poll_seconds), _Outer(identity, clock, token_public, directory_http, outside)
    )


def _worker(parts: Parts, poll_seconds: float) -> Worker:
    return Worker(
        sender=parts.sender,
        receiver=parts.receiver,
        inbox=parts.inbox,
        poll_seconds=poll_seconds,
        prepare=parts.receiver.hand_over_registries,
        forked=lambda: parts.registries.fork,
        hand_over=parts.agreements.hand_over_again,
        witness=parts.witnessing.step,
        put_back=parts.recovery.step,
    )


def _agreements(
    identity: Identity,
    folder: Path | None,
    registries: Registries,
    ledger: LedgerClient,
    own_keys: OwnKeys,
    door: HttpDoor,
    clock: Clock,
) -> Agreements:
    return Agreements(
        identity=identity,
        folder=folder,
        registries=registries,
        ledger=ledger,
        key=own_keys.signing,
        send=lambda peer, envelope: door.put_limit(peer, me=identity, envelope=envelope),
        clock=clock,
    )


class _Asked(NamedTuple):
    """How witnesses are asked: see `open_federation`."""

    door: HttpWitnessDoor
    own: Witness | None
    folder: Path | None
    seconds: float


def _witnessing(
    identity: Identity, registries: Registries, ledger: LedgerClient, clock: Clock, asked: _Asked
) -> Witnessing:
    return Witnessing(
        identity=identity,
        registry=lambda: registries.latest,
        ledger=ledger,
        door=asked.door,
        folder=asked.folder,
        clock=clock,
        own_key=lambda: None if asked.own is None else asked.own.key,
        ask_seconds=asked.seconds,
    )


@dataclass(frozen=True)
class _Outer:
    """What only the routes need."""

    identity: Identity
    clock: Clock
    token_public: bytes
    directory: httpx.Client
    outside: OutsideIssuer | None


def _behind_one_door(parts: Parts, worker: Worker, outer: _Outer) -> Federation:
    sender, receiver, registries = parts.sender, parts.receiver, parts.registries
    metrics = federation_metrics(sender, receiver, worker, registries, clock=outer.clock)
    metrics.register(witness_metrics(parts.witnessing, parts.witness))
    app = make_app(
        identity=outer.identity,
        sender=sender,
        receiver=receiver,
        registries=registries,
        clock=outer.clock,
        operators=Issuer(f"{outer.identity.node}/directory", (outer.token_public,), SCOPES - {"federation"}),
        metrics=metrics,
        trouble=lambda: worker.trouble,
        directory=outer.directory,
        agreements=parts.agreements,
        witnessing=parts.witnessing,
        witness=parts.witness,
        outside=outer.outside,
    )
    given = {name: getattr(parts, name) for name in Parts.__dataclass_fields__}
    return Federation(**given, worker=worker, app=app)
