"""Misfortune: what goes wrong in a run, how often, and what an attacker puts into the topics."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.clients import Clients
from tests.simulation.disk import COMMIT_FAULTS
from tests.simulation.heavy_faults import HeavyFaults
from tests.simulation.mail import Mail
from tests.simulation.network import Network, Weather
from tests.simulation.registries import NETWORK, Registries, key_of
from tests.simulation.schedule import Schedule
from tests.simulation.town import Town
from timebank_contracts import canonical
from timebank_contracts import messages as m
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard, make_segment
from timebank_contracts.streams import StreamHead

DAY_SECONDS = 86_400.0
GARBAGE = (b"", b"\n", b"{}\n", b"\xff\xfe\n", b'{"a":1,"a":1}\n', b"[" * 10_000 + b"\n", b"NaN\n", b"x" * 300_000)


class Faults:
    """Draws the faults of one run from its chance."""

    def __init__(
        self, schedule: Schedule, towns: list[Town], mails: list[Mail], clients: Clients, registries: Registries
    ) -> None:
        self.schedule = schedule
        self.chance = schedule.random
        self.towns = towns
        self.mails = mails
        self.network: Network = mails[0].network
        self.clients = clients
        self.registries = registries
        self.active = True
        self._kinds: list[Callable[[Town, Mail], None]] = []
        self.heavy = HeavyFaults(schedule, towns, mails, clients)

    @property
    def set_own_limits(self) -> bool:
        """Whether a town set a limit of its own, so that two sides of a pair may differ."""
        return self.heavy.set_own_limits

    def begin(self, end_seconds: float) -> None:
        """Choose this run's weather and kinds of fault, and plan them until `end_seconds`."""
        chance = self.chance
        harsh = chance.choice((0.0, 0.02, 0.1, 0.3))
        self.network.weather = Weather(
            loss=harsh * chance.random(),
            duplicate=harsh * chance.random(),
            corrupt=0.3 * harsh * chance.random(),
            produce_unknown=harsh * chance.random(),
            delay_seconds=chance.choice((0.01, 0.2, 3.0)),
            straggle=harsh * chance.random(),
        )
        self.clients.answer_loss = chance.choice((0.0, 0.1, 0.3))
        every: list[Callable[[Town, Mail], None]] = [
            self._crash,
            self._crash_at_commit,
            self._crash_at_commit,
            self._crash_after_produce,
            self._pause,
            self._broker_away,
            self._cut_link,
            self._empty_topic,
            self._replay_topic,
            self._turn_clock,
            self._poison,
            self._forge,
            self._replay_old,
            self._rotate_key,
            self._lose_key,
            self._suspend,
            self._lower_limit,
            *self.heavy.kinds,
        ]
        self._kinds = [kind for kind in every if chance.random() < 0.6] or every
        gap = chance.choice((2.0, 10.0, 40.0))
        at = 5.0
        while at < end_seconds:
            self.schedule.after(at, self._strike)
            at += chance.expovariate(1 / gap)

    def heal(self) -> None:
        """Everything works from now on, and the clocks are right."""
        self.active = False
        self.network.weather = Weather()
        self.network.broker_up = True
        self.network.cut_links.clear()
        self.clients.answer_loss = 0.0
        self.heavy.heal()
        for town, mail in zip(self.towns, self.mails, strict=True):
            town.disk.fault = None
            mail.crash_after_produce = False
            town.skew_seconds = 0.0
            town.wake(at_once=True)
            if not town.up:
                town.restart()

    def _strike(self) -> None:
        if self.active:
            place = self.chance.randrange(len(self.towns))
            if self.towns[place].is_gone:
                return
            kind = self.chance.choice(self._kinds)
            if (
                kind in (self._rotate_key, self._lose_key, self._suspend, self._lower_limit)
                and self.chance.random() > 0.5
            ):
                return
            self.schedule.note(f"fault {kind.__name__} {self.towns[place].name}")
            kind(self.towns[place], self.mails[place])

    def _restart_later(self, town: Town) -> None:
        def restart() -> None:
            if not town.up:
                town.restart()

        self.schedule.after(self.chance.choice((0.1, 3.0, 60.0)), restart)

    def _crash(self, town: Town, mail: Mail) -> None:
        if town.up:
            town.crash()
        self._restart_later(town)

    def _crash_at_commit(self, town: Town, mail: Mail) -> None:
        town.disk.fault = self.chance.choice(COMMIT_FAULTS)
        for seconds in (20.0, 60.0):
            self.schedule.after(seconds, lambda: self._restart_later(town))

    def _crash_after_produce(self, town: Town, mail: Mail) -> None:
        mail.crash_after_produce = True
        self.schedule.after(30.0, lambda: self._restart_later(town))

    def _pause(self, town: Town, mail: Mail) -> None:
        town.pause(self.chance.choice((1.0, 40.0, 120.0)))

    def _broker_away(self, town: Town, mail: Mail) -> None:
        self.network.broker_up = False

        def back() -> None:
            self.network.broker_up = True

        self.schedule.after(self.chance.choice((1.0, 20.0, 150.0)), back)

    def _cut_link(self, town: Town, mail: Mail) -> None:
        other = self.chance.choice([one.name for one in self.towns if one is not town] + ["broker"])
        link = self.chance.choice(((town.name, other), (other, town.name)))
        self.network.cut_links.add(link)
        self.schedule.after(self.chance.choice((5.0, 60.0, 200.0)), lambda: self.network.cut_links.discard(link))

    def _empty_topic(self, town: Town, mail: Mail) -> None:
        self.network.topics[town.name].clear()
        mail.position = mail.hint = 0

    def _replay_topic(self, town: Town, mail: Mail) -> None:
        mail.position = mail.hint = 0
        mail.read_soon()

    def _turn_clock(self, town: Town, mail: Mail) -> None:
        town.skew_seconds = self.chance.uniform(-DAY_SECONDS, DAY_SECONDS)

    def _poison(self, town: Town, mail: Mail) -> None:
        for _ in range(self.chance.choice((1, 1, 20))):
            self.network.store(town.name, self.chance.choice(GARBAGE))

    def _forge(self, town: Town, mail: Mail) -> None:
        """A well-made segment from nobody, or from a town for another network, that would credit a member."""
        sender = self.chance.choice([one for one in self.towns if one is not town])
        peer = town.book.peers.get(sender.name)
        if peer is None or not self.clients.aliases[town.name]:
            return
        outside = self.chance.random() < 0.3
        position = peer.incoming.n + 1
        retired = self.registries.retired_keys(sender.name, town.book.registry_version)
        message = m.TransferSentMessage(
            id=m.message_id(town.name, peer.generation, position),
            source=sender.name,
            specversion="1.0",
            subject=town.name,
            time=town.book.time,
            data=m.Sent(
                transfer=f"{sender.name}.{peer.generation}.{town.name}.{position}",
                at=1,
                minutes=60,
                payee=self.chance.choice(self.clients.aliases[town.name]),
                payer_tag="0" * 30,
                purpose="gift",
                expires_at="2027-01-01T00:00:00.000Z",
            ),
        )
        key = key_of("attacker")
        if outside and sender.book.registry_version:
            key = self.registries.signing_key(sender.name, sender.book.registry_version)
        elif retired:
            # Whoever got hold of a key that was then retired.
            key = key_of(self.chance.choice(retired))
        segment = make_segment(
            identity=Identity("another.example" if outside else NETWORK, sender.name, peer.generation),
            to=town.name,
            after=StreamHead(peer.incoming.n, peer.incoming.chain),
            messages=[canonical.encode(message)],
            heard=Heard(generation=town.book.me.generation, n=peer.heard, chain=peer.unheard[peer.heard].hex()),
            registry=town.book.registry_version,
            size=0,
            root=bytes(32),
            key=key,
        )
        self.network.store(town.name, segment)

    def _replay_old(self, town: Town, mail: Mail) -> None:
        if self.network.seen:
            for _ in range(self.chance.choice((1, 5))):
                self.network.store(town.name, self.chance.choice(self.network.seen)[1])

    def _lose_key(self, town: Town, mail: Mail) -> None:
        """A key is known to be stolen: it goes at once, while messages that it signed are under way."""
        self.registries.replace_key(town.name)
        self._announce()

    def _rotate_key(self, town: Town, mail: Mail) -> None:
        self.registries.add_key(town.name)
        self._announce()
        self.schedule.after(self.chance.choice((5.0, 100.0)), lambda: self._retire(town.name))

    def _retire(self, name: str) -> None:
        gone = any(town.is_gone and town.name == name for town in self.towns)
        if len(self.registries.event_keys[name]) > 1 and not gone:
            self.registries.retire_key(name)
            self._announce()

    def _suspend(self, town: Town, mail: Mail) -> None:
        self.registries.change(town.name, state="suspended")
        self._announce()

        def lift() -> None:
            if town.is_gone:
                return
            self.registries.change(town.name, state="open")
            self._announce()

        self.schedule.after(self.chance.choice((30.0, 200.0)), lift)

    def _lower_limit(self, town: Town, mail: Mail) -> None:
        self.registries.change(town.name, limit=self.chance.choice((0, 120, 600, 3000)))
        self._announce()

    def _announce(self) -> None:
        """The operators hand the newest version to one town; the others learn of it by its statements."""
        self.heavy.endings.announce(self.chance.choice([town for town in self.towns if not town.is_gone]))
