"""`timebank status`: what the rooms of a running node say, on one screen, and what of it needs an operator.

    every room     /readyz                                                            ─┐
    ledger         /metrics, /v1/streams, /v1/positions, /v1/journal (the last entry) ─┼─▶ lines, and what needs you
    federation     /v1/federation/state                                               ─┘
Nothing is changed, and nothing personal is asked for: the last entry gives its time only.
Source: design page 6; issue 5, point 10.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from timebank_contracts.amounts import show_hours
from timebank_contracts.errors import Malformed
from timebank_contracts.moments import parse_time
from timebank_contracts.tiles import decode_bundle
from timebank_kit.clock import Clock
from timebank_node.operator_door import NodeAway, OperatorDoor

ROOMS: Final = ("ledger", "directory", "federation")
OPEN_SECONDS_MAX: Final = 3_600
"""A transfer between towns that is open for longer is worth an operator's look."""
SILENT_SECONDS_MAX: Final = 3_600
"""A peer that was not heard for so long while messages wait for it, likewise."""


_FIGURE: Final = re.compile(r"^timebank_ledger_(writer_up|waiting|doubts|rolled_back) ([0-9.e+]{1,32})$", re.MULTILINE)


class _Timed(msgspec.Struct, frozen=True):
    """The one field of an entry that is looked at."""

    time: str


class StatusScreen:
    """Asks the rooms, prints the screen, and gathers what needs somebody.

    Args:
        doors: to each room by its name; the same door for all behind one port.
        clock: ages are counted by it.
    """

    def __init__(self, out: Console, doors: Mapping[str, OperatorDoor], *, clock: Clock) -> None:
        self._out = out
        self._doors = doors
        self._now = clock.now()
        self.needs: list[str] = []

    def show(self) -> None:
        """Print the screen.

        Raises:
            NodeAway: the ledger does not answer.
        """
        self._show_rooms()
        self._show_writer()
        streams = self._asked("ledger", "/v1/streams")
        positions = self._asked("ledger", "/v1/positions")
        state = self._asked("federation", "/v1/federation/state")
        if streams is not None:
            self._show_journal(streams)
        if streams is not None and positions is not None:
            self._show_streams(streams["streams"], positions, {} if state is None else state["peers"])
        if state is not None:
            self._show_federation(state, None if streams is None else streams["registry"]["version"])
        for need in self.needs:
            self._out.print(f"NEEDS YOU  {need}")
        if not self.needs:
            self._out.print("Nothing needs you.")

    def _tried(self, room: str, ask: Callable[[OperatorDoor], Any]) -> Any:
        """The answer; None when there is none, and then somebody is needed. Without the ledger there is no screen."""
        try:
            return ask(self._doors[room])
        except NodeAway as away:
            if room == "ledger":
                raise
            self._need(str(away))
        except Malformed as refused:
            self._need(str(refused))
        return None

    def _asked(self, room: str, path: str) -> Any:
        return self._tried(room, lambda door: door.ask("GET", path))

    def _need(self, sentence: str) -> None:
        if sentence not in self.needs:
            self.needs.append(sentence)

    def _show_rooms(self) -> None:
        asked: list[OperatorDoor] = []
        for room in ROOMS:
            door = self._doors[room]
            if door in asked:
                continue
            asked.append(door)
            said = self._asked(room, "/readyz")
            # One port says what all rooms say; a process of its own speaks for itself.
            for name, found in ({} if said is None else said.get("rooms", {room: said})).items():
                self._out.print(f"{name:<12}{found['state']}")
                for trouble in found.get("trouble", ()):
                    self._need(f"{name}: {trouble}")

    def _show_writer(self) -> None:
        text = self._tried("ledger", lambda door: door.read("/metrics"))
        if text is None:
            return
        figures = {name: int(float(value)) for name, value in _FIGURE.findall(text.decode("utf-8", "replace"))}
        # Why it stopped stands in what the ledger answers to /readyz.
        takes = "takes commands" if figures.get("writer_up") else "stopped"
        waiting, doubts = figures.get("waiting", 0), figures.get("doubts", 0)
        self._out.print(f"{'writer':<12}{takes}, {waiting} wait, journal read back {doubts} times")
        if figures.get("rolled_back"):
            self._need("A peer proved that entries are missing here: timebank restore.")

    def _show_journal(self, streams: dict[str, Any]) -> None:
        length: int = streams["position"]
        path = f"/v1/journal?after={length - 2}&limit=1"
        bundle = None if length < 1 else self._tried("ledger", lambda door: door.read(path))
        entries = [] if bundle is None else decode_bundle(bundle, count_max=1)
        age = "".join(
            f", the last one {_age(self._now, parse_time(msgspec.json.decode(raw, type=_Timed).time))} ago"
            for raw in entries
        )
        identity = streams["identity"]
        self._out.print(f"{'journal':<12}{length} entries of {identity['node']} {identity['generation']}{age}")

    def _show_streams(self, streams: list[dict[str, Any]], positions: dict[str, Any], peers: dict[str, Any]) -> None:
        table = Table("Peer", "State", "In", "Out", "Heard", "Contact", "Position", "Open", "Oldest", box=None)
        rows = {row["peer"]: row for row in positions["rows"]}
        for stream in streams:
            peer = stream["peer"]
            row = rows.get(peer, {"clearing": 0, "oldest_age_seconds": None, "warning": False})
            oldest = row["oldest_age_seconds"]
            contact = peers.get(peer, {}).get("last_contact")
            silent = None if contact is None else self._now - datetime.fromisoformat(contact)
            table.add_row(
                peer,
                "frozen" if stream["frozen"] else "recovering" if stream.get("returning") else stream["state"],
                str(stream["incoming"]["n"]),
                str(stream["outgoing"]["n"]),
                str(stream["heard"]),
                "" if silent is None else f"{silent.total_seconds():.0f} s ago",
                show_hours(-row["clearing"]),
                str(stream["open_transfers"]),
                "" if oldest is None else f"{oldest} s",
            )
            if stream.get("returning"):
                self._need(f"What was lost is still put back with {peer}: until then nothing new goes there.")
            if stream["frozen"]:
                self._need(f"The stream of {peer} is frozen as evidence: timebank quarantine list, then call them.")
            if row["warning"]:
                self._need(f"A limit with {peer} is nearly used: timebank peers limits.")
            if oldest is not None and oldest > OPEN_SECONDS_MAX:
                self._need(f"A transfer with {peer} is open for {oldest} s: call its operator.")
            unheard = stream["outgoing"]["n"] - stream["heard"]
            if unheard and silent is not None and silent.total_seconds() > SILENT_SECONDS_MAX:
                self._need(f"{peer} is silent for {silent.total_seconds():.0f} s, and {unheard} messages wait for it.")
        if streams:
            self._out.print(table)
        used = f"{show_hours(positions['debt'])} of {show_hours(positions['debt_limit'])}"
        self._out.print(f"{'debt':<12}{used} to all peers together")

    def _show_federation(self, state: dict[str, Any], in_force: int | None) -> None:
        self._out.print(f"{'broker':<12}{'away' if state['broker_away'] else 'not away'}")
        self._out.print(f"{'registry':<12}version {state['registry']}")
        kept, given_up = state["quarantined"], state["quarantine_given_up"]
        self._out.print(f"{'quarantine':<12}{kept} kept, {given_up} given up")
        if state["intake_stopped"]:
            self._need(f"Nothing is taken from the broker: {state['intake_stopped']} timebank doctor.")
        for peer in state["waits_for_upgrade"]:
            self._need(f"{peer} sends what this version does not know: update this node.")
        self._show_witnesses(state["witnessing"])
        if state["broker_away"]:
            self._need("The broker is away; peers are asked over HTTPS meanwhile: timebank kafka check.")
        if state["registry_forked"]:
            self._need(f"The registry is forked: {state['registry_forked']}")
        if state["registry_refused"]:
            self._need(f"The ledger refuses the registry: {state['registry_refused']}")
        elif in_force is not None and in_force != state["registry"]:
            self._need(f"Federation holds registry {state['registry']}, the ledger {in_force}: is the ledger writing?")
        if given_up:
            self._need(f"{given_up} segments were dropped from a full quarantine: timebank quarantine list.")

    def _show_witnesses(self, witnessing: dict[str, Any]) -> None:
        rows = witnessing["witnesses"]
        done = [row for row in rows if row["cosigned_at"]]
        latest = max(done, key=lambda row: (row["size"], row["cosigned_at"]), default=None)
        said = "none in the registry" if not rows else f"0 of {len(rows)} cosigned"
        if latest is not None:
            newest = [row["name"] for row in done if row["size"] == latest["size"]]
            by = ", ".join(newest)
            seconds = self._now.timestamp() - latest["cosigned_at"]
            said = (
                f"{latest['size']} entries cosigned {seconds:.0f} s ago by {by} ({len(newest)} of {len(rows)} cosigned)"
            )
        self._out.print(f"{'witnesses':<12}{said}")
        if witnessing["contradicted"]:
            self._need(f"{witnessing['contradicted']} See deploy/runbooks/witness.md.")
        for row in rows:
            if row["trouble"] and not witnessing["contradicted"]:
                self._need(f"The witness {row['name']} {row['trouble']}: call whoever runs it.")


def _age(now: datetime, then: datetime) -> str:
    return f"{(now - then).total_seconds():.0f} s"


def show_status(out: Console, doors: Mapping[str, OperatorDoor], *, clock: Clock) -> bool:
    """Print one screen of a running node; says whether nothing needs an operator. Raises `NodeAway`."""
    screen = StatusScreen(out, doors, clock=clock)
    screen.show()
    return not screen.needs
