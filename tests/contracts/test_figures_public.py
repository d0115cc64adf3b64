"""What of figures anybody may see: nothing about fewer than five people, and nothing that gives it away."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from contracts.vectors.paper_town import talk, two_towns
from tests.contracts.figures_of import add_programme, document, make_town, network, send_service, serve
from timebank_contracts.figures_document import first_difference
from timebank_contracts.figures_label import Label
from timebank_contracts.figures_network import public_network
from timebank_contracts.figures_people import withheld
from timebank_contracts.figures_public import public_document

MANY = tuple(f"m{number}" for number in range(20))


def rows(found: dict[str, Any], table: str, name: str) -> dict[str, Any]:
    return {row[name]: row for row in found[table]}


def test_a_cell_of_few_is_withheld_with_the_smallest_other() -> None:
    assert withheld({"a": 3, "b": 9, "c": 7, "d": 0}) == {"a", "c"}
    assert withheld({"a": 2, "b": 2, "c": 9}) == {"a", "b", "c"}
    assert withheld({"a": 3, "b": 2, "c": 9, "d": 12}) == {"a", "b", "c"}
    assert withheld({"a": 5, "b": 0}) == set()


def test_a_programme_of_few_is_withheld_with_another_and_labels_are_only_words() -> None:
    town = make_town(*MANY)
    add_programme(town, "canu")
    for at in range(10):
        serve(town, MANY[at], MANY[(at + 1) % 10], 60, programme="garddio")
    for at in range(6):
        serve(town, MANY[at], MANY[19 - at], 60)
    serve(town, "m1", "m2", 60, programme="canu")
    full = document(town)
    found = public_document(full)
    seen = rows(found, "programmes", "programme")
    assert (seen["garddio"]["given_minutes"], seen["garddio"]["label"]) == (600, "two-way")
    assert (seen["canu"]["given_minutes"], seen["canu"]["people"], seen["canu"]["label"]) == (None, None, "none")
    assert seen["(outside)"]["given_minutes"] is None
    assert rows(found, "organisations", "organisation")["clwb"]["given_minutes"] is None
    assert "two_way" not in seen["garddio"]
    assert (found["product"]["given_minutes"], found["public"]) == (1_020, True)
    assert (full["public"], rows(full, "programmes", "programme")["canu"]["given_minutes"]) == (False, 60)


def test_a_town_of_few_shows_no_minutes() -> None:
    town = make_town(*MANY[:4])
    serve(town, "m0", "m1", 60, by="rule")
    found = public_document(document(town))
    product = found["product"]
    shown = [product[name] for name in product if name.endswith("_minutes")]
    assert [value for value in shown if value is not None] == []
    assert product["services"] is None
    assert product["people"]["giving"] is None
    assert product["confirmed_by"] == [{"by": "rule", "minutes": None, "people": None}]
    assert found["thanks"]["thanked"] is None
    assert found["reciprocity"]["direct"] is None


def test_minutes_of_few_that_a_rule_confirmed_are_withheld_with_the_next() -> None:
    town = make_town(*MANY)
    for at in range(8):
        serve(town, MANY[at], MANY[at + 8], 60)
    serve(town, "m0", "m1", 15, by="rule")
    cells = rows(public_document(document(town))["product"], "confirmed_by", "by")
    assert (cells["rule"]["minutes"], cells["receiver"]["minutes"]) == (None, None)


def test_what_a_few_gave_to_another_town_is_not_found_from_the_sums() -> None:
    """Three give to Barry, nobody there gives back: neither the parts nor the sum of what was given are shown."""
    town, barry = make_town(*MANY), make_town("bryn", node="barry")
    town.meet(barry, limit=60_000)
    barry.meet(town, limit=60_000)
    for at in range(8):
        serve(town, MANY[at], MANY[at + 8], 60)
    for at in range(3):
        send_service(barry, "bryn", "aberdare", town.alias(MANY[at]), 30)
    talk(barry, town)
    product = public_document(document(town))["product"]
    assert (product["given_minutes"], product["home_minutes"], product["export_minutes"]) == (None, None, None)
    assert product["used_minutes"] == 480
    assert product["people"] == {
        "giving": 8,
        "helped": 8,
        "giving_here": None,
        "giving_elsewhere": None,
        "helped_from_elsewhere": None,
    }
    assert all(row["minutes"] is None for row in product["confirmed_by"])


def test_towns_and_pairs_of_few_are_withheld_in_a_network() -> None:
    aberdare, barry, _, bryn = two_towns()
    send_service(aberdare, "alys", "barry", bryn, 90)
    talk(aberdare, barry)
    found = public_network(network(aberdare, barry))
    assert found["product"]["given_minutes"] is None
    assert all(row["given_minutes"] is None for row in found["towns"] if row["town"] == "barry")
    assert found["pairs"][0]["given_by_first_minutes"] is None
    assert found["reciprocity"]["direct"] is None


def test_the_first_difference_of_two_documents_is_named() -> None:
    town = make_town(*MANY)
    serve(town, "m0", "m1", 60)
    one, other = document(town), document(town)
    assert first_difference(one, other) is None
    other["product"]["confirmed_by"][0]["minutes"] = 61
    assert first_difference(one, other) == ("product.confirmed_by[0].minutes", "60", "61")
    del other["thanks"]
    assert first_difference({"a": one["thanks"]}, {})[0] == "a"  # type: ignore[index]  # there is one
    assert first_difference([1], [1, 2]) == ("", "[1]", "[1, 2]")
    assert first_difference({"a": 1}, {"a": True}) == ("a", "1", "True")


def test_the_page_of_definitions_names_every_figure_in_both_languages() -> None:
    town = make_town(*MANY)
    serve(town, "m0", "m1", 60, programme="garddio")
    found = document(town)
    tables = [found["product"], found["reciprocity"], found["reciprocity"]["people"], found["thanks"]]
    names = {name for table in tables for name in table}
    names |= {
        "rho",
        "beta",
        "design",
        "independence",
        "minutes_for_spent",
        "elsewhere_minutes",
        "not_yet_settled_minutes",
    }
    text = (Path(__file__).parents[2] / "docs/figures.md").read_text("utf-8")
    english, _, welsh = text.partition("\n# Beth yw ystyr yr oriau\n")
    for language in (english, welsh):
        assert [name for name in sorted(names) if f"`{name}`" not in language] == []
        for label in get_args(Label):
            assert f"\n| {label}" in language
