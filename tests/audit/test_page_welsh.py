"""The Welsh page is Welsh: what the report itself says is translated, and only what an export said is carried over."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

from tests.audit import mutators_between_towns, mutators_of_history
from tests.audit.mutators import MUTATORS
from tests.audit.returned import put_back, returned
from tests.audit.season import season
from timebank_audit import listed
from timebank_audit.codes import CODES
from timebank_audit.page import page
from timebank_audit.page_welsh import KINDS, PROVES, SENTENCES, sentence
from timebank_audit.report import ALWAYS_NOT_PROVEN, make_report
from timebank_audit.verify import verify

assert mutators_between_towns, "importing it registers its faults"
assert mutators_of_history, "so here"


def test_every_check_and_every_kind_that_is_listed_has_its_welsh() -> None:
    assert PROVES.keys() == CODES.keys()
    assert {*listed.KINDS.values(), *listed.PURPOSES} <= KINDS.keys()
    assert set(ALWAYS_NOT_PROVEN) <= SENTENCES.keys()


def test_a_sentence_carries_over_what_the_export_said_and_nothing_else() -> None:
    for english, welsh in SENTENCES.items():
        names = [name for _, name, _, _ in string.Formatter().parse(english) if name is not None]
        given = {name: f"{name}{at}" for at, name in enumerate(names)}
        assert sentence(english.format(**given)) == welsh.format(**given)
    assert sentence("Something else.") is None


@pytest.mark.parametrize("name", ["A02", "A32", "A51", "A53"])
def test_a_page_of_a_faulty_export_says_all_that_is_not_proven_in_welsh(name: str, tmp_path: Path) -> None:
    MUTATORS[name](tmp_path)
    report = make_report(verify([tmp_path], without=frozenset({"A13"})), version="test")
    shown = page(report, "cy")
    assert [text for text in report["not_proven"] if sentence(text) is None] == []
    assert '<span lang="en">' not in shown
    assert "mae pob cofnod yn dweud ei safle ei hun" in shown


def test_what_is_listed_of_a_year_and_of_a_town_that_came_back_is_in_welsh(tmp_path: Path) -> None:
    network = returned()
    aberdare, barry = network.towns.values()
    put_back(aberdare, barry)
    for number, one in enumerate((season(), network)):
        report = make_report(verify([one.export(tmp_path / str(number))]), version="test")
        assert report["listed"]
        assert [row["kind"] for row in report["listed"] if row["kind"] not in KINDS] == []


def test_a_sentence_that_is_not_known_is_marked_as_english(tmp_path: Path) -> None:
    report = make_report(verify([season().export(tmp_path)]), version="test")
    report["not_proven"].append("A new <sentence>.")
    assert '<li><span lang="en">A new &lt;sentence&gt;.</span></li>' in page(report, "cy")
    assert "<li>A new &lt;sentence&gt;.</li>" in page(report, "en")
