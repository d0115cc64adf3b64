"""Metrics: a registry that is made at the start and passed down, so that rooms of one process keep theirs apart.

Counters, gauges and histograms are those of `prometheus_client`, given `registry=`; nothing uses its global registry.
A label has few values (a kind, a code, a peer), never an identifier.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""For histograms of waits: from one commit to a client's patience."""
CONTENT_TYPE: str = CONTENT_TYPE_LATEST


def new_registry(*, process: bool = False) -> CollectorRegistry:
    """A registry of one room.

    Args:
        process: also tell memory, processor time and open files; one registry of a process does.
    """
    registry = CollectorRegistry(auto_describe=True)
    if process:
        ProcessCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """What `/metrics` answers, in the text format that `CONTENT_TYPE` names."""
    return generate_latest(registry)
