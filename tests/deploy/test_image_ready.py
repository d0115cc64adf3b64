"""The image's health check: ready, not ready and not there are told apart, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.image.timebank_ready import main
from deploy.servers.child import free_port
from timebank_kit.web import Receive, Scope, Send, serve_app


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that answers so at /readyz."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found = status if scope["path"] == "/readyz" else 404
        await send({"type": "http.response.start", "status": found, "headers": []})
        await send({"type": "http.response.body", "body": body})

    server = serve_app(app)
    try:
        yield server.url
    finally:
        server.stop()


def test_a_process_that_is_ready_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, b'{"state": "ready"}') as url:
        assert main({"TIMEBANK_HEALTH_URL": f"{url}/"}) == 0
    assert "ready" in capsys.readouterr().out


def test_a_process_that_is_not_ready_is_unhealthy_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(503, b'{"detail": "The disk is full."}') as url:
        assert main({"TIMEBANK_HEALTH_URL": url}) == 1
    assert "The disk is full." in capsys.readouterr().out


@pytest.mark.parametrize("form", ["http://127.0.0.1:{port}", "nonsense"])
def test_a_process_that_is_not_there_is_unhealthy(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"TIMEBANK_HEALTH_URL": form.format(port=free_port())}) == 1
    assert "does not answer" in capsys.readouterr().out
