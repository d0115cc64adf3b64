"""The plain pattern of the `eventsourcing` library, for comparison: what its documentation teaches, and nothing more.

Each account is an aggregate; a transfer loads two of them, changes both, and saves them with an aggregate of its own,
in one commit. Measured as it comes, and once more with the library's cache of aggregates on and believed, so that no
history is read again: the best that this pattern gives.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from deploy.bench.exchanges import ACCOUNTS, account, exchanges
from deploy.bench.setting import STORES, Setting

TRANSFERS, TRANSFERS_QUICK = 2_000, 100
FLOOR_MINUTES = -10_000_000


class Account(Aggregate):
    """A member's balance."""

    @event("Opened")
    def __init__(self, name: str) -> None:
        self.name = name
        self.balance = 0

    @event("Posted")
    def post(self, minutes: int) -> None:
        """Add minutes, which may be negative."""
        if self.balance + minutes < FLOOR_MINUTES:
            raise ValueError("The floor would be passed.")
        self.balance += minutes


class Transfer(Aggregate):
    """What was given."""

    @event("Made")
    def __init__(self, payer: UUID, payee: UUID, minutes: int) -> None:
        self.payer, self.payee, self.minutes = payer, payee, minutes


class Plain(Application[UUID]):
    """Two accounts and a transfer, saved together."""

    def open(self, name: str) -> UUID:
        """Open an account."""
        opened = Account(name)
        self.save(opened)
        return opened.id

    def transfer(self, payer: UUID, payee: UUID, minutes: int) -> None:
        """Move minutes in one commit."""
        giver: Any = self.repository.get(payer)
        taker: Any = self.repository.get(payee)
        giver.post(-minutes)
        taker.post(minutes)
        self.save(giver, taker, Transfer(payer, payee, minutes))


def bench_plain(setting: Setting) -> None:
    """Transfers a second by the plain pattern, and how many times as many the journal makes."""
    for kind in ("", "_cached"):
        for store in STORES:
            if setting.wants(f"plain_eventsourcing{kind}.{store}"):
                _bench_kind(setting, kind, store)


def _bench_kind(setting: Setting, kind: str, store: str) -> None:
    count = setting.count(TRANSFERS, quick=TRANSFERS_QUICK)
    with setting.journal_url(store) as url, closing(Plain(environment(store, url, cached=bool(kind)))) as plain:
        accounts = [plain.open(account(number)) for number in range(setting.count(ACCOUNTS, quick=100))]
        began = time.perf_counter()
        for number, one in enumerate(exchanges(count)):
            plain.transfer(accounts[number % len(accounts)], accounts[(number + 1) % len(accounts)], one.minutes)
        seconds = time.perf_counter() - began
    name = f"plain_eventsourcing{kind}.{store}.transfers_per_s"
    note = f"{count:,} transfers between {len(accounts):,} accounts in {seconds:.1f} s, one commit each"
    setting.figures.add(name, count / seconds, "transfers/s", note)
    setting.figures.add_times(f"journal.{store}.times_plain{kind}", f"journal.{store}.transfers_per_s", name)


def environment(store: str, url: str, *, cached: bool) -> dict[str, str]:
    """The library's own settings for a store."""
    cache = {"AGGREGATE_CACHE_MAXSIZE": str(4 * ACCOUNTS), "AGGREGATE_CACHE_FASTFORWARD": "n"} if cached else {}
    if store == "memory":
        return {"PERSISTENCE_MODULE": "eventsourcing.popo", **cache}
    if store == "sqlite":
        path = url.removeprefix("sqlite:")
        return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path, **cache}
    parts = urlsplit(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_HOST": parts.hostname or "127.0.0.1",
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": parts.password or "",
        **cache,
    }
