"""One story for each room, told to a town on paper: every operation once, in an order that makes sense.

    stories ── told to a town ──▶ what was asked and answered ── `python -m tests.stories` ──▶ examples, documents

The documents show these examples, and a test tells the stories again: what stands in a document is what is answered.
Secrets and tokens are left out of what is kept. After a wanted change: `python -m tests.stories`, which also writes the
documents anew.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import msgspec

from tests.documented import Json
from tests.federation.towns import FederatedTown, following, open_towns
from tests.federation.towns import signed as signed_version
from tests.ledger.pair_of_towns import both_open, make_registry, open_pair, registered, segment_from, signed
from tests.ledger.town_api import Town
from tests.rooms import ALL, Room
from timebank_contracts.agreements import LimitAgreement, sign_agreement
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import Witness
from timebank_contracts.witness_request import WitnessRequest, make_request
from timebank_federation.witness import Witness as AsWitness
from timebank_ledger.webhook_retry import Step
from timebank_ledger.webhook_tables import Delivery, milliseconds

ROOT: Final = Path(__file__).parents[1]
SHORT: Final = {"access_token": "eyJhbGciOiJFZDI1NTE5In0…", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
CLIENT_SECRET: Final = "Zk1qX3vN8pR5tW7yB2dF4hJ6mQ9sU0aE"
WITHOUT_TEXT: Final = {
    "getOpenapi": "the document does not hold itself",
    "getMetrics": "its numbers are of no town",
    "getPaymentCode": "it is a picture",
    "getJournalText": "it is a whole file, whose form docs/statements.md shows",
}
"""Operations whose answer is text, and not kept; and why."""


class Story:
    """Tells a room what to do and keeps what was asked and answered, once for each operation."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.kept: dict[str, Json] = {}

    def ask(self, name: str, *, status: int = 200, query: Json = None, body: Any = None, **path: str) -> Json:
        """Ask an operation; returns the answer's value, or its text.

        Args:
            name: its operationId.
            status: what must be answered.
            query: its parameters.
            body: a value; a text for lines; bytes for bytes.
            path: the parameters of the path.
        """
        operation = self.room.documented.operations[name]
        kind = next(iter(operation.get("requestBody", {}).get("content", {})), None)
        form = kind == "application/x-www-form-urlencoded"
        sent: dict[str, Any] = {"data": body} if form else {}
        if body is not None and not form:
            raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
            sent = {"content": raw, "headers": {"Content-Type": kind}}
        answer = self.room.send(operation, path=operation["path"].format_map(path), params=query, **sent)
        assert answer.status_code == status, f"{name}: {answer.text}"
        self.room.documented.check(operation, answer)
        media = answer.headers.get("content-type", "").partition(";")[0]
        told: Json = None
        if answer.content and (media.startswith("text/") or "json" in media):
            told = answer.json() if media == "application/json" else answer.text
        kept = {"path": path, "query": query, "body": None if isinstance(body, bytes) else body, "status": str(status)}
        kept["answer"] = None if name in WITHOUT_TEXT else _without_secrets(told)
        self.kept.setdefault(name, {part: value for part, value in kept.items() if value not in (None, {})})
        return told


def _without_secrets(told: Json) -> Json:
    if not isinstance(told, dict):
        return told
    return {name: SHORT[name] if name in SHORT and value else value for name, value in told.items()}


def ledger_story() -> dict[str, Json]:
    """A month in Aberdare."""
    with open_pair(wait_seconds_max=0) as (town, barry):
        tokens = {"federation": town.federation().token, "other": town.client(*ALL).token}
        story = Story(Room("ledger", town.http, tokens, {}, lambda: town.writer.tail.length, town.app))
        _accounts(story)
        transfer = _transfers(story)
        _claims(story)
        _money(story, transfer)
        _streams(story, town, barry)
        _addresses(story)
        _webhooks(story, town)
        _reports(story, town)
        _leaving(story)
    return story.kept


def _accounts(story: Story) -> None:
    ask = story.ask
    ask("openAccount", status=201, body={"account": "dewi", "kind": "member"})
    programme = {"account": "garden-days", "kind": "programme", "owner": "library", "floor": -1_200}
    ask("openAccount", status=201, body=programme)
    ask("getPolicy")
    policy = {"default_floor": -600, "default_ceiling": 6_000, "debt_limit": 60_000, "claim_tolerance_percent": 10}
    ask("setPolicy", body=policy)
    ask("getLimits", account="alys")
    ask("setLimits", body={"floor": -1_200, "ceiling": 6_000}, account="alys")
    ask("getAccountState", account="alys")
    ask("setAccountState", body={"state": "frozen"}, account="dewi")
    ask("setAccountState", body={"state": "open"}, account="dewi")


def _transfers(story: Story) -> str:
    ask = story.ask
    said = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01", "confirmed_by": "receiver"}
    one = {"payer": "alys", "payee": {"account": "bryn"}, "minutes": 90} | said
    transfer: str = ask("postTransfer", status=201, body=one)["id"]
    ask("getTransfer", transfer=transfer)
    many = [one | {"key": "garden-1", "minutes": 30}, one | {"key": "garden-2", "minutes": 0}]
    ask("postTransfers", body=many)
    lines = [one | {"key": "garden-1", "minutes": 30}, one | {"key": "garden-3", "minutes": 45}]
    ask("uploadTransfers", body="".join(json.dumps(line) + "\n" for line in lines))
    ask("reverseTransfer", status=201, body={"reason": "mistake", "minutes": 30}, transfer=transfer)
    return transfer


def _claims(story: Story) -> None:
    ask = story.ask
    said = {"giver": "alys", "receiver": "bryn", "minutes": 60, "activity": "repair", "served_on": "2026-03-01"}
    claims = [str(ask("makeClaim", status=201, body=said)["id"]) for _ in range(4)]
    ask("getClaim", claim=claims[0])
    ask("confirmClaim", status=201, body={"minutes": 60, "confirmed_by": "receiver"}, claim=claims[0])
    ask("withdrawClaim", claim=claims[1])
    ask("disputeClaim", body={"reason": "other_minutes"}, claim=claims[2])
    ask("listClaims", query={"account": "bryn"})
    ask("upholdClaim", claim=claims[2])


def _money(story: Story, transfer: str) -> None:
    said = {"minor_units": 1_250, "currency": "GBP", "kind": "materials", "settled_by": "bank", "paid_on": "2026-03-01"}
    story.ask("recordMoney", status=201, body=said | {"transfer": transfer})
    story.ask("listMoney", query={"transfer": transfer})


def _streams(story: Story, town: Town, barry: Town) -> None:
    ask = story.ask
    alias: str = ask("issueAlias", status=201, body={"audience": "barry"}, account="bryn")["alias"]
    there = barry.client("transfers:write", subject="broker")
    gift = {"payer": "alys", "payee": {"node": "aberdare", "alias": alias}, "minutes": 20, "purpose": "gift"}
    assert there.post("/v1/transfers", gift).status_code == 201
    ask("takeSegment", body=segment_from(barry, "aberdare", after=0))
    ask("refundTransfer", status=201, body={"minutes": 5}, transfer="barry.g1.aberdare.1")
    ask("thankForTransfer", status=201, body={"side": "payee"}, transfer="barry.g1.aberdare.1")
    ask("readMessages", query={"after": 0}, peer="barry")
    forged = segment_from(barry, "aberdare", after=1, messages=[b"{}"])
    ask("takeSegment", body=forged)
    said = {"text": "A witness cosigned 6 entries.", "note": town.writer.checkpoint().decode()}
    ask("sayContradiction", body=json.dumps(said).encode())
    ask("listStreams")
    ask("thawStream", body={"reason": "node_mended"}, peer="barry")
    ask("changePeer", body={"suspended": False, "own_limit": 3000}, peer="barry")
    ask("listPositions")
    back = msgspec.structs.replace(registered("barry", 2), generation="g2")
    second = make_registry(registered("aberdare", 1), back, version=2, previous=both_open().sha256)
    ask("acceptRegistry", body=signed(second))
    ask("readKept", query={"generation": "g1", "after": 0}, peer="barry")
    ask("revokeAlias", status=204, alias=alias)


def _addresses(story: Story) -> None:
    ask = story.ask
    made = ask("issueAlias", status=201, body={}, account="bryn")
    ask("listAliases", account="bryn")
    ask("getAlias", alias=made["alias"])
    ask("getPaymentCode", alias=made["alias"])
    scanned = {"payer": "alys", "payee": {"address": made["address"]}, "minutes": 15, "purpose": "gift"}
    ask("postTransfer", status=201, body=scanned | {"confirmed_by": "receiver"})


def _webhooks(story: Story, town: Town) -> None:
    ask = story.ask
    said = {"url": "https://hooks.example.org/timebank", "types": ["transfer.posted"]}
    webhook: str = ask("createWebhook", status=201, body=said)["id"]
    ask("getWebhook", webhook=webhook)
    ask("listWebhooks")
    ask("editWebhook", body=said | {"types": ["claim.made", "transfer.posted"]}, webhook=webhook)
    ask("rotateWebhookSecret", body={"overlap_seconds": 86_400}, webhook=webhook)
    ask("enableWebhook", webhook=webhook)
    _note_a_delivery(town, webhook)
    ask("listWebhookDeliveries", webhook=webhook)
    ask("replayWebhookDelivery", status=202, webhook=webhook, delivery="1")
    ask("deleteWebhook", status=204, webhook=webhook)


def _note_a_delivery(town: Town, webhook: str) -> None:
    """As the sender notes one, without sending it."""
    endpoint = town.webhooks.find(webhook)
    assert endpoint is not None
    now = milliseconds(town.clock.now())
    position = town.writer.tail.length
    said: dict[str, Any] = {
        "event": f"evt-aberdare-g1-{position}",
        "type": "transfer.posted",
        "time": "2026-03-02T10:00:00.000Z",
    }
    tried: dict[str, Any] = {
        "at": now,
        "outcome": "delivered",
        "attempt": 1,
        "by_hand": False,
        "status": 204,
        "failure": None,
    }
    delivery = Delivery(endpoint=webhook, n=1, position=position, **said, **tried)
    town.webhooks.settle(endpoint, delivery, Step("delivered", "active", None, 0, 0.0), due=0)


def _reports(story: Story, town: Town) -> None:
    ask = story.ask
    ask("listAccounts", query={"limit": 2})
    ask("getAccount", account="garden-days")
    ask("getStatement", query={"from": "2026-03-01", "to": "2026-03-31", "limit": 2}, account="alys")
    ask("getBalance", query={"date": "2026-03-31"}, account="alys")
    ask("getTrialBalance", query={"date": "2026-03-31"})
    ask("getJournalText", query={"from": "2026-03-01", "to": "2026-03-31"})
    ask("readEvents", query={"after": 9, "limit": 2})
    ask("readAccountEvents", query={"after": 9, "limit": 2}, account="alys")
    ask("readJournal", query={"after": 0, "limit": 2})
    ask("getCheckpoint")
    part = f"000.p/{town.writer.tail.length}"
    ask("getEntryBundle", path=part)
    ask("getTile", level="0", path=part)
    for name in ("isAlive", "isReady", "getMetrics", "getOpenapi"):
        ask(name)


def _leaving(story: Story) -> None:
    story.ask("beginClosing", account="dewi")


def _federated(tell: Callable[[FederatedTown, FederatedTown], dict[str, Json]]) -> dict[str, Json]:
    with TemporaryDirectory() as folder, open_towns(Path(folder), "aberdare", "barry") as network:
        network.send("aberdare", "barry", key="gift")
        network.pump()
        return tell(network["aberdare"], network["barry"])


def directory_story() -> dict[str, Json]:
    """Somebody comes to Aberdare, is paid from Barry, and goes."""
    return _federated(_tell_directory)


def _tell_directory(town: FederatedTown, barry: FederatedTown) -> dict[str, Json]:
    node = barry.node_headers(to="aberdare")["Authorization"].removeprefix("Bearer ")
    tokens = {"federation": node, "other": town.directory.token(*ALL)}
    story = Story(Room("directory", town.http, tokens, {}, lambda: 0, town.directory.app))
    ask = story.ask
    new = {"handle": "mair", "name": "Mair", "language": "cy", "payable_from_other_towns": True}
    account: str = ask("enrolMember", status=201, body=new)["account"]
    ask("enrolOrganisation", status=201, body={"handle": "library", "name": "The Library", "floor": 0, "ceiling": 600})
    ask("listPeople", query={"limit": 2})
    ask("changeConsent", body={"payable_from_other_towns": True}, account=account)
    ask("givePayee", body={"handle": "mair"})
    ask("resolvePayee", body={"handle": "bryn", "node": "barry"})
    clients = town.directory.directory.clients
    clients.add("office", scopes=["accounts:read"], accounts=None, secret=CLIENT_SECRET, salt=b"s" * 16)
    form = {"grant_type": "client_credentials", "client_id": "office", "client_secret": CLIENT_SECRET}
    ask("getToken", body=form | {"scope": "accounts:read"})
    ask("erasePerson", status=204, account=account)
    for name in ("getPublicKey", "isAlive", "isReady", "getMetrics", "getOpenapi"):
        ask(name)
    return story.kept


def federation_story() -> dict[str, Json]:
    """Barry asks at Aberdare's door."""
    return _federated(_tell_federation)


def _tell_federation(town: FederatedTown, barry: FederatedTown) -> dict[str, Json]:
    node = barry.node_headers(to="aberdare")["Authorization"].removeprefix("Bearer ")
    tokens = {"federation": node, "other": town.directory.token(*ALL)}
    with httpx.Client(transport=town.door, base_url="http://aberdare.example") as door:
        story = Story(Room("federation", door, tokens, {}, lambda: 0, town.federation.app))
        ask = story.ask
        ask("getSegment", query={"after": 0}, sender_node="aberdare", generation="g1", to="barry")
        ask("askPayee", body={"handle": "bryn"})
        ask("getRegistry", version="latest")
        ask("putRegistry", body=town.federation.registries.envelopes[1])
        said = LimitAgreement(
            network="timebank.example",
            towns=["aberdare", "barry"],
            limit=3000,
            proposed_at="2026-03-02T10:00:00.000Z",
            proposed_by="barry",
        )
        ask("takeLimit", body=sign_agreement(said, barry.key), peer="barry")
        ask("listLimits")
        ask("assentLimit", peer="barry")
        ask("proposeLimit", body={"peer": "barry", "limit": 6000})
        _witnessed(story, town, barry)
        ask("getFederationState")
        for name in ("isAlive", "isReady", "getMetrics", "getOpenapi"):
            ask(name)
    return story.kept


def _witnessed(story: Story, town: FederatedTown, barry: FederatedTown) -> None:
    """Each town stands at the other's door as its witness, under one key."""
    key = SigningKey(bytes([9]) * 32)
    registries = town.federation.registries
    in_force = registries.latest
    assert in_force is not None
    named = Witness(name="barry.example/witness", key=b64_encode(key.public), url="http://barry.example")
    registries.add(signed_version(following(in_force, witnesses=[named])))
    with TemporaryDirectory() as folder:
        for one in (town, barry):
            cosigned = Path(folder) / one.name
            witness = AsWitness(key=key, folder=cosigned, registry=lambda: registries.latest, clock=town.around.clock)
            one.federation.app.state.witness = witness
        note = town.ledger.writer.checkpoint()
        story.ask("addCheckpoint", body=make_request(WitnessRequest(0, [], note)).decode())
        story.ask("getWitnessed", digest=sha256(town.home.identity.origin.encode()).hexdigest())
        assert town.federation.witnessing.step() == 1
        story.ask("getCosigned")


STORIES: Final = {"ledger": ledger_story, "directory": directory_story, "federation": federation_story}


def examples_file(room: str) -> Path:
    """Where a room keeps its examples."""
    return ROOT / "services" / room / f"timebank_{room}" / "examples.json"


def examples_text(kept: dict[str, Json]) -> str:
    return json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for room, story in STORIES.items():
        examples_file(room).write_text(examples_text(story()), "utf-8")
        document = ROOT / "contracts" / "openapi" / f"{room}.json"
        subprocess.run([sys.executable, "-m", f"timebank_{room}.openapi", str(document)], check=True)
