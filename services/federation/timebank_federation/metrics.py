"""Figures of federation, read from its parts when they are scraped: a peer's name is a label, nothing else of anybody.

What each means and what to do stands in `docs/faults.md`, which a test holds against these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from timebank_federation.receiver import Receiver
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender
from timebank_federation.worker import Worker
from timebank_kit.clock import Clock
from timebank_kit.metrics import new_registry

_Family = CounterMetricFamily | GaugeMetricFamily


def federation_metrics(
    sender: Sender, receiver: Receiver, worker: Worker, registries: Registries, *, clock: Clock
) -> CollectorRegistry:
    """The registry that `/metrics` answers from."""
    registry = new_registry()
    registry.register(_Figures(sender, receiver, worker, registries, clock, clock.now()))
    return registry


@dataclass(frozen=True)
class _Figures(Collector):
    sender: Sender
    receiver: Receiver
    worker: Worker
    registries: Registries
    clock: Clock
    opened_at: datetime

    def collect(self) -> list[_Family]:
        return [*self._of_peers(), *self._of_intake(), *self._of_registry(), *self._of_the_broker(), *self._of_loops()]

    def _of_peers(self) -> list[_Family]:
        peers, now = list(self.sender.peers.items()), self.clock.now()
        unheard = {name: peer.head.n - peer.outgoing.heard for name, peer in peers}
        silent = {name: (now - (peer.contact_at or self.opened_at)).total_seconds() for name, peer in peers}
        return [
            _by("unheard_messages", "Messages that a peer has not heard.", "peer", unheard),
            _by("silent_seconds", "Since a peer's last validly signed segment, or the start.", "peer", silent),
            _counts("refused", "Validly signed segments without effect, by signer.", "peer", self.receiver.refused),
            _counts("transfers_ended", "Transfers to other towns that ended.", "outcome", self.sender.ended),
            _gauge(
                "contradictions",
                "Proofs that a peer stated two things of one log.",
                self.receiver.stated.contradictions,
            ),
            _gauge("waits_for_upgrade", "Streams that wait for a newer version.", len(self.receiver.waits_for_upgrade)),
        ]

    def _of_intake(self) -> list[_Family]:
        receiver = self.receiver
        quarantine = receiver.quarantine
        return [
            _counts("segments", "Segments taken, by outcome.", "outcome", receiver.counts),
            _counts("answers", "What peers answered over HTTPS.", "verdict", receiver.answers),
            _gauge("intake_stopped", "1: what comes is bad because of this node.", receiver.intake.reason is not None),
            _gauge("quarantined", "Segments in quarantine.", len(quarantine.kept)),
            _count("quarantine_given_up", "Quarantined and dropped.", quarantine.given_up),
            _count("quarantine_unwritten", "Quarantined without bytes: the disk took none.", quarantine.unwritten),
        ]

    def _of_registry(self) -> list[_Family]:
        registries = self.registries
        return [
            _gauge(
                "registry_refused", "1: the ledger refuses the latest registry.", bool(self.receiver.registry_refused)
            ),
            _gauge(
                "registry_forked",
                "1: two signed documents of one registry version; nothing passes between towns.",
                registries.fork is not None,
            ),
            _gauge("registry_version", "The registry in force.", registries.version),
            _gauge("key_missing", "1: the registry names no event key of this node.", not self.sender.has_key),
        ]

    def _of_the_broker(self) -> list[_Family]:
        inbox = self.worker.inbox
        made_again, given_up = (0, 0) if inbox is None else (inbox.made_again, inbox.given_up)
        return [
            _gauge("broker_away", "1: no broker.", self.sender.broker_away),
            _count("topic_made_again", "Inbox topic found to be another one.", made_again),
            _count("records_given_up", "Records deleted by the broker unread.", given_up),
        ]

    def _of_loops(self) -> list[_Family]:
        return [
            _gauge("trouble", "1: not ready, see /readyz.", self.worker.trouble is not None),
            _count("bugs", "Steps that ended in a bug.", self.worker.bugs),
        ]


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"timebank_federation_{name}", text, value=float(value))


def _count(name: str, text: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(f"timebank_federation_{name}", text, value=value)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"timebank_federation_{name}", text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _counts(name: str, text: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"timebank_federation_{name}", text, labels=[label])
    for word, value in dict(values).items():
        family.add_metric([word], value)
    return family
