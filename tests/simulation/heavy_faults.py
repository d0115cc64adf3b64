"""Faults of whole networks and whole disks: partitions, an emptied broker, towns' own limits, an old disk put back.

old disk ─▶ the town hears and says nothing ─▶ it stops, or nobody had heard ─▶ mirror, return or the end
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations

from tests.simulation.clients import OPERATOR, Clients
from tests.simulation.endings import Endings
from tests.simulation.lies import Lies
from tests.simulation.mail import Mail
from tests.simulation.network import Network
from tests.simulation.schedule import Schedule
from tests.simulation.town import Answer, Town, replayed
from timebank_contracts.errors import Refusal
from timebank_ledger import commands as c

Link = tuple[str, str]
SWIZZLE_STEP_SECONDS = 3.0
THAW_SECONDS = 150.0
"""After healing: a lie may still be read again."""


class HeavyFaults:
    """What strikes more than one process or link."""

    def __init__(self, schedule: Schedule, towns: list[Town], mails: list[Mail], clients: Clients) -> None:
        self.schedule = schedule
        self.chance = schedule.random
        self.towns = towns
        self.mails = mails
        self.clients = clients
        self.network: Network = mails[0].network
        self.active = True
        self.set_own_limits = False
        self.endings = Endings(clients, mails[0].network)
        self.lies = Lies(schedule, mails[0].network, clients)
        self.kinds: list[Callable[[Town, Mail], None]] = [
            self._partition,
            self._swizzle,
            self._wipe_broker,
            self._retain_briefly,
            self._own_policy,
            self._agree_limit,
            self._lie,
            self.old_disk,
            self.old_disk,
        ]

    def heal(self) -> None:
        """Whatever was drawn for towns on an old disk happens now; nobody is kept from speaking."""
        self.active = False
        self.lies.thaw_all(THAW_SECONDS)
        for town in self.towns:
            self.endings.end(town)

    # Links and broker --------------------------------------------------------------------------------------------

    def _partition(self, town: Town, mail: Mail) -> None:
        """Two groups that cannot reach each other, and with some chance only one of them reaches the broker."""
        names = [one.name for one in self.towns]
        group = set(self.chance.sample(names, self.chance.randint(1, len(names) - 1)))
        links = {(a, b) for a, b in permutations(names, 2) if (a in group) != (b in group)}
        if self.chance.random() < 0.6:
            links |= {link for name in sorted(group) for link in ((name, "broker"), ("broker", name))}
        self.network.cut_links |= links

        def end() -> None:
            self.network.cut_links -= links

        self.schedule.after(self.chance.choice((10.0, 60.0, 600.0)), end)

    def _swizzle(self, town: Town, mail: Mail) -> None:
        """All links of a town stop one by one, and come back in another order."""
        others = [one.name for one in self.towns if one is not town] + ["broker"]
        links: list[Link] = [link for other in others for link in ((town.name, other), (other, town.name))]
        back = list(links)
        self.chance.shuffle(links)
        self.chance.shuffle(back)
        for number, link in enumerate(links):
            self.schedule.after(number * SWIZZLE_STEP_SECONDS, partial(self._cut, link))
        for number, link in enumerate(back, start=len(links)):
            self.schedule.after(number * SWIZZLE_STEP_SECONDS, partial(self.network.cut_links.discard, link))

    def _cut(self, link: Link) -> None:
        if self.active:
            self.network.cut_links.add(link)

    def _wipe_broker(self, town: Town, mail: Mail) -> None:
        """The broker comes back with nothing in it, and every saved offset is wrong."""
        for office in self.mails:
            self.network.topics[office.town.name].clear()
            office.hint = self.chance.choice((0, office.hint))

    def _retain_briefly(self, town: Town, mail: Mail) -> None:
        """Retention ends before an outage does: the oldest records go, whether they were read or not."""
        records = self.chance.randint(0, len(self.network.topics[town.name]))
        self.network.forget(town.name, records)
        mail.position, mail.hint = max(0, mail.position - records), max(0, mail.hint - records)

    # A town's own policy about a peer ----------------------------------------------------------------------------

    def _own_policy(self, town: Town, mail: Mail) -> None:
        """An operator sets or lifts a limit of its own for a peer, or suspends it here and resumes it later."""
        peer = self.chance.choice([one.name for one in self.towns if one is not town])
        suspended = self.chance.random() < 0.3
        self.set_own_limits = True
        self._change_peer(town, peer, own_limit=self.chance.choice((None, 0, 120, 600)), suspended=suspended)
        if suspended:
            resume = partial(self._change_peer, town, peer, own_limit=None, suspended=False)
            self.schedule.after(self.chance.choice((20.0, 90.0)), resume)

    def _agree_limit(self, town: Town, mail: Mail) -> None:
        """Two towns agree on a limit; each enters it when the other's signature reaches it."""
        other = self.chance.choice([one for one in self.towns if one is not town])
        limit = self.chance.choice((60, 300, 900, 2_000))
        self.set_own_limits = True
        for one, peer in ((town, other), (other, town)):
            enter = partial(self._change_peer, one, peer.name, own_limit=limit, suspended=False)
            self.schedule.after(self.chance.choice((0.1, 5.0, 60.0)), enter)

    def _lie(self, town: Town, mail: Mail) -> None:
        """A peer's software lies to this town, whose operator thaws the stream later."""
        self.lies.tell(town, self.schedule.after)

    def _change_peer(self, town: Town, peer: str, *, own_limit: int | None, suspended: bool) -> None:
        town.submit(c.ChangePeer(by=OPERATOR, peer=peer, own_limit=own_limit, suspended=suspended), _refused_or_done)

    # An old disk -------------------------------------------------------------------------------------------------

    def old_disk(self, town: Town, mail: Mail) -> None:
        """The machine is lost and an old copy of its disk starts; `endings.py` says what comes of it.

        The operator lets it listen only: were it to speak, it would be a second history, which nothing can undo.
        """
        if town.on_old_disk or town.is_gone or town.stopped or town.book.identity is None:
            return
        whole = list(town.disk.entries)
        kept = self.chance.randint(len(whole) // 2, len(whole))
        while kept and replayed(whole[:kept]).book.pending is not None:
            kept -= 1
        if town.up:
            town.crash()
        kept = self.endings.draw(town, whole, kept).kept
        self.network.silenced.add(town.name)
        town.on_old_disk = True
        town.disk.fault = None
        town.disk.entries = whole[:kept]
        town.restart()
        self.schedule.after(self.chance.choice((5.0, 80.0, 200.0)), lambda: self.endings.end(town))


def _refused_or_done(answer: Answer) -> None:
    assert not isinstance(answer, Exception) or isinstance(answer, Refusal), answer
