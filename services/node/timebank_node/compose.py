"""A town from its rooms: the only place where services meet.

    one process:       ledger app ◀─ in-process HTTP ─ directory, federation, console      one port (`dispatch`)
    a process each:    ledger app ◀──────── HTTP ───── directory ◀── federation            a port each

The rooms speak HTTP to each other in both, over another transport: one path, not two.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx

from timebank_console.app import make_app as make_console
from timebank_contracts.keys import b64_encode
from timebank_contracts.names import inbox_topic
from timebank_contracts.registry import open_registry
from timebank_contracts.tokens import audience
from timebank_directory.app import OpenDirectory, open_directory
from timebank_directory.settings import DirectorySettings
from timebank_federation.app import Federation, node_token, open_federation
from timebank_federation.broker import EmbeddedBroker, Inbox, Outbox
from timebank_federation.broker_security import read_security
from timebank_federation.own_keys import OwnKeys
from timebank_federation.quarantine import Quarantine
from timebank_federation.registries import Registries
from timebank_federation.settings import FederationSettings
from timebank_federation.witness import Witness
from timebank_kit.clock import Clock
from timebank_kit.oidc import OidcSettings, OutsideIssuer, open_issuer
from timebank_kit.settings import read_settings
from timebank_kit.web import App, AsgiBridge
from timebank_ledger.app import OpenLedger, open_ledger
from timebank_node.bootstrap import TownPolicy, first_commands
from timebank_node.dispatch import Dispatch, route
from timebank_node.home import Home
from timebank_node.one_identity import check_identity_is_ours
from timebank_node.together import Together

HTTP_SECONDS = 60.0
PEER_SECONDS = 10.0
Random = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a town gets from outside: time, chance, the environment, and the way to its peers."""

    clock: Clock
    random: Random
    environ: Mapping[str, str] = field(default_factory=dict)
    peer_http: httpx.Client
    broker: EmbeddedBroker | None = None
    """The broker inside this process; None: Kafka where the settings name it, else none."""
    policy: TownPolicy = field(default_factory=TownPolicy)

    def new_id(self) -> str:
        """An opaque id of 20 characters a-z, 2-7 (100 random bits)."""
        return base64.b32encode(self.random(13)).decode("ascii").lower()[:20]


@dataclass(frozen=True, kw_only=True)
class Town:
    """A town whose rooms all run in this process."""

    home: Home
    ledger: OpenLedger
    directory: OpenDirectory
    federation: Federation
    app: App
    resources: ExitStack
    """Closed in the reverse order of opening."""

    def start(self) -> None:
        """Start federation's threads."""
        self.federation.worker.start()

    def close(self) -> None:
        """Stop federation, commit what is parked, release everything."""
        self.resources.close()


def environment(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that follow from a home, overridden by the environment."""
    folder = home.folder
    first = home.registry_folder / "1.json"
    pinned = {}
    if first.exists():
        # `node accept` verified it against what the operators told; the ledger takes no other as the first.
        pinned["TIMEBANK_LEDGER_REGISTRY_SHA256"] = open_registry(first.read_bytes(), previous=None).sha256
    return {
        **pinned,
        **_issuer_for_all(environ),
        "TIMEBANK_LEDGER_NETWORK": home.identity.network,
        "TIMEBANK_LEDGER_NODE": home.identity.node,
        "TIMEBANK_LEDGER_JOURNAL_URL": f"sqlite:{folder}/journal.db",
        "TIMEBANK_LEDGER_LOG_KEY_FILE": f"{folder}/keys/log.key",
        "TIMEBANK_LEDGER_TAG_KEY_FILE": f"{folder}/keys/tag.key",
        "TIMEBANK_LEDGER_HEAD_FILE": str(home.head_path),
        "TIMEBANK_LEDGER_SNAPSHOT_FILE": f"{folder}/snapshot",
        "TIMEBANK_LEDGER_TOKEN_KEY": b64_encode(home.key("token").public),
        "TIMEBANK_LEDGER_EVENT_KEY": ",".join(b64_encode(key.public) for key in home.event_keys),
        "TIMEBANK_DIRECTORY_DATABASE": f"sqlite:///{folder}/people.db",
        "TIMEBANK_DIRECTORY_ERASURES_FILE": f"{folder}/erased",
        "TIMEBANK_FEDERATION_QUARANTINE_FOLDER": f"{folder}/quarantine",
        "TIMEBANK_FEDERATION_INBOX_FILE": f"{folder}/inbox-read",
        "TIMEBANK_FEDERATION_REGISTRY_FOLDER": str(home.registry_folder),
        **environ,
    }


def _issuer_for_all(environ: Mapping[str, str]) -> dict[str, str]:
    """What is said of an outside issuer to the ledger is said to the other rooms as well, unless they are told."""
    prefix = "TIMEBANK_LEDGER_OIDC_"
    said = {name.removeprefix(prefix): value for name, value in environ.items() if name.startswith(prefix)}
    return {
        f"TIMEBANK_{room}_OIDC_{name}": value for room in ("DIRECTORY", "FEDERATION") for name, value in said.items()
    }


def compose_ledger(home: Home, around: Surroundings) -> OpenLedger:
    """Open the ledger of a home; an empty journal gets its first entries."""
    registries = Registries(home.registry_folder)
    ledger = open_ledger(
        environment(home, around.environ),
        clock=around.clock,
        random_bytes=around.random,
        registry=registries.latest,
        issuer_http=around.peer_http,
    )
    try:
        with ledger.writer.reading() as book:
            check_identity_is_ours(home, registries, book)
        # One entry for each: a start that was cut off in the middle is finished by the next one.
        for command in list(first_commands(home.identity, around.policy))[ledger.writer.tail.length :]:
            ledger.writer.submit(command).result()
    except BaseException:
        ledger.close()
        raise
    return ledger


def compose_directory(home: Home, around: Surroundings, ledger_http: httpx.Client) -> OpenDirectory:
    """Open the directory of a home."""
    settings = read_settings(DirectorySettings, environment(home, around.environ))
    registries = Registries(home.registry_folder)
    own_keys = OwnKeys(node=home.identity.node, seeds=home.event_seeds, registry=lambda: registries.latest)
    return open_directory(
        identity=home.identity,
        token_seed=home.seed("token"),
        database=settings.database,
        ledger_http=ledger_http,
        peer_http=around.peer_http,
        node_token=lambda aud: node_token(own_keys.token(), home.identity, around.clock, aud=aud),
        registry=lambda: registries.latest,
        clock=around.clock,
        new_id=around.new_id,
        erasures=settings.erasures_file,
        outside=_outside(home, around, settings),
        addresses=[home.described.url, *([] if settings.url is None else [settings.url])],
    )


def compose_federation(
    home: Home, around: Surroundings, ledger_http: httpx.Client, directory_http: httpx.Client
) -> Federation:
    """Open the federation of a home; its threads do not run yet."""
    settings = read_settings(FederationSettings, environment(home, around.environ))
    registries = Registries(settings.registry_folder)
    home.settle_keys(registries.latest)
    outbox, inbox = _broker_of(home, around, settings)
    return open_federation(
        identity=home.identity,
        own_keys=OwnKeys(node=home.identity.node, seeds=home.event_seeds, registry=lambda: registries.latest),
        token_public=home.key("token").public,
        registries=registries,
        ledger_http=ledger_http,
        directory_http=directory_http,
        peer_http=around.peer_http,
        outbox=outbox,
        inbox=inbox,
        quarantine=Quarantine(settings.quarantine_folder),
        clock=around.clock,
        poll_seconds=settings.poll_seconds,
        outside=_outside(home, around, settings),
        on_registry=lambda: home.settle_keys(registries.latest),
        agreements_folder=home.folder / "agreements",
        witness=_witness_of(home, around, registries),
        cosigned_folder=home.folder / "cosigned",
        witness_seconds=settings.witness_seconds,
    )


def _witness_of(home: Home, around: Surroundings, registries: Registries) -> Witness | None:
    key = home.witness_key
    if key is None:
        return None
    return Witness(key=key, folder=home.folder / "witnessed", registry=lambda: registries.latest, clock=around.clock)


def _outside(home: Home, around: Surroundings, settings: OidcSettings) -> OutsideIssuer | None:
    own = audience(home.identity.network, home.identity.node)
    return open_issuer(settings, audience=own, clock=around.clock, http=around.peer_http)


def _broker_of(home: Home, around: Surroundings, settings: FederationSettings) -> tuple[Outbox | None, Inbox | None]:
    topic = inbox_topic(home.identity.network, home.identity.node)
    if around.broker is not None:
        return around.broker.outbox(), around.broker.inbox(topic)
    if settings.kafka:
        # The client of Kafka loads only where a broker is used.
        from timebank_federation.broker_kafka import KafkaInbox, KafkaOutbox  # noqa: PLC0415 - see above

        security = read_security(settings)
        inbox = KafkaInbox(settings.kafka, topic, security, place=settings.inbox_file)
        return KafkaOutbox(settings.kafka, security), inbox
    return None, None


def open_town(home: Home, around: Surroundings, *, title: str | None = None, page: bool = True) -> Town:
    """Open all rooms of a home in this process, the town page too if wanted; `Town.start` starts federation's threads.

    Raises:
        UnsafeFile, UnsafeStorage, JournalBehindHead, Malformed, Refusal: the node must not run; the text says what to
            change.
    """
    with ExitStack() as stack:
        ledger = compose_ledger(home, around)
        stack.callback(ledger.close)
        ledger_http = stack.enter_context(_within("ledger", ledger.app))
        directory = compose_directory(home, around, ledger_http)
        stack.callback(directory.close)
        directory_http = stack.enter_context(_within("directory", directory.app))
        federation = compose_federation(home, around, ledger_http, directory_http)
        stack.callback(federation.close)
        federation.hand_over_registries()
        console = _console(home, directory, ledger_http, title=title) if page else None
        app = _one_port(ledger, directory, federation, console)
        return Town(
            home=home, ledger=ledger, directory=directory, federation=federation, app=app, resources=stack.pop_all()
        )


def _within(room: str, app: App) -> httpx.Client:
    """A client of a room in this process."""
    return httpx.Client(transport=AsgiBridge(app), base_url=f"http://{room}", timeout=HTTP_SECONDS)


def _console(home: Home, directory: OpenDirectory, ledger_http: httpx.Client, *, title: str | None) -> App:
    return make_console(
        home.identity,
        ledger_http,
        lambda: directory.token("reports:read", "audit:read", "operate", subject="console"),
        title=title or home.identity.node.capitalize(),
    )


def _one_port(ledger: OpenLedger, directory: OpenDirectory, federation: Federation, console: App | None) -> App:
    """All rooms behind one port."""
    rooms = {"ledger": ledger.app, "directory": directory.app, "federation": federation.app}
    return Dispatch(
        [
            route(r"/v1/(members|organisations|people|token|public-key|payees/resolve)(/|$)", directory.app),
            route(
                r"/v1/streams/[^/]+/[^/]+/[^/]+$|/v1/(payees$|cosigned$|federation/|limits/)|/\.well-known/",
                federation.app,
            ),
            route(r"/add-checkpoint$|/witnessed/", federation.app),
            route(r"/(readyz|metrics)$", Together(rooms)),
            *([] if console is None else [route(r"/$", console)]),
        ],
        otherwise=ledger.app,
    )
