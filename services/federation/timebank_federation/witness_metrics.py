"""Figures of witnessing: what was cosigned for this node, and what this node cosigned for others."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from timebank_federation.witness import Witness
from timebank_federation.witnessing import Witnessing


@dataclass(frozen=True)
class _Figures(Collector):
    witnessing: Witnessing | None
    witness: Witness | None

    def collect(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        return [*self._asked(), *self._served()]

    def _asked(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        if self.witnessing is None:
            return []
        size = GaugeMetricFamily("timebank_witness_size", "Entries that it cosigned last.", labels=["witness"])
        time = GaugeMetricFamily(
            "timebank_witness_cosigned_seconds", "When it did, in seconds since 1970.", labels=["witness"]
        )
        trouble = GaugeMetricFamily("timebank_witness_trouble", "1: it does not cosign now.", labels=["witness"])
        for row in self.witnessing.state()["witnesses"]:
            size.add_metric([row["name"]], row["size"])
            time.add_metric([row["name"]], row["cosigned_at"] or 0)
            trouble.add_metric([row["name"]], int(row["trouble"] is not None))
        contradicted = GaugeMetricFamily(
            "timebank_witness_contradicted",
            "1: a witness holds what this node's journal does not.",
            value=int(self.witnessing.contradicted is not None),
        )
        return [size, time, trouble, contradicted]

    def _served(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        if self.witness is None:
            return []
        requests = CounterMetricFamily("timebank_witness_requests", "Requests by outcome.", labels=["outcome"])
        for outcome, count in dict(self.witness.counts).items():
            requests.add_metric([outcome], count)
        evidence = GaugeMetricFamily(
            "timebank_witness_evidence", "Files that prove that a log has forked.", value=len(self.witness.evidence)
        )
        return [requests, evidence]


def witness_metrics(witnessing: Witnessing | None, witness: Witness | None) -> Collector:
    """The figures of a node, or of a witness that is no town (then without `witnessing`)."""
    return _Figures(witnessing, witness)
