"""Label, reciprocity, thanks, two economies, pledge: examples computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.vectors.paper_between import thank
from contracts.vectors.paper_town import OPERATOR, PaperTown, talk, two_towns
from tests.contracts.figures_of import (
    add_programme,
    document,
    make_town,
    network,
    pay_money,
    send_for,
    send_service,
    serve,
)
from timebank_contracts import entries as e
from timebank_contracts.errors import Malformed
from timebank_contracts.figures_document import Asked
from timebank_contracts.figures_label import DEFAULT_POLICY, LabelPolicy, Person, two_way
from timebank_contracts.figures_period import Ratio, make_period
from timebank_contracts.figures_reciprocity import reciprocity

FIVE = ("m1", "m2", "m3", "m4", "m5")


def garden(town: PaperTown, name: str = "garddio") -> dict[str, Any]:
    rows: list[dict[str, Any]] = document(town)["programmes"]
    return next(row for row in rows if row["programme"] == name)


def ring(town: PaperTown, minutes: int = 60, **said: Any) -> None:
    """Each helps the next within the programme."""
    for giver, receiver in zip(FIVE, [*FIVE[1:], FIVE[0]], strict=True):
        serve(town, giver, receiver, minutes, programme="garddio", **said)


def test_help_that_goes_one_way_is_called_one_way() -> None:
    """Five give an hour each to the programme, one of them gets six minutes back: rho = 12/306, beta = 0/5."""
    town = make_town(*FIVE)
    for name in FIVE:
        serve(town, name, "garddio", 60)
    serve(town, "garddio", "m1", 6)
    row = garden(town)
    assert row["label"] == "one-way"
    assert (row["two_way"]["rho"], row["two_way"]["beta"]) == ([12, 306], [0, 5])
    assert (row["two_way"]["givers_only"], row["two_way"]["both"]) == (4, 1)


def test_help_both_ways_is_called_two_way_when_those_who_were_helped_confirm() -> None:
    town = make_town(*FIVE)
    ring(town)
    row = garden(town)
    assert row["label"] == "two-way"
    assert row["two_way"]["rho"] == [600, 600]
    assert row["two_way"]["beta"] == [5, 5]
    assert row["two_way"]["independence"] == [300, 300]


def test_what_a_rule_or_the_programme_confirms_makes_no_two_way() -> None:
    """240 of 300 are 4/5; with one minute more by the rule it is less."""
    town = make_town(*FIVE)
    ring(town, 48)
    ring(town, 12, by="rule")
    assert (garden(town)["label"], garden(town)["two_way"]["independence"]) == ("two-way", [240, 300])
    serve(town, "m1", "m2", 1, by="rule", programme="garddio")
    assert garden(town)["label"] == "mixed"
    paid = make_town(*FIVE)
    for name in FIVE:
        serve(paid, name, "garddio", 60)
        serve(paid, "garddio", name, 60)
    assert (garden(paid)["label"], garden(paid)["two_way"]["independence"]) == ("mixed", [0, 300])


def test_planning_by_three_who_are_helped_makes_it_co_produced() -> None:
    """15 of 300 minutes are 1/20; two people are too few, whatever they give."""
    town = make_town(*FIVE)
    ring(town, 57)
    for giver, receiver in (("m1", "m2"), ("m2", "m1")):
        serve(town, giver, receiver, 5, programme="garddio", activity="design")
    assert (garden(town)["label"], garden(town)["two_way"]["designers"]) == ("two-way", 2)
    serve(town, "m3", "m4", 5, programme="garddio", activity="design")
    assert (garden(town)["label"], garden(town)["two_way"]["design"]) == ("co-produced", [15, 300])


def test_planning_by_who_is_not_helped_is_no_co_design() -> None:
    people = [Person(given=120, received=120) for _ in range(5)] + [Person(given=60, design=60) for _ in range(3)]
    found = two_way(people, independent_minutes=780)
    assert (found.label, found.designers, found.design) == ("two-way", 0, Ratio(0, 780))


def test_fewer_than_five_people_have_no_label() -> None:
    town = make_town(*FIVE)
    for giver, receiver in (("m1", "m2"), ("m2", "m1"), ("m3", "m4"), ("m4", "m3")):
        serve(town, giver, receiver, 600, programme="garddio")
    assert garden(town)["label"] == "none"
    assert two_way([Person(30, 29)] * 9, independent_minutes=0).label == "none"


def test_the_label_is_about_the_twelve_months_before_the_last_day() -> None:
    town = make_town(*FIVE)
    ring(town)
    assert document(town, ("2026-12-01", "2027-03-01"))["programmes"][0]["label"] == "two-way"
    assert document(town, ("2026-12-01", "2027-03-02"))["programmes"][0]["programme"] == "(outside)"
    assert make_period("2024-02-01", "2024-02-29", "Europe/London").label_first_day == "2023-03-01"
    with pytest.raises(Malformed):
        make_period("2026-02-02", "2026-02-01", "Europe/London")


def test_thresholds_are_the_networks_and_are_printed() -> None:
    town = make_town(*FIVE)
    ring(town, by="rule")
    asked = Asked(policy=LabelPolicy(independence_from=Ratio(0, 1)))
    said = document(town, asked=asked)
    assert (said["programmes"][0]["label"], said["policy"]["independence_from"]) == ("two-way", [0, 1])
    assert garden(town)["label"] == "mixed"
    assert DEFAULT_POLICY.people_min == 5


def test_direct_reciprocity_is_what_goes_straight_back_and_the_rest_may_go_round() -> None:
    """a→b 60, b→a 20: 40 of 80 go back. b→c 30, c→a 10: of the rest 40 + 30 + 10 stand on a way round of three."""
    found = reciprocity({("a", "b"): 60, ("b", "a"): 20, ("b", "c"): 30, ("c", "a"): 10, ("a", "d"): 5})
    assert found.direct == Ratio(40, 125)
    assert found.round == Ratio(80, 125)
    assert reciprocity({("a", "b"): 60, ("b", "c"): 30}).round == Ratio(0, 90)
    assert reciprocity({}).direct == Ratio(0, 0)


def test_givers_receivers_and_both_are_counted_in_the_town() -> None:
    town = make_town("alys", "bryn", "cai", "dai")
    serve(town, "alys", "bryn", 60)
    serve(town, "bryn", "alys", 20)
    serve(town, "cai", "dai", 5)
    shares = document(town)["reciprocity"]
    assert shares["direct"] == [40, 85]
    assert shares["people"] == {"givers_only": 1, "receivers_only": 1, "both": 2}


def test_a_pair_of_towns_and_the_share_across_are_those_of_both_journals() -> None:
    """Barry gives 90 to Aberdare and gets 30 back: 2 × 30 of 120."""
    aberdare, barry, alys, bryn = two_towns()
    send_service(aberdare, "alys", "barry", bryn, 90)
    send_service(barry, "bryn", "aberdare", alys, 30)
    talk(aberdare, barry)
    talk(barry, aberdare)
    found = network(aberdare, barry)
    [pair] = found["pairs"]
    assert (pair["towns"], pair["direct"]) == (["aberdare", "barry"], [60, 120])
    assert (pair["given_by_first_minutes"], pair["given_by_second_minutes"]) == (30, 90)
    assert found["reciprocity"]["direct"] == [60, 120]
    assert document(aberdare)["reciprocity"]["used_from_other_towns"] == [90, 90]


def test_thanks_are_counted_by_side_and_a_service_once_within_thirty_days() -> None:
    town = make_town("alys", "bryn")
    served = [serve(town, "alys", "bryn", 10) for _ in range(3)]
    gift = town.post(("alys", -5), ("bryn", 5))
    for entry, side in ((served[0], "payer"), (served[0], "payee"), (gift, "payer")):
        thank(town, entry.n, side=side)
    town.wait(31)
    thank(town, served[1].n, side="payer")
    assert document(town)["thanks"] == {"given": 4, "received": 4, "thanked": [1, 3]}


def test_thanks_across_towns_are_given_here_and_received_there() -> None:
    aberdare, barry, _, bryn = two_towns()
    send_service(aberdare, "alys", "barry", bryn, 30)
    thank(aberdare, aberdare.entries[-1].n)
    assert document(aberdare)["thanks"]["thanked"] == [0, 0]
    talk(aberdare, barry)
    assert document(aberdare)["thanks"] == {"given": 1, "received": 0, "thanked": [1, 1]}
    assert document(barry)["thanks"] == {"given": 0, "received": 1, "thanked": [0, 0]}


def test_thanks_for_what_came_back_are_thanks_for_no_service() -> None:
    aberdare, barry, _, _ = two_towns()
    send_service(aberdare, "alys", "barry", "0" * 32, 30)
    sent = aberdare.entries[-1].n
    talk(aberdare, barry)
    thank(aberdare, sent)
    assert document(aberdare)["thanks"] == {"given": 1, "received": 0, "thanked": [0, 0]}


def test_hours_and_money_stand_beside_each_other_with_one_ratio_and_no_sum() -> None:
    """150 minutes were given for 1,000 pence of materials; a record that is taken back is of its own day."""
    town = make_town(*FIVE)
    serve(town, "m1", "garddio", 150)
    serve(town, "garddio", "m2", 45)
    pay_money(town, 50_000, "grant", "garddio")
    pay_money(town, 1_000, "materials", "garddio")
    wrong = pay_money(town, 700, "pay", "garddio", paid_on="2026-02-28")
    pay_money(town, -700, "pay", "garddio", corrects=f"aberdare.g1.{wrong.n}")
    row = garden(town)
    assert (row["given_minutes"], row["used_minutes"], row["people"]) == (150, 45, {"giving": 1, "helped": 1})
    rows = {one["kind"]: one["minor_units"] for one in row["money"]["rows"]}
    assert rows == {"grant": 50_000, "materials": 1_000, "pay": 0}
    assert row["money"]["minutes_for_spent"] == {"GBP": [150, 1_000]}
    february = document(town, ("2026-02-01", "2026-02-28"))["money"]
    assert february["rows"] == [{"currency": "GBP", "kind": "pay", "minor_units": 0}]


def test_a_pledge_is_compared_with_what_was_accepted_and_that_with_what_was_issued() -> None:
    town = make_town(*FIVE)
    serve(town, "clwb", "m1", 90)
    serve(town, "garddio", "m1", 30)
    serve(town, "m2", "garddio", 40)
    [row] = document(town, asked=Asked(pledges={"clwb": 240}))["organisations"]
    assert (row["accepted_of_pledged"], row["issued_of_accepted"]) == ([120, 240], [40, 120])
    assert document(town)["organisations"][0]["accepted_of_pledged"] is None


def test_what_a_programme_uses_from_another_town_is_its_hours_and_nobodys_giving() -> None:
    town, barry = make_town(*FIVE), make_town("bryn", node="barry")
    town.meet(barry)
    barry.meet(town)
    bryn = barry.alias("bryn")
    send_for(town, "m1", "barry", bryn, 40, programme="garddio", by="receiver")
    send_for(town, "garddio", "barry", bryn, 25, programme="garddio", by="rule")
    pay_money(town, 500, "travel", "garddio")
    talk(town, barry)
    row = garden(town)
    assert (row["given_minutes"], row["used_minutes"], row["elsewhere_minutes"]) == (0, 40, 65)
    assert row["two_way"]["independence"] == [0, 0]
    product = document(town)["product"]
    assert (product["used_minutes"], product["people"]["helped"]) == (65, 1)
    assert [(cell["by"], cell["minutes"]) for cell in product["imports_confirmed_by"]] == [
        ("receiver", 40),
        ("rule", 25),
    ]
    assert document(town)["organisations"][0]["issued_of_accepted"] == [25, 0]


def test_money_about_a_transfer_belongs_to_its_programme() -> None:
    town = make_town(*FIVE)
    served = serve(town, "m1", "m2", 60, programme="garddio")
    record = e.MoneyRecorded(
        minor_units=250,
        currency="GBP",
        kind="travel",
        settled_by="cash",
        paid_on=town.now[:10],
        transfer=f"aberdare.g1.{served.n}",
        position=served.n,
    )
    town.write(e.MoneyRecordedEntry, record, by=OPERATOR)
    assert garden(town)["money"]["minutes_for_spent"] == {"GBP": [60, 250]}
    assert document(town)["money"]["minutes_for_spent"] == {"GBP": [60, 250]}


def test_a_service_of_a_programme_belongs_to_it_and_to_who_runs_it_and_to_nobody_else() -> None:
    town = make_town(*FIVE)
    add_programme(town, "canu")
    serve(town, "m1", "m2", 60, programme="garddio")
    serve(town, "m1", "m2", 5)
    found = document(town)
    rows = {row["programme"]: row["given_minutes"] for row in found["programmes"]}
    assert rows == {"garddio": 60, "(outside)": 5}
    assert [(row["organisation"], row["given_minutes"]) for row in found["organisations"]] == [("clwb", 60)]
