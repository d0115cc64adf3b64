"""The console's own token: asked of the directory with its client's secret, used again until it soon ends.

Source: RFC 6749, section 4.4; design page 4, "Sign-in".
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import httpx

RENEWED_BEFORE_SECONDS: Final = 60.0


class ClientToken:
    """Gives a token that is good for a minute at least; any thread may ask.

    Args:
        directory: a client whose base URL is the directory's.
        client_id: of the console.
        client_secret: its proof.
        monotonic: seconds that never go back.
    """

    def __init__(
        self, directory: httpx.Client, *, client_id: str, client_secret: str, monotonic: Callable[[], float]
    ) -> None:
        self._directory = directory
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = 0.0

    def __call__(self) -> str:
        """The token.

        Raises:
            httpx.HTTPError: the directory does not answer, or does not know the client.
        """
        with self._lock:
            asked_at = self._monotonic()
            if not self._token or asked_at >= self._good_until:
                answer = self._directory.post("/v1/token", data=self._form).raise_for_status().json()
                self._token = str(answer["access_token"])
                self._good_until = asked_at + float(answer["expires_in"]) - RENEWED_BEFORE_SECONDS
            return self._token
