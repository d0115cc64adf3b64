"""A witness that is no town, wired: the routes, and one thread that follows the network's registry.

It holds the registry, its own key and what it cosigned, and nothing else: no journal, no broker, no person.
Source: design page 2, "Witnessing"; PROTOCOL.md V1 to V4.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry

from timebank_contracts.keys import SigningKey
from timebank_contracts.witness_request import REQUEST_BYTES_MAX
from timebank_federation.api_witness import router
from timebank_federation.peer_door import HttpDoor
from timebank_federation.registries import Registries
from timebank_federation.registry_fetch import RegistryFetch
from timebank_federation.witness import Witness
from timebank_federation.witness_metrics import witness_metrics
from timebank_kit.clock import Clock
from timebank_kit.metrics import CONTENT_TYPE, exposition
from timebank_kit.problem_answers import EdgeProblem, answer_problems
from timebank_kit.web import BodyLimit

LOOK_SECONDS: Final = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenWitness:
    """A running witness."""

    app: FastAPI
    witness: Witness
    fetch: RegistryFetch
    _stopping: threading.Event
    _thread: threading.Thread

    def start(self) -> None:
        """Follow the registry from now on."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=15)


def open_witness(
    *, key: SigningKey, folder: Path, registries: Registries, http: httpx.Client, clock: Clock
) -> OpenWitness:
    """Wire a witness; nothing runs yet.

    Args:
        key: its witness key.
        folder: keeps what it cosigned.
        registries: the versions that it holds; newer ones are fetched from the nodes.
        http: a client for the nodes' URLs.
        clock: for times and pauses.
    """
    witness = Witness(key=key, folder=folder, registry=lambda: registries.latest, clock=clock)
    fetch = RegistryFetch(me="", registries=registries, door=HttpDoor(http, _no_token), clock=clock)
    stopping = threading.Event()

    def follow() -> None:
        while not stopping.is_set():
            try:
                fetch.poll()
            except Exception:
                _log.exception("bug in a loop", extra={"loop": "registry"})
            stopping.wait(LOOK_SECONDS)

    thread = threading.Thread(target=follow, name="witness-registry", daemon=True)
    return OpenWitness(_app(witness), witness, fetch, stopping, thread)


def _no_token(audience: str) -> str:
    raise AssertionError(f"a witness has no token for {audience}: it asks for what is public")


def _app(witness: Witness) -> FastAPI:
    app = FastAPI(title="Timebank witness", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.witness = witness
    app.include_router(router)
    metrics = CollectorRegistry()
    metrics.register(witness_metrics(None, witness))
    answer_problems(app, {})
    app.add_middleware(BodyLimit, bytes_max=REQUEST_BYTES_MAX)

    @app.get("/livez")
    def is_alive() -> dict[str, str]:
        """The process answers."""
        return {"state": "alive"}

    @app.get("/readyz")
    def is_ready() -> JSONResponse:
        """Whether the registry names this witness."""
        if witness.name is None:
            raise EdgeProblem("not_ready", "The registry that is held here does not name this witness's key.")
        return JSONResponse({"state": "ready", "name": witness.name})

    @app.get("/metrics")
    def get_metrics() -> Response:
        """Counters and gauges."""
        return Response(exposition(metrics), media_type=CONTENT_TYPE)

    return app
