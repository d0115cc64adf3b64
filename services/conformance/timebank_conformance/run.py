"""A run, told once: wait until the node knows the kit's network, look at everything, in this order.

    public face → streams → decisions and claims → the network's life → what the operator sends → the log

A check that the node does not let end leaves its rules unexamined; the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from timebank_conformance import check_decisions, check_log, check_network, check_public, check_streams
from timebank_conformance.door import NodeAway
from timebank_conformance.session import Session


class NotAccepted(Exception):
    """The node did not accept the kit's registry within its time; nothing can be said of it."""


def run(session: Session, *, handle: str, sends: int = 0, token: Callable[[], str | None] = lambda: None) -> None:
    """Run every check; what they saw is in the session's findings.

    Args:
        session: fresh.
        handle: of the test account: a member who consents to be paid from other towns.
        sends: how many transfers the operator lets a member send to the kit: 0, or 2.
        token: gives an operator's token, with the scope to read entries; None: entries are not read.

    Raises:
        NotAccepted: the node does not hold the kit's registry.
    """
    _wait_accepted(session)
    first = check_log.take_checkpoint(session)
    checks: list[tuple[str, Callable[[], None]]] = [
        ("W5 R7 R1", partial(check_public.check_registry_served, session)),
        ("W1 W2 W3 W4 W6", partial(check_public.check_tokens, session)),
        ("W7 L6 N5", partial(check_public.check_payees, session, handle)),
        ("W4", partial(check_streams.check_asked, session)),
        ("S2 S4 S7 T6", partial(check_streams.check_good, session)),
        ("S7", partial(check_streams.check_gap, session)),
        ("S6", partial(check_streams.check_heard, session)),
        ("S7", partial(check_streams.check_chain, session)),
        ("S3 S4 S5 S6 C1 C2 C3 C4 G2 G3", partial(check_streams.check_hostile, session)),
        ("S9 A1 C1 C2 C3 E5 E6 E7 N5 N6 M1 T8 T15 D11 D14", partial(check_streams.check_breaches, session)),
        ("S8 S9 S10 E8", partial(check_streams.check_later, session)),
        ("D14", partial(check_streams.check_empty, session)),
        ("T6 T7 T10 T11 T16 R9 L6", partial(check_decisions.check_reasons, session)),
        ("D9 D11", partial(check_decisions.check_claims, session)),
        ("R3 R4 R7 R8", partial(check_network.check_rotation, session)),
        ("G1 R2 R3", partial(check_network.check_false_registries, session)),
        ("R4 R8 X2 X3 X4", partial(check_network.check_changes, session)),
        ("T8 T9 T15 T16", partial(check_decisions.check_sent_by_node, session, sends)),
        (f"{check_log.LOG_RULES} {check_log.ENTRY_RULES}", partial(check_log.check_log, session, first, token)),
    ]
    for number, (rules, check) in enumerate(checks, start=1):
        session.say(f"{number} of {len(checks)}: {rules}")
        try:
            check()
        except NodeAway as away:
            session.findings.skip(rules, str(away))


def _wait_accepted(session: Session) -> None:
    envelope = session.stage.registries[1]

    def is_accepted() -> bool:
        try:
            answer = session.door.registry(1)
        except NodeAway:
            return False
        return answer.status_code == HTTPStatus.OK and answer.content == envelope

    if not session.wait(is_accepted, seconds=session.bounds.operator_seconds):
        raise NotAccepted(
            f"{session.door.url} does not serve the kit's registry as version 1: accept it there, and start again."
        )
    session.say("The node holds the kit's registry.")
