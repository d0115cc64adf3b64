"""Make the synthetic season: towns.csv, members.csv, exchanges.csv and expected.json, byte for byte from one seed.

    python -m deploy.demo.make_season [FOLDER]

Who helps whom is drawn; a step that the rules would refuse is drawn again, except those that are planned to be refused
or returned. Two replays run along, one with messages carried at once and one with messages carried once a day, and both
must come out as planned: else nothing is written.
Reading order: `cast.py` (who and what), `replay.py` (the rules, small), `draws.py` (chance), here, `season_files.py`.
Calibrated to published figures of timebanks (README.md). Standard library only.
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.demo import cast
from deploy.demo.draws import Draws
from deploy.demo.replay import Line, Replay
from deploy.demo.season_files import season_files

SEED = "timebank season 2026"
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 181
STEPS = 580
"""Single rows; the groups' rows come on top."""
CROSS_PERCENT = 27
TRIES_MAX = 400
PEOPLE_TRIES_MAX = 60

PLANNED = (
    # (day from which on it happens as soon as it can, how it ends)
    (40, "floor"),
    (70, "pair_limit_exceeded"),
    (95, "floor"),
    (105, "ceiling_exceeded"),
    (120, "pair_limit_exceeded"),
    (150, "floor"),
)
EXPECTED = Counter({"floor": 3, "pair_limit_exceeded": 2, "ceiling_exceeded": 1})

ROUTES = (
    # (payer's town, payee's town, weight): Aberdare is helped by Barry more than it helps, up to the limit.
    (("aberdare", "barry"), 40),
    (("barry", "aberdare"), 26),
    (("aberdare", "caernarfon"), 10),
    (("caernarfon", "aberdare"), 11),
    (("barry", "caernarfon"), 9),
    (("caernarfon", "barry"), 8),
)
LIMITED_ROUTE = ("aberdare", "barry")
HOME_TOWNS = (("aberdare", 44), ("barry", 34), ("caernarfon", 22))


class Story:
    """The season while it is being told: the lines so far, and where they leave everybody."""

    def __init__(self, seed: str) -> None:
        self.draws = Draws(seed)
        self.members = cast.members()
        self.replays = [Replay(cast.TOWNS, self.members, carries_daily=daily) for daily in (False, True)]
        self.lines: list[Line] = []
        self.planned = list(PLANNED)
        self.groups = list(cast.GROUPS)

    def tell(self) -> list[Line]:
        """All lines, in order of time."""
        day_before = -1
        for moment in self._moments():
            day = (moment - FIRST_DAY).days
            if day != day_before:
                for replay in self.replays:
                    replay.begin_day()
                day_before = day
            self._enter(self._next_group(moment, day) or self._planned(moment, day) or self._drawn(moment))
        for replay in self.replays:
            replay.begin_day()
            assert replay.outcomes - Counter(accepted=10_000) == EXPECTED, replay.outcomes
            assert replay.outcomes.total() == STEPS + len(cast.GROUPS)
        assert not self.planned
        assert not self.groups
        return self.lines

    def _moments(self) -> list[datetime]:
        """When each step is entered: by day, 8:00 to 20:59 UTC, no two at once."""
        found: set[datetime] = set()
        while len(found) < STEPS + len(cast.GROUPS):
            minutes = self.draws.below(DAYS) * 1_440 + 480 + self.draws.below(780)
            found.add(FIRST_DAY + timedelta(minutes=minutes))
        return sorted(found)

    def _enter(self, step: list[Line]) -> None:
        for replay in self.replays:
            replay.enter(step)
        self.lines += step

    def _room(self, town: str, handle: str) -> tuple[int, int]:
        """Minutes that the account can pay and can be paid, however late messages are."""
        accounts = [replay.accounts[town, handle] for replay in self.replays]
        coming = sum(
            line.minutes for line in self.replays[1].under_way if (line.payee_town, line.payee) == (town, handle)
        )
        can_pay = min(account.balance - account.floor for account in accounts)
        can_take = min(account.ceiling - account.balance - account.in_transit for account in accounts) - coming
        return can_pay, can_take

    def _accepted(self, step: list[Line]) -> bool:
        fits = all(line.minutes <= self._room(line.payee_town, line.payee)[1] for line in step)
        return fits and all(replay.judge(step) == "accepted" for replay in self.replays)

    def _person(self, town: str, *, pays: bool) -> str:
        """Somebody of the town; who owes much is likelier to give next, and who holds much to receive."""
        weighted = []
        for member in self.members:
            if member.town == town:
                balance = self.replays[0].accounts[town, member.handle].balance
                weight = member.receives if pays else member.gives
                lean = 3 if (balance > 240) == pays else 1
                weighted.append((member.handle, weight * lean))
        return self.draws.weighted(weighted)

    def _drawn(self, moment: datetime) -> list[Line]:
        """A step that is accepted; what is done is drawn first and kept while people are sought for it."""
        for _ in range(TRIES_MAX):
            kind, minutes = self.draws.below(100), self.draws.weighted(cast.AMOUNTS)
            crosses = self.draws.below(100) < CROSS_PERCENT
            for _ in range(PEOPLE_TRIES_MAX):
                if kind < 4:
                    line = self._gift(moment)
                elif kind < 6:
                    line = self._support(moment)
                else:
                    line = self._service(moment, minutes, crosses=crosses)
                if line is not None and self._accepted([line]):
                    return [line]
        raise AssertionError(f"nobody can do anything at {moment}")

    def _service(self, moment: datetime, minutes: int, *, crosses: bool) -> Line | None:
        if crosses:
            payer_town, payee_town = self.draws.weighted(ROUTES)
        else:
            payer_town = payee_town = self.draws.weighted(HOME_TOWNS)
        payer, payee = self._person(payer_town, pays=True), self._person(payee_town, pays=False)
        if (payer_town, payer) == (payee_town, payee):
            return None
        return self._helped(moment, payer_town, payer, payee_town, payee, minutes)

    def _helped(self, moment: datetime, payer_town: str, payer: str, payee_town: str, payee: str, minutes: int) -> Line:
        served = max(FIRST_DAY, moment - timedelta(days=self.draws.weighted(((0, 5), (1, 4), (2, 2), (5, 1), (9, 1)))))
        given = minutes + 15 if self.draws.below(100) < 6 else None
        return Line(
            moment,
            payer_town,
            payer,
            payee_town,
            payee,
            minutes,
            "service",
            self.draws.weighted(cast.ACTIVITIES),
            served.date().isoformat(),
            given,
            self.draws.weighted(cast.CONFIRMED_BY),
        )

    def _gift(self, moment: datetime) -> Line | None:
        """Who holds 10 hours or more gives some away: to the pot, or to somebody who owes."""
        balances = self.replays[0].accounts
        rich = [member for member in self.members if balances[member.town, member.handle].balance >= 600]
        if not rich:
            return None
        giver = self.draws.one(rich)
        owing = [
            member.handle
            for member in self.members
            if member.town == giver.town and balances[member.town, member.handle].balance < -300
        ]
        to = self.draws.one(owing) if owing and self.draws.below(2) else "pot"
        minutes = self.draws.one((60, 120, 180))
        return Line(moment, giver.town, giver.handle, giver.town, to, minutes, "gift")

    def _support(self, moment: datetime) -> Line | None:
        """The pot of a town helps somebody who owes 5 hours or more and gives nothing."""
        town = self.draws.weighted(HOME_TOWNS)
        owing = [
            member.handle
            for member in self.members
            if member.town == town
            and not member.gives
            and self.replays[0].accounts[town, member.handle].balance <= -300
        ]
        if not owing:
            return None
        minutes = self.draws.one((60, 120))
        return Line(moment, town, "pot", town, self.draws.one(owing), minutes, "support", confirmed_by="broker")

    def _planned(self, moment: datetime, day: int) -> list[Line] | None:
        """A step that is planned to fail, as soon as its day has come and everybody stands as it needs."""
        for plan in [plan for plan in self.planned if plan[0] <= day]:
            for _ in range(PEOPLE_TRIES_MAX):
                line = self._too_much(moment, plan[1])
                if self._fails(line, plan[1]):
                    self.planned.remove(plan)
                    return [line]
        return None

    def _too_much(self, moment: datetime, code: str) -> Line:
        """A service that may fail with this code."""
        towns = LIMITED_ROUTE
        if code == "floor":
            home = self.draws.weighted(HOME_TOWNS)
            towns = home, home
        payee = self._person(towns[1], pays=False)
        if code == "ceiling_exceeded":
            payee = cast.POPULAR[1]
            towns = self.draws.one(("aberdare", "caernarfon")), cast.POPULAR[0]
        payer = self._person(towns[0], pays=True)
        return self._helped(moment, towns[0], payer, towns[1], payee, self.draws.one((240, 300, 360)))

    def _fails(self, line: Line, code: str) -> bool:
        """Whether the step fails with this code whenever messages come, and for no other reason."""
        can_take = self._room(line.payee_town, line.payee)[1]
        if (line.payer_town, line.payer) == (line.payee_town, line.payee):
            return False
        if code != "ceiling_exceeded":
            return line.minutes <= can_take and all(replay.judge([line]) == code for replay in self.replays)
        # What is still under way to the payee, or from them, must not change the answer.
        is_quiet = not any(
            (line.payee_town, line.payee) in ((other.payer_town, other.payer), (other.payee_town, other.payee))
            for other in self.replays[1].under_way
        )
        return is_quiet and can_take < line.minutes and all(r.judge([line]) == "accepted" for r in self.replays)

    def _next_group(self, moment: datetime, day: int) -> list[Line] | None:
        """The next group session, once its day has come and everybody, the pot too, can bear it."""
        if not self.groups or day < self.groups[0].day:
            return None
        step = self._group(moment, self.groups[0])
        if not self._accepted(step):
            return None
        self.groups.pop(0)
        return step

    def _group(self, moment: datetime, group: cast.Group) -> list[Line]:
        people = [member for member in self.members if (member.town, member.kind) == (group.town, "member")]
        chosen: list[str] = []
        for _ in range(group.pay_leaders + group.pay_pot):
            left = [(one.handle, one.receives) for one in people if one.handle not in chosen]
            chosen.append(self.draws.weighted(left))
        leaders: list[str] = []
        for _ in range(group.leaders):
            able = [(one.handle, one.gives) for one in people if one.handle not in [*chosen, *leaders]]
            leaders.append(self.draws.weighted(able))
        pairs = [(payer, leaders[at % len(leaders)]) for at, payer in enumerate(chosen[: group.pay_leaders])]
        pairs += [(payer, "pot") for payer in chosen[group.pay_leaders :]]
        if group.from_pot:
            pairs.append(("pot", leaders[0]))
        return [
            Line(
                moment,
                group.town,
                payer,
                group.town,
                payee,
                group.from_pot if payer == "pot" else group.minutes,
                "group",
                group.activity,
                moment.date().isoformat(),
                None if payee == "pot" else group.given,
                "receiver",
                f"{group.town}-{group.activity}",
            )
            for payer, payee in pairs
        ]


def main() -> None:
    """Write the files into a folder; without an argument, into the one beside this program."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    story = Story(SEED)
    for name, text in season_files(SEED, story.tell(), story.replays[0], story.members).items():
        (folder / name).write_bytes(text.encode("utf-8"))
        print(folder / name)


if __name__ == "__main__":
    main()
