"""A town where much happens, by chance of a seed: what the rules refuse is part of it. For laws about journals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, count
from random import Random
from typing import Any

from tests.ledger.snapshot_kit import LOG_KEY, OPERATOR, TownJournal, begin
from timebank_contracts.entries import Actor
from timebank_contracts.errors import Malformed, Refusal
from timebank_kit.clock import ManualClock
from timebank_ledger import commands as c
from timebank_ledger.head import HeadFile
from timebank_ledger.writer import Writer

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCOUNTS = ("pot", "library", "alys", "bryn", "cadi")
RULE = Actor(kind="rule", id="timer")


def random_town(*, seed: int, acts: int) -> TownJournal:
    """The journal of a town after so many acts."""
    journal = TownJournal("aberdare")
    clock = ManualClock(BEGAN)
    writer = Writer(journal, clock=clock, log_key=LOG_KEY, head=HeadFile(None))
    with closing(writer):
        begin(writer, journal)
        chance = _Chance(writer, Random(seed))
        for command in chain([chance.policy()], (chance.any() for _ in range(acts))):
            try:
                writer.submit(command).result(timeout=10)
            except (Refusal, Malformed):
                continue
            clock.advance(3_600 * chance.random.randint(1, 16))
    return journal


class _Chance:
    """Draws commands that have a chance to be taken."""

    def __init__(self, writer: Writer, random: Random) -> None:
        self.writer = writer
        self.random = random
        self._names = count(1)

    def any(self) -> c.Command:
        draw: list[Callable[[], c.Command]] = [self.pay, self.pay, self.open, self.state, self.limits, self.policy]
        draw += [self.begin_closing, self.close, self.issue, self.revoke, self.reverse, self.record_money]
        draw += [self.claim, self.claim, self.claim, self.confirm, self.confirm, self.dispute, self.end, self.end]
        return self.random.choice(draw)()

    def pay(self) -> c.Command:
        minutes = self.minutes()
        pays, takes = self.account(), self.account()
        told: dict[str, Any] = {"postings": ((pays, -minutes), (takes, minutes)), "purpose": "gift"}
        return c.PostTransfer(**self.head(), **told, confirmed_by="broker")

    def open(self) -> c.Command:
        return c.OpenAccount(**self.head(), account=f"member-{next(self._names)}", kind="member")

    def state(self) -> c.Command:
        return c.SetAccountState(**self.head(), account=self.account(), state=self.random.choice(["frozen", "open"]))

    def begin_closing(self) -> c.Command:
        return c.BeginClosing(**self.head(), account=self.account())

    def close(self) -> c.Command:
        return c.CloseAccount(**self.head(), account=self.account(), taker="pot")

    def limits(self) -> c.Command:
        return c.ChangeAccount(**self.head(), account=self.account(), floor=-9 * self.minutes(), ceiling=50_000)

    def policy(self) -> c.Command:
        return c.ChangePolicy(
            **self.head(),
            default_floor=-6_000,
            default_ceiling=9_000,
            debt_limit=self.minutes(),
            claim_tolerance_percent=10,
            auto_confirm_after_days=2,
            claim_expires_after_days=20,
        )

    def issue(self) -> c.Command:
        return c.IssueAlias(**self.head(), account=self.account(), alias=f"{self.random.getrandbits(128):032x}")

    def revoke(self) -> c.Command:
        with self.writer.reading() as book:
            return c.RevokeAlias(**self.head(), alias=self.random.choice([*book.aliases, "a" * 32]))

    def reverse(self) -> c.Command:
        minutes = self.random.choice([None, 1, 7])
        return c.ReverseTransfer(**self.head(), transfer=self.transfer(), reason="mistake", minutes=minutes)

    def claim(self) -> c.Command:
        minutes, giver, receiver = self.minutes(), self.account(), self.account()
        told: dict[str, Any] = {"activity": "garden", "served_on": "2026-03-01", "agreed_minutes": minutes}
        return c.MakeClaim(**self.head(), giver=giver, receiver=receiver, minutes=minutes, **told)

    def confirm(self) -> c.Command:
        by = self.random.choice([OPERATOR, RULE])
        confirmed_by = "rule" if by is RULE else "broker"
        return c.ConfirmClaim(**self.head(by), claim=self.open_claim(), confirmed_by=confirmed_by)

    def dispute(self) -> c.Command:
        return c.DisputeClaim(**self.head(), claim=self.open_claim(), reason="not_given")

    def end(self) -> c.Command:
        how, by = self.random.choice([("withdrawn", OPERATOR), ("upheld", OPERATOR), ("expired", RULE)])
        return c.EndClaim(**self.head(by), claim=self.open_claim(), how=how)

    def record_money(self) -> c.Command:
        transfer = self.transfer()
        told: dict[str, Any] = {"currency": "GBP", "kind": "travel", "settled_by": "cash", "paid_on": "2026-03-01"}
        about: dict[str, Any] = {"transfer": transfer, "position": int(transfer.rsplit(".", 1)[1])}
        return c.RecordMoney(**self.head(), minor_units=self.minutes(), **told, **about)

    def head(self, by: Actor = OPERATOR) -> dict[str, Any]:
        key = f"{next(self._names):032x}"
        return {"by": by, "key": key, "digest": key}

    def minutes(self) -> int:
        return self.random.randint(1, 400)

    def account(self) -> str:
        with self.writer.reading() as book:
            return self.random.choice([*ACCOUNTS, *ACCOUNTS, *book.accounts])

    def transfer(self) -> str:
        """A position of the journal, whatever is there."""
        return f"aberdare.g1.{self.random.randrange(self.writer.tail.length)}"

    def open_claim(self) -> str:
        with self.writer.reading() as book:
            return self.random.choice([*book.claims, *book.rule_confirmed, "aberdare.g1.3"])
