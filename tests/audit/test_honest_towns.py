"""Honest towns are never accused, whatever they did and whenever each of them was exported."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit import between_told
from tests.audit.builder import Network
from tests.audit.claims_told import ACTS, begin
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts.errors import Refusal

NODES = ("aberdare", "barry", "caernarfon")
node = st.integers(0, 2)
steps = st.lists(
    st.tuples(st.sampled_from(["send", "send", "refused", "hear", "hear", "give", "export", "registry"]), node, node),
    max_size=60,
)
acts = st.lists(st.tuples(st.sampled_from(["give", *ACTS]), st.integers(0, 40)), max_size=80)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_honest_towns_pass_at_their_greatest_consistent_cut(actions: list[tuple[str, int, int]]) -> None:
    network = Network(*NODES)
    towns = list(network.towns.values())
    exported: set[int] = set()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for action, one, other in actions:
            peer = towns[other if other != one else (one + 1) % 3]
            try:
                if action == "export" and one not in exported:
                    towns[one].export(directory)
                    exported.add(one)
                elif action == "registry":
                    network.accept_all(limit=1_000 + len(actions))
                elif action == "give":
                    towns[one].give(5)
                elif action in ("send", "refused"):
                    towns[one].send(peer.node, 7, payee="bryn" if action == "send" else "nobody")
                elif action == "hear":
                    towns[one].hear(peer)
            except Refusal:
                continue
        for at in {0, 1, 2} - exported:
            towns[at].export(directory)
        report = make_report(verify([directory]), version="test")
    assert report["findings"] == []
    assert report["verdict"] == "PASS"
    assert all(pair["difference"] == 0 for pair in report["pairs"])


@settings(max_examples=40, deadline=None)
@given(acts)
def test_a_town_passes_whatever_its_people_claim_dispute_leave_and_record(
    actions: list[tuple[str, int]],
) -> None:
    network = Network("aberdare")
    town = network.towns["aberdare"]
    begin(town)
    for action, at in actions:
        try:
            town.give(20) if action == "give" else ACTS[action](town, at)
        except Refusal:
            continue
    with tempfile.TemporaryDirectory() as name:
        report = make_report(verify([network.export(Path(name))]), version="test")
    assert report["findings"] == []
    assert report["verdict"] == "PASS"


between = st.lists(
    st.tuples(st.sampled_from(list(between_told.ACTS)), st.integers(0, 1), st.integers(0, 40)), max_size=60
)


@settings(max_examples=30, deadline=None)
@given(between)
def test_two_towns_pass_whatever_their_people_claim_give_back_and_thank_for(
    actions: list[tuple[str, int, int]],
) -> None:
    network = Network("aberdare", "barry")
    towns = list(network.towns.values())
    for action, one, at in actions:
        try:
            between_told.ACTS[action](towns[one], towns[1 - one], at)
        except (Refusal, LookupError):
            continue
    with tempfile.TemporaryDirectory() as name:
        report = make_report(verify([network.export(Path(name))]), version="test")
    # What was sent long before the export, and not heard, is open: that is said, and is nobody's fault.
    assert {finding["code"] for finding in report["findings"]} <= {"A40"}
