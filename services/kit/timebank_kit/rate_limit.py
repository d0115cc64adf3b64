"""Rate limits: so many requests a second for each client, and a burst; who has none left is told when to come again.

One number a client, the moment when their bucket is full again (GCRA, the token bucket without a timer). The table is
bounded: the client that asked longest ago goes first, and begins anew. Names are ids of clients, nothing personal.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

CLIENTS_MAX: Final = 10_000


class RateLimit:
    """Counts requests by client; any thread may call it.

    Args:
        per_second: requests that come back each second, for each client.
        burst: requests that a client who rested may make at once.
        clients_max: clients that are remembered.
    """

    def __init__(self, *, per_second: float, burst: int, clients_max: int = CLIENTS_MAX) -> None:
        assert per_second > 0
        assert burst >= 1
        assert clients_max >= 1
        self._seconds_each = 1 / per_second
        self._seconds_burst = burst / per_second
        self._clients_max = clients_max
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str, *, now: float) -> float:
        """Count a request of a client, unless they have none left.

        Args:
            client: who asks.
            now: monotonic seconds.

        Returns:
            0.0 for a request that was counted, else the seconds after which one comes back.
        """
        with self._lock:
            full_at = max(self._full_at.get(client, now), now) + self._seconds_each
            wait_seconds = full_at - now - self._seconds_burst
            # A moment's rounding error is no reason to turn somebody away.
            if wait_seconds > self._seconds_each * 1e-6:
                return wait_seconds
            self._full_at[client] = full_at
            self._full_at.move_to_end(client)
            if len(self._full_at) > self._clients_max:
                self._full_at.popitem(last=False)
            return 0.0

    @property
    def remembered(self) -> int:
        """Clients in the table."""
        return len(self._full_at)
