"""What a node answers to others over HTTPS: its streams to the peer they are for, the registry to anybody, aliases."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from tests.ledger.pair_of_towns import both_open, open_pair, signed
from tests.ledger.town_api import NETWORK, Town
from timebank_contracts.errors import REFUSALS
from timebank_contracts.names import Identity
from timebank_contracts.problems import EDGE, STATUS, problem
from timebank_contracts.segments import is_signed_by, parse_segment
from timebank_contracts.tokens import NODE_TOKEN_SECONDS, audience
from timebank_directory import api as directory_api
from timebank_directory.assertions import Assertions
from timebank_directory.clients import Clients
from timebank_directory.edge import Directory
from timebank_directory.people import People, Person
from timebank_directory.rooms import LedgerDoor, PeerDirectories
from timebank_directory.used_keys import UsedKeys
from timebank_federation import api as federation_api
from timebank_federation.agreements import Agreements
from timebank_federation.ledger_client import LedgerClient
from timebank_federation.peer_door import HttpDoor
from timebank_federation.quarantine import Quarantine
from timebank_federation.receiver import Receiver
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender
from timebank_federation.witness_door import HttpWitnessDoor
from timebank_federation.witnessing import Witnessing
from timebank_kit.web import AsgiBridge

ABERDARE = Identity(NETWORK, "aberdare", "g1")
STREAM = "/v1/streams/aberdare/g1/barry"


def node_token(town: Town, *, to: str) -> dict[str, str]:
    """The header with which a town's node calls another."""
    token = town.keys.signs_node_tokens.issue(
        issuer=town.node,
        subject=town.node,
        audience=audience(NETWORK, to),
        scopes=frozenset({"federation"}),
        accounts=frozenset(),
        now_seconds=int(town.clock.now().timestamp()),
        seconds=NODE_TOKEN_SECONDS,
    )
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def towns() -> Iterator[tuple[Town, Town]]:
    with open_pair() as pair:
        yield pair


@pytest.fixture
def federation(towns: tuple[Town, Town], directory: httpx.Client) -> Iterator[httpx.Client]:
    """Aberdare's federation service."""
    town = towns[0]
    registries = Registries(None)
    registries.add(signed(both_open()))
    ledger = LedgerClient(town.http, lambda: town.federation().token)
    sender = Sender(
        ledger=ledger,
        outbox=None,
        event_key=lambda: town.keys.event,
        registry_version=lambda: registries.version,
        clock=town.clock,
    )
    sender.load()
    with httpx.Client() as nowhere:
        receiver = Receiver(
            identity=ABERDARE,
            ledger=ledger,
            registries=registries,
            sender=sender,
            door=HttpDoor(nowhere, lambda _: ""),
            quarantine=Quarantine(None),
            clock=town.clock,
        )
        app = federation_api.make_app(
            identity=ABERDARE,
            sender=sender,
            receiver=receiver,
            registries=registries,
            clock=town.clock,
            operators=town.access.issuers["aberdare/directory"],
            metrics=CollectorRegistry(),
            trouble=lambda: None,
            directory=directory,
            agreements=Agreements(
                identity=ABERDARE,
                folder=None,
                registries=registries,
                ledger=ledger,
                key=lambda: town.keys.event,
                send=lambda peer, envelope: False,
                clock=town.clock,
            ),
            witnessing=Witnessing(
                identity=ABERDARE,
                registry=lambda: registries.latest,
                ledger=ledger,
                door=HttpWitnessDoor(nowhere),
                folder=None,
                clock=town.clock,
            ),
        )
        yield from _open(app)


@pytest.fixture
def directory(towns: tuple[Town, Town]) -> Iterator[httpx.Client]:
    """Aberdare's directory: `alys` may be paid from other towns, `bryn` may not."""
    town = towns[0]
    people, clients, ids = People("sqlite://", "aberdare"), Clients("sqlite://", "aberdare"), count(1)
    used_keys = UsedKeys("sqlite://", "aberdare")
    for account, consent in (("alys", True), ("bryn", False)):
        person = Person(account=account, handle=account, kind="member", name="A", payable_from_other_towns=consent)
        people.add(person)
    with httpx.Client() as nowhere:
        app = directory_api.make_app(
            Directory(
                identity=ABERDARE,
                people=people,
                clients=clients,
                assertions=Assertions(clients, "aberdare", {"timebank.example/aberdare"}),
                used_keys=used_keys,
                ledger=LedgerDoor(town.http, lambda: town.operator().token),
                peers=PeerDirectories(nowhere, lambda _: "", both_open),
                registry=both_open,
                token_key=town.keys.signs_tokens,
                token_public=town.keys.token.public,
                clock=town.clock,
                new_id=lambda: f"id-{next(ids)}",
                metrics=CollectorRegistry(),
            )
        )
        yield from _open(app)
    people.close()
    clients.close()
    used_keys.close()


def _open(app: Any) -> Iterator[httpx.Client]:
    bridge = AsgiBridge(app)
    with httpx.Client(transport=bridge, base_url="http://aberdare") as client:
        yield client
    bridge.close()


def test_a_stream_is_read_by_the_peer_it_is_for_and_nobody_else(
    towns: tuple[Town, Town], federation: httpx.Client
) -> None:
    """PROTOCOL.md W4."""
    aberdare, barry = towns
    answer = federation.get(STREAM, params={"after": 0}, headers=node_token(barry, to="aberdare"))
    segment = parse_segment(answer.content)
    assert segment.statement.to == "barry"
    assert is_signed_by(segment.envelope, (aberdare.keys.event.public,))
    assert federation.get(STREAM, params={"after": 0}).status_code == 401
    for headers, status in (
        (node_token(barry, to="cardiff"), 401),
        (node_token(aberdare, to="aberdare"), 403),
        (aberdare.operator().headers, 403),
    ):
        assert federation.get(STREAM, params={"after": 0}, headers=headers).status_code == status
    barry.clock.advance(NODE_TOKEN_SECONDS)
    aberdare.clock.advance(4 * NODE_TOKEN_SECONDS)
    late = federation.get(STREAM, params={"after": 0}, headers=node_token(barry, to="aberdare"))
    assert late.status_code == 401


def test_the_registry_is_answered_to_anybody(federation: httpx.Client) -> None:
    """PROTOCOL.md W5."""
    for version in ("1", "latest"):
        assert federation.get(f"/.well-known/timebank/registry/{version}").content == signed(both_open())
    for version in ("0", "2", "01x", "-1", "\u0661"):
        assert federation.get(f"/.well-known/timebank/registry/{version}").status_code == 404


def test_what_a_node_says_of_its_streams_is_for_its_operators(
    towns: tuple[Town, Town], federation: httpx.Client
) -> None:
    """PROTOCOL.md W6."""
    path = "/v1/federation/state"
    assert federation.get(path).status_code == 401
    assert federation.get(path, headers=node_token(towns[1], to="aberdare")).status_code == 403
    assert federation.get(path, headers=towns[0].operator().headers).status_code == 200


@pytest.mark.parametrize("door", ["federation", "directory"])
def test_a_handle_becomes_an_alias_for_one_peer_by_consent(
    towns: tuple[Town, Town], request: pytest.FixtureRequest, door: str
) -> None:
    """PROTOCOL.md W7: asked at the directory, or through the town's one door to its peers."""
    client: httpx.Client = request.getfixturevalue(door)
    headers = node_token(towns[1], to="aberdare")
    given = client.post("/v1/payees", json={"handle": "alys"}, headers=headers)
    assert given.status_code == 200
    assert len(given.json()["alias"]) == 32
    answers = [client.post("/v1/payees", json={"handle": handle}, headers=headers) for handle in ("bryn", "nobody")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert client.post("/v1/payees", json={"handle": "alys"}).status_code == 401
    assert client.post("/v1/payees", json={"handle": "alys"}, headers=towns[0].operator().headers).status_code == 403


def test_each_code_is_a_problem_with_one_status() -> None:
    """PROTOCOL.md H1."""
    assert STATUS.keys() == REFUSALS.keys() | EDGE.keys()
    for code, status in STATUS.items():
        body = problem(code)
        assert (body["code"], body["status"]) == (code, status)
        assert {"type", "title", "detail"} <= body.keys()
