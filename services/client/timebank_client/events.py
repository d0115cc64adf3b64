"""Events: everything that happened to the accounts that one may see, in order, from a cursor on.

    cursor = load() ─▶ for event in events.follow(after=cursor): act; save(event.position)

A webhook is only a hint that there is something to read here; whoever reads the feed misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from timebank_client.answers import Event, EventPage
from timebank_client.door import Door

BEGINNING: Final = -1
WAIT_SECONDS: Final = 25.0
PAGE_MAX: Final = 500
PAUSE_SECONDS: Final = 0.5
"""After a wait in vain."""


class Events:
    """The event feed."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def page(
        self,
        *,
        after: int = BEGINNING,
        account: str | None = None,
        limit: int = 100,
        wait_seconds: float = 0.0,
    ) -> EventPage:
        """One page.

        Args:
            after: cursor: the `position` of the last event that was seen, or the `after` of the page before; −1: none.
            account: only what happened to this one.
            limit: events in it, 1 to 500.
            wait_seconds: how long the town may wait for the next event when there is none yet, 0 to 30.
        """
        query = {"after": after, "limit": limit, "wait_seconds": wait_seconds or None}
        if account is None:
            return self._door.ask("readEvents", EventPage, query=query, longer_seconds=wait_seconds)
        return self._door.ask(
            "readAccountEvents", EventPage, path={"account": account}, query=query, longer_seconds=wait_seconds
        )

    def list(self, *, after: int = BEGINNING, account: str | None = None) -> Iterator[Event]:
        """What happened up to now, page after page. Args: see `page`."""
        while True:
            page = self.page(after=after, account=account, limit=PAGE_MAX)
            yield from page.events
            if not page.more:
                return
            after = page.after

    def follow(
        self, *, after: int = BEGINNING, account: str | None = None, wait_seconds: float = WAIT_SECONDS
    ) -> Iterator[Event]:
        """What happened and, as it happens, what comes: it never ends by itself. Args: see `page`.

        Raises:
            ValueError: `wait_seconds` is under 1, which would ask without a pause.
            Unavailable: the town stopped answering; go on behind the last event that was seen.
        """
        if wait_seconds < 1:
            raise ValueError("Let the town wait for a second or more.")
        while True:
            page = self.page(after=after, account=account, limit=PAGE_MAX, wait_seconds=wait_seconds)
            yield from page.events
            after = page.after
            if not page.events and not page.more:
                # A town where too many wait already answers at once.
                self._door.around.sleep(PAUSE_SECONDS)
