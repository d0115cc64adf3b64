"""Tokens: fetched when one is needed, kept while it is fresh, renewed shortly before its end."""

from __future__ import annotations

import threading
from typing import Final

import httpx
import msgspec

from timebank_client.credentials import Credentials
from timebank_client.sending import Sender, decoded

EARLY_SECONDS: Final = 60.0
"""A token is renewed so long before it ends: clocks differ, and a request takes time."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a token request."""

    access_token: str
    expires_in: int
    scope: str = ""


class Tokens:
    """The tokens of one client.

    Args:
        sender: sends the requests.
        url: of the token route: the directory's, or an outside issuer's that the town believes.
        client_id: the client's id.
        credentials: its secret or key.
        scope: what the tokens shall allow; empty: all that was granted.
        audience: for whom an assertion is made; None: the token route.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        url: str,
        client_id: str,
        credentials: Credentials,
        scope: str = "",
        audience: str | None = None,
    ) -> None:
        self._sender = sender
        self._url = url
        self._client_id = client_id
        self._credentials = credentials
        self._scope = scope
        self._audience = audience or url
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = 0.0

    def token(self, *, key: str | None = None) -> str:
        """A token that is valid for a while; a new one is fetched when the old one is near its end.

        Args:
            key: of the command that needs it, for `Unavailable`.
        """
        with self._lock:
            if self._token is None or self._sender.around.now().timestamp() >= self._renew_at:
                self._renew(key)
            assert self._token is not None
            return self._token.access_token

    def forget(self, token: str) -> None:
        """Let a token that the town took no more be used no more."""
        with self._lock:
            # Another thread may have renewed it meanwhile.
            if self._token is not None and self._token.access_token == token:
                self._token = None

    def _renew(self, key: str | None) -> None:
        now = self._sender.around.now().timestamp()
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})

        def send() -> httpx.Response:
            # An assertion is used once: each try signs a new one.
            said = self._credentials.form(
                client_id=self._client_id,
                audience=self._audience,
                now_seconds=int(self._sender.around.now().timestamp()),
            )
            return self._sender.http.post(self._url, data=form | said)

        token = decoded(self._sender.persistently(send, key=key), Token)
        self._token = token
        self._renew_at = now + max(0.0, token.expires_in - min(EARLY_SECONDS, token.expires_in / 2))
