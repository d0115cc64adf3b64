"""Decisions of the node about what the kit's towns send, claim and give back: each reason that a peer can cause.

Source: PROTOCOL.md T6, T7, T10, T11, T16, D9, D11, R9.
"""

from __future__ import annotations

from typing import Any

from timebank_conformance.session import Session, decision, decisions
from timebank_conformance.setting import POOR_LIMIT_MINUTES
from timebank_conformance.stage import address_of
from timebank_conformance.towns import FAR, PAST, KitTown
from timebank_contracts import messages as m
from timebank_contracts.errors import REJECTIONS

NOBODY = "0123456789abcdef" * 2
"""An address that the node gave nobody."""


def check_reasons(session: Session) -> None:
    """The first reason that holds decides."""
    main, poor, away = (session.town(name) for name in ("main", "poor", "away"))
    claim = f"{main.node.node}.{main.node.generation}.{main.name}.999999"
    sends: list[tuple[KitTown, str, str, str, dict[str, Any]]] = [
        (main, "T6", "received", "a good transfer", {}),
        (main, "T6", "alias_unknown", "an address that nobody has", {"payee": NOBODY}),
        (main, "T6 L6", "alias_unknown", "an address for another peer", {"payee": poor.alias}),
        (main, "T6 T10", "expired", "a transfer whose time is over", {"expires_at": PAST}),
        (main, "T6", "alias_unknown", "nobody's address, and its time is over", {"payee": NOBODY, "expires_at": PAST}),
        (main, "T6", "claim_withdrawn", "a claim that is not open", {"claim": claim}),
        (main, "T6 T16", "alias_unknown", "a refund of what never came", _refund_of(main, 999_999)),
        (poor, "T6 T11", "received", "as much as the limit", {"minutes": POOR_LIMIT_MINUTES}),
        (poor, "T6 R9", "pair_limit_exceeded", "a minute above the limit", {}),
        (poor, "T6", "expired", "above the limit, and its time is over", {"expires_at": PAST}),
        (away, "T6 R9", "peer_suspended", "a suspended town's transfer", {"payee": NOBODY}),
    ]
    sent = []
    for town, rules, wanted, what, changes in sends:
        minutes = int(changes.pop("minutes", 1))
        sent.append((town, town.send(minutes, **changes), minutes, rules, wanted, what))
    session.settle("main", "poor", "away")
    session.settle("main", "poor", "away")
    for town in (main, poor, away):
        heard = session.heard(town)
        is_so = heard == len(town.said)
        session.findings.expect("S4 S7", "heard grows", is_so, expected=f"{len(town.said)} heard", found=heard)
    for town, name, minutes, rules, wanted, what in sent:
        found = decision(town, name)
        session.findings.expect(f"{rules} T7", what, found == wanted, expected=wanted, found=found or "no decision")
        _check_repeated(session, town, name, minutes)


def _refund_of(town: KitTown, position: int) -> dict[str, Any]:
    refunds = f"{town.node.node}.{town.node.generation}.{town.name}.{position}"
    return {"purpose": "refund", "payee": None, "refunds": refunds, "refunds_at": 0}


def _check_repeated(session: Session, town: KitTown, name: str, minutes: int) -> None:
    """A decision repeats transfer and minutes, and its reason is of the closed set."""
    for one in decisions(town):
        if one.data.transfer == name:
            is_so = one.data.minutes == minutes
            session.findings.expect("T6", "its minutes", is_so, expected=f"{minutes} minutes", found=one.data.minutes)
            if isinstance(one, m.TransferRejectedMessage):
                known = one.data.reason in REJECTIONS
                session.findings.expect("T7", "its reason", known, expected="of the set", found=one.data.reason)


def check_claims(session: Session) -> None:
    """A claim is put to the account of the address, or refused with its reason; withdrawn, it stops nothing."""
    town, expect = session.town("main"), session.findings.expect
    session.heard(town)
    before = len(town.decoded)
    nobody, late, good = (_claim(town, **changes) for changes in ({"receiver": NOBODY}, {"expires_at": PAST}, {}))
    session.settle("main")
    heard = session.heard(town)
    expect("D9 S7", "claims are applied", heard == len(town.said), expected=f"{len(town.said)} heard", found=heard)
    told = {
        message.data.claim: message.data.reason
        for message in town.decoded[before:]
        if isinstance(message, m.ClaimDisputedMessage)
    }
    for name, wanted in ((nobody, "alias_unknown"), (late, "expired"), (good, None)):
        what = f"a claim: {wanted or 'put to the receiver'}"
        expect("D9", what, told.get(name) == wanted, expected=wanted or "no answer", found=told.get(name))
    for what in ("a claim is withdrawn", "a claim that is over is withdrawn"):
        town.say(town.message("claim.withdrawn", {"claim": good}))
        session.settle("main")
        heard = session.heard(town)
        expect("D11", what, heard == len(town.said), expected=f"{len(town.said)} heard", found=heard)


def _claim(town: KitTown, **changes: Any) -> str:
    """Say a claim; returns its name."""
    name = town.transfer_id(len(town.said) + 1)
    data = {
        "claim": name,
        "minutes": 30,
        "giver": address_of(town),
        "receiver": town.alias,
        "activity": "other",
        "served_on": town.clock()[:10],
        "expires_at": FAR,
    }
    town.say(town.message("claim.made", {**data, **changes}))
    return name


def check_sent_by_node(session: Session, wanted: int) -> None:
    """The node's own transfers to the kit: the form of what it sends, then decisions of ours, and refunds."""
    town, findings = session.town("main"), session.findings
    rules = "T8 T9 T15 T16"
    if not wanted:
        findings.skip(rules, "The node's operator was not asked to send anything (--sends).")
        return
    session.say(f"Now let a member send {wanted} gifts of a few minutes to the handle `kit` at the town {town.name}.")

    def sent() -> list[m.TransferSentMessage]:
        session.heard(town)
        return [message for message in town.decoded if isinstance(message, m.TransferSentMessage)]

    if not session.wait(lambda: len(sent()) >= wanted, seconds=session.bounds.operator_seconds):
        findings.skip(rules, f"The node's operator sent {len(sent())} of {wanted} transfers in time.")
        return
    gifts = sent()
    for position, message in enumerate(town.decoded, start=1):
        if isinstance(message, m.TransferSentMessage):
            name = f"{town.node.node}.{town.node.generation}.{town.name}.{position}"
            is_so = (message.data.transfer, message.data.payee) == (name, address_of(town))
            findings.expect("N6 E7", "a transfer of the node", is_so, expected=name, found=message.data.transfer)
    first, second = gifts[0].data, gifts[1].data
    told = {"transfer": first.transfer, "minutes": first.minutes}
    town.say(town.message("transfer.received", told))
    reason = "account_closed"
    town.say(
        town.message("transfer.rejected", {"transfer": second.transfer, "minutes": second.minutes, "reason": reason})
    )
    back = {"purpose": "refund", "payee": None, "refunds": first.transfer, "refunds_at": first.at}
    good = town.send(first.minutes, **back)
    wrong = town.send(1, **{**back, "refunds_at": first.at + 1})
    session.settle("main")
    heard = session.heard(town)
    is_so = heard == len(town.said)
    findings.expect("T8 T9", "decisions are taken", is_so, expected=f"{len(town.said)} heard", found=heard)
    found = decision(town, good)
    findings.expect(
        "T15 T16", "a refund to who paid", found == "received", expected="received", found=found or "nothing"
    )
    found = decision(town, wrong)
    findings.expect("T16", "a refund of another entry", found == "alias_unknown", expected="alias_unknown", found=found)
    _check_decided_again(session, told)


def _check_decided_again(session: Session, told: dict[str, Any]) -> None:
    """The last of this town: a decision about what is final breaks the contract."""
    town, high = session.town("main"), len(session.town("main").said)
    session.serve({town.name: [town.forged([town.message("transfer.received", told)])]})
    town.send(1)
    session.settle("main")
    heard = session.heard(town)
    what = "a second decision freezes"
    session.findings.expect("T8 S9", what, heard == high, expected=f"heard = {high}", found=heard)
    town.said.pop()
