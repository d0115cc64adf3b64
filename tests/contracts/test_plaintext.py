"""Plain text accounting: what each kind of entry becomes, byte for byte."""

from __future__ import annotations

from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from timebank_contracts import entries as e
from timebank_contracts.fields import AccountKind
from timebank_contracts.plaintext import (
    account_name,
    closing_posting,
    opening_posting,
    show_accounts,
    show_balances,
    show_entry,
    show_start,
)

LONDON = ZoneInfo("Europe/London")
NAMES = {"alys": "members:alys", "bryn": "members:bryn", "clearing:barry": "clearing:barry"}
BY = e.Actor(kind="operator", id="op")
LATE = "2026-03-31T23:30:00.000Z"


def _posted(**data: object) -> e.Entry:
    said = {"purpose": "gift", "confirmed_by": "none"} | data
    return e.TransferPosted(
        n=6,
        time=LATE,
        by=BY,
        postings=[("alys", -90), ("bryn", 90)],
        data=e.Posted(**said),  # type: ignore[arg-type] # given by name
    )


def test_an_entry_is_a_transaction_of_the_town_s_day_with_its_position_as_code() -> None:
    """E-3."""
    assert show_entry(_posted(), transfer="aberdare.g1.6", zone=LONDON, names=NAMES) == (
        "\n2026-04-01 (6) transfer.posted\n"
        "    ; transfer:aberdare.g1.6, purpose:gift\n"
        "    members:alys  -90 min\n"
        "    members:bryn  90 min\n"
    )


def test_a_service_says_in_tags_what_it_was() -> None:
    entry = _posted(purpose="service", activity="garden", served_on="2026-03-30")
    shown = show_entry(entry, transfer="aberdare.g1.6", zone=LONDON, names=NAMES)
    assert "; transfer:aberdare.g1.6, purpose:service, activity:garden, served_on:2026-03-30\n" in shown


def test_a_reversal_names_what_it_takes_back() -> None:
    """A-1."""
    entry = e.TransferReversed(
        n=7,
        time=LATE,
        by=BY,
        postings=[("alys", 90), ("bryn", -90)],
        data=e.Reversed(transfer="aberdare.g1.6", reason="mistake"),
    )
    shown = show_entry(entry, transfer="aberdare.g1.6", zone=LONDON, names=NAMES)
    assert "; transfer:aberdare.g1.6, reverses:aberdare.g1.6, reason:mistake\n" in shown


def test_an_entry_that_moves_nothing_is_nothing() -> None:
    entry = e.AccountFrozen(n=7, time=LATE, by=BY, data=e.AccountNamed(account="alys"))
    assert show_entry(entry, transfer=None, zone=LONDON, names=NAMES) == ""


@pytest.mark.parametrize("kind", get_args(AccountKind))
def test_every_kind_of_account_has_a_name(kind: str) -> None:
    account = f"{kind}:barry" if kind in ("clearing", "transit") else "alys"
    group, _, name = account_name(account, kind).partition(":")
    assert group
    assert name == account.rpartition(":")[2]


def test_the_heading_names_the_journal_the_zone_and_the_unit() -> None:
    shown = show_start(origin="timebank.example/aberdare/g1", zone=LONDON, start=3, stop=9)
    assert "timebank.example/aberdare/g1, entries 3 to 8" in shown
    assert "Europe/London" in shown
    assert "commodity 1000. min\n" in shown
    assert "no entries" in show_start(origin="timebank.example/aberdare/g1", zone=LONDON, start=0, stop=0)


def test_balances_are_one_transaction_and_none_without_accounts() -> None:
    postings = [opening_posting("members:alys", -90), closing_posting("members:bryn", 90)]
    shown = "".join(show_balances("2026-04-01", position=7, what="balances", postings=postings))
    assert shown == ("\n2026-04-01 (=7) balances\n    members:alys  -90 min\n    members:bryn  0 min = 90 min\n")
    assert list(show_balances("2026-04-01", position=7, what="balances", postings=[])) == []
    assert show_accounts(NAMES.values()).splitlines()[0] == "account members:alys"
