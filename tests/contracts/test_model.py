"""The formal model of two towns holds, finds every planted bug, and its README says what TLC says."""

from __future__ import annotations

import re

import pytest

from deploy.model import FOLDER, read_report, search

README = (FOLDER / "README.md").read_text("utf-8")
PLANTED = set(re.findall(r'"(\w+)"', (FOLDER / "planted.cfg").read_text("utf-8")))


def said_of(configuration: str) -> tuple[int, int, int]:
    """The counts of the README's table: generated, distinct, depth."""
    row = re.search(rf"^\| `{configuration}` \|.*\| ([\d,]+) \| ([\d,]+) \| (\d+) \|", README, re.MULTILINE)
    assert row is not None, f"the README has no line for {configuration}"
    generated, distinct, depth = (int(text.replace(",", "")) for text in row.groups())
    return generated, distinct, depth


@pytest.mark.servers
def test_the_model_holds_in_every_state_of_the_small_configuration() -> None:
    """PROTOCOL.md X2, S6, S7, T8, I5, I7."""
    searched = search("small", seconds_max=300)
    assert searched.complete, searched.said
    assert (searched.generated, searched.distinct, searched.depth) == said_of("small")


@pytest.mark.servers
def test_every_planted_bug_breaks_what_the_readme_says() -> None:
    searched = search("planted", seconds_max=300)
    assert searched.complete, searched.said
    assert set(searched.found) == PLANTED
    assert len(PLANTED) >= 10
    assert dict(re.findall(r"^\| `(\w+)` \|.*\| `(\w+)` \|$", README, re.MULTILINE)) == searched.found
    assert (searched.generated, searched.distinct, searched.depth) == said_of("planted")


def test_a_report_of_a_broken_property_is_not_complete() -> None:
    said = "Error: Invariant OneOutcome is violated.\n"
    said += "9 states generated, 5 distinct states found, 2 states left on queue.\n"
    searched = read_report(said)
    assert (searched.complete, searched.generated, searched.distinct) == (False, 0, 0)
