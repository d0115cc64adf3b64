"""Streams: what is good is taken once, in any cut; what is not has no effect, waits, or freezes. Judged by `heard`.

Source: PROTOCOL.md S1 to S10.
"""

from __future__ import annotations

from itertools import islice

from timebank_conformance.breaches import BREACHES
from timebank_conformance.hostile import HOSTILE
from timebank_conformance.session import Session, decision, decisions
from timebank_conformance.setting import HOSTILE_TOWNS
from timebank_conformance.towns import KitTown
from timebank_contracts import messages as m


def check_asked(session: Session) -> None:
    """The node asks every open peer for its stream, with a good token."""
    expect, stage = session.findings.expect, session.stage
    session.settle("main")
    asked = [one for one in stage.asked if one.town == "kit-main"]
    expect("W4", "the node asks its peer", bool(asked), expected="a question for kit-main's stream", found="none")
    after = {one.after for one in asked}
    expect("W4 S7", "it asks from its position", after <= {0}, expected="after=0", found=sorted(after))
    bad = stage.bad_tokens[:3]
    expect("W1 W2 W3 W4", "the node's tokens", not bad, expected="a good node token for the peer asked", found=bad)


def check_good(session: Session) -> None:
    """Good messages are applied, in order, once; segments may be cut anew."""
    town, expect = session.town("main"), session.findings.expect
    first = town.send(7)
    session.settle("main")
    heard = session.heard(town)
    expect("S2 S4 S7", "a good segment is applied", heard == 1, expected="heard = 1 in our chain", found=heard)
    found = decision(town, first)
    expect("T6 E7", "a good transfer is received", found == "received", expected="received", found=found or "nothing")
    second, third = town.send(1), town.send(2)
    whole = town.segment_after(0, 256)
    session.serve({town.name: [whole, town.segment_after(1, 1), whole, town.forged(town.said[:2], first=1)]})
    heard = session.heard(town)
    expect("S7", "other cuts of the same messages", heard == 3, expected="heard = 3", found=heard)
    both = [decision(town, name) for name in (second, third)]
    expect("S7 T6", "messages in another cut", both == ["received"] * 2, expected="both received", found=both)
    count = len(town.said)
    session.serve({town.name: [whole, town.segment_after(2, 1)]})
    heard, made = session.heard(town), len(decisions(town))
    as_before = (heard, made) == (count, count)
    expect("S7", "a duplicate has no second effect", as_before, expected=f"{count} decisions", found=(heard, made))


def check_gap(session: Session) -> None:
    """What stands behind a gap has no effect, and the node asks for what is missing."""
    town, expect = session.town("main"), session.findings.expect
    high = len(town.said)
    missing, behind = town.sent(1), town.sent(1, position=high + 2)
    said = [*town.said, missing]
    town.said.append(missing)
    raw = town.forged([behind])
    town.said.pop()
    session.serve({town.name: [raw]})
    heard = session.heard(town)
    expect("S7", "behind a gap nothing is applied", heard == high, expected=f"heard = {high}", found=heard)
    last = next(one for one in reversed(session.stage.asked) if one.town == town.name)
    expect("S7", "a gap is pulled", last.after == high, expected=f"after={high}", found=f"after={last.after}")
    town.said[:] = [*said, behind]
    session.settle("main")
    heard = session.heard(town)
    expect("S7", "what was missing is taken", heard == high + 2, expected=f"heard = {high + 2}", found=heard)


def check_heard(session: Session) -> None:
    """A `heard` that is below an earlier one is no news."""
    town, expect = session.town("main"), session.findings.expect
    high = len(town.said)
    town.says_heard = 0
    town.send(1)
    session.settle("main")
    town.says_heard = None
    heard = session.heard(town)
    expect("S6", "a heard below an earlier one", heard == high + 1, expected=f"heard = {high + 1}", found=heard)


def check_chain(session: Session) -> None:
    """A segment that does not pass through the chain applied here is equivocation, and has no effect."""
    town, expect = session.town("main"), session.findings.expect
    high = len(town.said)
    session.heard(town)
    before = len(decisions(town))
    other = [*town.said[:-1], town.sent(9, position=high)]
    shorter = town.forged(other, first=1)
    longer = town.forged([*other, town.sent(9)], first=1)
    session.serve({town.name: [shorter, longer]})
    heard, made = session.heard(town), len(decisions(town)) - before
    is_so = (heard, made) == (high, 0)
    expect("S7", "another chain has no effect", is_so, expected=f"heard = {high}", found=(heard, made))


def check_hostile(session: Session) -> None:
    """Segments without any effect; then the same town's good message is applied, so the node had looked."""
    expect = session.findings.expect
    towns = [session.town(f"hostile-{number}") for number in range(1, HOSTILE_TOWNS + 1)]
    cases = iter(HOSTILE)
    while batch := list(zip(towns, islice(cases, HOSTILE_TOWNS), strict=False)):
        served = {town.name: [case.make(town, session.network.stranger)] for town, case in batch}
        fetched = session.serve(served)
        for town, case in batch:
            if town.name not in fetched:
                session.findings.skip(case.rules, f"The node did not ask {town.name} in time.")
                continue
            heard = session.heard(town)
            is_so = heard == len(town.said) and not town.got
            expect(case.rules, case.what, is_so, expected="no effect at all", found=f"heard = {heard}")
            if not is_so:
                towns.remove(town)
    for town in towns:
        town.send(1)
    session.settle(*(town.name.removeprefix("kit-") for town in towns))
    for town in towns:
        heard = session.heard(town)
        expect("S5 S7", "a good segment after bad ones", heard == 1, expected="heard = 1", found=heard)


def check_breaches(session: Session) -> None:
    """A breach freezes the stream: neither it nor what its sender says in its place is applied."""
    expect = session.findings.expect
    towns = [session.town(f"breach-{number}") for number in range(1, len(BREACHES) + 1)]
    made = {town.name: case.make(town) for town, case in zip(towns, BREACHES, strict=True)}
    fetched = session.serve({town.name: [town.forged([made[town.name]])] for town in towns})
    for town in towns:
        town.send(1)
    # A node may ask a frozen peer no more: then the time ends the waiting.
    session.settle(*(town.name.removeprefix("kit-") for town in towns if town.name in fetched))
    for town, case in zip(towns, BREACHES, strict=True):
        if town.name not in fetched:
            session.findings.skip(case.rules, f"The node did not ask {town.name} in time.")
            continue
        heard = session.heard(town)
        what = f"{case.what} freezes"
        expect(case.rules, what, heard == 0 and not town.got, expected="nothing taken", found=f"heard = {heard}")


def check_later(session: Session) -> None:
    """Behind a good message stands an unknown or a bad one: the good one is taken, and there it stops."""
    expect, unknown, late = session.findings.expect, session.town("unknown"), session.town("late")
    names = {town.name: town.send(1) for town in (unknown, late)}
    unknown.say(unknown.message("weather.told", {"sun": 1}))
    late.say(late.sent(0))
    for town in (unknown, late):
        town.send(1)
    session.settle("unknown", "late")
    session.settle("unknown", "late")
    for town, rules in ((unknown, "S8 S10 E8"), (late, "S9 S10")):
        heard, found = session.heard(town), decision(town, names[town.name])
        what = "what stands before is taken, and no more"
        is_so = (heard, found) == (1, "received")
        expect(rules, what, is_so, expected="heard = 1, received", found=f"heard = {heard}, {found or 'nothing'}")
    _replaced(session, unknown, late)


def _replaced(session: Session, unknown: KitTown, late: KitTown) -> None:
    """A stream that only waits goes on from a true message; a frozen one does not."""
    late.said[1:] = [late.sent(1, position=2)]
    session.settle("late")
    heard = session.heard(late)
    what, expect = "a breach in the middle freezes", session.findings.expect
    expect("S9 S10", what, heard == 1, expected="heard = 1", found=heard)
    heard = session.heard(unknown)
    expect("S8", "an unknown type is never skipped", heard == 1, expected="heard = 1", found=heard)


def check_empty(session: Session) -> None:
    """A statement without messages, and thanks for what was received, are taken."""
    town, expect = session.town("main"), session.findings.expect
    received = [one for one in decisions(town) if isinstance(one, m.TransferReceivedMessage)]
    if not received:
        session.findings.skip("D14", "No transfer of ours was received.")
        return
    town.say(town.message("thanks.given", {"transfer": received[0].data.transfer}))
    session.settle("main")
    heard = session.heard(town)
    expect("D14 E7", "thanks for a transfer", heard == len(town.said), expected="applied", found=heard)
