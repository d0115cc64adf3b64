"""The client gets its token by itself, sends again what may be sent again, and stops in the end."""

from __future__ import annotations

import pytest

from tests.client.lines import SECRET, FaultyLine, answered, lost_answer, lost_request
from tests.federation.towns import FederatedTown, Network
from timebank_client import (
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Refused,
    Retries,
    Timebank,
    TimebankError,
    Unauthorised,
    Unavailable,
    Unexpected,
)

TOKEN = "/v1/token"
TRANSFERS = "/v1/transfers"


def test_one_token_serves_until_shortly_before_its_end(town: Timebank, network: Network, line: FaultyLine) -> None:
    list(town.accounts.list())
    network.clock.advance(13 * 60)
    list(town.accounts.list())
    assert len(line.sent_to(TOKEN)) == 1
    network.clock.advance(70)
    list(town.accounts.list())
    assert len(line.sent_to(TOKEN)) == 2


def test_a_token_that_the_town_takes_no_more_is_renewed_once(town: Timebank, line: FaultyLine) -> None:
    line.faults["/v1/accounts"] = [answered(401, body=b'{"code": "unauthorised", "detail": "The token is over."}')]
    assert len(list(town.accounts.list())) == 2
    assert len(line.sent_to(TOKEN)) == 2
    line.faults["/v1/accounts"] = [answered(401), answered(401)]
    with pytest.raises(Unauthorised):
        list(town.accounts.list())


def test_a_wrong_secret_is_said_at_once(town: Timebank, line: FaultyLine) -> None:
    with (
        Timebank(
            "http://ledger",
            directory_url="http://directory",
            client_id="housing",
            client_secret="x" * 40,
            transport=line,
        ) as other,
        pytest.raises(Unauthorised) as error,
    ):
        list(other.accounts.list())
    assert error.value.code == "client_unknown"
    assert len(line.sent_to(TOKEN)) == 1


@pytest.mark.parametrize("fault", [lost_request, lost_answer, answered(503), answered(429), answered(502)])
def test_a_command_is_sent_again_under_its_key_and_done_once(
    town: Timebank, aberdare: FederatedTown, line: FaultyLine, fault: object
) -> None:
    alys, bryn = aberdare.accounts["alys"], aberdare.accounts["bryn"]
    line.faults[TRANSFERS] = [fault, fault]  # type: ignore[list-item] # the parameter is a fault
    transfer = town.transfers.post(payer=alys, payee=bryn, minutes=30, purpose="gift", confirmed_by="receiver")
    assert transfer.state == "posted"
    sent = line.sent_to(TRANSFERS)
    assert len(sent) == 3
    assert len({request.headers["Idempotency-Key"] for request in sent}) == 1
    assert len({request.content for request in sent}) == 1
    assert town.accounts.get(bryn).balance == 30


def test_a_key_of_ones_own_makes_two_runs_one(town: Timebank, aberdare: FederatedTown) -> None:
    alys, bryn = aberdare.accounts["alys"], aberdare.accounts["bryn"]
    first = town.transfers.post(
        payer=alys, payee=bryn, minutes=30, purpose="gift", confirmed_by="receiver", key="visit-17"
    )
    again = town.transfers.post(
        payer=alys, payee=bryn, minutes=30, purpose="gift", confirmed_by="receiver", key="visit-17"
    )
    assert again == first
    with pytest.raises(Invalid) as error:
        town.transfers.post(payer=alys, payee=bryn, minutes=31, purpose="gift", confirmed_by="receiver", key="visit-17")
    assert error.value.code == "key_reused"


def test_waits_grow_and_honour_what_the_town_asks_for(town: Timebank, line: FaultyLine, waited: list[float]) -> None:
    line.faults["/v1/accounts"] = [answered(503), answered(503), answered(503, headers={"Retry-After": "7"})]
    assert len(list(town.accounts.list())) == 2
    assert waited == [0.2, 0.4, 7.0]


def test_tries_end_and_the_error_keeps_the_key(
    town: Timebank, aberdare: FederatedTown, line: FaultyLine, waited: list[float]
) -> None:
    line.faults[TRANSFERS] = [lost_answer] * 4
    alys, bryn = aberdare.accounts["alys"], aberdare.accounts["bryn"]
    with pytest.raises(Unavailable) as error:
        town.transfers.post(payer=alys, payee=bryn, minutes=30, purpose="gift", confirmed_by="receiver")
    assert len(waited) == 3
    assert error.value.key is not None
    again = town.transfers.post(
        payer=alys, payee=bryn, minutes=30, purpose="gift", confirmed_by="receiver", key=error.value.key
    )
    assert again.state == "posted"
    assert town.accounts.get(bryn).balance == 30


def test_a_refusal_is_not_sent_again(town: Timebank, aberdare: FederatedTown, line: FaultyLine) -> None:
    alys, bryn = aberdare.accounts["alys"], aberdare.accounts["bryn"]
    with pytest.raises(Refused) as error:
        town.transfers.post(payer=alys, payee=bryn, minutes=601, purpose="gift", confirmed_by="receiver")
    assert (error.value.code, error.value.status) == ("floor", 409)
    assert error.value.detail
    assert len(line.sent_to(TRANSFERS)) == 1


def test_each_kind_of_refusal_has_its_exception(town: Timebank, aberdare: FederatedTown) -> None:
    alys = aberdare.accounts["alys"]
    with pytest.raises(NotFound, match="transfer_unknown"):
        town.transfers.get("aberdare.g1.999")
    with pytest.raises(Forbidden, match="forbidden"):
        town.accounts.get("pot")
    with pytest.raises(Invalid, match="field_invalid") as error:
        town.transfers.post(payer=alys, payee="Bryn Jones", minutes=0, purpose="gift", confirmed_by="receiver")
    assert {"minutes", "payee.here.account"} & {field.field for field in error.value.errors}


@pytest.mark.parametrize(
    "answer",
    [
        answered(500),
        answered(200, body=b"<html>"),
        answered(200, body=b"{}"),
        answered(301),
        answered(200, body=b"\xff"),
        answered(200, body=b"x", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_what_is_not_the_apis_answer_is_unexpected(town: Timebank, line: FaultyLine, answer: object) -> None:
    line.faults["/v1/accounts"] = [answer]  # type: ignore[list-item] # the parameter is a fault
    with pytest.raises(Unexpected):
        list(town.accounts.list())


def test_a_secret_or_a_key_is_needed_and_no_secret_is_shown() -> None:
    with pytest.raises(ValueError, match="not both"):
        Timebank("http://ledger", client_id="housing")
    with Timebank("http://ledger", client_id="housing", client_secret=SECRET) as client:
        assert SECRET not in repr(vars(client))


def test_every_error_is_in_one_tree() -> None:
    problem = Problem(code="floor", status=409, detail="It would pass its floor.")
    for kind in (Unauthorised, Forbidden, NotFound, Invalid):
        assert issubclass(kind, Refused)
        assert str(kind(problem)) == "floor: It would pass its floor."
    for other in (Refused, Unavailable, Unexpected):
        assert issubclass(other, TimebankError)


def test_waits_are_bounded_each_and_together() -> None:
    retries = Retries()
    assert retries.wait_seconds(1, chance=0.0, retry_after_seconds=None) == 0.1
    assert retries.wait_seconds(30, chance=1.0, retry_after_seconds=None) == 20.0
    assert retries.wait_seconds(1, chance=1.0, retry_after_seconds=86_400.0) == 20.0


def test_a_read_is_asked_to_see_what_was_written_before(
    town: Timebank, aberdare: FederatedTown, line: FaultyLine
) -> None:
    alys, bryn = aberdare.accounts["alys"], aberdare.accounts["bryn"]
    town.accounts.get(alys)
    said = town.transfers.post(payer=alys, payee=bryn, minutes=30, purpose="gift", confirmed_by="receiver")
    town.accounts.get(alys)
    first, second = line.sent_to(f"/v1/accounts/{alys}")
    assert "X-Position" not in first.headers
    assert second.headers["X-Position"] == str(said.position + 1)


def test_a_town_that_lost_what_it_had_answered_is_told_of_once(
    town: Timebank, aberdare: FederatedTown, line: FaultyLine
) -> None:
    alys, bryn = aberdare.accounts["alys"], aberdare.accounts["bryn"]
    town.transfers.post(payer=alys, payee=bryn, minutes=30, purpose="gift", confirmed_by="receiver")
    ahead = answered(503, body=b'{"code": "position_ahead", "detail": "The journal has not come to the position."}')
    line.faults[f"/v1/accounts/{alys}"] = [ahead] * 4
    with pytest.raises(Unavailable, match="The journal has not come"):
        town.accounts.get(alys)
    assert town.accounts.get(alys).balance == -30
    assert "X-Position" not in line.sent[-1].headers
