"""An issuer's published keys (JWKS), kept for a while: read again when a token names another, or when they are old.

    find(kid) ── held and fresh ──▶ key
              └─ unknown, or older than an hour ──▶ read again, by one thread, at most once a minute ──▶ key or None

A key that the issuer withdrew is believed an hour more at the longest; when the issuer is away, a day.
Source: RFC 7517, section 5; OpenID Connect Core, 10.1.1 (rotation).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from timebank_contracts.errors import Malformed
from timebank_kit.clock import Clock
from timebank_kit.fetch import fetch
from timebank_kit.jwt_keys import PublicJwk, read_jwk

JWKS_BYTES_MAX: Final = 65_536
JWKS_KEYS_MAX: Final = 32
JWKS_SECONDS_MAX: Final = 5.0
FRESH_SECONDS: Final = 3_600.0
KEPT_SECONDS: Final = 86_400.0
PAUSE_SECONDS: Final = 60.0
"""Between two readings: a token's kid is anybody's text."""
_log = logging.getLogger(__name__)


class KeysAway(Exception):
    """The issuer's keys cannot be had now; come again."""


class KeySet:
    """The keys of one issuer. Nobody waits for it: who needs a key that is being read comes again.

    Args:
        read: gives the document; raises `OSError`, `httpx.HTTPError` or `Malformed`.
        clock: its monotonic time tells how old the keys are.
        start: runs a reading, here or in a thread of its own; what waits for a network is no work for an event loop.
    """

    def __init__(self, read: Callable[[], bytes], clock: Clock, *, start: Callable[[Callable[[], None]], None]) -> None:
        self._read, self._clock, self._start = read, clock, start
        self._lock = threading.Lock()
        self._reading = False
        self._settled = threading.Event()
        self._keys: dict[str, PublicJwk] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None

    def refresh(self) -> None:
        """Begin to read the keys, unless that was done within the last minute or is being done."""
        with self._lock:
            now = self._clock.monotonic()
            if self._reading or not _older(self._tried_at, now, PAUSE_SECONDS):
                return
            self._reading, self._tried_at = True, now
        self._start(self._read_again)

    def find(self, kid: str) -> PublicJwk | None:
        """The issuer's key of this kid, or None when it has no such key.

        Raises:
            KeysAway: the keys were never read, are a day old, or are being read just now and this one is not known yet.
        """
        if kid not in self._keys or _older(self._read_at, self._clock.monotonic(), FRESH_SECONDS):
            self.refresh()
        with self._lock:
            found = self._keys.get(kid)
            if self._reading and found is None:
                raise KeysAway("The issuer's keys are being read; come again in a moment.")
            if _older(self._read_at, self._clock.monotonic(), KEPT_SECONDS):
                raise KeysAway("The issuer's keys cannot be read now; come again later.")
            return found

    def wait(self, *, seconds: float) -> bool:
        """Whether a first reading ended, well or not, within so many seconds."""
        return self._settled.wait(seconds)

    def _read_again(self) -> None:
        keys: dict[str, PublicJwk] | None = None
        try:
            keys = read_key_set(self._read())
        except (OSError, httpx.HTTPError, Malformed) as trouble:
            _log.warning("issuer's keys not read", extra={"kind": type(trouble).__name__})
        finally:
            with self._lock:
                self._reading = False
                self._settled.set()
                if keys is not None:
                    self._keys, self._read_at = keys, self._clock.monotonic()


def in_a_thread(work: Callable[[], None]) -> None:
    """Run a reading in a thread of its own."""
    threading.Thread(target=work, name="issuer-keys", daemon=True).start()


def at_once(work: Callable[[], None]) -> None:
    """Run a reading here: for a file, which nobody has to wait for."""
    work()


def _older(then: float | None, now: float, seconds: float) -> bool:
    return then is None or now - then >= seconds


def read_key_set(raw: bytes) -> dict[str, PublicJwk]:
    """The keys of a JWKS by kid; those that sign nothing here, or have no kid, are left out.

    Raises:
        Malformed: no JWKS, more than 32 keys, or none that is of use.
    """
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Malformed("The issuer's keys are not JSON.") from error
    listed = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(listed, list) or len(listed) > JWKS_KEYS_MAX:
        raise Malformed(f"A JWKS is an object with a list of at most {JWKS_KEYS_MAX} keys.")
    found: dict[str, PublicJwk] = {}
    for one in listed:
        try:
            key = read_jwk(one)
        except Malformed:
            # An issuer may publish keys for encryption, or of kinds that are not believed here.
            continue
        if key.kid is not None:
            found.setdefault(key.kid, key)
    if not found:
        raise Malformed("The JWKS holds no key that is of use here.")
    return found


def file_reader(path: Path) -> Callable[[], bytes]:
    """Reads a JWKS from a file, as much as one may have."""

    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(JWKS_BYTES_MAX)

    return read


def url_reader(http: httpx.Client, url: str) -> Callable[[], bytes]:
    """Reads a JWKS from an address: bounded in size and time, no redirect followed."""

    def read() -> bytes:
        answer = fetch(
            http,
            "GET",
            url,
            bytes_max=JWKS_BYTES_MAX,
            seconds_max=JWKS_SECONDS_MAX,
            headers={"Accept": "application/jwk-set+json, application/json"},
        )
        if answer.status_code != 200:
            raise Malformed(f"The issuer answered {answer.status_code} and no keys.")
        return answer.content

    return read
