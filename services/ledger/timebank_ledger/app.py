"""The ledger, wired: the only place where its parts meet.

Reading order of the room: `propose.py` and `peers.py` (what happens to the book), `writer.py` (when it is written),
`edge.py` and `api.py` (who may ask), `index.py`, `publication.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from timebank_contracts.entries import NodeOpened, decode_entry
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_decode
from timebank_contracts.note import parse_vkey
from timebank_contracts.registry import Registry
from timebank_contracts.tokens import audience
from timebank_kit.clock import Clock
from timebank_kit.files import read_secret
from timebank_kit.journal import Journal, open_journal, originator_of
from timebank_kit.oidc import open_issuer
from timebank_kit.settings import read_settings
from timebank_ledger.access import Access, issuers_of
from timebank_ledger.api import make_app
from timebank_ledger.edge import Edge
from timebank_ledger.follower import Follower
from timebank_ledger.head import HeadFile
from timebank_ledger.index import Index
from timebank_ledger.index_store import index_url
from timebank_ledger.metrics import Metrics
from timebank_ledger.publication import export_town
from timebank_ledger.settings import Settings
from timebank_ledger.snapshot import SnapshotFile
from timebank_ledger.snapshot_job import SnapshotJob
from timebank_ledger.timer import Timer
from timebank_ledger.webhook_outlet import Outlet, trusted
from timebank_ledger.webhook_sender import Source, WebhookSender
from timebank_ledger.webhook_store import WebhookStore
from timebank_ledger.webhook_tables import webhooks_url
from timebank_ledger.writer import Writer

_log = logging.getLogger(__name__)


STORE_JOURNALS_READ_MAX = 256


class WrongJournal(Exception):
    """The journal belongs to another network or node; the text says which setting to change."""


@dataclass(frozen=True, kw_only=True)
class OpenLedger:
    """The running parts."""

    settings: Settings
    writer: Writer
    index: Index
    follower: Follower
    sender: WebhookSender
    timer: Timer
    snapshot_job: SnapshotJob
    app: FastAPI

    def export(
        self,
        directory: Path,
        *,
        vkey: str,
        registries: Mapping[int, bytes],
        checkpoint: bytes | None = None,
        notes: Mapping[str, bytes] | None = None,
    ) -> int:
        """Write the log as files that an auditor takes; returns how many entries.

        Args:
            directory: gets the files.
            vkey: the log's verifier key.
            registries: envelopes by version.
            checkpoint: up to which one; None: up to now.
            notes: by path, as `export_town` takes them.
        """
        return export_town(
            self.writer.journal,
            checkpoint=self.writer.checkpoint(fresh=True) if checkpoint is None else checkpoint,
            vkey=parse_vkey(vkey),
            registries=registries,
            directory=directory,
            notes=notes,
        )

    def close(self) -> None:
        """Commit what is parked and release everything."""
        self.timer.close()
        self.sender.close()
        self.follower.close()
        self.snapshot_job.close()
        self.writer.close()
        self.index.close()
        self.app.state.edge.webhooks.close()
        self.writer.journal.close()


def _check_owner(writer: Writer, settings: Settings) -> None:
    """Raise `WrongJournal` unless the journal is this town's, or a new one in a store where it may begin."""
    with writer.reading() as book:
        found = book.identity
    if found is None:
        _refuse_another_networks_store(writer.journal, settings)
    elif (found.network, found.node) != (settings.network, settings.node):
        raise WrongJournal(f"The journal is {found.origin}'s; set TIMEBANK_LEDGER_JOURNAL_URL to this town's.")


def _refuse_another_networks_store(journal: Journal, settings: Settings) -> None:
    """A town without a journal begins one in an empty store, or beside the towns of its own network."""
    openings = [record for record in journal.first_records(STORE_JOURNALS_READ_MAX) if record.topic == "node.opened"]
    entries = [decode_entry(record.state) for record in openings]
    networks = {entry.data.network for entry in entries if isinstance(entry, NodeOpened)}
    if networks and settings.network not in networks:
        raise WrongJournal(
            f"The database in TIMEBANK_LEDGER_JOURNAL_URL holds journals of {', '.join(sorted(networks)[:3])} and none "
            f"of {settings.network}; name this network's database, or an empty one."
        )


def _start_sender(app: FastAPI) -> WebhookSender:
    edge: Edge = app.state.edge
    metrics: Metrics = app.state.metrics
    local = edge.settings.webhook_allow_loopback
    sender = WebhookSender(
        edge.webhooks,
        Outlet(monotonic=edge.clock.monotonic, tls=trusted, allow_loopback=local),
        Source(edge.index, edge.writer.journal, edge.writer.tail),
        clock=edge.clock,
        chance=lambda: int.from_bytes(edge.random_bytes(4)) / 2**32,
        on_attempt=lambda outcome: metrics.deliveries.labels(outcome).inc(),
    )
    sender.start()
    return sender


def open_ledger(
    environ: Mapping[str, str],
    *,
    clock: Clock,
    random_bytes: Callable[[int], bytes],
    registry: Registry | None,
    issuer_http: httpx.Client | None = None,
) -> OpenLedger:
    """Open the ledger that the settings describe: replay the journal, check it against the head file, make the API.

    Args:
        environ: holds `TIMEBANK_LEDGER_…`.
        clock: gives times.
        random_bytes: gives receiving addresses.
        registry: the latest registry document that is held, or None.
        issuer_http: a client for the outside issuer's keys; by default a new one.

    Raises:
        WrongJournal: the journal is another town's, or the store is another network's.
        JournalBehindHead, ClockWrong, UnsafeStorage, UnsafeFile, JournalTrouble, Refusal, Malformed: the text says
            what to do.
    """
    settings = read_settings(Settings, environ)
    if settings.log_key_file is None or settings.tag_key_file is None:
        raise Malformed("Set TIMEBANK_LEDGER_LOG_KEY_FILE and …_TAG_KEY_FILE; `node init` makes them.")
    if settings.token_key is None and settings.oidc_issuer is None:
        raise Malformed("Set TIMEBANK_LEDGER_TOKEN_KEY, the directory's, or TIMEBANK_LEDGER_OIDC_ISSUER and its keys.")
    name = f"{settings.network}/{settings.node}"
    try:
        journal = open_journal(settings.journal_url, name)
    except ValueError as error:
        raise Malformed(f"TIMEBANK_LEDGER_JOURNAL_URL cannot be used. {error}") from error
    writer = Writer(
        journal,
        clock=clock,
        log_key=SigningKey(read_secret(settings.log_key_file)),
        head=HeadFile(settings.head_file),
        snapshot=SnapshotFile(None if settings.journal_url == "memory:" else settings.snapshot_file),
        registry=registry,
        queue_limit=settings.queue_limit,
        clock_confirmed=settings.clock_confirmed,
        on_stop=lambda reason: _log.critical("writer stopped", extra={"reason": reason}),
    )
    _check_owner(writer, settings)
    index = Index(index_url(settings.journal_url), journal, name=originator_of(name).hex)
    token_keys = [] if settings.token_key is None else [b64_decode(settings.token_key)]
    event_keys = [] if settings.event_key is None else [b64_decode(key) for key in settings.event_key.split(",")]
    issuers = issuers_of(node=settings.node, token_keys=token_keys, event_keys=event_keys)
    outside = open_issuer(settings, audience=audience(settings.network, settings.node), clock=clock, http=issuer_http)
    app = make_app(
        writer=writer,
        access=Access(settings.network, settings.node, issuers, outside),
        index=index,
        settings=settings,
        clock=clock,
        tag_key=read_secret(settings.tag_key_file),
        random_bytes=random_bytes,
        webhooks=WebhookStore(webhooks_url(settings.journal_url), name=originator_of(name).hex),
    )
    timer = Timer(writer, clock.now)
    timer.start()
    return OpenLedger(
        settings=settings,
        writer=writer,
        index=index,
        follower=Follower(index, writer.tail),
        sender=_start_sender(app),
        timer=timer,
        snapshot_job=SnapshotJob(writer, every_entries=settings.snapshot_every_entries),
        app=app,
    )
