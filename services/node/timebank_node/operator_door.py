"""How an operator calls a running node: with a short token that the node's own token key signs, or a given one.

Whoever holds a home may do whatever its operator may; over the network a token in a secret file says the same.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

import httpx

from timebank_contracts.errors import Malformed
from timebank_contracts.tokens import TokenKey, audience
from timebank_kit.clock import Clock
from timebank_kit.fetch import fetch
from timebank_kit.files import read_secret
from timebank_node.home import open_home

ANSWER_BYTES_MAX: Final = 4_194_304
ANSWER_SECONDS_MAX: Final = 30.0
TOKEN_SECONDS: Final = 300


class NodeAway(Malformed):
    """The node does not answer at all, or something else answers in its place."""


class OperatorDoor:
    """Calls one node.

    Args:
        http: without a base URL.
        url: the node's address.
        token: of scope `operate`.
        node: its name, for sentences.
    """

    def __init__(self, http: httpx.Client, *, url: str, token: str, node: str) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._token = token
        self.node = node

    def ask(self, method: str, path: str, body: Any = None, *, content: bytes | None = None) -> Any:
        """The answer to a request.

        Raises:
            NodeAway: no answer, or none of a node.
            Malformed: a problem; the text says which.
        """
        answer = self._asked(method, path, body, content)
        try:
            said = answer.json()
        except ValueError as error:
            raise NodeAway(f"{self._url} answers {answer.status_code} and no JSON; is it the node?") from error
        if answer.status_code >= 400:
            raise Malformed(f"{self.node} says: {said.get('detail') if isinstance(said, dict) else answer.status_code}")
        return said

    def read(self, path: str) -> bytes:
        """The bytes that a route answers with. Raises: as `ask`."""
        answer = self._asked("GET", path, None, None)
        if answer.status_code >= 400:
            raise Malformed(f"{self.node} answers {answer.status_code} to {path}.")
        return answer.content

    def _asked(self, method: str, path: str, body: Any, content: bytes | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        if method != "GET":
            headers["Idempotency-Key"] = f"cli-{secrets.token_hex(16)}"
        try:
            return fetch(
                self._http,
                method,
                f"{self._url}{path}",
                bytes_max=ANSWER_BYTES_MAX,
                seconds_max=ANSWER_SECONDS_MAX,
                headers=headers,
                json=body,
                content=content,
            )
        except httpx.HTTPError as error:
            raise NodeAway(f"{self.node} does not answer at {self._url} ({type(error).__name__}).") from error


def door_of_home(folder: Path, http: httpx.Client, *, clock: Clock, url: str | None = None) -> OperatorDoor:
    """The door of the node whose home this is; `url`: where it serves, none: as `node.json` says."""
    home = open_home(folder)
    identity, seed = home.identity, home.seed("token")
    token = TokenKey(seed, home.key("token").public).issue(
        issuer=f"{identity.node}/directory",
        subject="operator",
        audience=audience(identity.network, identity.node),
        scopes=frozenset({"operate", "audit:read"}),
        accounts=frozenset(),
        now_seconds=int(clock.now().timestamp()),
        seconds=TOKEN_SECONDS,
    )
    return OperatorDoor(http, url=url or home.described.url, token=token, node=identity.node)


def door_with_token(words: str, http: httpx.Client) -> OperatorDoor:
    """The door that `URL=FILE` names: an address and the secret file of a token for it."""
    url, equals, file = words.rpartition("=")
    if not (url and equals and file):
        raise Malformed(f"Write it as https://barry.example=barry.token, not {words!r}.")
    return OperatorDoor(http, url=url, token=read_secret(Path(file)).decode("ascii").strip(), node=url)
