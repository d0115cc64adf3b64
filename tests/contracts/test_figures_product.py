"""The Civil Domestic Product: examples computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.vectors.paper_between import refund
from contracts.vectors.paper_town import OPERATOR, PaperTown, talk, two_towns
from tests.contracts.figures_of import document, figures, make_town, network, send_service, serve
from timebank_contracts import entries as e
from timebank_contracts.figures_document import Asked, Rate
from timebank_contracts.moments import parse_time


def not_counted(town: PaperTown) -> dict[str, int]:
    return {row["purpose"]: row["minutes"] for row in document(town)["product"]["not_counted"]}


def test_opening_hours_and_gifts_are_no_service_and_make_nobody_active() -> None:
    """O-1: five services of 60, 90, 15, 10 and 600 minutes beside a gift and welcome hours."""
    town = make_town("m1", "m2", "m3", "m5", "m7")
    serve(town, "m2", "m1", 60)
    serve(town, "m3", "m2", 90)
    serve(town, "m1", "m3", 15)
    town.post(("m1", -30), ("clwb", 30))
    town.post(("clwb", -120), ("m5", 120), purpose="opening", by=OPERATOR)
    assert (figures(town).given.minutes, figures(town).given.people, figures(town).used.people) == (165, 3, 3)
    serve(town, "m3", "m2", 10)
    serve(town, "m7", "m5", 600)
    found = figures(town)
    assert found.given.minutes == found.home_minutes == 775
    assert not_counted(town) == {"gift": 30, "opening": 120}
    assert ("m5" in found.given.of, found.used.of["m5"]) == (False, 600)


def test_a_group_session_counts_the_minutes_that_each_leader_gave_and_no_assumed_ones() -> None:
    """O-3: eight attend for 90 minutes, one leaves early; one leads and gives 90, the pot takes what is over."""
    people = [f"m{number}" for number in range(9)]
    town = make_town(*people)
    paid = [(name, -20) for name in people[1:8]] + [("m8", -10)]
    town.post(*paid, ("m0", 120), ("pot", 30), purpose="service", given=[("m0", 90)])
    product = document(town)["product"]
    assert (product["given_minutes"], product["people"]["giving"], product["people"]["helped"]) == (90, 1, 8)
    assert not_counted(town) == {"session_rest_to_the_pot": 30}


def test_minutes_confirmed_by_a_rule_or_by_nobody_stand_apart_and_an_open_claim_is_none() -> None:
    """O-6: a grant, thanks and a gift change what can be spent, no service hours."""
    town = make_town("alys", "bryn")
    town.post(("grant", -600), ("alys", 600), purpose="grant", by=OPERATOR)
    served = serve(town, "bryn", "alys", 50)
    serve(town, "bryn", "alys", 30, by="rule")
    serve(town, "alys", "bryn", 20, by="none")
    town.write(
        e.ThanksGivenEntry,
        e.ThanksGiven(transfer=f"aberdare.g1.{served.n}", side="payer", position=served.n),
        by=MEMBER_BY,
    )
    town.post(("alys", -60), ("bryn", 60))
    town.claim("bryn", "alys", 45)
    product = document(town)["product"]
    assert product["given_minutes"] == 100
    assert product["confirmed_by"] == [
        {"by": "none", "minutes": 20, "people": 1},
        {"by": "receiver", "minutes": 50, "people": 1},
        {"by": "rule", "minutes": 30, "people": 1},
    ]
    assert not_counted(town) == {"gift": 60, "grant": 600}


def test_every_other_purpose_is_listed_by_name_and_never_counted() -> None:
    town = make_town("alys", "bryn")
    town.post(("alys", -40), ("pot", 40), purpose="pot")
    town.post(("pot", -25), ("bryn", 25), purpose="support", by=OPERATOR)
    town.post(("alys", -5), ("bryn", 5), purpose="correction", by=OPERATOR)
    serve(town, "clwb", "alys", 35)
    town.leave("bryn", "pot")
    assert document(town)["product"]["given_minutes"] == 0
    assert not_counted(town) == {"closing": 30, "correction": 5, "pot": 40, "service_by_others": 35, "support": 25}


def test_a_service_belongs_to_the_day_it_was_given_and_a_late_one_revises_that_period() -> None:
    town = make_town("alys", "bryn")
    serve(town, "alys", "bryn", 60, served_on="2026-02-27")
    serve(town, "alys", "bryn", 30, served_on="2026-03-02")
    town.wait(40)
    late = serve(town, "alys", "bryn", 15, served_on="2026-03-03")
    town.reverse(late.n)
    march = document(town, ("2026-03-01", "2026-03-31"))["product"]
    assert (march["given_minutes"], march["revisions"], march["services"]["taken_back"]) == (30, 2, 1)
    assert document(town, ("2026-02-01", "2026-02-28"))["product"]["given_minutes"] == 60


def test_two_periods_that_touch_are_the_sum_of_both() -> None:
    """E-3."""
    town = make_town("alys", "bryn")
    for day, minutes in (("2026-01-31", 10), ("2026-02-01", 20), ("2026-02-28", 40)):
        serve(town, "alys", "bryn", minutes, served_on=day)
    sums = [
        figures(town, days).given.minutes
        for days in (("2026-01-01", "2026-01-31"), ("2026-02-01", "2026-02-28"), ("2026-01-01", "2026-02-28"))
    ]
    assert sums == [10, 60, 70]


def test_a_gift_after_midnight_on_the_towns_clock_is_of_the_new_day() -> None:
    """E-3: 00:30 on 1 April in London is 23:30 on 31 March in UTC."""
    town = make_town("alys", "bryn")
    now = parse_time(town.now)
    town.waited += datetime(2026, 3, 31, 23, 30, tzinfo=UTC) - now
    town.post(("alys", -5), ("bryn", 5))
    assert document(town, ("2026-03-01", "2026-03-31"))["product"]["not_counted"] == []
    assert document(town, ("2026-04-01", "2026-04-01"))["product"]["not_counted"][0]["minutes"] == 5


def test_who_leaves_stays_in_the_figures_of_the_time_before() -> None:
    """G-5: the same numbers and the same document, whoever has left since."""
    town = make_town("alys", "bryn", "cai")
    for giver, receiver in (("alys", "bryn"), ("bryn", "cai"), ("cai", "alys")):
        serve(town, giver, receiver, 60)
    before = document(town, ("2026-01-01", "2026-03-02"))
    town.wait(3)
    for leaver in ("alys", "bryn"):
        town.leave(leaver, "pot")
    after = document(town, ("2026-01-01", "2026-03-02"))
    assert {**after, "cut": None} == {**before, "cut": None}


def test_leavers_debts_and_remainders_are_a_line_of_their_own() -> None:
    """G-3: ten leave between -300 and +300."""
    people = [f"m{number}" for number in range(10)]
    town = make_town(*people)
    for number, name in enumerate(people):
        minutes = (number - 4) * 60 or 300
        pair = (("pot", -minutes), (name, minutes)) if minutes > 0 else ((name, minutes), ("pot", -minutes))
        town.post(*pair, purpose="correction", by=OPERATOR)
    for name in people:
        town.leave(name, "pot")
    # 60 × (1+2+3+4+5) + 300 go to the pot, and 60 × (4+3+2+1) are borne by it, credited to four leavers.
    assert not_counted(town)["closing"] == 60 * 15 + 300 + 60 * 10
    assert document(town)["product"]["given_minutes"] == 0


def test_what_is_given_to_another_town_counts_here_and_is_used_there_once_it_is_settled() -> None:
    aberdare, barry, _, bryn = two_towns()
    send_service(aberdare, "alys", "barry", bryn, 90)
    barry.take(aberdare.segment("barry"))
    found = network(aberdare, barry)["product"]
    assert (found["given_minutes"], found["used_minutes"], found["not_yet_settled_minutes"]) == (90, 0, 90)
    talk(aberdare, barry)
    found = network(aberdare, barry)["product"]
    assert (found["given_minutes"], found["used_minutes"], found["not_yet_settled_minutes"]) == (90, 90, 0)
    assert (figures(barry).exports.minutes, figures(aberdare).import_minutes) == (90, 90)
    assert document(barry)["product"]["confirmed_by"] == [{"by": "elsewhere", "minutes": 90, "people": 1}]


def test_a_refund_takes_back_in_both_towns_what_it_gives_back_in_parts_too() -> None:
    """100 minutes of time were given for 40 credited: 15 of 40 are 37 of 100, the other 25 are 63."""
    aberdare, barry, _, bryn = two_towns()
    paid = send_service(aberdare, "alys", "barry", bryn, 40, given_minutes=100)
    talk(aberdare, barry)
    assert (figures(barry).given.minutes, figures(aberdare).import_minutes) == (100, 100)
    for minutes, left in ((15, 63), (25, 0)):
        refund(barry, paid, minutes)
        before = figures(barry).given.minutes
        aberdare.take(barry.segment("aberdare", aberdare.book.peers["barry"].incoming.n + 1))
        assert (figures(barry).given.minutes, figures(aberdare).import_minutes) == (before, left)
        talk(aberdare, barry)
        assert figures(barry).given.minutes == left
    assert document(barry)["product"]["services"] == {"home": 0, "export": 1, "import": 0, "taken_back": 1}
    assert network(aberdare, barry)["product"]["not_yet_settled_minutes"] == 0


def test_what_comes_back_rejected_was_never_used() -> None:
    aberdare, barry, _, _ = two_towns()
    send_service(aberdare, "alys", "barry", "0" * 32, 90)
    talk(aberdare, barry)
    assert (figures(aberdare).import_minutes, figures(barry).given.minutes) == (0, 0)


def test_a_replacement_rate_is_the_operators_word_and_stands_apart() -> None:
    town = make_town("alys", "bryn")
    serve(town, "alys", "bryn", 90)
    asked = Asked(rate=Rate(1_260, "GBP", "2026-01-01", "a survey of wages"))
    product = document(town, asked=asked)["product"]
    assert product["replacement"]["minor_units"] == 1_890
    assert product["given_minutes"] == 90


MEMBER_BY = e.Actor(kind="member", id="mb-1")
