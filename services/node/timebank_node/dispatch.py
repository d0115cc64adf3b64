"""One port for all rooms of a node: a path belongs to one room. The first prefix that fits decides.

The rooms know nothing of each other here; behind two ports instead of one they are the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from timebank_kit.web import App, Receive, Scope, Send


class Route(NamedTuple):
    """Paths that match `pattern` (from their beginning) go to `app`."""

    pattern: re.Pattern[str]
    app: App


def route(pattern: str, app: App) -> Route:
    """A route from a pattern in the syntax of `re`."""
    return Route(re.compile(pattern), app)


class Dispatch:
    """An ASGI application that hands each request to the room that owns its path."""

    def __init__(self, routes: Sequence[Route], *, otherwise: App) -> None:
        self._routes = tuple(routes)
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        for candidate in self._routes:
            if candidate.pattern.match(path):
                await candidate.app(scope, receive, send)
                return
        await self._otherwise(scope, receive, send)
