"""The shipped season: made by its program byte for byte, read without a refusal, and coming out as it says it does."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from contracts.vectors.paper_town import MEMBER, OPERATOR, PaperTown, talk
from deploy.demo.convert_sarafu import TOWNS, main, town_of
from timebank_contracts import entries as e
from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.errors import Refusal
from timebank_contracts.moments import show_time
from timebank_directory.people import skeleton
from timebank_node.rows import Row, Step, given_of, postings_of
from timebank_node.season import read_rows
from timebank_node.townsfolk import read_members, read_towns

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "deploy" / "demo"
FILES = ("towns.csv", "members.csv", "exchanges.csv", "expected.json")


class SeasonTown(PaperTown):
    """A town on paper whose clock is the season's."""

    clock = datetime(2025, 12, 31, tzinfo=UTC)

    @property
    def now(self) -> str:
        return show_time(self.clock)


class SeasonOnPaper:
    """The shipped towns on paper: an honest network made of the contracts alone."""

    def __init__(self) -> None:
        plans = read_towns((DEMO / "towns.csv").read_bytes())
        self.towns = {plan.town: SeasonTown(plan.town) for plan in plans}
        self.aliases: dict[tuple[str, str], str] = {}
        self.outcomes: Counter[str] = Counter()
        for one, other in combinations(plans, 2):
            limit = min(one.pair_limit, other.pair_limit)
            self.towns[one.town].meet(self.towns[other.town], limit=limit)
            self.towns[other.town].meet(self.towns[one.town], limit=limit)
        for plan in plans:
            self.towns[plan.town].account("pot", "pot", floor=0, ceiling=LIMIT_MAX)
        defaults = {plan.town: plan for plan in plans}
        for who in read_members((DEMO / "members.csv").read_bytes()):
            plan, town = defaults[who.town], self.towns[who.town]
            floor = plan.default_floor if who.floor is None else who.floor
            ceiling = plan.default_ceiling if who.ceiling is None else who.ceiling
            town.account(who.handle, who.kind, floor=floor, ceiling=ceiling)
            self.aliases[who.town, who.handle] = town.alias(who.handle)

    def carry(self) -> None:
        for one, other in combinations(self.towns.values(), 2):
            talk(one, other)

    def enter(self, step: Step) -> None:
        row = step[0]
        for town in self.towns.values():
            town.clock = row.time
        try:
            if row.crosses_towns:
                self._send(row)
            else:
                self._post(step)
        except Refusal as refusal:
            self.outcomes[refusal.code] += 1
        else:
            self.outcomes["accepted"] += 1

    def _send(self, row: Row) -> None:
        payee = self.aliases[row.payee_town, row.payee]
        said: dict[str, Any] = {"purpose": row.purpose}
        if row.purpose == "service":
            given = UNSET if row.given_minutes is None else row.given_minutes
            said |= {"activity": row.activity, "served_on": row.served_on, "given_minutes": given}
        self.towns[row.payer_town].send(row.payer, row.payee_town, payee, row.minutes, **said)

    def _post(self, step: Step) -> None:
        row, given = step[0], given_of(step)
        by = OPERATOR if row.purpose == "support" else MEMBER
        data = e.Posted(
            purpose=row.purpose,  # type: ignore[arg-type]  # `apply` checks the closed sets
            confirmed_by=row.confirmed_by,  # type: ignore[arg-type]
            activity=UNSET if row.activity is None else row.activity,  # type: ignore[arg-type]
            served_on=UNSET if row.served_on is None else row.served_on,
            given=UNSET if given is None else given,
            reason="other" if row.purpose == "support" else UNSET,
        )
        self.towns[row.payer_town].write(e.TransferPosted, data, by=by, postings=postings_of(step))

    def returned(self) -> Counter[str]:
        entries = [entry for town in self.towns.values() for entry in town.entries]
        return Counter(entry.data.reason for entry in entries if isinstance(entry, e.TransferReturned))


@pytest.fixture(scope="module")
def expected() -> Any:
    return json.loads((DEMO / "expected.json").read_text("utf-8"))


def test_the_program_makes_the_files_byte_for_byte_with_the_standard_library_alone(tmp_path: Path) -> None:
    program = [sys.executable, "-S", "-m", "deploy.demo.make_season", str(tmp_path)]
    subprocess.run(program, cwd=ROOT, check=True, capture_output=True, timeout=120)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (DEMO / name).read_bytes(), name


def test_the_season_is_of_the_promised_size_and_every_line_can_be_read(expected: Any) -> None:
    season = read_rows((DEMO / "exchanges.csv").read_bytes())
    assert not season.refused
    assert not season.ignored
    assert len(season.rows) == expected["rows"] == 600
    assert [row.line for row in season.rows] == list(range(2, 602)), "the file is in order of time"
    assert {row.time.strftime("%Y-%m") for row in season.rows} == {f"2026-0{month}" for month in range(1, 7)}
    assert 0.2 < sum(row.crosses_towns for row in season.rows) / 600 < 0.3
    assert len(list(season.steps())) == expected["steps"]
    assert {"service", "gift", "pot", "support"} == {row.purpose for row in season.rows}
    hours = [row.minutes / 60 for row in season.rows if row.purpose == "service"]
    assert 2.6 < sum(hours) / len(hours) < 3.1


def test_members_are_sixty_people_and_four_organisations_whose_handles_cannot_be_confused() -> None:
    members = read_members((DEMO / "members.csv").read_bytes())
    assert Counter(who.kind for who in members) == {"member": 60, "organisation": 4}
    assert len({(who.town, skeleton(who.handle)) for who in members}) == 64
    known = {(who.town, who.handle) for who in members}
    assert set(read_rows((DEMO / "exchanges.csv").read_bytes()).people()) <= known


@pytest.mark.parametrize("carries_daily", [False, True], ids=["at once", "once a day"])
def test_the_contracts_make_of_the_season_what_is_expected_however_late_messages_are(
    carries_daily: bool, expected: Any
) -> None:
    paper = SeasonOnPaper()
    day = None
    for step in read_rows((DEMO / "exchanges.csv").read_bytes()).steps():
        if carries_daily and step[0].time.date() != day:
            paper.carry()
        day = step[0].time.date()
        paper.enter(step)
        if not carries_daily and step[0].crosses_towns:
            talk(paper.towns[step[0].payer_town], paper.towns[step[0].payee_town])
    paper.carry()
    returned = paper.returned()
    assert returned == expected["returned"]
    assert paper.outcomes.pop("accepted") - returned.total() == expected["accepted"]
    assert paper.outcomes == expected["refused"]
    for name, town in paper.towns.items():
        assert not town.book.open_transfers
        assert sum(minutes for _, minutes in town.book.balances()) == 0
        assert town.book.accounts["pot"].balance == expected["pots_minutes"][name]
        owes = {peer: max(0, state.debt) for peer, state in town.book.peers.items()}
        assert owes == expected["owes_minutes"][name]


ALYS, BRYN, CERI = (f"0x{letter * 40}" for letter in "ABC")
LINES = (
    ("STANDARD", ALYS, BRYN, "12.75"),
    ("STANDARD", ALYS, BRYN, "0.5"),
    ("STANDARD", ALYS, BRYN, "60001"),
    ("STANDARD", ALYS, "nobody", "3"),
    ("STANDARD", ALYS, BRYN, "-3"),
    ("DISBURSEMENT", CERI, BRYN, "400.0"),
    ("RECLAMATION", BRYN, CERI, "7"),
    ("AGENT_OUT", ALYS, next(f"0x{n:040x}" for n in range(99) if town_of(f"0x{n:040x}") != town_of(ALYS)), "5"),
    ("MYSTERY", ALYS, BRYN, "2.5"),
    ("STANDARD", ALYS, BRYN, "1e-05"),
)


@pytest.mark.parametrize("heading", ["", "id,timeset,transfer_subtype,source,target,weight\n"], ids=["bare", "heading"])
def test_a_converted_file_counts_every_row_and_every_fraction(heading: str, tmp_path: Path) -> None:
    rows = (f"{n},2020-01-26 07:54:17.117130,{','.join(cells)}\n" for n, cells in enumerate(LINES))
    path = tmp_path / "given.csv"
    path.write_text(heading + "".join(rows), "utf-8")
    out, messages = io.StringIO(), io.StringIO()
    assert main([str(path)], out, messages) == 0
    season = read_rows(out.getvalue().encode())
    assert not season.refused
    assert [(row.purpose, row.minutes) for row in season.rows] == [("service", 12), ("grant", 400), ("correction", 7)]
    service, grant, correction = season.rows
    assert (grant.payer, grant.payer_town, grant.payee_town) == ("grant", town_of(BRYN), town_of(BRYN))
    assert (correction.payer, correction.payee, correction.payee_town) == (grant.payee, "pot", town_of(BRYN))
    assert (service.payee, service.payee_town) == (grant.payee, grant.payee_town)
    assert service.time == datetime(2020, 1, 26, 7, 54, 17, 117000, tzinfo=UTC)
    words = [line.split() for line in messages.getvalue().splitlines()]
    assert ["rows", "in", "the", "file", "10", "weight", "60,431.750010"] in words
    assert ["rows", "written", "3", "minutes", "419"] in words
    assert {line[0]: line[1] for line in words if "_" in line[0]} == {
        "address_unreadable": "1",
        "amount_out_of_range": "1",
        "correction_between_towns": "1",
        "less_than_a_minute": "2",
        "subtype_unknown": "1",
        "weight_unreadable": "1",
    }


def test_addresses_spread_over_the_three_towns_whatever_their_case() -> None:
    found = Counter(town_of(f"0x{n:040x}") for n in range(300))
    assert set(found) == set(TOWNS)
    assert min(found.values()) > 70
    assert town_of(ALYS) == town_of(ALYS.lower())


def test_a_file_that_is_not_such_a_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    for content in (b"id,when,who\n", b"\xff\xfe\xfd"):
        path.write_bytes(content)
        messages = io.StringIO()
        assert main([str(path)], io.StringIO(), messages) == 1
        assert "cannot be read as CSV in UTF-8" in messages.getvalue()
    assert main([], io.StringIO(), messages) == 2
