"""Metrics count by route, and hold nothing that names anybody."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.ledger.town_api import Town, gift
from timebank_contracts.accept import RolledBack
from timebank_kit.journal import JournalTrouble, NoRoom, OutcomeUnknown, PositionTaken, TailMissing
from timebank_ledger.clock_guard import ClockWrong
from timebank_ledger.committed import NotOurs
from timebank_ledger.fault_figures import CAUSES, cause_word


def test_answers_are_counted_by_route_and_never_by_path(town: Town) -> None:
    town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5))
    town.member("alys").get("/v1/accounts/alys")
    town.http.get("/v1/accounts/bryn-secret")
    text = town.http.get("/metrics").text
    assert 'timebank_ledger_answers_total{method="POST",route="/v1/transfers",status="201"} 1.0' in text
    assert 'route="/v1/accounts/{account}",status="200"} 1.0' in text
    assert "alys" not in text
    assert "secret" not in text


def test_methods_that_a_caller_invents_are_counted_as_one(town: Town) -> None:
    for number in range(3):
        town.http.request(f"BREW{number}", "/livez")
    text = town.http.get("/metrics").text
    assert 'timebank_ledger_answers_total{method="other",route="/livez",status="405"} 3.0' in text
    assert "BREW" not in text


def test_the_writer_s_state_is_a_metric(town: Town) -> None:
    assert "timebank_ledger_entries 6.0" in town.http.get("/metrics").text
    assert "timebank_ledger_writer_up 1.0" in town.http.get("/metrics").text
    town.writer.close()
    assert "timebank_ledger_writer_up 0.0" in town.http.get("/metrics").text


def stopped_by(text: str) -> list[str]:
    return re.findall(r'timebank_ledger_stopped{cause="([a-z_]+)"} 1.0', text)


def test_why_the_writer_stopped_is_a_metric(town: Town) -> None:
    assert stopped_by(town.http.get("/metrics").text) == []
    town.clock.set(town.clock.now() + timedelta(days=1))
    assert town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5)).status_code == 503
    assert stopped_by(town.http.get("/metrics").text) == ["clock"]


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (NoRoom("full"), "no_room"),
        (JournalTrouble("away"), "database"),
        (OutcomeUnknown("away"), "database"),
        (PositionTaken("taken"), "journal_changed"),
        (TailMissing("gone"), "journal_changed"),
        (NotOurs("other"), "journal_changed"),
        (None, "journal_changed"),
        (RolledBack("proved"), "rolled_back"),
        (ClockWrong("stepped"), "clock"),
        (KeyError("bug"), "bug"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_cause_of_a_stop_has_its_word(cause: BaseException | None, told: str) -> None:
    assert cause_word(cause) == told
    assert told in CAUSES
