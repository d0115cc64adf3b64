"""One run: towns, network, people and misfortune from one seed; then healing, and the demand that everything ends."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.claims import Claims
from tests.simulation.claims_between import ClaimsBetween
from tests.simulation.clients import Clients
from tests.simulation.faults import Faults
from tests.simulation.mail import Mail
from tests.simulation.network import Network
from tests.simulation.promises import Broken, Promises
from tests.simulation.registries import Registries
from tests.simulation.rules import REAL, Rules
from tests.simulation.schedule import Schedule
from tests.simulation.town import Town
from timebank_contracts.properties import ended

NAMES = ("aberdare", "barry", "caernarfon", "denbigh", "ebbw-vale")
TRANSFERS_END_SECONDS = 75.0
"""P8: 60 s to the next statement of a town that waits, and the way of the messages."""
STREAMS_HEARD_SECONDS = 150.0
RETURN_SECONDS = 600.0
"""Everybody knows the registry, and a town that lost state got it back: statements, rounds, and streams from 0."""
PAIR_LIMIT = 900


@dataclass(frozen=True, slots=True)
class Result:
    """What a run was like."""

    seed: int
    trace: str
    entries: int
    transfers: int
    events: int
    ended_after_seconds: float
    heard_after_seconds: float


class Simulation:
    """The world of one seed."""

    def __init__(
        self,
        seed: int,
        *,
        rules: Rules = REAL,
        towns: int | None = None,
        limit: int = PAIR_LIMIT,
        story: bool = False,
    ) -> None:
        self.seed = seed
        self.schedule = Schedule(seed)
        if story:
            self.schedule.story = []
        if towns is None:
            towns = self.schedule.random.choice((3, 3, 3, 2, 4, 5))
        names = list(NAMES[:towns])
        self.registries = Registries(names, limit=limit)
        self.network = Network(self.schedule, names)
        self.towns = [Town(self.schedule, name, rules) for name in names]
        self.mails = [Mail(town, self.network, self.registries) for town in self.towns]
        for mail in self.mails:
            mail.offices = {other.town.name: other for other in self.mails}
        self.promises = Promises(self.towns)
        self.clients = Clients(self.towns, self.registries, self.promises, self.schedule)
        self.claims = Claims(self.clients)
        self.claims_between = ClaimsBetween(self.clients)
        self.faults = Faults(self.schedule, self.towns, self.mails, self.clients, self.registries)

    def found(self) -> None:
        """Found every town, in good weather."""
        for town, mail in zip(self.towns, self.mails, strict=True):
            mail.rebuilt([])
            self.clients.found(town)
            self.claims.found(town)
        self.schedule.run_until(10.0)

    def run(self) -> Result:
        """Both phases; raises `Broken` when a promise is."""
        self.found()
        chance = self.schedule.random
        seconds = chance.choice((60.0, 200.0, 600.0))
        at = 0.0
        acts = chance.choice((10, 25, 50, 120))
        while at < seconds:
            self.schedule.after(at, self.clients.act)
            at += chance.expovariate(acts / seconds)
        self.claims.plan(seconds)
        self.claims_between.plan(seconds)
        self.faults.heavy.endings.begin()
        self.faults.begin(seconds)
        self.schedule.run_until(self.schedule.now + seconds)
        for town in self.towns:
            if town.up and not town.on_old_disk:
                self.promises.judge_memory(town)
        ended_after, heard_after = self.heal()
        self.claims_between.judge()
        self.claims.end()
        self.promises.judge_returned()
        for town in self.towns:
            self.promises.judge_memory(town)
            self.schedule.note(f"{town.name} {town.book.n}", town.memory.tree.root())
        if (
            not self.faults.set_own_limits
            and len({node.limit for registry in self.registries.versions for node in registry.nodes}) == 1
        ):
            self.promises.judge_equal_limits()
        self.promises.judge_cut({town.name: chance.randint(0, town.book.n) for town in self.towns})
        return Result(
            seed=self.seed,
            trace=self.schedule.trace,
            entries=sum(town.book.n for town in self.towns),
            transfers=sum(len(journal.told.outcomes) for journal in self.promises.journals.values()),
            events=self.schedule.events,
            ended_after_seconds=ended_after,
            heard_after_seconds=heard_after,
        )

    def heal(self) -> tuple[float, float]:
        """Heal, and wait for the end of every transfer and for every stream to be heard; P8.

        Returns:
            Seconds from healing until both.
        """
        self.faults.heal()
        living = [town for town in self.towns if not town.is_gone]
        for town in living:
            if town.stopped:
                raise Broken(f"P8: {town.name} stopped: {town.stopped}")
        self._put_back(living)
        start = self.schedule.now
        if not self.schedule.run_until(start + TRANSFERS_END_SECONDS, stop=self.transfers_ended):
            found = ended(town.book for town in living) or ["A client waits."]
            raise Broken(f"P8: {found[0]} {TRANSFERS_END_SECONDS} s have passed since healing.")
        ended_after = self.schedule.now - start
        if not self.schedule.run_until(start + STREAMS_HEARD_SECONDS, stop=self.everything_heard):
            raise Broken(f"P8: a stream is not heard {STREAMS_HEARD_SECONDS} s after healing.")
        return ended_after, self.schedule.now - start

    def _put_back(self, living: list[Town]) -> None:
        """Towns that lost state are whole again, and everybody knows which town is closed for ever."""
        endings = self.faults.heavy.endings
        endings.announce(self.schedule.random.choice(living))
        if len(living) < len(self.towns):
            self.claims.rounds(RETURN_SECONDS)

        gone = [town.name for town in self.towns if town.is_gone]

        def is_done() -> bool:
            known = all(town.book.peers[name].state == "closed" for town in living for name in gone)
            frozen = any(peer.frozen for town in living for peer in town.book.peers.values())
            return known and not frozen and not endings.returning()

        if not is_done() and not self.schedule.run_until(self.schedule.now + RETURN_SECONDS, stop=is_done):
            raise Broken(f"P8: {endings.returning()} did not come back within {RETURN_SECONDS} s.")

    def open_transfers(self) -> int:
        """Transfers without an outcome at their payer's town."""
        return sum(len(town.book.open_transfers) for town in self.towns)

    def transfers_ended(self) -> bool:
        """Whether no transfer is open and no client waits."""
        return not self.clients.waiting and not ended(town.book for town in self.towns if not town.is_gone)

    def everything_heard(self) -> bool:
        """Whether every peer applied all that was sent to it, and every sender knows it.

        A peer that lost state may have heard once what its journal lacks now.
        """
        return self.transfers_ended() and all(
            out.heard == out.head == peer.outgoing.n == mail.offices[name].town.book.peers[mail.town.name].incoming.n
            for mail in self.mails
            if not mail.town.is_gone
            for name, out in mail.outgoing.items()
            if not mail.offices[name].town.is_gone and (peer := mail.town.book.peers[name])
        )
