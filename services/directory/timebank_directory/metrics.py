"""Figures of the directory: whether the people can be read, and how often somebody failed to prove a client."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from timebank_directory.attempts import Attempts
from timebank_kit.metrics import new_registry


class _Figures(Collector):
    def __init__(self, look: Callable[[], object], attempts: Attempts) -> None:
        self._look = look
        self._attempts = attempts

    def collect(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        return [
            GaugeMetricFamily("timebank_directory_people_up", "1: the people can be read.", value=self._readable()),
            CounterMetricFamily(
                "timebank_directory_failed_proofs", "Proofs of a client that were none.", value=self._attempts.failed
            ),
            CounterMetricFamily(
                "timebank_directory_too_many_attempts", "Proofs not looked at.", value=self._attempts.turned_away
            ),
        ]

    def _readable(self) -> int:
        try:
            self._look()
        except SQLAlchemyError:
            return 0
        return 1


def directory_metrics(look: Callable[[], object], attempts: Attempts) -> CollectorRegistry:
    """The registry that `/metrics` answers from.

    Args:
        look: reads a little of the people's table.
        attempts: of clients to prove who they are.
    """
    registry = new_registry()
    registry.register(_Figures(look, attempts))
    return registry
