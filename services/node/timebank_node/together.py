"""What the rooms behind one port say together: ready when each one is, and the figures of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from timebank_contracts.problems import MEDIA_TYPE, problem
from timebank_kit.metrics import CONTENT_TYPE
from timebank_kit.web import App, Message, Receive, Scope, Send


class Together:
    """An ASGI application that asks each room the same question.

    Args:
        rooms: by name; their metrics have names of their own.
    """

    def __init__(self, rooms: Mapping[str, App]) -> None:
        self._rooms = dict(rooms)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = {name: await _ask(app, scope, receive) for name, app in self._rooms.items()}
        if scope["path"] == "/metrics":
            await _answer(send, 200, CONTENT_TYPE, b"".join(body for _, body in said.values()))
            return
        wrong = [f"{name}: {json.loads(body)['detail']}" for name, (status, body) in said.items() if status != 200]
        if wrong:
            body = json.dumps(problem("not_ready", " ".join(wrong))).encode()
            await _answer(send, 503, MEDIA_TYPE, body)
            return
        whole = {"state": "ready", "rooms": {name: json.loads(body) for name, (_, body) in said.items()}}
        await _answer(send, 200, "application/json", json.dumps(whole).encode())


async def _ask(app: App, scope: Scope, receive: Receive) -> tuple[int, bytes]:
    status, parts = 0, []

    async def keep(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await app(dict(scope), receive, keep)
    return status, b"".join(parts)


async def _answer(send: Send, status: int, media_type: str, body: bytes) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
