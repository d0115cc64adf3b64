"""Where a log is collected from: a node, over HTTP(S) with the standard library alone, or files that somebody holds.

What comes back is believed by nobody here: `collect.py` proves it. Every answer is bounded in size and in time, no
redirect is followed, and a token never travels without TLS, except within one machine.
Source: PROTOCOL.md G6 to G8; design page 5, `collect`.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Collection
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import monotonic
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

from timebank_audit.files import TownFiles
from timebank_audit.log import BUNDLE_BYTES_MAX, read_tile
from timebank_audit.past import NOTES_MAX
from timebank_contracts.errors import Malformed
from timebank_contracts.log_files import registry_path
from timebank_contracts.note import NOTE_BYTES_MAX
from timebank_contracts.registry import REGISTRY_BYTES_MAX
from timebank_contracts.tiles import TileName, tile_path
from timebank_contracts.witness_request import witnessed_path

ANSWER_SECONDS: Final = 30.0
"""For each step of an answer."""
WHOLE_ANSWER_SECONDS_MAX: Final = 300.0
TOKEN_BYTES_MAX: Final = 65_536
PIECE_BYTES: Final = 65_536
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class NodeAway(Exception):
    """The node does not answer, or not as a node does now; the same command goes on where it stopped."""


class LogDoor(Protocol):
    """Gives the parts of one log."""

    def checkpoint(self) -> bytes: ...

    def bundle(self, name: TileName) -> bytes: ...

    def registry(self, version: int) -> bytes | None: ...

    def cosigned(self) -> list[bytes]:
        """Earlier or cosigned checkpoints of this log, as notes."""

    def held(self, origins: Collection[str]) -> list[bytes]:
        """Checkpoints of other logs that are held there, as notes."""


class FilesDoor:
    """A log that lies in files: an export, a bundle, or what was collected before."""

    def __init__(self, files: TownFiles) -> None:
        self._files = files

    def checkpoint(self) -> bytes:
        return self._files.peek("checkpoint", bytes_max=NOTE_BYTES_MAX) or b""

    def bundle(self, name: TileName) -> bytes:
        path, raw = read_tile(self._files.peek, name, BUNDLE_BYTES_MAX)
        if raw is None:
            raise Malformed(f"There is no file {path} in {self._files.store.name}: the export is not whole.")
        return raw

    def registry(self, version: int) -> bytes | None:
        return self._files.peek(registry_path(version), bytes_max=REGISTRY_BYTES_MAX)

    def cosigned(self) -> list[bytes]:
        return [self.checkpoint(), *self._notes("checkpoints")]

    def held(self, origins: Collection[str]) -> list[bytes]:
        return self._notes("notes")

    def _notes(self, folder: str) -> list[bytes]:
        names = self._files.names(folder)
        if len(names) > NOTES_MAX:
            raise Malformed(f"{self._files.store.name}/{folder} holds more than {NOTES_MAX} notes.")
        return [self._files.peek(f"{folder}/{name}", bytes_max=NOTE_BYTES_MAX) or b"" for name in names]


class NodeDoor:
    """A node behind a URL.

    Args:
        url: of the node, or of its ledger.
        directory: of its directory, where it has another address.
        form: gives the fields of a token request for the scope audit:read.
        token: used in place of a form.
    """

    def __init__(
        self,
        url: str,
        *,
        directory: str | None = None,
        form: Callable[[], dict[str, str]] | None = None,
        token: str = "",
    ) -> None:
        self._url = _checked(url)
        self._directory = self._url if directory is None else _checked(directory)
        self._form = form
        self._token = token

    def checkpoint(self) -> bytes:
        return self._get("/checkpoint", NOTE_BYTES_MAX) or b""

    def bundle(self, name: TileName) -> bytes:
        for again in (True, False):
            if not self._token:
                self._token = self._new_token()
            try:
                raw = self._get(f"/{tile_path(name)}", BUNDLE_BYTES_MAX, token=self._token)
            except _NotLetIn:
                # A token ends while a long log is collected: one new one is asked for.
                if not again or self._form is None:
                    raise
                self._token = ""
                continue
            if raw is None:
                raise NodeAway(f"The node shows a checkpoint and does not give {tile_path(name)}.")
            return raw
        raise NodeAway("The node lets no token in.")

    def registry(self, version: int) -> bytes | None:
        return self._get(f"/.well-known/timebank/registry/{version}", REGISTRY_BYTES_MAX)

    def cosigned(self) -> list[bytes]:
        note = self._get("/v1/cosigned", NOTE_BYTES_MAX)
        return [] if note is None else [note]

    def held(self, origins: Collection[str]) -> list[bytes]:
        found = (self._get(witnessed_path(origin), NOTE_BYTES_MAX) for origin in origins)
        return [note for note in found if note is not None]

    def _new_token(self) -> str:
        if self._form is None:
            raise NodeAway("Entries are read by a client with the scope audit:read: name one, and its secret.")
        body = urlencode(self._form()).encode("ascii")
        raw = _ask(self._directory, "POST", "/v1/token", TOKEN_BYTES_MAX, body=body)
        try:
            token = json.loads(raw or b"")["access_token"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Malformed("The answer to the request for a token holds none.") from error
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Malformed("The answer to the request for a token holds none.")
        return token

    def _get(self, path: str, bytes_max: int, *, token: str = "") -> bytes | None:
        return _ask(self._url, "GET", path, bytes_max, headers={"Authorization": f"Bearer {token}"} if token else {})


class _NotLetIn(NodeAway):
    """No token, or one that does not allow it."""


def _checked(url: str) -> str:
    try:
        found = urlsplit(url)
        sound = found.port is None or found.port > 0
    except ValueError:
        sound = False
    if (
        not sound
        or found.scheme not in ("http", "https")
        or not found.hostname
        or found.username
        or found.query
        or found.fragment
    ):
        raise Malformed("A node's address is https://host[:port], without a name, a question or a fragment in it.")
    if found.scheme == "http" and found.hostname not in LOOPBACK:
        raise Malformed("A token does not travel without TLS: give the node's https address.")
    return url.rstrip("/")


def _ask(
    url: str,
    method: str,
    path: str,
    bytes_max: int,
    *,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> bytes | None:
    """The body of an answer, None for 404; raises `NodeAway` or `Malformed`."""
    found = urlsplit(url)
    assert found.hostname, "it was checked"
    said = {**(headers or {}), "Accept-Encoding": "identity"}
    if body is not None:
        said["Content-Type"] = "application/x-www-form-urlencoded"
    if found.scheme == "https":
        context = ssl.create_default_context()
        line: HTTPConnection = HTTPSConnection(found.hostname, found.port, timeout=ANSWER_SECONDS, context=context)
    else:
        line = HTTPConnection(found.hostname, found.port, timeout=ANSWER_SECONDS)
    try:
        line.request(method, found.path + path, body=body, headers=said)
        with line.getresponse() as answer:
            raw = _read(answer.read1, bytes_max)
    except (OSError, HTTPException) as error:
        raise NodeAway(f"The node does not answer ({type(error).__name__}).") from error
    finally:
        line.close()
    if answer.status in (401, 403):
        raise _NotLetIn(f"The node does not let this client in ({path}: {answer.status}); has it the scope audit:read?")
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise NodeAway(f"The node answered {answer.status} to {path}.")
    return raw


def _read(read: Callable[[int], bytes], bytes_max: int) -> bytes:
    pieces, room = [], bytes_max
    until = monotonic() + WHOLE_ANSWER_SECONDS_MAX
    while piece := read(PIECE_BYTES):
        room -= len(piece)
        if room < 0:
            raise Malformed(f"The node's answer has more than {bytes_max} bytes.")
        if monotonic() > until:
            raise NodeAway("The node answers too slowly.")
        pieces.append(piece)
    return b"".join(pieces)
