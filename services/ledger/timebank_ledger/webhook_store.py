"""The store of webhooks: what a client asks is written once per key, and a delivery is noted in the act that moves on.

    client ─▶ ask(Asked, change) ─▶ one commit: the change, and the key that asked for it
    sender ─▶ settle ─▶ one commit: the delivery's row, the cursor, the state

A cursor moves only from where it was read, so that an endpoint that was changed meanwhile is never moved past an event.
Reading order: `webhook_tables.py`, here. Source: cases L-1, N-1; design page 3, "Idempotency".
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from timebank_contracts.errors import Refusal
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger.webhook_retry import Step
from timebank_ledger.webhook_tables import (
    Delivery,
    Endpoint,
    State,
    Tables,
    delivery_of,
    endpoint_of,
    endpoint_row,
    open_engine,
)

ENDPOINTS_PER_OWNER_MAX: Final = 16
ENDPOINTS_MAX: Final = 1_000
DELIVERIES_KEPT: Final = 500
"""Rows in the log of one endpoint; older ones are forgotten."""
WAITING_MAX: Final = 100
KEYS_KEPT: Final = 1_000
"""Idempotency keys remembered for one client; older ones are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks for a change, and under which key; a dry run is answered and not written."""

    owner: str
    key: str
    digest: str
    now: int
    dry_run: bool = False


class Changed(NamedTuple):
    """What a change gave; the endpoint is None when it is gone. `repeated`: the same key asked before."""

    endpoint: Endpoint | None
    delivery: Delivery | None = None
    repeated: bool = False


Change = Callable[[sa.Connection], Changed]


class WebhookStore:
    """Keeps the webhooks of one journal.

    Args:
        url: see `webhook_tables.webhooks_url`.
        name: tells apart the journals of one database: letters, digits and `_`.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, OSError: it cannot be opened.
        UnsafeFile: its file is open to others.
    """

    def __init__(self, url: str, *, name: str) -> None:
        self.tables = Tables(name)
        self.engine = open_engine(url)
        self._writing = threading.Lock()
        """A change reads before it writes, so changes come one after another."""
        self._reading: AbstractContextManager[Any] = self._writing if url == "sqlite://" else nullcontext()
        """A database in memory has one connection only."""
        self.tables.metadata.create_all(self.engine)
        self._counts: dict[str, int] = {}
        self._recount()

    def close(self) -> None:
        """Release the database."""
        self.engine.dispose()

    # What clients ask --------------------------------------------------------------------------------------------

    def ask(self, asked: Asked, endpoint: str, change: Change) -> Changed:
        """Make a change once: asked again with the same key, it answers what it left behind.

        Args:
            asked: by whom.
            endpoint: id of what is changed.
            change: makes it, in the commit that also keeps the key.

        Raises:
            Refusal: `key_reused`.
            EdgeProblem: what `change` refuses.
        """
        keys = self.tables.keys
        with self._writing, self.engine.connect() as connection, connection.begin() as act:
            found = (keys.c.owner == asked.owner) & (keys.c.key == asked.key)
            before = connection.execute(sa.select(keys).where(found)).one_or_none()
            if before is not None:
                if before.digest != asked.digest:
                    raise Refusal("key_reused")
                delivery = None if before.n is None else self._delivery(connection, before.endpoint, before.n)
                return Changed(self._endpoint(connection, before.endpoint), delivery, repeated=True)
            changed = change(connection)
            row = {"owner": asked.owner, "key": asked.key, "digest": asked.digest, "at": asked.now}
            n = None if changed.delivery is None else changed.delivery.n
            connection.execute(keys.insert().values(**row, endpoint=endpoint, n=n))
            self._forget_keys(connection, asked.owner)
            if asked.dry_run:
                act.rollback()
                return changed
        self._recount()
        return changed

    def add(self, endpoint: Endpoint) -> Change:
        """A change that adds an endpoint; `webhook_limit` when the client or the town has too many."""

        def change(connection: sa.Connection) -> Changed:
            c = self.tables.endpoints.c
            count = sa.select(sa.func.count()).select_from(self.tables.endpoints)
            own = connection.execute(count.where(c.owner == endpoint.owner)).scalar_one()
            if own >= ENDPOINTS_PER_OWNER_MAX or connection.execute(count).scalar_one() >= ENDPOINTS_MAX:
                raise EdgeProblem("webhook_limit")
            connection.execute(self.tables.endpoints.insert().values(**endpoint_row(endpoint)))
            return Changed(endpoint)

        return change

    def edit(self, endpoint: str, edit: Callable[[Endpoint], Endpoint]) -> Change:
        """A change of an endpoint as it is in the commit; `webhook_unknown` when it is gone."""

        def change(connection: sa.Connection) -> Changed:
            edited = edit(self._known(connection, endpoint))
            self._replace(connection, edited)
            return Changed(edited)

        return change

    def remove(self, endpoint: str) -> Change:
        """A change that removes an endpoint and its log."""

        def change(connection: sa.Connection) -> Changed:
            self._known(connection, endpoint)
            connection.execute(self.tables.endpoints.delete().where(self.tables.endpoints.c.id == endpoint))
            connection.execute(self.tables.deliveries.delete().where(self.tables.deliveries.c.endpoint == endpoint))
            return Changed(None)

        return change

    def send_again(self, endpoint: str, n: int, *, now: int) -> Change:
        """A change that lets a delivery be sent once more, whatever the endpoint's state."""

        def change(connection: sa.Connection) -> Changed:
            found = self._known(connection, endpoint)
            again = self._delivery(connection, endpoint, n)
            if again is None:
                raise EdgeProblem("delivery_unknown")
            if found.waiting >= WAITING_MAX:
                raise EdgeProblem("webhook_limit", "Too many deliveries wait to be sent again; come again later.")
            moved = found._replace(deliveries=found.deliveries + 1, waiting=found.waiting + 1)
            waiting = again._replace(
                n=moved.deliveries, at=now, outcome="waiting", attempt=1, by_hand=True, status=None, failure=None
            )
            self._note(connection, moved, waiting)
            return Changed(moved, waiting)

        return change

    # What is read ------------------------------------------------------------------------------------------------

    def find(self, endpoint: str) -> Endpoint | None:
        """An endpoint, or None."""
        with self._reading, self.engine.connect() as connection:
            return self._endpoint(connection, endpoint)

    def page(self, owner: str | None, *, after: str, limit: int) -> list[Endpoint]:
        """Up to `limit` endpoints of a client, or of all (None), in order of id, after an id."""
        c = self.tables.endpoints.c
        wanted = sa.select(self.tables.endpoints).where(c.id > after).order_by(c.id).limit(limit)
        if owner is not None:
            wanted = wanted.where(c.owner == owner)
        return [endpoint_of(row) for row in self._rows(wanted)]

    def deliveries(self, endpoint: str, *, before: int, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries with numbers below `before`, the newest first."""
        c = self.tables.deliveries.c
        wanted = sa.select(self.tables.deliveries).where(c.endpoint == endpoint, c.n < before)
        return [delivery_of(row) for row in self._rows(wanted.order_by(c.n.desc()).limit(limit))]

    def count(self, state: State) -> int:
        """How many endpoints are in a state, as of the last change: no database is asked, so this never waits."""
        return self._counts.get(state, 0)

    # What the sender does ----------------------------------------------------------------------------------------

    def due(self, now: int) -> list[Endpoint]:
        """Endpoints that may be served at this moment, at most `ENDPOINTS_MAX`, in order of id."""
        c = self.tables.endpoints.c
        ready = ((c.state == "active") & (c.due <= now)) | (c.waiting > 0)
        wanted = sa.select(self.tables.endpoints).where(ready).order_by(c.id).limit(ENDPOINTS_MAX)
        return [endpoint_of(row) for row in self._rows(wanted)]

    def waiting(self, endpoint: str) -> list[Delivery]:
        """Deliveries that wait to be sent again, the oldest first."""
        c = self.tables.deliveries.c
        wanted = sa.select(self.tables.deliveries).where(c.endpoint == endpoint, c.outcome == "waiting")
        return [delivery_of(row) for row in self._rows(wanted.order_by(c.n).limit(WAITING_MAX))]

    def settle(self, served: Endpoint, delivery: Delivery, step: Step, *, due: int) -> Endpoint | None:
        """Note an attempt for the event at the cursor, and move past it when it was delivered: one commit.

        Args:
            served: the endpoint as it was when the attempt was made.
            delivery: the attempt; its number is given here.
            step: what it leads to.
            due: when the next attempt may be made.

        Returns:
            The endpoint as it is now; None when it was moved, disabled or removed meanwhile.
        """
        with self._writing, self.engine.begin() as connection:
            now = self._endpoint(connection, served.id)
            if now is None or (now.position, now.state) != (served.position, served.state):
                return None
            moved = now._replace(
                position=delivery.position + 1 if step.outcome == "delivered" else now.position,
                state=step.state,
                failure=step.failure,
                failures=step.failures,
                due=due,
                deliveries=now.deliveries + 1,
            )
            if moved.old_secret is not None and delivery.at >= moved.old_secret_until:
                moved = moved._replace(old_secret=None)
            self._note(connection, moved, delivery._replace(n=moved.deliveries))
        if moved.state != served.state:
            self._recount()
        return moved

    def settle_again(self, delivery: Delivery, step: Step) -> None:
        """Note what became of a delivery that was sent again by hand; the endpoint's state and cursor stand."""
        c = self.tables.deliveries.c
        with self._writing, self.engine.begin() as connection:
            now = self._endpoint(connection, delivery.endpoint)
            found = (c.endpoint == delivery.endpoint) & (c.n == delivery.n) & (c.outcome == "waiting")
            said: dict[str, Any] = {"outcome": step.outcome, "status": delivery.status, "failure": step.failure}
            connection.execute(self.tables.deliveries.update().where(found).values(**said, at=delivery.at))
            if now is not None:
                left = sa.select(sa.func.count()).select_from(self.tables.deliveries)
                waiting = connection.execute(left.where(c.endpoint == now.id, c.outcome == "waiting")).scalar_one()
                self._replace(connection, now._replace(waiting=waiting))

    def move(self, served: Endpoint, *, position: int) -> None:
        """Move the cursor past entries that the endpoint does not want."""
        with self._writing, self.engine.begin() as connection:
            now = self._endpoint(connection, served.id)
            if now is not None and now.position == served.position:
                self._replace(connection, now._replace(position=position))

    def stop(self, served: Endpoint, failure: str) -> None:
        """Let an endpoint wait for somebody to resume it."""
        with self._writing, self.engine.begin() as connection:
            now = self._endpoint(connection, served.id)
            if now is not None and now.state == "active":
                self._replace(connection, now._replace(state="failing", failure=failure))
        self._recount()

    # Rows --------------------------------------------------------------------------------------------------------

    def _known(self, connection: sa.Connection, endpoint: str) -> Endpoint:
        found = self._endpoint(connection, endpoint)
        if found is None:
            raise EdgeProblem("webhook_unknown")
        return found

    def _endpoint(self, connection: sa.Connection, endpoint: str) -> Endpoint | None:
        wanted = sa.select(self.tables.endpoints).where(self.tables.endpoints.c.id == endpoint)
        row = connection.execute(wanted).one_or_none()
        return None if row is None else endpoint_of(row)

    def _delivery(self, connection: sa.Connection, endpoint: str, n: int) -> Delivery | None:
        c = self.tables.deliveries.c
        wanted = sa.select(self.tables.deliveries).where(c.endpoint == endpoint, c.n == n)
        row = connection.execute(wanted).one_or_none()
        return None if row is None else delivery_of(row)

    def _replace(self, connection: sa.Connection, endpoint: Endpoint) -> None:
        c = self.tables.endpoints.c
        connection.execute(self.tables.endpoints.update().where(c.id == endpoint.id).values(**endpoint_row(endpoint)))

    def _note(self, connection: sa.Connection, endpoint: Endpoint, delivery: Delivery) -> None:
        """Replace an endpoint, add a row to its log, and forget the rows that are too many."""
        c = self.tables.deliveries.c
        self._replace(connection, endpoint)
        connection.execute(self.tables.deliveries.insert().values(**delivery._asdict()))
        old = (c.endpoint == endpoint.id) & (c.n <= endpoint.deliveries - DELIVERIES_KEPT) & (c.outcome != "waiting")
        connection.execute(self.tables.deliveries.delete().where(old))

    def _forget_keys(self, connection: sa.Connection, owner: str) -> None:
        c = self.tables.keys.c
        newest = sa.select(c.at).where(c.owner == owner).order_by(c.at.desc()).offset(KEYS_KEPT).limit(1)
        limit = connection.execute(newest).scalar_one_or_none()
        if limit is not None:
            connection.execute(self.tables.keys.delete().where(c.owner == owner, c.at <= limit))

    def _recount(self) -> None:
        state = self.tables.endpoints.c.state
        self._counts = dict(self._rows(sa.select(state, sa.func.count()).group_by(state)))

    def _rows(self, wanted: sa.Select[Any]) -> list[Any]:
        with self._reading, self.engine.connect() as connection:
            return list(connection.execute(wanted))
