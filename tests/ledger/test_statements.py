"""Statements over HTTP: opening + lines = closing, by position, by day and page by page."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.busy_town import ACCOUNTS, ACTS, Act, book_at, live
from tests.ledger.pair_of_towns import carry, open_pair
from tests.ledger.town_api import START, Client, Town, gift, open_town
from timebank_ledger.period import Period
from timebank_ledger.report_asked import zone_of
from timebank_ledger.statement import make_statement, stream_lines


def _pages(client: Client, account: str, **asked: Any) -> list[dict[str, Any]]:
    pages = [client.get(f"/v1/accounts/{account}/statement", **asked).json()]
    while pages[-1]["next"] is not None:
        limit = {"limit": asked["limit"]} if "limit" in asked else {}
        pages.append(client.get(f"/v1/accounts/{account}/statement", cursor=pages[-1]["next"], **limit).json())
    return pages


def test_a_statement_begins_at_its_opening_and_ends_at_its_closing(town: Town) -> None:
    operator = town.operator()
    for minutes in (10, 20, 30):
        operator.post("/v1/transfers", gift("alys", "bryn", minutes))
    statement = town.member("bryn").get("/v1/accounts/bryn/statement", from_position=7, to_position=8).json()
    assert statement == {
        "account": "bryn",
        "kind": "member",
        "from_position": 7,
        "to_position": 8,
        "from_date": None,
        "to_date": None,
        "time_zone": "Europe/London",
        "opening": 10,
        "closing": 30,
        "more": False,
        "next": None,
        "lines": [
            {
                "position": 7,
                "time": "2026-03-02T10:00:00.000Z",
                "date": "2026-03-02",
                "type": "transfer.posted",
                "minutes": 20,
                "balance": 30,
                "transfer": "aberdare.g1.7",
                "reverses": None,
                "reason": None,
                "purpose": "gift",
                "activity": None,
                "served_on": None,
                "programme": None,
                "claim": None,
            }
        ],
    }
    whole = town.member("bryn").get("/v1/accounts/bryn/statement").json()
    assert (whole["from_position"], whole["to_position"], whole["closing"]) == (0, 9, 60)


def test_a_service_says_what_was_done_and_on_which_day(town: Town) -> None:
    said = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01"}
    town.operator().post("/v1/transfers", gift("alys", "bryn", 60) | said)
    [line] = town.operator().get("/v1/accounts/alys/statement").json()["lines"]
    assert line.items() >= said.items()


def test_a_statement_beyond_the_journal_ends_where_it_ends(town: Town) -> None:
    statement = town.operator().get("/v1/accounts/bryn/statement", from_position=100, to_position=200).json()
    assert (statement["from_position"], statement["to_position"], statement["lines"]) == (6, 6, [])


def test_a_reversal_is_a_line_of_its_own_that_names_what_it_takes_back(town: Town) -> None:
    """A-1."""
    operator = town.operator()
    transfer = operator.post("/v1/transfers", gift("alys", "bryn", 60)).json()["id"]
    operator.post(f"/v1/transfers/{transfer}/reversal", {"reason": "mistake"})
    for account, sign in (("alys", -1), ("bryn", 1)):
        statement = operator.get(f"/v1/accounts/{account}/statement").json()
        given, taken = statement["lines"]
        assert (given["minutes"], taken["minutes"], statement["closing"]) == (60 * sign, -60 * sign, 0)
        assert (given["reverses"], taken["reverses"], taken["reason"]) == (None, transfer, "mistake")
        assert operator.get(f"/v1/accounts/{account}/balance").json()["balance"] == 0


def test_three_thirds_of_an_hour_are_an_hour(town: Town) -> None:
    """C-5."""
    operator = town.operator()
    for _ in range(3):
        operator.post("/v1/transfers", gift("alys", "bryn", 20))
    assert operator.get("/v1/accounts/bryn/statement").json()["closing"] == 60


def test_half_past_midnight_in_summer_is_a_line_of_the_new_quarter(town: Town) -> None:
    """E-3."""
    town.operator().post("/v1/transfers", gift("alys", "bryn", 10))
    town.clock.advance((datetime(2026, 3, 31, 23, 30, tzinfo=UTC) - START).total_seconds())
    town.operator().post("/v1/transfers", gift("alys", "bryn", 20))
    operator = town.operator()
    quarters = {"from": "2026-01-01", "to": "2026-03-31"}, {"from": "2026-04-01", "to": "2026-06-30"}
    first, second = (operator.get("/v1/accounts/bryn/statement", **days).json() for days in quarters)
    half = operator.get("/v1/accounts/bryn/statement", **{"from": "2026-01-01", "to": "2026-06-30"}).json()
    assert [line["minutes"] for line in first["lines"]] == [10]
    assert [(line["minutes"], line["date"]) for line in second["lines"]] == [(20, "2026-04-01")]
    assert first["lines"] + second["lines"] == half["lines"]
    assert (half["opening"], first["closing"], half["closing"]) == (0, second["opening"], second["closing"])
    assert (second["from_date"], second["to_date"]) == ("2026-04-01", "2026-06-30")
    assert operator.get("/v1/accounts/bryn/balance", date="2026-03-31").json()["balance"] == 10


def test_what_is_given_to_the_pot_shows_to_everybody_who_may_see_it(town: Town) -> None:
    """H-1."""
    town.member("alys").post("/v1/transfers", gift("alys", "pot", 60) | {"purpose": "pot"})
    readers = (
        town.client("statements:read", subject="broker"),
        town.client("statements:read", subject="partner", accounts=frozenset({"pot"})),
        town.client("audit:read", accounts=frozenset()),
        town.operator(),
    )
    for reader in readers:
        statement = reader.get("/v1/accounts/pot/statement").json()
        assert (statement["kind"], statement["closing"]) == ("pot", 60)
        assert [(line["minutes"], line["purpose"]) for line in statement["lines"]] == [(60, "pot")]
        assert reader.get("/v1/accounts/pot/balance").json()["balance"] == 60
    assert town.member("alys").get("/v1/accounts/alys/statement").json()["closing"] == -60
    assert town.member("bryn").get("/v1/accounts/pot/balance").json()["balance"] == 60
    assert town.member("bryn").get("/v1/accounts/pot/statement").json()["code"] == "forbidden"


def test_a_transfer_to_another_town_shows_on_transit_and_clearing() -> None:
    with open_pair() as (aberdare, barry):
        alias = barry.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
        said = {"purpose": "service", "activity": "repair", "served_on": "2026-03-01"}
        body = gift("alys", "", 30) | {"payee": {"node": "barry", "alias": alias}} | said
        assert aberdare.member("alys").post("/v1/transfers", body).status_code == 201
        carry(aberdare, barry)
        carry(barry, aberdare)
        operator = aberdare.operator()
        transit = operator.get("/v1/accounts/transit:barry/statement").json()
        assert (transit["kind"], [line["minutes"] for line in transit["lines"]]) == ("transit", [30, -30])
        clearing = operator.get("/v1/accounts/clearing:barry/statement").json()
        assert (clearing["closing"], [line["balance"] for line in clearing["lines"]]) == (30, [30])
        here, there = operator, barry.operator()
        [paid] = here.get("/v1/accounts/alys/statement").json()["lines"]
        [credited] = there.get("/v1/accounts/bryn/statement").json()["lines"]
        assert paid.items() >= (said | {"minutes": -30}).items()
        assert credited.items() >= (said | {"minutes": 30, "transfer": paid["transfer"]}).items()


def test_pages_join_although_the_journal_grows_between_them(town: Town) -> None:
    operator = town.operator()
    for minutes in range(1, 8):
        operator.post("/v1/transfers", gift("alys", "bryn", minutes))
    first = operator.get("/v1/accounts/bryn/statement", limit=3).json()
    operator.post("/v1/transfers", gift("alys", "bryn", 50))
    rest = _pages(operator, "bryn", cursor=first["next"], limit=3)
    pages = [first, *rest]
    assert [[line["minutes"] for line in page["lines"]] for page in pages] == [[1, 2, 3], [4, 5, 6], [7]]
    assert all(page["closing"] == following["opening"] for page, following in pairwise(pages))
    assert rest[-1]["closing"] == 28


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from": "2026-02-30"}, "from"),
        ({"to": "1 April"}, "to"),
        ({"from": "2026-04-01", "to": "2026-03-31"}, "to"),
        ({"from": "2026-04-01", "from_position": 3}, "from"),
        ({"to": "2026-04-01", "to_position": 3}, "to"),
        ({"from_position": 4, "to_position": 3}, "to_position"),
        ({"cursor": "Ny4yMC4u", "to": "2026-04-01"}, "cursor"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "NC4yLi4"}, "cursor"),
        ({"cursor": "OC45OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS4u"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"limit": 1_001}, "limit"),
    ],
)
def test_a_period_that_is_none_is_refused_and_its_field_named(town: Town, asked: dict[str, Any], field: str) -> None:
    answer = town.operator().get("/v1/accounts/bryn/statement", **asked)
    # A cursor beside other ends is a form that is not taken; one that is none of ours is named as such.
    code = "cursor_invalid" if asked.keys() == {"cursor"} else "field_invalid"
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["detail"].startswith(f"{field}:")


def test_an_account_that_is_not_there_has_no_statement_and_no_balance(town: Town) -> None:
    for what in ("statement", "balance"):
        answer = town.operator().get(f"/v1/accounts/nobody/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "account_unknown")
        assert town.member("alys").get(f"/v1/accounts/bryn/{what}").json()["code"] == "forbidden"


@settings(max_examples=40, deadline=None)
@given(acts=ACTS, cuts=st.lists(st.integers(0, 40), max_size=5), limit=st.integers(1, 7))
def test_every_account_adds_up_over_every_split_and_agrees_with_a_replay(
    acts: list[Act], cuts: list[int], limit: int
) -> None:
    with open_town() as town:
        live(town, acts)
        length = town.writer.tail.length
        town.index.advance_to(length)
        zone = zone_of(town.app.state.edge)
        bounds = sorted({0, length, *(min(cut, length) for cut in cuts)})
        for account in ACCOUNTS:
            balance, lines = 0, []
            for start, stop in pairwise(bounds):
                rest: Period | None = Period(start=start, stop=stop)
                while rest is not None:
                    part = make_statement(town.index, town.journal, account, rest, zone=zone, limit=limit)
                    assert part.opening == balance
                    assert part.closing == part.opening + sum(line.minutes for line in part.lines)
                    balance, rest = part.closing, part.rest
                    lines += part.lines
                assert part.period.stop == stop
                book = book_at(town, stop)
                assert balance == (book.accounts[account].balance if account in book.accounts else 0)
            whole = Period(start=0, stop=length)
            assert lines == list(stream_lines(town.index, town.journal, account, whole, zone=zone, opening=0))


@settings(max_examples=25, deadline=None)
@given(acts=ACTS, days=st.lists(st.dates(datetime(2026, 3, 1).date(), datetime(2026, 7, 1).date()), max_size=3))  # noqa: DTZ001 - a day
def test_days_that_follow_each_other_give_every_line_once(acts: list[Act], days: list[Any]) -> None:
    with open_town() as town:
        live(town, acts)
        operator = town.operator()
        whole = operator.get("/v1/accounts/bryn/statement").json()
        cuts = sorted({str(day) for day in days})
        lines: list[Any] = []
        start: str | None = None
        for stop in [*cuts, None]:
            asked = {} if start is None else {"from": start}
            if stop is not None:
                asked["to"] = _day_before(stop)
            part = operator.get("/v1/accounts/bryn/statement", **asked).json()
            lines += part["lines"]
            assert all((start or "") <= line["date"] < (stop or "9") for line in part["lines"])
            start = stop
        assert lines == whole["lines"]


def _day_before(day: str) -> str:
    return str(datetime.fromordinal(datetime.fromisoformat(day).toordinal() - 1).date())
