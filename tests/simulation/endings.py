"""How a town's time on an old disk ends: a mirror's copy, a return under the next generation, or closed for ever.

old disk ─┬─▶ mirror: the whole journal, nothing acknowledged is lost
          ├─▶ returns: the registry closes the generation; the town goes on from a prefix (X7)
          └─▶ closed: nobody starts it again; what was sent to it comes back (X6)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.simulation.clients import OPERATOR, Clients
from tests.simulation.network import Network
from tests.simulation.putting_back import journal_of
from tests.simulation.registries import NETWORK
from tests.simulation.town import Town, replayed
from timebank_contracts.names import Identity
from timebank_ledger.comeback import come_back

How = Literal["mirror", "returns", "closed"]
DRAWN: tuple[How, ...] = ("mirror", "mirror", "returns", "returns", "returns", "returns", "closed")


@dataclass(slots=True)
class OldDisk:
    """What a town had, how much of it is left, and what will come of it."""

    whole: list[bytes]
    kept: int
    how: How


class Endings:
    """Knows which towns are on an old disk, and ends it."""

    def __init__(self, clients: Clients, network: Network) -> None:
        self.clients = clients
        self.network = network
        self.schedule = clients.schedule
        self.chance = clients.chance
        self.registries = clients.registries
        self.disks: dict[str, OldDisk] = {}
        self.founded: dict[str, int] = {}
        """Town → entries that every backup of it has."""

    def begin(self) -> None:
        """Every town is founded."""
        self.founded = {town.name: len(town.disk.entries) for town in self.clients.towns}

    def draw(self, town: Town, whole: list[bytes], kept: int) -> OldDisk:
        """What will come of a town that has the first `kept` of its entries left."""
        how: How = self.chance.choice(DRAWN)
        if how == "closed" and (len(self.clients.towns) < 3 or any(one.is_gone for one in self.clients.towns)):
            how = "mirror"
        if how == "returns":
            # What a town said of a neighbour's generation that is over must be restored with it (decision 0010).
            needed = (b'"type":"peer.generation_closed"', b'"type":"node.opened"', b'"type":"stream.recovered"')
            last = max((n for n, raw in enumerate(whole) if any(kind in raw for kind in needed)), default=0)
            kept = max(kept, last + 3, self.founded.get(town.name, len(whole)))
            book = replayed(whole[:kept]).book
            returning = any(peer.returning is not None for peer in book.peers.values())
            if kept > len(whole) or book.pending is not None or returning or book.registry_version == 0:
                how = "mirror"
        self.disks[town.name] = found = OldDisk(whole, kept, how)
        return found

    def end(self, town: Town) -> None:
        """What was drawn happens."""
        found = self.disks.pop(town.name, None)
        if found is None:
            return
        state = "stopped" if town.stopped else "not stopped"
        self.schedule.note(f"{town.name} ends its time on an old disk: {found.how}, {state}")
        if town.up:
            town.crash()
        town.stopped = town.disk.fault = None
        if found.how == "closed":
            self._close(town, found)
            return
        if found.how == "returns":
            self._return(town, found)
        else:
            town.disk.entries = found.whole
        town.on_old_disk = False
        self.network.silenced.discard(town.name)
        town.restart()

    def _return(self, town: Town, found: OldDisk) -> None:
        generation = self.registries.next_generation(town.name)
        journal = journal_of(found.whole[: found.kept])
        come_back(
            journal,
            Identity(NETWORK, town.name, generation),
            registries=self.registries.versions,
            first=tuple,
            time=self.schedule.wall(town.skew_seconds),
            by=OPERATOR,
        )
        town.disk.entries = [record.state for record in journal.read(0, journal.length())]
        self.clients.promises.release(town, found.kept)
        self.clients.forget(town, found.kept)
        self.announce(self.chance.choice([one for one in self.clients.towns if not one.is_gone]))

    def _close(self, town: Town, found: OldDisk) -> None:
        self.registries.change(town.name, state="closed")
        town.disk.entries = found.whole
        town.memory = replayed(found.whole)
        town.is_gone = True
        town.on_old_disk = False
        for other in self.clients.towns:
            if self.chance.random() < 0.5:
                self.announce(other)

    def announce(self, town: Town) -> None:
        """The operators hand the newest version to one town; the others learn of it by its statements."""
        if town.book.registry_version:
            for registry in self.registries.versions[town.book.registry_version :]:
                town.submit(registry, lambda answer: None)

    def returning(self) -> list[str]:
        """Towns that are still to put something back with a peer that lives."""
        gone = {town.name for town in self.clients.towns if town.is_gone}
        return [
            town.name
            for town in self.clients.towns
            if not town.is_gone
            and any(peer.returning is not None and name not in gone for name, peer in town.book.peers.items())
        ]
