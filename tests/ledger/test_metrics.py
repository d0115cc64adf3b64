"""Metrics count by route, and hold nothing that names anybody."""

from __future__ import annotations

from tests.ledger.town_api import Town, gift


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
