"""How witnesses are asked over HTTPS: for a cosignature, for what they cosigned last. Answers are bounded."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple, Protocol

import httpx

from timebank_contracts.note import NOTE_BYTES_MAX
from timebank_contracts.registry import Witness
from timebank_contracts.witness_request import (
    ADD_CHECKPOINT,
    WitnessRequest,
    make_request,
    witnessed_path,
)
from timebank_kit.fetch import fetch

ANSWER_SECONDS_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 65_536
_log = logging.getLogger(__name__)


class WitnessAnswer(NamedTuple):
    status: int
    content: bytes


class WitnessDoor(Protocol):
    """What is asked of a witness; None: it does not answer, or has no answer."""

    def add_checkpoint(self, witness: Witness, request: WitnessRequest) -> WitnessAnswer | None:
        """Ask for a cosignature."""

    def witnessed(self, witness: Witness, origin: str) -> bytes | None:
        """The latest note of an origin that it cosigned."""


class HttpWitnessDoor:
    """Asks witnesses over HTTPS.

    Args:
        http: a client without a base URL; its time-outs are bounded.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def add_checkpoint(self, witness: Witness, request: WitnessRequest) -> WitnessAnswer | None:
        return self._ask("POST", witness, ADD_CHECKPOINT, bytes_max=ANSWER_BYTES_MAX, content=make_request(request))

    def witnessed(self, witness: Witness, origin: str) -> bytes | None:
        answer = self._ask("GET", witness, witnessed_path(origin), bytes_max=NOTE_BYTES_MAX)
        return answer.content if answer is not None and answer.status == 200 else None

    def _ask(
        self, method: str, witness: Witness, path: str, *, bytes_max: int, content: bytes | None = None
    ) -> WitnessAnswer | None:
        headers = {} if content is None else {"Content-Type": "text/plain; charset=utf-8"}
        try:
            answer = fetch(
                self._http,
                method,
                f"{witness.url.rstrip('/')}{path}",
                bytes_max=bytes_max,
                seconds_max=ANSWER_SECONDS_MAX,
                headers=headers,
                content=content,
            )
        except httpx.HTTPError as error:
            _log.info("witness does not answer", extra={"witness": witness.name, "reason": type(error).__name__})
            return None
        return WitnessAnswer(answer.status_code, answer.content)
