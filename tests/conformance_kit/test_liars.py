"""Nodes that break one rule each are found, under the number of that rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.conformance_kit import liars
from tests.conformance_kit.node_under_test import HANDLE, Played, played
from timebank_conformance import check_log, check_public, check_streams
from timebank_conformance.door import NodeAway
from timebank_conformance.session import Session

Look = Callable[[Session], None]


def read_log(session: Session) -> None:
    first = check_log.take_checkpoint(session)
    check_log.check_log(session, first, lambda: None)


def send_and_hear(session: Session) -> None:
    check_public.check_payees(session, HANDLE)
    try:
        check_streams.check_good(session)
    except NodeAway:
        # As in a run: what a check cannot do with such a node, it leaves.
        return


ask_payees = partial(check_public.check_payees, handle=HANDLE)
LIARS: dict[str, tuple[liars.Change, Look, set[str]]] = {
    "tokens are not judged": (liars.lets_everybody_in, check_public.check_tokens, {"W1", "W2", "W3", "W4"}),
    "a handle is refused aloud": (liars.tells_why_a_handle_is_not_answered, ask_payees, {"W7"}),
    "one address for all peers": (liars.gives_every_peer_one_address, ask_payees, {"W7", "L6"}),
    "another registry as the latest": (liars.serves_another_registry, check_public.check_registry_served, {"W5", "R7"}),
    "errors as text": (liars.says_errors_as_text, check_public.check_registry_served, {"H1"}),
    "a root that is not the log's": (liars.rewrites_its_log, read_log, {"G4", "G7", "G9"}),
    "a log with another beginning": (liars.began_another_log, read_log, {"G4"}),
    "a tile cut short": (liars.serves_a_short_tile, read_log, {"G7"}),
    "a message applied twice": (liars.decides_twice, send_and_hear, {"T6", "S7"}),
    "what was applied is not said": (liars.never_hears, send_and_hear, {"S7", "S4"}),
    "statements under another key": (liars.signs_with_another_key, send_and_hear, {"R8"}),
}


@pytest.mark.parametrize("name", sorted(LIARS))
def test_a_node_that_breaks_one_rule_is_found_under_it(tmp_path: Path, name: str) -> None:
    change, look, rules = LIARS[name]
    with played(tmp_path, lambda one, inner: liars.Liar(one, inner, change)) as one:
        look(one.session)
        failed = set(one.session.findings.failed)
    assert rules <= failed


@pytest.mark.parametrize(
    "look", [check_public.check_registry_served, read_log, send_and_hear], ids=lambda f: f.__name__
)
def test_the_same_looks_find_nothing_in_an_honest_node(tmp_path: Path, look: Look) -> None:
    with played(tmp_path) as one:
        look(one.session)
        assert one.session.findings.failures == []


@pytest.mark.slow
def test_a_node_that_takes_what_another_signed_is_found(tmp_path: Path) -> None:
    """PROTOCOL.md S5, G2, G3."""
    with played(tmp_path) as one:
        _sign_for_others(one)
        check_public.check_payees(one.session, HANDLE)
        check_streams.check_hostile(one.session)
        findings = one.session.findings
    assert {"S5", "G2", "G3"} <= set(findings.failed)
    assert findings.failures[0].what == "signed by a key that no registry names"


def _sign_for_others(one: Played) -> None:
    line = one.network.doors.lines["kit.example"]
    one.network.doors.lines["kit.example"] = liars.SignsForOthers(one, line)  # type: ignore[assignment] # in its place
