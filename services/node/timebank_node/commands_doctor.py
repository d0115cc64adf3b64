"""`timebank doctor`: looks at a node's settings, keys, disk, journal, clock, registry, broker, peers, witnesses.

It works whether the node runs or not, and changes nothing but a probe file that it takes away again. A check that needs
what an earlier one did not find is left out, and says so. What is wrong is told in the words with which the node itself
would refuse to start, which say what to change.
Source: design page 6, "Configuration"; issue 5, point 10.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_directory.settings import DirectorySettings
from timebank_federation.broker_knock import NoWayIn, knock
from timebank_federation.broker_security import read_security
from timebank_federation.registries import Registries
from timebank_federation.settings import FederationSettings
from timebank_federation.witness_door import WitnessDoor
from timebank_kit.clock import Clock
from timebank_kit.files import UnsafeFile, atomic_write
from timebank_kit.journal import JournalTrouble, open_journal
from timebank_kit.settings import (
    SettingRefused,
    UnknownSetting,
    read_settings,
    refuse_misspelt_rooms,
    secrets_from_files,
)
from timebank_ledger.clock_guard import ClockGuard, ClockWrong, check_start
from timebank_ledger.head import HeadFile, JournalBehindHead
from timebank_ledger.settings import Settings
from timebank_node.commands_node import ROOMS
from timebank_node.compose import environment
from timebank_node.home import KEY_USES, Home, open_home
from timebank_node.operator_door import NodeAway, OperatorDoor
from timebank_node.peer_visit import PEERS_MAX, PeerVisitor
from timebank_node.witness_visit import WitnessVisitor

ROOM_BYTES_MIN: Final = 1 << 30
"""Less free room than this on the home's disk is told while there is still time to make some."""
_TOLD: Final = (
    Malformed,
    UnsafeFile,
    SettingRefused,
    UnknownSetting,
    JournalTrouble,
    JournalBehindHead,
    ClockWrong,
    NoWayIn,
    OSError,
    ValueError,
)
T = TypeVar("T")


class NotLooked(Exception):
    """A check that cannot be made now; the text says why. It is no fault."""


class _Timed(msgspec.Struct, frozen=True):
    time: str


class Doctor:
    """Looks at one home.

    Args:
        folder: the home.
        environ: variables of the node's process.
        clock: the machine's.
        door: makes the door to the running node, if it runs.
        visitor: makes who looks at peers, for the version of the registry that is held; None: nobody does.
        witnesses: the way to witnesses; None: nobody looks at them.
        room_bytes_min: what must be free on the disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environ: Mapping[str, str],
        clock: Clock,
        door: Callable[[], OperatorDoor],
        visitor: Callable[[int], PeerVisitor] | None = None,
        witnesses: WitnessDoor | None = None,
        room_bytes_min: int = ROOM_BYTES_MIN,
    ) -> None:
        self._folder = folder
        self._environ = environ
        self._clock = clock
        self._guard = ClockGuard(now=clock.now(), monotonic=clock.monotonic())
        self._door = door
        self._visitor = visitor
        self._witnesses = witnesses
        self._runs = False
        self._length: int | None = None
        self._room_bytes_min = room_bytes_min
        self._home: Home | None = None
        self._ledger: Settings | None = None
        self._federation: FederationSettings | None = None
        self._last_entry: str | None = None

    def examine(self, out: Console) -> bool:
        """Print a line for each check; says whether nothing must be changed."""
        checks = (
            ("keys", self._keys),
            ("settings", self._settings),
            ("disk", self._disk),
            ("journal", self._journal),
            ("clock", self._clocks),
            ("registry", self._registry),
            ("in force", self._in_force),
            ("broker", self._broker),
        )
        fine = True
        for name, check in checks:
            try:
                verdict, sentence = "FINE", check()
            except NotLooked as why:
                verdict, sentence = "-", str(why)
            except _TOLD as error:
                verdict, sentence = "CHANGE", " ".join(str(error).split())
                fine = False
            out.print(f"{verdict:<8}{name:<10}{sentence}")
        for name, looks in (("peer", self._peers()), ("witness", self._witnessed())):
            for verdict, sentence in looks:
                fine = fine and verdict != "CHANGE"
                out.print(f"{verdict:<8}{name:<10}{sentence}")
        return fine

    def _keys(self) -> str:
        self._home = open_home(self._folder)
        open_to = (self._folder / "keys").stat().st_mode & 0o077
        if open_to:
            raise Malformed(f"The folder of the keys is open to others; run: chmod 700 {self._folder / 'keys'}")
        return f"{self._home.identity.origin}: {', '.join(KEY_USES)}, readable by their owner alone."

    def _settings(self) -> str:
        home = _known(self._home, "the keys")
        refuse_misspelt_rooms(self._environ, ROOMS)
        said = environment(home, secrets_from_files(self._environ, ROOMS))
        ledger, federation = read_settings(Settings, said), read_settings(FederationSettings, said)
        read_settings(DirectorySettings, said)
        self._ledger, self._federation = ledger, federation
        return "The variables of this process are settings of the rooms. Run this with the node's environment."

    def _disk(self) -> str:
        probe = self._folder / f".doctor-{secrets.token_hex(8)}"
        try:
            # Written, synced, renamed: what the head file and every key need.
            atomic_write(probe, b"probe")
        finally:
            probe.unlink(missing_ok=True)
        free = shutil.disk_usage(self._folder).free
        if free < self._room_bytes_min:
            raise Malformed(
                f"{free >> 20} MiB are free on the disk of {self._folder}, and {self._room_bytes_min >> 20} should be: "
                "make room on it before the journal has none."
            )
        return f"Written and synced; {free >> 20} MiB are free."

    def _journal(self) -> str:
        settings = _known(self._ledger, "the settings")
        url = settings.journal_url
        if url == "memory:":
            raise Malformed("TIMEBANK_LEDGER_JOURNAL_URL is memory: the journal ends with the process; name a store.")
        path = Path(url.removeprefix("sqlite:").removeprefix("//"))
        head = HeadFile(settings.head_file)
        if url.startswith("sqlite:") and not path.exists():
            head.check(0, None)
            raise NotLooked("There is none yet; the first start makes it.")
        journal = open_journal(url, f"{settings.network}/{settings.node}")
        try:
            length = journal.length()
            last = journal.read(length - 1, 1) if length else []
        finally:
            journal.close()
        if length < head.size:
            head.check(length, None)
        self._length = length
        self._last_entry = msgspec.json.decode(last[0].state, type=_Timed).time if last else ""
        return f"{length} entries in a store that syncs; {head.size} are published."

    def _clocks(self) -> str:
        self._guard.check(now=self._clock.now(), monotonic=self._clock.monotonic())
        last = _known(self._last_entry, "the journal")
        confirmed = _known(self._ledger, "the settings").clock_confirmed
        check_start(now=self._clock.now(), last_entry=last, confirmed=confirmed)
        return f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC, not before the last entry."

    def _registry(self) -> str:
        home = _known(self._home, "the keys")
        registries = Registries(home.registry_folder)
        latest = registries.latest
        if registries.fork is not None:
            raise Malformed(registries.fork)
        if latest is None:
            raise Malformed(f"The home holds no registry: timebank node accept {self._folder} REGISTRY")
        named = latest.find(home.identity.node)
        if named is None:
            raise Malformed(f"Version {latest.version} does not name {home.identity.node}: timebank node join")
        home.check_keys(named)
        return f"Version {latest.version} of {latest.network} names this node and its keys."

    def _in_force(self) -> str:
        home = _known(self._home, "the keys")
        held = Registries(home.registry_folder).version
        try:
            accepted: int = self._door().ask("GET", "/v1/streams")["registry"]["version"]
        except NodeAway as away:
            raise NotLooked(f"{away} What its ledger accepted was not compared.") from away
        self._runs = True
        if accepted != held:
            raise Malformed(
                f"The home holds version {held} of the registry, the running ledger {accepted}: see timebank status."
            )
        return f"The running ledger accepted version {accepted}, the latest one held."

    def _peers(self) -> Iterator[tuple[str, str]]:
        """A verdict and a sentence for each peer; that one is away is its operator's matter, that all are is ours."""
        latest = None if self._home is None else Registries(self._home.registry_folder).latest
        if latest is None or self._home is None or self._visitor is None:
            return
        me, visitor = self._home.identity.node, self._visitor(latest.version)
        peers = [node for node in latest.nodes if node.node != me and node.state != "closed"][:PEERS_MAX]
        visits = [visitor.visit(node) for node in peers]
        nobody = len(visits) > 1 and all(visit.away for visit in visits)
        for node, visit in zip(peers, visits, strict=True):
            if visit.away is not None:
                yield "CHANGE" if nobody else "-", visit.away
            elif not visit.wrong:
                yield "FINE", f"{node.node}: {', '.join(visit.fine)}."
            yield from (("CHANGE", sentence) for sentence in visit.wrong)
        if nobody:
            yield (
                "CHANGE",
                "No peer answers: look at this machine's way out (name service, route, proxy, certificates).",
            )

    def _witnessed(self) -> Iterator[tuple[str, str]]:
        latest = None if self._home is None else Registries(self._home.registry_folder).latest
        if latest is None or self._home is None or self._witnesses is None:
            return
        visitor = WitnessVisitor(
            self._home, latest, door=self._witnesses, clock=self._clock, runs=self._runs, length=self._length
        )
        yield from visitor.look()

    def _broker(self) -> str:
        settings = _known(self._federation, "the settings")
        if not settings.kafka:
            raise NotLooked("None is named; peers are asked over HTTPS.")
        knock(settings.kafka, read_security(settings))
        return f"{settings.kafka} lets this node in. Topics and rights: timebank kafka check."


def _known(found: T | None, what: str) -> T:
    if found is None:
        raise NotLooked(f"Not looked at before {what}.")
    return found
