"""What people do with claims, leavers, parts of transfers and money; and the towns' timers, which act among them.

The timer looks at a town's book at a moment of its own, and its commands reach the writer a little later: somebody may
dispute, confirm or withdraw in between, or in the same batch.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from tests.simulation.clients import BROKER, MEMBERS, MINUTES, Clients
from tests.simulation.promises import Broken
from tests.simulation.town import Answer, Town
from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_contracts.state import PAYABLE_KINDS, Claim
from timebank_ledger import commands as c
from timebank_ledger.timer import COMMANDS_MAX, due_commands

MEMBER = e.Actor(kind="member", id="someone")
DELEGATE = e.Actor(kind="delegate", id="carer", mandate="mandate-1")
PARTNER = e.Actor(kind="partner", id="landlord")
DAY_SECONDS = 86_400.0
DAYS = (1, 1, 1, 2, 2, 3, 31)
LONG_DAYS = 400
"""Longer than any policy makes people wait."""
ROUNDS_MAX = 3
"""Of a timer until nothing is due: claims end, then accounts close, and one more to see."""
DISPUTES = ("not_given", "other_minutes", "duplicate")


class Claims:
    """Adds to what the clients of a run may ask for."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.schedule = clients.schedule
        self.chance = clients.chance
        clients.kinds += [
            (12, self._make),
            (9, self._confirm),
            (4, self._dispute),
            (3, self._uphold),
            (2, self._withdraw),
            (4, self._reverse_part),
            (2, self._begin_closing),
            (3, self._close),
            (4, self._record_money),
            (1, self._correct_money),
            (1, self._change_policy),
        ]

    def found(self, town: Town) -> None:
        """What a town has beside its members: a policy for claims, and programmes with an owner."""
        self._change_policy(town)
        self.clients.ask(town, c.OpenAccount(by=BROKER, account="p1", kind="programme", floor=-300, owner="o1"))
        self.clients.ask(town, c.OpenAccount(by=BROKER, account="p2", kind="programme", owner="m0"))

    def plan(self, seconds: float) -> None:
        """Plan the timers' rounds, and the nights in which days pass, for so long."""
        for town in self.clients.towns:
            self._plan_often(seconds, lambda town=town: self._round(town))  # type: ignore[misc]  # binds this town
        nights = self.chance.choice((0, 1, 3, 6))
        for _ in range(nights):
            self.schedule.after(self.chance.uniform(0.0, seconds), self._pass_days)

    def _plan_often(self, seconds: float, act: Callable[[], None]) -> None:
        at = self.chance.uniform(0.0, 30.0)
        while at < seconds:
            self.schedule.after(at, act)
            at += self.chance.expovariate(1 / 30.0)

    def _pass_days(self) -> None:
        days = self.chance.choice(DAYS)
        self.schedule.note(f"{days} days pass")
        self.schedule.calendar_seconds += days * DAY_SECONDS

    # The timer ---------------------------------------------------------------------------------------------------

    def rounds(self, seconds: float) -> None:
        """The timers go on for so long, and nobody races them: what a closed town leaves behind comes back by them."""
        for at in range(0, int(seconds), 10):
            for town in self.clients.towns:
                self.schedule.after(float(at), lambda town=town: self._round(town, races=False))  # type: ignore[misc]

    def _round(self, town: Town, *, races: bool = True) -> None:
        """One round of a town's timer; with some chance people act about the same claim at the same moment."""
        if not town.up or town.book.identity is None or town.on_old_disk:
            return
        time = max(self.schedule.wall(town.skew_seconds), town.book.time)
        commands = list(islice(town.rules.due_commands(town.book, time), COMMANDS_MAX))
        late = self.chance.choice((0.0, 0.001, 0.001, 0.003))
        for command in commands:
            if races and isinstance(command, c.ConfirmClaim | c.EndClaim) and self.schedule.chance(0.4):
                self._race(town, command.claim)

        def hand_over() -> None:
            for command in commands:
                town.submit(command, self._ruled)

        town.later(late, hand_over)

    def end(self) -> None:
        """P8 of claims: after healing and all their days, nothing is due, and only what is disputed is open."""
        self.schedule.calendar_seconds += LONG_DAYS * DAY_SECONDS
        for _ in range(ROUNDS_MAX):
            for town in self.clients.towns:
                self._round(town, races=False)
            self.schedule.run_until(self.schedule.now + 1.0)
        for town in self.clients.towns:
            if town.is_gone:
                continue
            time = max(self.schedule.wall(town.skew_seconds), town.book.time)
            due = [type(command).__name__ for command in due_commands(town.book, time)]
            open_ = [name for name, claim in town.book.claims.items() if not claim.disputed] + list(
                town.book.sent_claims
            )
            if due or open_:
                raise Broken(f"P8: in {town.name} {due} is due after all its days, and {open_} is open.")

    def _race(self, town: Town, claim: str) -> None:
        self.clients.ask(
            town,
            self.chance.choice(
                (
                    c.DisputeClaim(by=MEMBER, claim=claim, reason="not_given"),
                    c.DisputeClaim(by=MEMBER, claim=claim, reason="not_given"),
                    c.ConfirmClaim(by=MEMBER, claim=claim, confirmed_by="receiver"),
                    c.EndClaim(by=MEMBER, claim=claim, how="withdrawn"),
                )
            ),
        )

    def _ruled(self, answer: Answer) -> None:
        """People may have been quicker: then the rule is refused, and nothing else may come of it."""
        if isinstance(answer, Exception) and not isinstance(answer, Refusal):
            raise Broken(f"P5: what the rule wanted was answered with {answer!r}.")

    # Claims ------------------------------------------------------------------------------------------------------

    def _holder(self) -> str:
        return self.chance.choice([f"m{number}" for number in range(MEMBERS)] * 2 + ["o1", "p1"])

    def _two_holders(self, town: Town) -> list[str]:
        accounts = town.book.accounts.values()
        there = [account.account for account in accounts if account.kind in PAYABLE_KINDS and account.state == "open"]
        likely = len(there) > 1 and self.chance.random() < 0.9
        return self.chance.sample(there, 2) if likely else [self._holder(), self._holder()]

    def _make(self, town: Town) -> None:
        minutes = self.chance.choice(MINUTES)
        giver, receiver = self._two_holders(town)
        agreed = self.chance.choice((None, minutes, minutes, minutes + 15, 1))
        self.clients.ask(
            town,
            c.MakeClaim(
                by=MEMBER if agreed is None else BROKER,
                giver=giver,
                receiver=receiver,
                minutes=minutes,
                activity="garden",
                served_on=town.book.time[:10],
                given_minutes=self.chance.choice((None, None, 45)),
                programme=self.chance.choice((None, None, "p1")),
                agreed_minutes=agreed,
            ),
        )

    def _claim(self, town: Town, *, disputed: bool = False) -> tuple[str, Claim | None]:
        """A claim that is open, or the rule's, or sometimes one that is ended."""
        book = town.book
        wanted = [name for name, claim in book.claims.items() if claim.disputed == disputed]
        if wanted and self.chance.random() < 0.85:
            name = self.chance.choice(wanted)
            return name, book.claims[name]
        if not wanted:
            self._make(town)
        known = list(book.rule_confirmed) or self.clients.written[town.name][c.MakeClaim]
        if known and self.chance.random() < 0.9:
            name = self.chance.choice([str(claim) for claim in known])
            return (name if "." in name else town.name_of(int(name))), None
        return town.name_of(book.n // 2), None

    def _confirm(self, town: Town) -> None:
        name, claim = self._claim(town, disputed=self.chance.random() < 0.2)
        by = self.chance.choice((MEMBER, MEMBER, BROKER, DELEGATE))
        minutes = None
        if claim is not None and self.chance.random() < 0.5:
            top = claim.minutes * (100 + town.book.claim_tolerance_percent) // 100
            minutes = self.chance.choice((1, top, top + 1, top + 20, max(1, claim.minutes - 5)))
        said = {"member": "receiver", "broker": "broker", "delegate": "delegate"}[by.kind]
        if self.chance.random() < 0.02:
            said = "rule"
        self.clients.ask(town, c.ConfirmClaim(by=by, claim=name, confirmed_by=said, minutes=minutes))

    def _dispute(self, town: Town) -> None:
        name, _ = self._claim(town)
        self.clients.ask(town, c.DisputeClaim(by=MEMBER, claim=name, reason=self.chance.choice(DISPUTES)))

    def _uphold(self, town: Town) -> None:
        disputed = [name for name, claim in town.book.claims.items() if claim.disputed]
        disputed += [name for name, confirmed in town.book.rule_confirmed.items() if confirmed.disputed]
        name = self.chance.choice(disputed) if disputed else self._claim(town)[0]
        by = MEMBER if self.chance.random() < 0.1 else BROKER
        self.clients.ask(town, c.EndClaim(by=by, claim=name, how="upheld"))

    def _withdraw(self, town: Town) -> None:
        name, _ = self._claim(town, disputed=self.chance.random() < 0.3)
        how = "withdrawn" if self.chance.random() < 0.9 else "expired"
        self.clients.ask(town, c.EndClaim(by=MEMBER, claim=name, how=how))

    def _reverse_part(self, town: Town) -> None:
        """Parts of one transfer, more than it has, or of one that confirmed a claim."""
        written = self.clients.written[town.name]
        kind = c.ConfirmClaim if written[c.ConfirmClaim] and self.chance.random() < 0.5 else c.PostTransfer
        if not written[kind]:
            return
        transfer = town.name_of(self.chance.choice(written[kind][-8:]))
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            minutes = self.chance.choice((None, 1, 7, 15, 30, 60))
            self.clients.ask(town, c.ReverseTransfer(by=BROKER, transfer=transfer, reason="mistake", minutes=minutes))

    # Leavers and policy ------------------------------------------------------------------------------------------

    def _begin_closing(self, town: Town) -> None:
        self.clients.ask(town, c.BeginClosing(by=MEMBER, account=self._holder()))

    def _close(self, town: Town) -> None:
        """A leaver's account closes, with what is left for the pot or somebody; sometimes one that did not say so."""
        closing = [account.account for account in town.book.accounts.values() if account.state == "closing"]
        leaver = self.chance.choice(closing) if closing and self.chance.random() < 0.9 else self._holder()
        taker = self.chance.choice(("pot", "pot", self._holder(), "grant"))
        self.clients.ask(town, c.CloseAccount(by=BROKER, account=leaver, taker=taker))

    def _change_policy(self, town: Town) -> None:
        self.clients.ask(
            town,
            c.ChangePolicy(
                by=BROKER,
                default_floor=-600,
                default_ceiling=600,
                debt_limit=self.clients.debt_limit,
                claim_tolerance_percent=self.chance.choice((0, 10, 25, 100)),
                claim_expires_after_days=self.chance.choice((1, 2, 30, 60)),
                auto_confirm_after_days=self.chance.choice((0, 1, 1, 2)),
                leaver_after_days=self.chance.choice((1, 2, 30)),
            ),
        )

    # Money -------------------------------------------------------------------------------------------------------

    def _record_money(self, town: Town) -> None:
        """About a programme, a transfer of this town, one between towns, or one that does not exist."""
        kind = self.chance.choice((None, c.PostTransfer, c.ConfirmClaim, c.SendTransfer, c.MakeClaim))
        about = self.clients.written[town.name][kind] if kind is not None else []
        position = self.chance.choice(about) if about else None
        transfer = town.name_of(position)
        if kind is c.SendTransfer and position is not None and position < len(town.disk.entries):
            entry = e.decode_entry(town.disk.entries[position])
            assert isinstance(entry, e.TransferSent)
            transfer = f"{town.name}.g1.{entry.data.peer}.{self.chance.randint(1, 3)}"
        self.clients.ask(
            town,
            c.RecordMoney(
                by=self.chance.choice((BROKER, PARTNER, DELEGATE, MEMBER)),
                minor_units=self.chance.choice((1, 250, 10_000, 0)),
                currency="GBP",
                kind="travel",
                settled_by="cash",
                paid_on=town.book.time[:10],
                transfer=None if position is None else transfer,
                position=position,
                programme=self.chance.choice(("p1", "p1", "o1")) if position is None else None,
            ),
        )

    def _correct_money(self, town: Town) -> None:
        """Take a record back; twice, with some chance."""
        records = self.clients.written[town.name][c.RecordMoney]
        if not records:
            return
        position = self.chance.choice(records)
        entry = e.decode_entry(town.disk.entries[position])
        assert isinstance(entry, e.MoneyRecordedEntry)
        said = {name: getattr(entry.data, name) for name in ("currency", "kind", "settled_by", "paid_on")}
        about = {name: getattr(entry.data, name) or None for name in ("transfer", "position", "programme")}
        command = c.RecordMoney(
            by=BROKER,
            minor_units=-entry.data.minor_units,
            corrects=town.name_of(position),
            **said,
            **about,  # type: ignore[arg-type]  # texts and a position, as they came
        )
        for _ in range(self.chance.choice((1, 1, 2))):
            self.clients.ask(town, command)
