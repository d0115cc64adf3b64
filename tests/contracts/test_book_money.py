"""Money beside hours: recorded about a transfer or a programme, never posted."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from msgspec import UNSET

from contracts.vectors.paper_town import PaperTown
from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal

BROKER = e.Actor(kind="broker", id="broker")
GRANT: dict[str, Any] = {
    "minor_units": 120_000,
    "currency": "GBP",
    "kind": "grant",
    "settled_by": "bank",
    "paid_on": "2026-03-01",
    "programme": "p1",
}


@pytest.fixture
def town() -> PaperTown:
    town = PaperTown("aberdare")
    for account in ("alys", "bryn"):
        town.account(account)
    town.account("p1", "programme")
    return town


def record(town: PaperTown, *, by: e.Actor = BROKER, **data: Any) -> e.Entry:
    return town.write(e.MoneyRecordedEntry, e.MoneyRecorded(**(GRANT | data)), by=by)


def code(town: PaperTown, **data: Any) -> str:
    before = deepcopy(town.book)
    with pytest.raises(Refusal) as caught:
        record(town, **data)
    assert town.book == before
    return caught.value.code


def test_money_moves_no_minutes(town: PaperTown) -> None:
    """PROTOCOL.md F1."""
    before = deepcopy(town.book.accounts)
    record(town)
    posted = town.post(("alys", -60), ("bryn", 60), purpose="service")
    about: dict[str, Any] = {
        "programme": UNSET,
        "transfer": f"aberdare.g1.{posted.n}",
        "position": posted.n,
        "kind": "materials",
    }
    before = deepcopy(town.book.accounts)
    record(town, **about)
    assert town.book.accounts == before
    assert code(town, **(about | {"position": posted.n - 1})) == "transfer_unknown"
    assert code(town, **(about | {"position": town.book.n})) == "transfer_unknown"
    assert code(town, **(about | {"position": UNSET})) == "money_invalid"


def test_money_is_about_one_thing_of_this_town_until_today(town: PaperTown) -> None:
    """PROTOCOL.md F1, F2."""
    member, rule = e.Actor(kind="member", id="alys"), e.Actor(kind="rule")
    assert code(town, by=member) == code(town, by=rule) == "purpose_invalid"
    assert code(town, programme=UNSET) == "money_invalid"
    assert code(town, programme="alys") == "programme_unknown"
    assert code(town, minor_units=0) == code(town, minor_units=-5) == "money_invalid"
    assert code(town, paid_on="2026-03-04") == code(town, paid_on="2026-02-30") == "money_invalid"
    record(town, paid_on="2026-03-03")


def test_a_record_is_taken_back_once_and_whole(town: PaperTown) -> None:
    """PROTOCOL.md F3."""
    first = record(town)
    name = f"aberdare.g1.{first.n}"
    assert code(town, minor_units=-100, corrects=name) == "money_invalid"
    assert code(town, minor_units=-120_000, corrects=name, currency="EUR") == "money_invalid"
    assert code(town, minor_units=-120_000, corrects=f"barry.g1.{first.n}") == "money_unknown"
    assert code(town, minor_units=-120_000, corrects="aberdare.g1.2") == "money_unknown"
    second = record(town, minor_units=-120_000, corrects=name)
    assert code(town, minor_units=-120_000, corrects=name) == "money_unknown"
    assert code(town, minor_units=120_000, corrects=f"aberdare.g1.{second.n}") == "money_unknown"


def test_a_record_about_a_programme_that_closed_since_is_taken_back(town: PaperTown) -> None:
    """PROTOCOL.md F1, F3. A-1."""
    first = record(town)
    town.write(e.AccountClosed, e.AccountNamed(account="p1"))
    assert code(town) == "programme_unknown"
    back: dict[str, Any] = {"minor_units": -120_000, "corrects": f"aberdare.g1.{first.n}"}
    assert code(town, **back | {"programme": "p2"}) == "money_invalid"
    record(town, **back)
    assert town.book.money_corrected == {first.n}
