"""The sender: takes each endpoint's events in order, sends a hint of each, and notes what became of it.

    due endpoint ─▶ events from its cursor on ─▶ sign ─▶ outlet ─▶ settle (one commit) ─▶ the next event

An event is settled after it was sent: killed between the two, it is sent again under the same id, and never left out.
An endpoint in trouble waits by itself; a slow one holds one of a few threads for a turn, and the others take theirs in
order of who waited longest. Source: cases L-1, N-1; standardwebhooks.com.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from timebank_kit.clock import Clock
from timebank_kit.journal import Journal, JournalTrouble
from timebank_kit.tail import Tail
from timebank_ledger.feed import Event, Page, make_page
from timebank_ledger.index import Index
from timebank_ledger.webhook_hint import hint_body, hint_headers
from timebank_ledger.webhook_outlet import Answer, Outlet
from timebank_ledger.webhook_retry import Step, next_step
from timebank_ledger.webhook_store import WebhookStore
from timebank_ledger.webhook_tables import Delivery, Endpoint, milliseconds

WORKERS: Final = 8
"""Deliveries under way at a time."""
TURN_EVENTS_MAX: Final = 32
TURN_SECONDS: Final = 5.0
"""A turn ends with the delivery that is under way then: a slow receiver costs the others one delivery, not all."""
SKIP_ENTRIES: Final = 4_096
"""How far the cursor is remembered in memory only, past entries that nobody there wants: they are looked at again."""
PAUSE_SECONDS: Final = 0.25
IDLE_SECONDS: Final = 1.0
"""Between two looks while nobody is served."""
TROUBLE_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 20.0
A = TypeVar("A")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """Where events come from. The index is not hurried: it follows the journal by itself."""

    index: Index
    journal: Journal
    tail: Tail


class _Looked(NamedTuple):
    """How far an endpoint was looked at, under which wishes."""

    accounts: Sequence[str] | None
    types: Sequence[str] | None
    position: int


class WebhookSender:
    """Delivers webhooks; `turn` does it in the caller's thread, `start` in threads of its own until `close`.

    Args:
        store: what is wanted, and what was done.
        outlet: sends.
        source: what happened.
        clock: for signatures, and for when to try again.
        chance: gives numbers from 0 to below 1.
        on_attempt: told the outcome of every attempt.
    """

    def __init__(
        self,
        store: WebhookStore,
        outlet: Outlet,
        source: Source,
        *,
        clock: Clock,
        chance: Callable[[], float],
        on_attempt: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._source = source
        self._clock = clock
        self._chance = chance
        self._on_attempt = on_attempt
        self._looked: dict[str, _Looked] = {}
        self._closing = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None

    # One endpoint, in the caller's thread ------------------------------------------------------------------------

    def deliver_due(self) -> None:
        """A turn for each endpoint that has something to send now, one after the other."""
        for endpoint in self.ready():
            self.turn(endpoint.id)

    def ready(self) -> list[Endpoint]:
        """Endpoints that have something to send, or to look at, now."""
        reached = self._source.index.position
        due = self._store.due(milliseconds(self._clock.now()))
        self._looked = {one.id: self._looked[one.id] for one in due if one.id in self._looked}
        return [one for one in due if one.waiting or self._start(one) < reached]

    def turn(self, endpoint: str) -> None:
        """Serve an endpoint: what waits to be sent again, then events in order, until one fails or the turn is over."""
        found = self._store.find(endpoint)
        if found is None:
            return
        until = self._clock.monotonic() + TURN_SECONDS
        for delivery in self._store.waiting(endpoint) if found.waiting else ():
            self._send_again(found, delivery)
            if self._is_over(until):
                return
        if found.state != "active" or found.due > milliseconds(self._clock.now()):
            return
        if found.position > self._source.tail.length:
            self._fail(found, "journal_shorter")
            return
        page = self._page(found)
        now = found
        for event in page.events:
            if now.types is None or event.type in now.types:
                settled = self._send(now, event)
                if settled is None or settled.failures or settled.accounts != found.accounts or self._is_over(until):
                    return
                now = settled
        self._pass(found, now, page.after + 1)

    def _is_over(self, until: float) -> bool:
        return self._closing.is_set() or self._clock.monotonic() >= until

    def _start(self, endpoint: Endpoint) -> int:
        looked = self._looked.get(endpoint.id)
        if looked is None or (looked.accounts, looked.types) != (endpoint.accounts, endpoint.types):
            return endpoint.position
        return max(endpoint.position, looked.position)

    def _page(self, endpoint: Endpoint) -> Page:
        source = self._source
        return make_page(
            source.index,
            source.journal,
            accounts=endpoint.accounts,
            after=self._start(endpoint) - 1,
            stop=source.index.position,
            limit=TURN_EVENTS_MAX,
        )

    def _pass(self, asked: Endpoint, now: Endpoint, position: int) -> None:
        """Remember that an endpoint was served up to a position, by the wishes that it had."""
        self._looked[now.id] = _Looked(asked.accounts, asked.types, position)
        same = (asked.accounts, asked.types) == (now.accounts, now.types)
        if same and position - now.position >= SKIP_ENTRIES:
            self._store.move(now, position=position)

    def _send(self, endpoint: Endpoint, event: Event) -> Endpoint | None:
        """Send a hint and note it; the endpoint as it is then, None when it was changed meanwhile."""
        answer = self._post(endpoint, event=event.id, event_type=event.type, time=event.time, position=event.position)
        now = self._clock.now()
        step = next_step(answer, failures=endpoint.failures, now=now, chance=self._chance())
        delivery = Delivery(
            endpoint=endpoint.id,
            n=0,
            event=event.id,
            type=event.type,
            time=event.time,
            position=event.position,
            at=milliseconds(now),
            outcome=step.outcome,
            attempt=endpoint.failures + 1,
            by_hand=False,
            status=answer.status,
            failure=step.failure,
        )
        due = milliseconds(now) + int(step.delay_seconds * 1_000)
        settled = self._store.settle(endpoint, delivery, step, due=due)
        self._say(endpoint, step)
        return settled

    def _send_again(self, endpoint: Endpoint, waiting: Delivery) -> None:
        answer = self._post(
            endpoint, event=waiting.event, event_type=waiting.type, time=waiting.time, position=waiting.position
        )
        now = self._clock.now()
        step = next_step(answer, failures=0, now=now, chance=0)
        self._store.settle_again(waiting._replace(at=milliseconds(now), status=answer.status), step)
        self._on_attempt(step.outcome)

    def _post(self, endpoint: Endpoint, *, event: str, event_type: str, time: str, position: int) -> Answer:
        now = self._clock.now()
        body = hint_body(event=event, event_type=event_type, time=time, position=position)
        headers = hint_headers(body, event=event, secrets=endpoint.secrets(milliseconds(now)), now=now)
        return self._outlet.post(endpoint.url, headers=headers, body=body)

    def _fail(self, endpoint: Endpoint, failure: str) -> None:
        self._store.stop(endpoint, failure)
        _log.critical("webhook stopped", extra={"webhook": endpoint.id, "failure": failure})

    def _say(self, endpoint: Endpoint, step: Step) -> None:
        self._on_attempt(step.outcome)
        if step.state != "active":
            # An operator is told; the address and what it answered stay in the log of deliveries.
            _log.critical("webhook stopped", extra={"webhook": endpoint.id, "failure": step.failure})

    # All endpoints, in threads -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Deliver from now on."""
        assert self._thread is None, "a sender starts once"
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="ledger-webhooks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send nothing more; what was not settled is sent again by the next sender."""
        self._closing.set()
        if self._thread is not None and self._pool is not None:
            self._thread.join(timeout=CLOSE_SECONDS)
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        assert self._pool is not None
        places = threading.BoundedSemaphore(WORKERS)
        under_way: set[str] = set()
        served: dict[str, int] = {}
        turn_number = 0

        def serve(endpoint: str) -> None:
            try:
                self._guarded(lambda: self.turn(endpoint), None)
            finally:
                under_way.discard(endpoint)
                places.release()

        while not self._closing.wait(PAUSE_SECONDS if served or self._looked else IDLE_SECONDS):
            nobody: list[Endpoint] = []
            ready = [one.id for one in self._guarded(self.ready, nobody)]
            served = {endpoint: served.get(endpoint, 0) for endpoint in ready}
            for endpoint in sorted(ready, key=served.__getitem__):
                if endpoint in under_way or not places.acquire(blocking=False):
                    continue
                turn_number += 1
                served[endpoint] = turn_number
                under_way.add(endpoint)
                self._pool.submit(serve, endpoint)

    def _guarded(self, act: Callable[[], A], otherwise: A) -> A:
        """Trouble with a database is waited out, and a bug in one endpoint's turn does not end the others'."""
        try:
            return act()
        except (SQLAlchemyError, JournalTrouble):
            _log.exception("webhooks cannot be served now")
        except Exception:
            _log.critical("a webhook's turn ended in a bug", exc_info=True)
        self._closing.wait(TROUBLE_SECONDS)
        return otherwise
