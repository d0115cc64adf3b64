"""What a partner does through the client, against real towns: transfers, batches, accounts, statements, events."""

from __future__ import annotations

from datetime import date
from itertools import islice

import pytest

from tests.client.lines import FaultyLine, answered
from tests.federation.towns import FederatedTown, Network
from timebank_client import Keyed, NewClaim, NewSession, NewTransfer, Refused, Scanned, Timebank, Transfer, Unavailable

pytestmark = pytest.mark.slow  # every test opens a town
BATCH = "/v1/transfers/batch"


def gift(aberdare: FederatedTown, minutes: int, *, payer: str = "alys", payee: str = "bryn") -> NewTransfer:
    people = aberdare.accounts
    return NewTransfer(
        payer=people[payer], payee=people[payee], minutes=minutes, purpose="gift", confirmed_by="receiver"
    )


def test_a_service_is_given_and_read_back(town: Timebank, aberdare: FederatedTown) -> None:
    people = aberdare.accounts
    said = town.transfers.post(
        payer=people["alys"],
        payee=people["bryn"],
        minutes=90,
        purpose="service",
        activity="garden",
        served_on=date(2026, 3, 1),
        confirmed_by="receiver",
    )
    assert (said.minutes, said.state, said.is_final) == (90, "posted", True)
    assert town.transfers.get(said.id).id == said.id
    assert {account.account: account.balance for account in town.accounts.list()} == {
        people["alys"]: -90,
        people["bryn"]: 90,
    }


def test_a_group_is_one_act(town: Timebank, aberdare: FederatedTown) -> None:
    people = aberdare.accounts
    postings = [(people["alys"], -60), (people["bryn"], 60)]
    said = town.transfers.post_group(postings=postings, purpose="gift", confirmed_by="none")
    assert said.minutes == 60


def test_many_are_answered_in_order_and_a_refused_one_spoils_no_other(
    town: Timebank, aberdare: FederatedTown, line: FaultyLine
) -> None:
    minutes = [1, 60_000, *[1] * 598, 2, *[1] * 500]
    answers = list(town.transfers.post_many(gift(aberdare, each) for each in minutes))
    # Alys may owe 600 minutes: so many find room, in order.
    written = [answer.minutes for answer in answers if isinstance(answer, Transfer)]
    refused = {answer.code for answer in answers if isinstance(answer, Refused)}
    assert len(answers) == len(minutes)
    assert written == [1] * 600
    assert refused == {"floor"}
    assert isinstance(answers[1], Refused)
    assert isinstance(answers[600], Refused)
    assert len(line.sent_to(BATCH)) == 2


def test_those_of_a_batch_that_shall_come_later_are_sent_again(
    town: Timebank, aberdare: FederatedTown, line: FaultyLine
) -> None:
    full = b'{"status": 503, "problem": {"code": "queue_full", "status": 503, "title": "", "detail": "", "type": ""}}'
    line.faults[BATCH] = [answered(200, body=b'{"answers": [' + full + b"," + full + b"]}")]
    answers = list(town.transfers.post_many([gift(aberdare, 1), gift(aberdare, 2)]))
    assert [answer.minutes for answer in answers if isinstance(answer, Transfer)] == [1, 2]
    first, second = line.sent_to(BATCH)
    assert first.content == second.content
    line.faults[BATCH] = [answered(200, body=b'{"answers": [' + full + b"]}")] * 5
    with pytest.raises(Unavailable):
        list(town.transfers.post_many([gift(aberdare, 1)]))


def test_a_batch_with_keys_of_ones_own_may_be_run_twice(town: Timebank, aberdare: FederatedTown) -> None:
    visits = [Keyed(f"visit-{number}", gift(aberdare, number)) for number in range(1, 5)]
    assert list(town.transfers.post_many(visits)) == list(town.transfers.post_many(visits))
    assert town.accounts.get(aberdare.accounts["bryn"]).balance == 10


@pytest.mark.parametrize("network", [("aberdare", "barry")], indirect=True)
def test_somebody_in_another_town_is_paid_by_handle(town: Timebank, aberdare: FederatedTown, network: Network) -> None:
    payee = town.payees.resolve("bryn", node="barry")
    assert payee.account is None
    sent = town.transfers.post(
        payer=aberdare.accounts["alys"], payee=payee, minutes=30, purpose="gift", confirmed_by="receiver"
    )
    assert (sent.state, sent.is_final) == ("sent", False)
    assert town.accounts.get(aberdare.accounts["alys"]).in_transit == 30
    network.pump()
    assert town.transfers.get(sent.id).state == "settled"
    here = town.payees.resolve("bryn", node="aberdare")
    assert here.account == aberdare.accounts["bryn"]


def test_whoever_shows_a_code_is_paid_until_they_take_it_back(town: Timebank, aberdare: FederatedTown) -> None:
    people = aberdare.accounts
    made = town.accounts.issue_alias(people["bryn"])
    assert made.address is not None
    assert made.address.encode() in town.accounts.payment_code(made.alias)
    assert town.accounts.aliases(people["bryn"]) == [made]
    assert town.accounts.alias(made.alias) == made
    said = NewTransfer(
        payer=people["alys"],
        payee=Scanned(made.address),
        minutes=30,
        purpose="gift",
        confirmed_by="receiver",
    )
    assert town.transfers.post(**said).state == "posted"
    [again] = town.transfers.post_many([said])
    assert isinstance(again, Transfer)
    assert town.accounts.get(people["bryn"]).balance == 60
    town.accounts.revoke_alias(made.alias)
    with pytest.raises(Refused) as refused:
        town.transfers.post(**said)
    assert refused.value.code == "alias_unknown"


def test_a_statement_is_read_to_its_end_and_its_pages_join(
    town: Timebank, aberdare: FederatedTown, network: Network
) -> None:
    bryn = aberdare.accounts["bryn"]
    for _ in range(3):
        # A town's floor allows no more at a time, so the hours go to and fro.
        list(town.transfers.post_many(gift(aberdare, 1) for _ in range(600)))
        list(town.transfers.post_many(gift(aberdare, 1, payer="bryn", payee="alys") for _ in range(600)))
        network.clock.advance(1)
    pages = list(town.accounts.statement_pages(bryn))
    assert len(pages) > 3
    assert pages[0].opening == 0
    for page in pages:
        assert page.opening + sum(line.minutes for line in page.lines) == page.closing
    assert [page.opening for page in pages[1:]] == [page.closing for page in pages[:-1]]
    lines = list(town.accounts.statement(bryn, first_day="2026-03-02", last_day=date(2026, 3, 2)))
    assert len(lines) == 3_600
    assert {line.purpose for line in lines} == {"gift"}
    assert town.accounts.balance(bryn, on="2026-03-01").balance == 0


def test_events_are_read_from_a_cursor_on(town: Timebank, aberdare: FederatedTown) -> None:
    bryn = aberdare.accounts["bryn"]
    seen = list(town.events.list())
    first = town.transfers.post(**gift(aberdare, 5))
    news = list(town.events.list(after=seen[-1].position, account=bryn))
    assert [(event.type, event.transfer) for event in news] == [("transfer.posted", first.id)]
    assert [(each.account, each.minutes) for each in news[0].accounts] == [(bryn, 5)]
    followed = town.events.follow(after=seen[-1].position)
    town.transfers.post(**gift(aberdare, 6))
    assert [{each.minutes for each in event.accounts} for event in islice(followed, 2)] == [{-5, 5}, {-6, 6}]
    assert town.events.page(after=news[-1].position + 1, wait_seconds=0.01).events == []


def test_the_trial_balance_of_a_sound_town_is_0(town: Timebank) -> None:
    assert town.accounts.trial_balance().total == 0


def test_a_claim_moves_nothing_until_it_is_confirmed(town: Timebank, aberdare: FederatedTown) -> None:
    alys, bryn = aberdare.accounts["alys"], aberdare.accounts["bryn"]
    said = NewClaim(giver=bryn, receiver=alys, minutes=90, activity="garden", served_on=date(2026, 3, 1))
    assert town.claims.make(**said, dry_run=True).state == "open"
    assert list(town.claims.list()) == []
    claim = town.claims.make(**said, key="visit-1")
    assert town.claims.make(**said, key="visit-1") == claim
    assert [each.id for each in town.claims.list(account=bryn)] == [claim.id]
    assert town.accounts.get(bryn).balance == 0
    paid = town.claims.confirm(claim.id, minutes=60, confirmed_by="receiver")
    assert (paid.minutes, paid.claim, town.accounts.get(bryn).balance) == (60, claim.id, 60)
    now = town.claims.get(claim.id)
    assert (now.state, now.transfer) == ("confirmed", paid.id)


def test_a_disputed_claim_is_upheld_by_a_broker_or_withdrawn(
    town: Timebank, office: Timebank, aberdare: FederatedTown
) -> None:
    alys, bryn = aberdare.accounts["alys"], aberdare.accounts["bryn"]
    claim = town.claims.make(giver=bryn, receiver=alys, minutes=90, activity="garden", served_on="2026-03-01")
    assert town.claims.dispute(claim.id, reason="other_minutes").state == "disputed"
    assert [each.id for each in town.claims.list(disputed=True)] == [claim.id]
    assert list(town.claims.list(disputed=False)) == []
    with pytest.raises(Refused):
        town.claims.uphold(claim.id)
    assert office.claims.uphold(claim.id).state == "open"
    assert town.claims.withdraw(claim.id).state == "withdrawn"


def test_a_session_is_split_as_its_dry_run_shows(office: Timebank, aberdare: FederatedTown) -> None:
    people = aberdare.accounts
    said = NewSession(
        leaders=[(people["bryn"], 60)],
        attendees=[(people["alys"], 90)],
        purpose="service",
        activity="teaching",
        served_on=date(2026, 3, 1),
        confirmed_by="broker",
    )
    shown = office.transfers.post_session(**said, dry_run=True)
    posted = office.transfers.post_session(**said)
    assert posted.postings == shown.postings
    assert dict(posted.postings or []) == {people["alys"]: -90, people["bryn"]: 60, "pot": 30}


def test_money_is_recorded_beside_a_transfer(town: Timebank, aberdare: FederatedTown) -> None:
    hours = town.transfers.post(**gift(aberdare, 30))
    record = town.money.record(
        minor_units=1_250, currency="GBP", kind="materials", settled_by="bank", paid_on="2026-03-01", transfer=hours.id
    )
    assert [each.id for each in town.money.list(transfer=hours.id)] == [record.id]


def test_a_part_of_a_transfer_is_taken_back_by_the_office(
    town: Timebank, office: Timebank, aberdare: FederatedTown
) -> None:
    hours = town.transfers.post(**gift(aberdare, 30))
    assert office.transfers.reverse(hours.id, reason="mistake", minutes=10).minutes == 10
    assert town.accounts.get(aberdare.accounts["bryn"]).balance == 20


def test_the_towns_rules_are_read_and_a_member_leaves(town: Timebank, aberdare: FederatedTown) -> None:
    assert town.accounts.policy().default_floor == -600
    assert town.accounts.begin_closing(aberdare.accounts["alys"]) == "closing"
    assert town.accounts.get(aberdare.accounts["alys"]).state == "closing"


def test_a_receiving_address_is_given_and_taken_back(town: Timebank, aberdare: FederatedTown) -> None:
    alias = town.accounts.issue_alias(aberdare.accounts["bryn"])
    assert alias.account == aberdare.accounts["bryn"]
    town.accounts.revoke_alias(alias.alias)


def test_a_dry_run_of_many_shows_what_would_be_and_writes_nothing(town: Timebank, aberdare: FederatedTown) -> None:
    said = list(town.transfers.post_many([gift(aberdare, 600), gift(aberdare, 1)], dry_run=True))
    assert [isinstance(answer, Refused) for answer in said] == [False, True], "the second sees what the first would do"
    assert town.accounts.get(aberdare.accounts["bryn"]).balance == 0


def test_a_follower_never_asks_without_a_pause(town: Timebank, line: FaultyLine, waited: list[float]) -> None:
    with pytest.raises(ValueError, match="wait"):
        next(town.events.follow(wait_seconds=0))
    seen = list(town.events.list())
    line.faults["/v1/events"] = [answered(200, body=b'{"events": [], "after": 3, "more": false}')] * 2
    assert next(town.events.follow(after=3)).position > 3
    assert waited == [0.5, 0.5]
    assert seen
