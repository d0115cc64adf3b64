"""A receiver of webhooks on this machine, and a town that sends to it: a real connection, by a clock set by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.ledger.town_api import Town, gift
from timebank_ledger.webhook_outlet import Outlet, trusted
from timebank_ledger.webhook_sender import Source, WebhookSender
from timebank_ledger.webhook_store import WebhookStore


class Received(NamedTuple):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Said(NamedTuple):
    """What the receiver answers."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


FINE = Said(204)


@dataclass
class Receiver:
    """Keeps what it gets, and answers what `answer` says for each request."""

    url: str = ""
    answer: Callable[[Received], Said] = lambda _: FINE
    received: list[Received] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.received]

    @property
    def positions(self) -> list[int]:
        return [int(one.rsplit("-", 1)[1]) for one in self.ids]

    def says(self, *said: Said, then: Said = FINE) -> None:
        """Answer so in turn, and `then` ever after."""
        turns = iter(said)
        self.answer = lambda _: next(turns, then)


@contextmanager
def open_receiver() -> Iterator[Receiver]:
    """A receiver that listens until the end."""
    receiver = Receiver()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            one = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.received.append(one)
            said = receiver.answer(one)
            self.send_response_only(said.status)
            for name, value in said.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}/in"
        yield receiver
        server.shutdown()
        thread.join()


def sender_of(
    town: Town,
    *,
    store: WebhookStore | None = None,
    chance: Callable[[], float] = lambda: 0.0,
    on_attempt: Callable[[str], None] = lambda outcome: None,
) -> WebhookSender:
    """A sender of a town's webhooks that may send to this machine."""
    return WebhookSender(
        store or town.webhooks,
        Outlet(monotonic=town.clock.monotonic, tls=trusted, allow_loopback=True),
        Source(town.index, town.journal, town.writer.tail),
        clock=town.clock,
        chance=chance,
        on_attempt=on_attempt,
    )


def deliver(town: Town, sender: WebhookSender, *, turns: int = 1) -> None:
    """Let the index follow, and the sender take some turns."""
    for _ in range(turns):
        town.index.advance_to(town.writer.tail.length)
        sender.deliver_due()


def pay(town: Town, *minutes: int) -> list[int]:
    """Gifts from alys to bryn; returns the positions of their entries."""
    answers = [town.member("alys").post("/v1/transfers", gift("alys", "bryn", one)) for one in minutes]
    return [int(answer.json()["position"]) for answer in answers]


def subscribe(town: Town, receiver: Receiver, **wishes: Any) -> dict[str, Any]:
    """A webhook of alys's own."""
    answer = town.member("alys").post("/v1/webhooks", {"url": receiver.url, **wishes})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made
