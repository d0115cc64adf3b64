"""A town's ledger in memory behind its real HTTP application, and callers with real tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx

from timebank_contracts.entries import Actor
from timebank_contracts.keys import SigningKey
from timebank_contracts.tokens import TokenKey
from timebank_kit.clock import ManualClock
from timebank_kit.journal import Journal, open_journal
from timebank_kit.settings import read_settings
from timebank_kit.web import AsgiBridge
from timebank_ledger import commands as c
from timebank_ledger.access import Access, issuers_of
from timebank_ledger.api import make_app
from timebank_ledger.head import HeadFile
from timebank_ledger.index import Index
from timebank_ledger.settings import Settings
from timebank_ledger.webhook_store import WebhookStore
from timebank_ledger.writer import Writer

NETWORK = "timebank.example"
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
OPERATOR = Actor(kind="operator", id="op")


def seed(number: int) -> bytes:
    return number.to_bytes(32, "big")


class Keys:
    """Keys of one town, made from its number."""

    def __init__(self, number: int) -> None:
        self.log = SigningKey(seed(100 * number + 1))
        self.event = SigningKey(seed(100 * number + 2))
        self.token = SigningKey(seed(100 * number + 3))
        self.signs_tokens = TokenKey(seed(100 * number + 3), self.token.public)
        self.signs_node_tokens = TokenKey(seed(100 * number + 2), self.event.public)


@dataclass
class Client:
    """One caller: a token, and a new Idempotency-Key for each command unless one is given."""

    http: httpx.Client
    token: str
    keys: Iterator[int]

    def post(self, path: str, body: Any = None, *, key: str | None = "", **options: Any) -> httpx.Response:
        return self._send("POST", path, body, key=key, **options)

    def put(self, path: str, body: Any = None, *, key: str | None = "", **options: Any) -> httpx.Response:
        return self._send("PUT", path, body, key=key, **options)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(path, headers=self.headers, params=params or None)

    def delete(self, path: str, *, key: str | None = "", **options: Any) -> httpx.Response:
        return self._send("DELETE", path, None, key=key, **options)

    def _send(self, method: str, path: str, body: Any, *, key: str | None, **options: Any) -> httpx.Response:
        headers = dict(self.headers)
        if key is not None:
            headers["Idempotency-Key"] = key or f"key-{next(self.keys)}"
        if body is not None:
            options["json"] = body
        return self.http.request(method, path, headers=headers | options.pop("headers", {}), **options)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Town:
    """A ledger with two members, an organisation and a pot, at 10:00 on 2 March 2026."""

    def __init__(self, node: str, number: int, journal: Journal, **more: int) -> None:
        self.node = node
        self.keys = Keys(number)
        self.clock = ManualClock(START)
        self.journal = journal
        self.writer = Writer(journal, clock=self.clock, log_key=self.keys.log, head=HeadFile(None))
        self.index = Index("sqlite://", journal, name="test")
        self.webhooks = WebhookStore("sqlite://", name="test")
        self.access = Access(
            NETWORK,
            node,
            issuers_of(node=node, token_keys=[self.keys.token.public], event_keys=[self.keys.event.public]),
        )
        said = {"network": NETWORK, "node": node} | {name: str(value) for name, value in more.items()}
        environ = {f"TIMEBANK_LEDGER_{name.upper()}": value for name, value in said.items()}
        settings = read_settings(Settings, environ | {"OTHER": "1"})
        randoms = count(1)
        self.app = make_app(
            writer=self.writer,
            access=self.access,
            index=self.index,
            settings=settings,
            clock=self.clock,
            tag_key=seed(9),
            random_bytes=lambda size: next(randoms).to_bytes(size, "big"),
            webhooks=self.webhooks,
        )
        self.bridge = AsgiBridge(self.app)
        self.http = httpx.Client(transport=self.bridge, base_url="http://ledger")
        self._keys = count(1)

    def begin(self) -> None:
        """The first entries of the town."""
        commands: list[c.Command] = [
            c.OpenNode(by=OPERATOR, network=NETWORK, node=self.node, generation="g1"),
            c.ChangePolicy(by=OPERATOR, default_floor=-600, default_ceiling=6_000, debt_limit=60_000),
            c.OpenAccount(by=OPERATOR, account="pot", kind="pot", floor=0, ceiling=10_000_000),
            c.OpenAccount(by=OPERATOR, account="alys", kind="member"),
            c.OpenAccount(by=OPERATOR, account="bryn", kind="member"),
            c.OpenAccount(by=OPERATOR, account="library", kind="organisation"),
        ]
        for command in commands:
            self.writer.submit(command).result()

    def client(self, *scopes: str, subject: str = "op", accounts: frozenset[str] | None = None) -> Client:
        """A caller with a token of the directory."""
        token = self.keys.signs_tokens.issue(
            issuer=f"{self.node}/directory",
            subject=subject,
            audience=f"{NETWORK}/{self.node}",
            scopes=frozenset(scopes),
            accounts=accounts,
            now_seconds=int(self.clock.now().timestamp()),
            seconds=900,
        )
        return Client(self.http, token, self._keys)

    def member(self, account: str) -> Client:
        """A member with a token for their own account."""
        scopes = "transfers:write", "statements:read", "accounts:read"
        return self.client(*scopes, subject=account, accounts=frozenset({account}))

    def operator(self) -> Client:
        """An operator, who may act for every account."""
        return self.client("operate", "transfers:write", "audit:read")

    def federation(self) -> Client:
        """The town's own federation service."""
        token = self.keys.signs_node_tokens.issue(
            issuer=self.node,
            subject=self.node,
            audience=f"{NETWORK}/{self.node}",
            scopes=frozenset({"federation"}),
            accounts=frozenset(),
            now_seconds=int(self.clock.now().timestamp()),
            seconds=60,
        )
        return Client(self.http, token, self._keys)

    def close(self) -> None:
        self.http.close()
        self.bridge.close()
        self.writer.close()
        self.index.close()
        self.webhooks.close()
        self.journal.close()


@contextmanager
def open_town(
    node: str = "aberdare", number: int = 1, *, url: str = "memory:", begin: bool = True, **more: int
) -> Iterator[Town]:
    """A town that is closed at the end; `more` are settings of its ledger."""
    town = Town(node, number, open_journal(url, node), **more)
    try:
        if begin:
            town.begin()
        yield town
    finally:
        town.close()


def gift(payer: str, payee: str, minutes: Any) -> dict[str, Any]:
    """A transfer body without anything that a service needs."""
    return {"payer": payer, "payee": {"account": payee}, "minutes": minutes, "purpose": "gift"}
