"""The event feed: each event exactly once and in order, whatever the pages; nobody sees another's accounts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.pair_of_towns import carry, open_pair
from tests.ledger.town_api import Client, Town, gift, open_town
from timebank_ledger import feed
from timebank_ledger.feed import Event, event_id, make_page
from timebank_ledger.index import Index

OPENING = 6


def _exchange(town: Town, count: int) -> None:
    pairs = [("alys", "bryn"), ("bryn", "library"), ("library", "alys")]
    commands = [gift(*pairs[n % 3], n % 7 + 1) | {"key": f"k{n}"} for n in range(count)]
    answer = town.operator().post("/v1/transfers/batch", commands, key=None)
    assert {one["status"] for one in answer.json()["answers"]} == {201}


def _follow(client: Client, path: str, limits: list[int], *, after: int = -1) -> list[dict[str, Any]]:
    """All events after a cursor, in pages of these sizes in turn."""
    seen: list[dict[str, Any]] = []
    for turn in range(1_000):
        answer = client.get(path, after=after, limit=limits[turn % len(limits)]).json()
        seen += answer["events"]
        after = answer["after"]
        if not answer["more"]:
            return seen
    raise AssertionError("a feed ends")


def test_a_member_sees_what_happened_to_their_account_and_no_other_account(town: Town) -> None:
    transfer = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 30)).json()
    town.member("bryn").post("/v1/transfers", gift("bryn", "library", 7))
    answer = town.member("alys").get("/v1/events").json()
    last = answer["events"][-1]
    assert last == {
        "id": "evt-aberdare-g1-6",
        "position": 6,
        "time": "2026-03-02T10:00:00.000Z",
        "type": "transfer.posted",
        "transfer": transfer["id"],
        "claim": None,
        "accounts": [{"account": "alys", "minutes": -30}],
    }
    assert {one["account"] for event in answer["events"] for one in event["accounts"]} == {"alys"}
    assert (answer["after"], answer["more"]) == (7, False)
    assert "bryn" not in town.member("alys").get("/v1/accounts/alys/events").text


def test_an_operator_sees_every_entry_of_the_town(town: Town) -> None:
    _exchange(town, 3)
    events = _follow(town.operator(), "/v1/events", [2])
    assert [event["position"] for event in events] == list(range(OPENING + 3))
    assert [event["type"] for event in events[:3]] == ["node.opened", "policy.changed", "account.opened"]
    assert events[3]["accounts"] == [{"account": "alys", "minutes": 0}]
    assert events[-1]["accounts"] == [{"account": "alys", "minutes": 3}, {"account": "library", "minutes": -3}]
    assert town.client("audit:read", accounts=frozenset()).get("/v1/events").json()["events"] == events


def test_a_partner_follows_the_accounts_it_was_granted_in_one_feed(town: Town) -> None:
    _exchange(town, 9)
    partner = town.client("statements:read", subject="housing", accounts=frozenset({"alys", "library"}))
    events = [one for one in _follow(partner, "/v1/events", [1, 2]) if one["type"] == "transfer.posted"]
    assert [event["position"] for event in events] == list(range(OPENING, OPENING + 9))
    assert [[one["account"] for one in event["accounts"]] for event in events[:3]] == [
        ["alys"],
        ["library"],
        ["alys", "library"],
    ]


def test_the_feed_is_refused_to_who_has_no_right_to_it(town: Town) -> None:
    for path in ("/v1/accounts/bryn/events", "/v1/accounts/nobody/events"):
        assert town.member("alys").get(path).json()["code"] == "forbidden"
    assert town.client("accounts:read").get("/v1/events").json()["code"] == "forbidden"
    assert town.operator().get("/v1/accounts/nobody/events").json()["code"] == "account_unknown"
    assert town.client("statements:read", accounts=frozenset()).get("/v1/events").json()["events"] == []


@pytest.mark.parametrize(("name", "value"), [("limit", 0), ("limit", 501), ("after", -2), ("wait_seconds", 31)])
def test_a_question_out_of_bounds_is_refused(town: Town, name: str, value: int) -> None:
    answer = town.operator().get("/v1/events", **{name: value})
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")


def test_a_cursor_from_another_journal_is_refused_rather_than_waited_for(town: Town) -> None:
    answer = town.operator().get("/v1/events", after=OPENING, wait_seconds=30)
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")
    assert "begin again" in answer.json()["detail"]
    assert town.operator().get("/v1/events", after=OPENING - 1).json()["events"] == []


def test_a_reader_that_waits_gets_the_next_event_of_its_own(town: Town) -> None:
    waiting = town.member("alys")
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(waiting.get, "/v1/events", after=OPENING - 1, wait_seconds=30)
        town.member("bryn").post("/v1/transfers", gift("bryn", "library", 7))
        town.member("alys").post("/v1/transfers", gift("alys", "bryn", 30))
        events = answer.result(timeout=60).json()["events"]
    assert [event["position"] for event in events] == [OPENING + 1]
    assert town.app.state.edge.followers.acquire(blocking=False)


def test_who_finds_no_place_to_wait_is_answered_at_once(town: Town) -> None:
    followers = town.app.state.edge.followers
    while followers.acquire(blocking=False):
        pass
    answer = town.member("alys").get("/v1/events", after=OPENING - 1, wait_seconds=30)
    assert answer.json() == {"events": [], "after": OPENING - 1, "more": False}


def test_a_page_may_be_empty_before_the_end_and_says_how_far_it_looked(town: Town) -> None:
    length = OPENING + 2 * feed.WINDOWS_MAX
    _exchange(town, 2 * feed.WINDOWS_MAX)
    town.index.advance_to(length)
    after, looks = OPENING - 1, []
    for _ in range(3):
        page = make_page(
            town.index,
            town.journal,
            accounts={"pot"},
            after=after,
            stop=length,
            limit=5,
            window_entries=1,
        )
        after = page.after
        looks.append((page.events, page.after - OPENING + 1, page.more))
    assert looks == [([], feed.WINDOWS_MAX, True), ([], 2 * feed.WINDOWS_MAX, False), ([], 2 * feed.WINDOWS_MAX, False)]


@settings(max_examples=30, deadline=None)
@given(
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    accounts=st.none() | st.frozensets(st.sampled_from(["alys", "bryn", "library", "pot"]), max_size=3),
    cut=st.integers(1, 30),
    rebuild=st.booleans(),
    window_entries=st.integers(1, 40),
    lines_max=st.integers(4, 12),
)
def test_following_gives_each_event_once_and_in_order_whatever_the_pages(
    limits: list[int],
    accounts: frozenset[str] | None,
    cut: int,
    rebuild: bool,
    window_entries: int,
    lines_max: int,
) -> None:
    """L-1, L-6: also across a rebuild of the index, and while the journal grows."""
    with open_town() as town:
        _exchange(town, 30)
        identity = town.app.state.edge.identity
        indexes = [town.index, Index("sqlite://", town.journal, name="again")]
        length = OPENING + 30

        def follow(after: int, index: Index, stop: int) -> tuple[list[Event], int]:
            index.advance_to(stop)
            seen: list[Event] = []
            for turn in range(200):
                page = make_page(
                    index,
                    town.journal,
                    accounts=accounts,
                    after=after,
                    stop=stop,
                    limit=limits[turn % len(limits)],
                    window_entries=window_entries,
                    lines_max=lines_max,
                )
                seen, after = seen + page.events, page.after
                if not page.more:
                    break
            return seen, after

        first, after = follow(-1, indexes[0], cut)
        rest, after = follow(after, indexes[rebuild], length)
        at_once, _ = follow(-1, indexes[0], length)
        assert first + rest == at_once
        assert after == length - 1
        assert [one.position for one in at_once] == sorted({one.position for one in at_once})
        wanted = range(length) if accounts is None else _positions(town, accounts)
        assert [one.position for one in at_once] == list(wanted)
        assert [one.id for one in at_once] == [event_id(identity, one.position) for one in at_once]
        indexes[1].close()


def _positions(town: Town, accounts: frozenset[str]) -> list[int]:
    return sorted({line.position for _, line in town.index.lines_of(accounts, start=0, stop=1_000, limit=1_000)})


def test_an_entry_of_many_accounts_is_never_cut_between_two_pages(town: Town) -> None:
    names = [f"m{n}" for n in range(250)]
    operator = town.operator()
    for name in names:
        assert operator.post("/v1/accounts", {"account": name, "kind": "member"}).status_code == 201
    postings = [["library", -249], *([name, 1] for name in names[:249])]
    for _ in range(2):
        body = {"postings": postings, "purpose": "gift"}
        assert operator.post("/v1/transfers", body).status_code == 201
    town.index.advance_to(town.writer.tail.length)
    assert feed.LINES_MAX > 256
    start = town.writer.tail.length - 2
    lines = town.index.lines_of(names, start=start, stop=start + 2, limit=feed.LINES_MAX)
    assert len(lines) == 498
    partner = town.client("statements:read", subject="housing", accounts=frozenset(names[:60]))
    events = _follow(partner, "/v1/events", [1], after=start - 1)
    assert [len(event["accounts"]) for event in events] == [60, 60]


def test_the_town_and_all_its_accounts_together_see_the_same_events(town: Town) -> None:
    operator = town.operator()
    both = town.client(
        "claims:write", "statements:read", subject="b-1", accounts=frozenset({"alys", "bryn", "library", "pot"})
    )
    claim = {"giver": "alys", "receiver": "bryn", "minutes": 90, "activity": "garden", "served_on": "2026-03-01"}
    first, second = (both.post("/v1/claims", claim).json()["id"] for _ in range(2))
    bryn = town.client("claims:write", subject="bryn", accounts=frozenset({"bryn"}))
    assert bryn.post(f"/v1/claims/{first}/confirmation", {}).status_code == 201
    assert both.post(f"/v1/claims/{second}/withdrawal", {}).status_code == 200
    transfer = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 30)).json()["id"]
    assert operator.post(f"/v1/transfers/{transfer}/reversal", {"reason": "mistake"}).status_code == 201
    operator.put("/v1/accounts/library/state", {"state": "frozen"})
    seen = _follow(both, "/v1/events", [3])
    assert seen == [event for event in _follow(operator, "/v1/events", [7]) if event["accounts"]]
    claims = [(event["type"], event["claim"], [one["minutes"] for one in event["accounts"]]) for event in seen]
    assert claims[-7:-3] == [
        ("claim.made", first, [0, 0]),
        ("claim.made", second, [0, 0]),
        ("transfer.posted", first, [90, -90]),
        ("claim.withdrawn", second, [0, 0]),
    ]
    assert [event["transfer"] for event in seen[-3:]] == [transfer, transfer, None]


@pytest.mark.parametrize("remembered", [True, False])
def test_the_payer_is_told_what_became_of_a_transfer_to_another_town(remembered: bool) -> None:
    with open_pair() as (aberdare, barry):
        address = barry.member("alys").post("/v1/accounts/alys/aliases", {"audience": "aberdare"}).json()["alias"]
        payees = [{"node": "barry", "alias": alias} for alias in (address, "0" * 32)]
        sent = [
            aberdare.member("alys")
            .post("/v1/transfers", {"payer": "alys", "payee": payee, "minutes": 30, "purpose": "gift"})
            .json()["id"]
            for payee in payees
        ]
        if not remembered:
            # As after a restart: the payer is found where the transfer was sent.
            aberdare.index.advance_to(aberdare.writer.tail.length)
            aberdare.index.earlier.payers.clear()
        carry(aberdare, barry)
        carry(barry, aberdare)
        told = [
            (event["type"], event["transfer"], event["accounts"][0]["minutes"])
            for event in _follow(aberdare.member("alys"), "/v1/events", [2])
            if event["transfer"]
        ]
        assert told == [
            ("transfer.sent", sent[0], -30),
            ("transfer.sent", sent[1], -30),
            ("transfer.settled", sent[0], 0),
            ("transfer.returned", sent[1], 30),
        ]
        whole = _follow(aberdare.operator(), "/v1/events", [50])
        [settled] = [event for event in whole if event["type"] == "transfer.settled"]
        assert {"account": "alys", "minutes": 0} in settled["accounts"]
        assert len(settled["accounts"]) == 3


@pytest.mark.servers
def test_a_foreign_row_behind_a_gap_is_never_an_event_and_the_gap_is_not_passed(postgres_dsn: str) -> None:
    """L-6: a second connection writes by mistake, holds its insert open, and commits it late."""
    foreign = """INSERT INTO stored_events (originator_id, originator_version, topic, state)
        SELECT originator_id, max(originator_version) + 2, 'transfer.posted', 'none' FROM stored_events GROUP BY 1"""
    with open_town(url=postgres_dsn) as town, psycopg.connect(postgres_dsn) as second:
        alys = town.member("alys")
        alys.post("/v1/transfers", gift("alys", "bryn", 1))
        second.execute(foreign)
        before = alys.get("/v1/events").json()
        second.commit()
        assert alys.get("/v1/events").json() == before
        assert alys.get("/v1/events", after=before["after"], wait_seconds=0.1).json()["events"] == []
        assert alys.post("/v1/transfers", gift("alys", "bryn", 2)).status_code == 201
        assert alys.post("/v1/transfers", gift("alys", "bryn", 3)).status_code == 503, "the second writer is noticed"
        events = _follow(alys, "/v1/events", [1], after=before["after"])
        assert [event["position"] for event in events] == [before["after"] + 1]
