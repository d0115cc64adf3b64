"""The receiver: what comes is judged, taken once, repaired, held or put away; and nothing else is held up by it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.federation.towns import NETWORK, Network, changed, open_towns, public, signed
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import inbox_topic
from timebank_contracts.segments import SEGMENT_BYTES_MAX, parse_segment
from timebank_contracts.streams import StreamHead, chain_start
from timebank_federation.broker import RECORD_BYTES_MAX
from timebank_federation.ledger_client import LedgerAway
from timebank_federation.registry_fetch import PAUSE_SECONDS as REGISTRY_PAUSE_SECONDS

STRANGER = SigningKey(bytes(range(32)))
START_OF_STREAM = StreamHead(0, chain_start(network=NETWORK, sender="barry", generation="g1", receiver="aberdare"))


def send(network: Network, count: int = 1) -> list[str]:
    """Transfers from Barry to Aberdare, which are committed and not sent."""
    return [network.send("barry", "aberdare", key=f"k{number}") for number in range(count)]


def cut(network: Network, *, after: int = 0, limit: int = 256) -> bytes:
    """A segment of Barry's stream to Aberdare."""
    segment = network["barry"].federation.sender.segment_after("aberdare", after, limit=limit)
    assert segment is not None
    return segment


def put(network: Network, *raws: bytes) -> None:
    """Into Aberdare's topic, whoever does it."""
    for raw in raws:
        network.broker.append(inbox_topic(NETWORK, "aberdare"), "anybody", raw)


def applied(network: Network) -> int:
    """How far Aberdare applied Barry's stream."""
    high: int = network["aberdare"].stream("barry")["incoming"]["n"]
    return high


def length(network: Network) -> int:
    return network["aberdare"].ledger.writer.tail.length


def test_a_transfer_goes_there_and_its_decision_comes_back(network: Network) -> None:
    transfers = send(network, 3)
    network.pump()
    assert [network.state("barry", transfer) for transfer in transfers] == ["settled"] * 3


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"[" * 10_000 + b"\n",
        b'{"a":NaN}\n',
        b'{"payload":"","payload":"","payloadType":"x","signatures":[]}\n',
        b"x" * (SEGMENT_BYTES_MAX + 1),
    ],
    ids=["empty", "line", "object", "utf8", "deep", "nan", "twice", "oversize"],
)
def test_what_is_no_segment_is_put_away_and_changes_nothing(network: Network, raw: bytes) -> None:
    before = length(network)
    assert network["aberdare"].federation.receiver.take(raw) == "malformed"
    (kept,) = network["aberdare"].federation.receiver.quarantine.kept.values()
    assert (kept.code, kept.size) == ("malformed", min(len(raw), SEGMENT_BYTES_MAX))
    assert length(network) == before


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_of_a_segment_has_an_effect(network: Network, data: st.DataObject) -> None:
    raw = bytearray(network["barry"].segment("aberdare", []))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[at]))
    before = length(network)
    harmless = {"malformed", "unsigned", "unknown_peer", "misdirected", "held"}
    assert network["aberdare"].federation.receiver.take(bytes(raw)) in harmless
    assert length(network) == before


def test_a_segment_for_another_node_or_network_is_put_away(network: Network) -> None:
    take = network["aberdare"].federation.receiver.take
    assert take(network["aberdare"].segment("barry", [])) == "misdirected"
    assert take(network["barry"].segment("aberdare", [], network="other.example")) == "misdirected"


def test_a_stranger_is_an_unknown_peer(network: Network, tmp_path: Path) -> None:
    with open_towns(tmp_path / "other", "aberdare", "cardiff") as other:
        raw = other["cardiff"].segment("aberdare", [])
    assert network["aberdare"].federation.receiver.take(raw) == "unknown_peer"


def test_a_segment_under_another_key_is_unsigned(network: Network) -> None:
    raw = network["barry"].segment("aberdare", [], key=STRANGER)
    assert network["aberdare"].federation.receiver.take(raw) == "unsigned"


@pytest.mark.parametrize("signature", ["", "!!!!", "AAAA", "A" * 87])
def test_what_is_no_signature_under_the_key_s_id_is_unsigned(network: Network, signature: str) -> None:
    raw = network["barry"].segment("aberdare", [])
    envelope = json.loads(raw)
    envelope["signatures"][0]["sig"] = signature
    forged = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    assert network["aberdare"].federation.receiver.take(forged) == "unsigned"


def test_a_segment_that_comes_again_is_dropped(network: Network) -> None:
    send(network, 2)
    raw = cut(network)
    take = network["aberdare"].federation.receiver.take
    assert take(raw) == "fresh"
    before = length(network)
    assert [take(raw), take(cut(network)), take(cut(network, limit=1))] == ["duplicate"] * 3
    assert (length(network), applied(network)) == (before, 2)


def test_messages_that_were_cut_anew_are_taken_once(network: Network) -> None:
    send(network, 5)
    take = network["aberdare"].federation.receiver.take
    assert take(cut(network, limit=2)) == "fresh"
    assert take(cut(network, after=1, limit=3)) == "fresh"
    assert take(cut(network)) == "fresh"
    assert applied(network) == 5


def test_what_is_missing_before_a_segment_is_pulled(network: Network) -> None:
    send(network, 5)
    assert network["aberdare"].federation.receiver.take(cut(network, after=3)) == "gap"
    assert applied(network) == 5


def test_a_gap_stays_while_the_peer_s_door_is_shut_and_is_closed_later(network: Network) -> None:
    send(network, 5)
    network["barry"].door.is_cut = True
    receiver = network["aberdare"].federation.receiver
    assert receiver.take(cut(network, after=3)) == "gap"
    assert applied(network) == 0
    network["barry"].door.is_cut = False
    assert receiver.take(cut(network, after=3)) == "gap"
    assert applied(network) == 5


def test_a_pulled_segment_of_somebody_else_is_put_away(network: Network) -> None:
    send(network, 5)
    late = cut(network, after=3)
    network.doors.lines["barry.example"] = network["aberdare"].door
    network["aberdare"].federation.receiver.take(late)
    assert applied(network) == 0


def test_before_an_unknown_type_all_is_taken_and_then_the_stream_waits(network: Network) -> None:
    """PROTOCOL.md S8, S10: from the topic, and in a pull."""
    send(network, 2)
    known = parse_segment(cut(network)).messages
    unknown = known[1].replace(b'"transfer.sent"', b'"pledge.made"').replace(b"/g1/2", b"/g1/3")
    raw = network["barry"].segment("aberdare", [*known, unknown], after=START_OF_STREAM)
    receiver = network["aberdare"].federation.receiver
    assert receiver.take(raw) == "stops"
    assert applied(network) == 2
    last = StreamHead(2, network["barry"].federation.sender.peers["aberdare"].head.chain)
    alone = network["barry"].segment("aberdare", [unknown], after=last)
    assert receiver.take(alone) == "stops"
    assert not network["aberdare"].stream("barry")["frozen"]


def test_before_a_breach_all_is_taken_and_then_the_stream_freezes_with_evidence(network: Network) -> None:
    """PROTOCOL.md S9, S10."""
    send(network, 2)
    first = parse_segment(cut(network)).messages[0]
    receiver = network["aberdare"].federation.receiver
    assert receiver.take(network["barry"].segment("aberdare", [first, first], after=START_OF_STREAM)) == "stops"
    assert applied(network) == 2, "what Barry itself answers is good"
    head = network["barry"].federation.sender.peers["aberdare"].head
    broken = network["barry"].segment("aberdare", [first], after=head)
    assert receiver.take(broken) == "frozen"
    assert network["aberdare"].stream("barry")["frozen"]
    assert [kept.code for kept in receiver.quarantine.kept.values()] == ["message_misplaced"]
    assert receiver.take(network["barry"].segment("aberdare", [])) == "refused"


def test_a_town_without_a_broker_takes_what_stands_before_an_unknown_message(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", with_broker=False) as network:
        transfers = send(network, 3)
        for _ in range(2):
            for name in ("aberdare", "barry"):
                network[name].federation.receiver.poll_peers()
        assert [network.state("barry", transfer) for transfer in transfers] == ["settled"] * 3


def test_a_newer_registry_is_fetched_and_the_segment_taken(network: Network) -> None:
    new = SigningKey(bytes(31) + b"\x07")
    envelope = network.next_registry(event_keys=[public(network["barry"].key), public(new)])
    network["barry"].federation.registries.add(envelope)
    send(network)
    message = parse_segment(cut(network)).messages
    raw = network["barry"].segment("aberdare", message, after=START_OF_STREAM, key=new, registry=2)
    assert network["aberdare"].federation.receiver.take(raw) == "fresh"
    assert network["aberdare"].ask_ledger("GET", "/v1/streams").json()["registry"]["version"] == 2


def test_a_segment_that_needs_a_newer_registry_is_held_and_not_dropped(network: Network) -> None:
    new = SigningKey(bytes(31) + b"\x07")
    aberdare, barry = network["aberdare"], network["barry"]
    barry.federation.registries.add(network.next_registry(event_keys=[public(barry.key), public(new)]))
    send(network)
    message = parse_segment(cut(network)).messages
    barry.door.is_cut = True
    put(network, barry.segment("aberdare", message, after=START_OF_STREAM, key=new, registry=2))
    aberdare.receive()
    assert aberdare.federation.receiver.counts["held"] == 1
    assert not aberdare.federation.receiver.quarantine.kept
    barry.door.is_cut = False
    aberdare.receive()
    assert applied(network) == 0, "not asked again before the pause is over"
    network.clock.advance(REGISTRY_PAUSE_SECONDS)
    aberdare.receive()
    assert applied(network) == 1


def test_rubbish_that_claims_a_newer_registry_makes_no_flood_of_questions(network: Network) -> None:
    raws = [network["barry"].segment("aberdare", [], key=STRANGER, registry=2 + number) for number in range(200)]
    put(network, *raws)
    network["aberdare"].receive()
    asked = [path for path in network["barry"].door.asked if "registry" in path]
    assert len(asked) == 1


def test_a_registry_accepted_while_the_ledger_is_away_reaches_it_later(network: Network) -> None:
    aberdare, barry = network["aberdare"], network["barry"]
    new = SigningKey(bytes(31) + b"\x07")
    barry.federation.registries.add(network.next_registry(event_keys=[public(barry.key), public(new)]))
    send(network)
    message = parse_segment(cut(network)).messages
    raw = barry.segment("aberdare", message, after=START_OF_STREAM, key=new, registry=2)
    aberdare.to_ledger.is_cut = True
    with pytest.raises(LedgerAway):
        aberdare.federation.receiver.take(raw)
    aberdare.to_ledger.is_cut = False
    assert aberdare.federation.receiver.take(raw) == "fresh"


def test_a_registry_that_the_ledger_refuses_is_said_and_holds_up_nothing(network: Network) -> None:
    """It names this node no more."""
    aberdare = network["aberdare"]
    last = aberdare.federation.registries.chain[-1][0]
    others = [node for node in last.nodes if node.node != "aberdare"]
    aberdare.federation.registries.add(signed(msgspec.structs.replace(changed(last), nodes=others)))
    send(network)
    assert aberdare.federation.receiver.take(cut(network)) == "fresh"
    assert "registry_invalid" in str(aberdare.federation.receiver.registry_refused)


def test_a_registry_put_into_the_folder_reaches_the_ledger_of_a_running_node(network: Network) -> None:
    aberdare = network["aberdare"]
    (aberdare.home.registry_folder / "2.json").write_bytes(network.next_registry(limit=60))
    put(network, network["barry"].segment("aberdare", []))
    aberdare.receive()
    assert aberdare.stream("barry")["owe_limit"] == 60


def test_a_broken_registry_in_the_folder_stops_nobody(network: Network) -> None:
    aberdare = network["aberdare"]
    (aberdare.home.registry_folder / "2.json").write_bytes(b"{}")
    send(network)
    network.pump()
    assert aberdare.federation.registries.version == 1
    (aberdare.home.registry_folder / "2.json").write_bytes(network.next_registry(limit=60))
    assert aberdare.federation.registries.latest is not None
    assert aberdare.federation.registries.latest.version == 2


@pytest.mark.slow
def test_ten_thousand_bad_records_hide_no_good_one(network: Network) -> None:
    send(network, 10)
    good = [cut(network, after=number, limit=1) for number in range(10)]
    poison = [b"poison %d" % number for number in range(10_000)]
    for number, raw in enumerate(good):
        put(network, *poison[number * 1000 : (number + 1) * 1000], raw)
    while network["aberdare"].receive():
        pass
    assert applied(network) == 10
    quarantine = network["aberdare"].federation.receiver.quarantine
    assert (len(quarantine.kept), quarantine.given_up) == (1_000, 9_000)


def test_while_the_ledger_is_away_it_is_said_and_no_record_is_left_out(network: Network) -> None:
    send(network, 3)
    put(network, *[cut(network, after=number, limit=1) for number in range(3)])
    aberdare = network["aberdare"]
    aberdare.to_ledger.is_cut = True
    for _ in range(3):
        with pytest.raises(LedgerAway):
            aberdare.receive()
    aberdare.to_ledger.is_cut = False
    network["barry"].door.is_cut = True
    assert aberdare.receive() == 3
    assert applied(network) == 3, "without any help of the sender"


def test_the_largest_record_of_a_broker_is_judged_too(network: Network) -> None:
    put(network, bytes(RECORD_BYTES_MAX))
    assert network["aberdare"].receive() == 1
    assert network["aberdare"].federation.receiver.counts["malformed"] == 1


def test_a_fork_of_the_registry_changes_nothing(network: Network) -> None:
    aberdare, barry = network["aberdare"], network["barry"]
    aberdare.federation.registries.add(network.next_registry(limit=60))
    barry.federation.registries.add(network.next_registry(limit=120))
    put(network, barry.segment("aberdare", [], registry=3))
    aberdare.receive()
    assert aberdare.stream("barry")["owe_limit"] == 60


def test_a_peer_without_a_broker_is_asked_once_it_was_silent(network: Network) -> None:
    """A town without a broker federates with one that has it."""
    aberdare, barry = network["aberdare"], network["barry"]
    transfer = network.send("aberdare", "barry", key="silent-peer")
    aberdare.federation.sender.step(wait_seconds=0)
    barry.receive()
    # Barry follows its journal, and its way to the broker is gone: nothing of it arrives by itself.
    barry.federation.sender._outbox = None
    barry.federation.sender.step(wait_seconds=0)
    assert aberdare.federation.receiver.poll_peers(silent_seconds=90) == 0
    network.clock.advance(91)
    assert aberdare.federation.receiver.poll_peers(silent_seconds=90) > 0
    assert network.state("aberdare", transfer) == "settled"
    assert aberdare.federation.receiver.poll_peers(silent_seconds=90) == 0
