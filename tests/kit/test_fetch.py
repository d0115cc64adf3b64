"""An answer of a stranger is bounded in size and time."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from timebank_kit.fetch import fetch

URL = "http://barry.example/x"


class Endless(httpx.SyncByteStream):
    """A body without an end; says how much of it was taken."""

    def __init__(self) -> None:
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.given += 1000
            yield b"x" * 1000


class Stranger(httpx.BaseTransport):
    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.answer


def ask(answer: httpx.Response, *, url: str = URL, seconds_max: float = 5.0) -> httpx.Response:
    with httpx.Client(transport=Stranger(answer)) as http:
        return fetch(http, "GET", url, bytes_max=10_000, seconds_max=seconds_max, headers={})


def test_a_whole_answer_is_returned() -> None:
    answer = ask(httpx.Response(404, json={"a": 1}))
    assert (answer.status_code, answer.json()) == (404, {"a": 1})


def test_an_endless_answer_is_cut_off() -> None:
    body = Endless()
    with pytest.raises(httpx.HTTPError, match="more than 10000 bytes"):
        ask(httpx.Response(200, stream=body))
    assert body.given <= 12_000


def test_a_slow_answer_is_cut_off() -> None:
    with pytest.raises(httpx.HTTPError, match="more than 0 seconds"):
        ask(httpx.Response(200, stream=Endless()), seconds_max=0)


def test_an_encoded_answer_is_refused() -> None:
    with pytest.raises(httpx.HTTPError, match="encoded"):
        ask(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Endless()))


def test_a_redirect_is_not_followed() -> None:
    assert ask(httpx.Response(302, headers={"location": "http://127.0.0.1/"})).status_code == 302


@pytest.mark.parametrize("url", ["http://[", "http://a:b", "ftp://a", "http://\u0661", "http://"])
def test_an_address_that_is_none_is_trouble_and_no_bug(url: str) -> None:
    with httpx.Client(timeout=1.0) as http, pytest.raises(httpx.HTTPError):
        fetch(http, "GET", url, bytes_max=1, seconds_max=1, headers={})
