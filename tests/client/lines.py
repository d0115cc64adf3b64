"""A line to a town's rooms that fails as it is told: nothing arrives, no answer comes back, or another answers."""

from __future__ import annotations

from collections.abc import Callable

import httpx

LEDGER = "ledger"
DIRECTORY = "directory"
SECRET = "a-secret-of-the-housing-association-1"
Fault = Callable[[httpx.Request, httpx.BaseTransport], httpx.Response]


def lost_request(request: httpx.Request, room: httpx.BaseTransport) -> httpx.Response:
    """Nothing arrives."""
    raise httpx.ConnectError("The line is cut.", request=request)


def lost_answer(request: httpx.Request, room: httpx.BaseTransport) -> httpx.Response:
    """It arrives and is done, and the answer is lost."""
    room.handle_request(request)
    raise httpx.ReadTimeout("No answer came.", request=request)


def answered(status: int, *, body: bytes = b"", headers: dict[str, str] | None = None) -> Fault:
    """Something on the way answers instead."""
    return lambda request, room: httpx.Response(status, content=body, headers=headers, request=request)


class FaultyLine(httpx.BaseTransport):
    """The next faults of a path, one for each request to it; without one the room answers."""

    def __init__(self, rooms: dict[str, httpx.BaseTransport]) -> None:
        self._rooms = rooms
        self.faults: dict[str, list[Fault]] = {}
        self.sent: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        room = self._rooms[request.url.host]
        waiting = self.faults.get(request.url.path)
        return waiting.pop(0)(request, room) if waiting else room.handle_request(request)

    def sent_to(self, path: str) -> list[httpx.Request]:
        return [request for request in self.sent if request.url.path == path]

    def close(self) -> None:
        for room in self._rooms.values():
            room.close()
