"""The console's token: asked once, used again, renewed before it ends."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx
import pytest

from timebank_console.client_token import ClientToken


class Directory:
    """Gives tokens that live 900 seconds, to one client."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if parse_qs(request.content.decode())["client_secret"] != ["right"]:
            return httpx.Response(401, request=request)
        self.given += 1
        return httpx.Response(200, json={"access_token": f"token-{self.given}", "expires_in": 900}, request=request)


def client_token(directory: Directory, times: list[float], *, secret: str = "right") -> ClientToken:
    http = httpx.Client(transport=httpx.MockTransport(directory), base_url="http://directory")
    return ClientToken(http, client_id="console", client_secret=secret, monotonic=lambda: times[-1])


def test_a_token_is_used_again_until_a_minute_before_its_end() -> None:
    directory, times = Directory(), [0.0]
    token = client_token(directory, times)
    assert token() == "token-1"
    times.append(839.0)
    assert token() == "token-1"
    times.append(840.0)
    assert token() == "token-2"
    assert directory.given == 2


def test_a_client_that_the_directory_does_not_know_is_trouble_each_time() -> None:
    token = client_token(Directory(), [0.0], secret="wrong")
    for _ in range(2):
        with pytest.raises(httpx.HTTPStatusError):
            token()
