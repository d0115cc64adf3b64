"""A node that was rolled back: the proof stops the writer, the sentence names the ways out, reading goes on."""

from __future__ import annotations

from msgspec.structs import replace

from tests.ledger.pair_of_towns import hand_in, open_pair, segment_from
from tests.ledger.town_api import Town, gift
from timebank_contracts import canonical, dsse
from timebank_contracts.segments import PAYLOAD_TYPE, Heard, open_statement


def said_to_have_heard(sender: Town, to: str, heard: Heard) -> bytes:
    """A segment of the sender, validly signed, that heard something else than it did."""
    envelope, *messages = segment_from(sender, to, after=0).split(b"\n")[:-1]
    statement = replace(open_statement(envelope), heard=heard)
    signed = dsse.sign(canonical.encode(statement), payload_type=PAYLOAD_TYPE, keys=[sender.keys.event])
    return b"\n".join([signed, *messages]) + b"\n"


def test_a_peer_that_heard_more_stops_the_writer_and_reading_goes_on() -> None:
    with open_pair() as (aberdare, barry):
        proof = said_to_have_heard(aberdare, "barry", Heard(generation="g1", n=3, chain="00" * 32))
        assert hand_in(barry, proof).status_code == 503
        refused = barry.member("alys").post("/v1/transfers", gift("alys", "bryn", 5))
        assert refused.status_code == 503
        ready = barry.http.get("/readyz").text
        assert "timebank restore" in ready
        assert "a new generation" in ready
        assert "timebank_ledger_rolled_back 1.0" in barry.http.get("/metrics").text
        assert barry.member("alys").get("/v1/accounts/alys").status_code == 200


def test_a_peer_that_answers_another_generation_stops_nothing() -> None:
    with open_pair() as (aberdare, barry):
        stale = said_to_have_heard(aberdare, "barry", Heard(generation="g2", n=3, chain="00" * 32))
        assert hand_in(barry, stale).json()["code"] == "segment_invalid"
        assert "timebank_ledger_rolled_back 0.0" in barry.http.get("/metrics").text
        sent = barry.member("alys").post("/v1/transfers", gift("alys", "bryn", 5))
        assert sent.status_code == 201
