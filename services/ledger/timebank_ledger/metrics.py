"""Metrics of the ledger, in a registry of the application's own: no name, no account, no key is ever a label."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPMethod
from typing import Final

from prometheus_client import Counter, Gauge
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from timebank_contracts.figures import is_near
from timebank_kit.commit_loop import Stopped
from timebank_kit.metrics import exposition, new_registry
from timebank_ledger.fault_figures import add_fault_figures
from timebank_ledger.index import Index
from timebank_ledger.webhook_store import WebhookStore
from timebank_ledger.webhook_tables import STATES
from timebank_ledger.writer import Writer

METHODS: Final = frozenset(HTTPMethod)
"""Each pair of labels is kept for ever, and a caller may invent methods: all others are counted as one."""


class Metrics:
    """Counts answers by route and status, and reads the writer's gauges when they are scraped."""

    def __init__(self, writer: Writer, index: Index, webhooks: WebhookStore) -> None:
        self._registry = new_registry()
        self.answers = Counter(
            "timebank_ledger_answers", "HTTP answers.", ["route", "method", "status"], registry=self._registry
        )
        self._gauge("entries", "Committed entries of the journal.", lambda: writer.tail.length)
        self._gauge("waiting", "Commands that wait for the writer.", lambda: writer.loop.waiting)
        self._gauge("writer_up", "1 while commands are taken.", lambda: int(writer.loop.reason is None))
        self._gauge("rolled_back", "1 when a peer proved that entries are missing.", lambda: int(writer.rolled_back))
        self._gauge("doubts", "Times that the journal's tail was read back.", lambda: writer.loop.doubts)
        self._gauge("published", "Entries that the head file says are published.", lambda: writer.checkpoints.published)
        self._gauge("limits_near", "Limits of which 80 % are used: by peer, and the total.", lambda: _near(writer))
        self._gauge("indexed", "Entries that statements are read from.", lambda: index.position)
        add_fault_figures(self._registry, writer)
        self.deliveries = Counter(
            "timebank_ledger_webhook_deliveries", "Hints sent.", ["outcome"], registry=self._registry
        )
        counted = Gauge("timebank_ledger_webhooks", "Webhooks by state.", ["state"], registry=self._registry)
        for state in STATES:
            counted.labels(state).set_function(partial(webhooks.count, state))

    def _gauge(self, name: str, text: str, read: Callable[[], int]) -> None:
        Gauge(f"timebank_ledger_{name}", text, registry=self._registry).set_function(read)

    def text(self) -> bytes:
        """The exposition format of Prometheus."""
        return exposition(self._registry)


def _near(writer: Writer) -> int:
    try:
        with writer.reading() as book:
            peers = list(book.peers.values())
            near = [is_near(peer.debt, peer.owe_limit) for peer in peers]
            near += [is_near(-peer.clearing.balance, peer.owed_limit) for peer in peers]
            return sum([*near, is_near(book.debt, book.debt_limit)])
    except Stopped:
        return 0


class CountAnswers:
    """Counts each answer under its route's template, never its path."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._counters: dict[tuple[str, str, int], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in METHODS else "other"
                self._counter(route, method, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, counting)

    def _counter(self, route: str, method: str, status: int) -> Counter:
        """The counter of these labels, kept: looking one up takes longer than counting."""
        found = self._counters.get((route, method, status))
        if found is None:
            found = self._counters[route, method, status] = self._metrics.answers.labels(route, method, str(status))
        return found
