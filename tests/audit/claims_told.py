"""Claims, parts taken back, leavers and money in a town of `builder.py`: told in a row, or drawn one by one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from tests.audit.builder import MEMBER, OPERATOR, Writer
from timebank_contracts import entries as e
from timebank_ledger import commands as c
from timebank_ledger.timer import due_commands

BROKER = e.Actor(kind="broker", id="br-1")
RULE = e.Actor(kind="rule")
DAY_MINUTES = 24 * 60


def begin(town: Writer) -> None:
    """A policy for claims, two members more, and a programme that an organisation owns."""
    policy = c.ChangePolicy(
        by=OPERATOR,
        default_floor=-600,
        default_ceiling=3_000,
        debt_limit=6_000,
        claim_tolerance_percent=10,
        claim_expires_after_days=3,
        auto_confirm_after_days=1,
        leaver_after_days=1,
    )
    town.do(policy)
    for account in ("cai", "dewi"):
        town.do(c.OpenAccount(by=OPERATOR, account=account, kind="member"))
    town.do(c.OpenAccount(by=OPERATOR, account="club", kind="organisation"))
    town.do(c.OpenAccount(by=OPERATOR, account="visits", kind="programme", owner="club"))


def claim(
    town: Writer, giver: str, receiver: str, minutes: int = 60, *, by: e.Actor = MEMBER, agreed: int | None = None
) -> str:
    """A claim; returns its name."""
    made = town.do(
        c.MakeClaim(
            by=by,
            giver=giver,
            receiver=receiver,
            minutes=minutes,
            activity="shopping",
            served_on="2026-01-01",
            programme="visits",
            agreed_minutes=agreed,
        )
    )
    return f"{town.node}.g1.{made.n}"


def confirm(town: Writer, name: str, *, by: e.Actor = MEMBER, minutes: int | None = None) -> e.Entry:
    """The transfer that confirms a claim."""
    said = {"member": "receiver", "broker": "broker", "rule": "rule"}[by.kind]
    return town.do(c.ConfirmClaim(by=by, claim=name, confirmed_by=said, minutes=minutes))


def record(town: Writer, minor_units: int, **about: Any) -> e.Entry:
    """Money that was paid in cash."""
    paid = {"currency": "GBP", "kind": "travel", "settled_by": "cash", "paid_on": "2026-01-01"}
    return town.do(c.RecordMoney(by=BROKER, minor_units=minor_units, **(paid | about)))


def tell_claims(town: Writer) -> None:
    """Claims that end in every way, a part and the rest taken back, three leavers, and money."""
    begin(town)
    first = claim(town, "bryn", "alys", 60)
    town.do(c.DisputeClaim(by=MEMBER, claim=first, reason="other_minutes"))
    confirmed = confirm(town, first, by=BROKER, minutes=66)
    for part in (20, None):
        back = c.ReverseTransfer(by=OPERATOR, transfer=f"{town.node}.g1.{confirmed.n}", reason="mistake", minutes=part)
        town.do(back)
    town.do(c.EndClaim(by=MEMBER, claim=first, how="withdrawn"))
    booked = claim(town, "cai", "alys", 30, by=BROKER, agreed=30)
    upheld = claim(town, "bryn", "cai", 10)
    town.do(c.DisputeClaim(by=MEMBER, claim=upheld, reason="duplicate"))
    town.do(c.EndClaim(by=BROKER, claim=upheld, how="upheld"))
    confirm(town, upheld)
    claim(town, "bryn", "dewi", 5)
    town.do(c.PostTransfer(by=MEMBER, postings=(("dewi", -25), ("alys", 25)), purpose="gift", confirmed_by="none"))
    town.network.tick(DAY_MINUTES)
    rule(town)
    town.do(c.DisputeClaim(by=MEMBER, claim=booked, reason="not_given"))
    town.do(c.EndClaim(by=BROKER, claim=booked, how="upheld"))
    town.do(c.PostTransfer(by=MEMBER, postings=(("alys", -40), ("pot", 40)), purpose="pot", confirmed_by="none"))
    for account in ("cai", "dewi"):
        town.do(c.BeginClosing(by=MEMBER, account=account))
    town.do(c.CloseAccount(by=BROKER, account="cai", taker="club"))
    rule(town)
    town.network.tick(DAY_MINUTES)
    rule(town)
    entry = next(entry for entry in map(e.decode_entry, town.raws) if isinstance(entry, e.TransferPosted))
    record(town, 1_250, transfer=f"{town.node}.g1.{entry.n}", position=entry.n)
    wrong = record(town, 900, programme="visits", kind="fee")
    record(town, -900, programme="visits", kind="fee", corrects=f"{town.node}.g1.{wrong.n}")


def rule(town: Writer) -> None:
    """A round of the town's timer."""
    for command in list(islice(due_commands(town.book, town.network.tick()), 10)):
        town.do(command)


def _one(town: Writer, at: int) -> str:
    names = [*town.book.claims, *town.book.rule_confirmed, f"{town.node}.g1.0"]
    return names[at % len(names)]


def _transfer(town: Writer, at: int) -> int:
    found = [n for n, raw in enumerate(town.raws) if raw.endswith(b'"transfer.posted"}')] or [0]
    return found[at % len(found)]


def _record_about(town: Writer, position: int) -> e.Entry:
    return record(town, 100, transfer=f"{town.node}.g1.{position}", position=position)


def _correct(town: Writer, at: int) -> None:
    found = [n for n, raw in enumerate(town.raws) if b'"kind":"fee"' in raw]
    if found:
        n = found[at % len(found)]
        wrong = e.decode_entry(town.raws[n])
        assert isinstance(wrong, e.MoneyRecordedEntry)
        minor_units = -wrong.data.minor_units
        record(town, minor_units, programme="visits", kind="fee", corrects=f"{town.node}.g1.{n}")


ACTS: dict[str, Callable[[Writer, int], object]] = {
    "claim": lambda town, at: claim(town, *(("alys", "bryn"), ("bryn", "alys"), ("cai", "alys"))[at % 3], 10 + at),
    "booking": lambda town, at: claim(town, "alys", "cai", 10, by=BROKER, agreed=9 + at % 3),
    "confirm": lambda town, at: confirm(town, _one(town, at), by=(MEMBER, BROKER)[at % 2]),
    "dispute": lambda town, at: town.do(c.DisputeClaim(by=MEMBER, claim=_one(town, at), reason="other")),
    "uphold": lambda town, at: town.do(c.EndClaim(by=BROKER, claim=_one(town, at), how="upheld")),
    "withdraw": lambda town, at: town.do(c.EndClaim(by=MEMBER, claim=_one(town, at), how="withdrawn")),
    "part": lambda town, at: town.do(
        c.ReverseTransfer(by=OPERATOR, transfer=f"{town.node}.g1.{_transfer(town, at)}", reason="other", minutes=3)
    ),
    "whole": lambda town, at: town.do(
        c.ReverseTransfer(by=OPERATOR, transfer=f"{town.node}.g1.{_transfer(town, at)}", reason="other")
    ),
    "leave": lambda town, at: town.do(c.BeginClosing(by=MEMBER, account=("cai", "dewi", "alys")[at % 3])),
    "close": lambda town, at: town.do(
        c.CloseAccount(by=BROKER, account=("cai", "dewi")[at % 2], taker=("pot", "club")[at // 2 % 2])
    ),
    "money": lambda town, at: _record_about(town, _transfer(town, at)),
    "correct": _correct,
    "fee": lambda town, at: record(town, 100 + at, programme="visits", kind="fee"),
    "day": lambda town, at: town.network.tick(DAY_MINUTES),
    "rule": lambda town, at: rule(town),
}
"""What may happen next in a town; a refusal means that it did not."""
