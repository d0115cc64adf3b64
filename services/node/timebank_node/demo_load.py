"""Loading a season into the demo's towns: people are enrolled, each step becomes one command, every row is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from timebank_contracts.entries import TransferReturned, decode_entry
from timebank_kit.journal import scan
from timebank_node.demo_towns import DemoNetwork, DemoTown
from timebank_node.rows import TOWN_ACCOUNTS, Row, Step, given_of, postings_of
from timebank_node.season import Season
from timebank_node.townsfolk import MemberLine


@dataclass(slots=True)
class Loaded:
    """What became of the rows; minutes beside them."""

    rows: Counter[str] = field(default_factory=Counter)
    """By outcome: taken, or the code of the refusal."""
    minutes: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    """Transfers that came back, by the reason of the payee's town."""
    refusals: list[tuple[Row, str, str]] = field(default_factory=list)
    """The first refused rows, with code and sentence."""


REFUSALS_SHOWN = 12


class Loader:
    """Knows the accounts and receiving addresses that were found so far."""

    def __init__(self, network: DemoNetwork) -> None:
        self._network = network
        self._accounts: dict[tuple[str, str], str] = {}
        self._aliases: dict[tuple[str, str, str], str] = {}
        self.loaded = Loaded()

    def enrol(self, people: list[MemberLine], *, progress: Callable[[], None]) -> None:
        """Enrol people and organisations at their towns; in the demo all consent to be paid from other towns."""
        for number, person in enumerate(people):
            town = self._network.towns[person.town]
            path = "/v1/organisations" if person.kind == "organisation" else "/v1/members"
            body: dict[str, Any] = {"handle": person.handle, "name": person.name, "payable_from_other_towns": True}
            body |= {} if person.floor is None else {"floor": person.floor}
            body |= {} if person.ceiling is None else {"ceiling": person.ceiling}
            answer = town.http.post(path, json=body, headers=town.headers("operate", key=f"enrol/{number}"))
            answer.raise_for_status()
            self._accounts[person.town, person.handle] = answer.json()["account"]
            progress()

    def load(self, season: Season, *, progress: Callable[[int], None]) -> Loaded:
        """Enter every step in order of time."""
        for step in season.steps():
            self._network.move_to(step[0].time)
            self._enter(step)
            if step[0].crosses_towns:
                self._network.pump()
            progress(len(step))
        self._network.decide_all()
        for town in self._network.towns.values():
            self._count_returned(town)
        return self.loaded

    def _enter(self, step: Step) -> None:
        row = step[0]
        town = self._network.towns[row.payer_town]
        body = self._group(step) if row.group else self._single(row)
        if isinstance(body, str):
            self._count(step, body, "Nobody of this handle can be paid there.")
            return
        headers = town.headers("transfers:write", "operate", key=f"season/{row.line}")
        answer = town.http.post("/v1/transfers", json=body, headers=headers)
        if answer.status_code == 201:
            self._count(step, "taken", "")
        elif answer.status_code < 500:
            problem = answer.json()
            self._count(step, problem["code"], problem["detail"])
        else:
            answer.raise_for_status()

    def _count(self, step: Step, outcome: str, detail: str) -> None:
        self.loaded.rows[outcome] += len(step)
        self.loaded.minutes[outcome] += sum(row.minutes for row in step)
        if outcome != "taken" and len(self.loaded.refusals) < REFUSALS_SHOWN:
            self.loaded.refusals.append((step[0], outcome, detail))

    def _single(self, row: Row) -> dict[str, Any] | str:
        payee: dict[str, str] = {"account": self._account(row.payee_town, row.payee)}
        if row.crosses_towns:
            alias = self._alias(row)
            if alias is None:
                return "payee_unknown"
            payee = {"node": row.payee_town, "alias": alias}
        said: dict[str, Any] = {
            "payer": self._account(row.payer_town, row.payer),
            "payee": payee,
            "minutes": row.minutes,
            "purpose": row.purpose,
            "confirmed_by": row.confirmed_by,
        }
        optional = {"activity": row.activity, "served_on": row.served_on, "given_minutes": row.given_minutes}
        if row.purpose == "support":
            said["reason"] = "other"
        return said | {name: value for name, value in optional.items() if value is not None}

    def _group(self, step: Step) -> dict[str, Any]:
        row = step[0]
        given = given_of(step)
        body: dict[str, Any] = {
            "postings": [[self._account(row.payer_town, who), minutes] for who, minutes in postings_of(step)],
            "purpose": "service",
            "activity": row.activity,
            "served_on": row.served_on,
            "confirmed_by": row.confirmed_by,
        }
        if given is not None:
            body["given"] = [[self._account(row.payer_town, who), minutes] for who, minutes in given]
        return body

    def _account(self, town: str, handle: str) -> str:
        return handle if handle in TOWN_ACCOUNTS else self._accounts[town, handle]

    def _alias(self, row: Row) -> str | None:
        """The payee's receiving address for the payer's town: asked for once, as a handle, directory to directory."""
        known = (row.payer_town, row.payee_town, row.payee)
        if known not in self._aliases:
            town = self._network.towns[row.payer_town]
            answer = town.http.post(
                "/v1/payees/resolve",
                json={"handle": row.payee, "node": row.payee_town},
                headers=town.headers("transfers:write"),
            )
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
            self._aliases[known] = answer.json()["alias"]
        return self._aliases[known]

    def _count_returned(self, town: DemoTown) -> None:
        journal = town.town.ledger.writer.journal
        for record in scan(journal, 0, journal.length()):
            if record.topic == "transfer.returned":
                entry = decode_entry(record.state)
                assert isinstance(entry, TransferReturned)
                self.loaded.returned[entry.data.reason] += 1
