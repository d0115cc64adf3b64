"""What a town that came back tells its members: of both generations, of what was recovered, and of what was lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.vectors import paper_return as back
from contracts.vectors.paper_between import claim_there, pay, refund, thank, withdraw
from contracts.vectors.paper_town import PaperTown, talk
from tests.ledger.pair_of_towns import hand_in
from tests.ledger.test_index_claims import journal_of
from tests.ledger.town_api import NETWORK, Town, gift
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.entries import decode_entry

Story = tuple[Town, PaperTown, PaperTown, dict[str, str]]


def begin() -> tuple[PaperTown, PaperTown, str, str]:
    """Two towns of the network of these tests, and an address in each."""
    aberdare, barry = PaperTown("aberdare", network=NETWORK), PaperTown("barry", network=NETWORK)
    aberdare.account("alys")
    aberdare.account("bryn")
    barry.account("cerys")
    aberdare.meet(barry)
    barry.meet(aberdare)
    return aberdare, barry, aberdare.alias("alys"), barry.alias("cerys")


@pytest.fixture
def story() -> Iterator[Story]:
    """A transfer that was settled, one that was kept and one recovered, claims likewise; and what came and was lost."""
    aberdare, barry, alys, cerys = begin()
    said = {"settled": aberdare.send("alys", "barry", cerys, 30)}
    talk(aberdare, barry)
    said["kept"] = aberdare.send("alys", "barry", cerys, 10)
    said["claim kept"] = claim_there(aberdare, "barry", "alys", (alys, cerys), 15)
    size = len(aberdare.entries)
    said["recovered"] = aberdare.send("alys", "barry", cerys, 20)
    said["claimed"] = claim_there(aberdare, "barry", "alys", (alys, cerys), 25)
    barry.send("cerys", "aberdare", alys, 7)
    barry.take(aberdare.segment("barry", 2))
    talk(aberdare, barry)
    town = back.restored(aberdare, size)
    back.go_on(town)
    back.close_for(barry, town, version=town.book.registry_version)
    back.put_back(town, barry, {said["recovered"]: "alys"})
    for _ in range(3):
        talk(town, barry)
    said["after"] = town.send("alys", "barry", cerys, 5)
    talk(town, barry)
    withdraw(town, said["claimed"])
    opened = Town("aberdare", 1, journal_of(town))
    yield opened, town, barry, said
    opened.close()


def test_every_transfer_and_claim_of_before_is_answered(story: Story) -> None:
    """PROTOCOL.md X7, X9: names of before stay."""
    opened, _, _, said = story
    alys = opened.member("alys")
    for name in ("settled", "kept", "recovered", "after"):
        answer = alys.get(f"/v1/transfers/{said[name]}")
        assert (answer.status_code, answer.json()["state"]) == (200, "settled"), answer.text
        assert answer.json()["id"] == said[name]
    reader = opened.client("claims:write", subject="alys", accounts=frozenset({"alys"}))
    for name, state in (("claim kept", "open"), ("claimed", "withdrawn")):
        answer = reader.get(f"/v1/claims/{said[name]}")
        assert (answer.status_code, answer.json()["state"]) == (200, state), answer.text


def test_claims_that_were_ended_in_what_was_lost_are_not_open_again() -> None:
    """PROTOCOL.md X9, X12: paid, whether the claim was kept or is taken again; withdrawn; refused by the other town."""
    aberdare, barry, alys, cerys = begin()
    said = {"refused": claim_there(aberdare, "barry", "alys", (alys, "0" * 32), 5)}
    said["paid"] = claim_there(barry, "aberdare", "cerys", (cerys, alys), 11)
    aberdare.take(barry.segment("aberdare"))
    said["withdrawn"] = claim_there(aberdare, "barry", "alys", (alys, cerys), 6)
    size = len(aberdare.entries)
    said["refused too"] = claim_there(aberdare, "barry", "alys", (alys, "1" * 32), 7)
    withdraw(aberdare, said["withdrawn"])
    pay(aberdare, said["paid"])
    said["paid too"] = claim_there(barry, "aberdare", "cerys", (cerys, alys), 13)
    aberdare.take(barry.segment("aberdare", 2))
    pay(aberdare, said["paid too"])
    barry.take(aberdare.segment("barry"))
    town = back.restored(aberdare, size)
    back.go_on(town)
    back.close_for(barry, town, version=town.book.registry_version)
    back.put_back(town, barry)
    for _ in range(3):
        talk(town, barry)
    opened = Town("aberdare", 1, journal_of(town))
    reader = opened.client("claims:write", subject="alys", accounts=frozenset({"alys"}))
    ended = {name: reader.get(f"/v1/claims/{claim}").json().get("state") for name, claim in said.items()}
    opened.close()
    wanted = {"refused": "refused", "refused too": "refused", "withdrawn": "withdrawn"}
    assert ended == wanted | {"paid": "confirmed", "paid too": "confirmed"}


def test_statements_events_and_exports_add_up_across_the_generations(story: Story) -> None:
    opened, town, _, said = story
    operator = opened.operator()
    for account in ("alys", "lost", "clearing:barry", "transit:barry"):
        answer = operator.get(f"/v1/accounts/{account}/statement")
        assert answer.status_code == 200, answer.text
        assert answer.json()["closing"] == town.book.accounts[account].balance
    lines = operator.get("/v1/accounts/alys/events", limit=100)
    assert lines.status_code == 200, lines.text
    assert said["recovered"] in lines.text
    everything = operator.get("/v1/events", limit=500)
    assert everything.status_code == 200, everything.text
    text = operator.get("/v1/journal.hledger")
    assert text.status_code == 200
    assert said["recovered"] in text.text
    assert operator.get("/v1/trial-balance").status_code == 200


def test_a_recovered_transfer_is_thanked_for_like_any_other(story: Story) -> None:
    """PROTOCOL.md D13."""
    opened, _, _, said = story
    answer = opened.member("alys").post(f"/v1/transfers/{said['recovered']}/thanks", {})
    assert answer.status_code in (200, 201), answer.text
    entry = decode_entry(opened.journal.read(opened.journal.length() - 1, 1)[0].state)
    assert isinstance(entry, e.ThanksGivenEntry)
    message = m.decode_message(bytes(entry.out))  # type: ignore[arg-type]  # thanks to another town are sent
    assert isinstance(message, m.ThanksGivenMessage)
    assert message.data.transfer == said["recovered"]
    assert opened.member("alys").post(f"/v1/transfers/{said['recovered']}/thanks", {}).status_code == 409


def test_a_refund_of_what_was_recovered_and_thanks_for_it_find_their_payer(story: Story) -> None:
    """PROTOCOL.md T16, X12."""
    opened, town, barry, said = story
    before = opened.operator().get("/v1/accounts/alys").json()["balance"]
    received = next(
        entry.n
        for entry in barry.entries
        if isinstance(entry, e.TransferReceived) and entry.data.transfer == said["recovered"]
    )
    refund(barry, said["recovered"], 4)
    thank(barry, received)
    first = town.book.peers["barry"].incoming.n + 1
    assert hand_in(opened, barry.segment("aberdare", first)).json()["outcome"] == "fresh"
    assert opened.operator().get("/v1/accounts/alys").json()["balance"] == before + 4
    kinds = opened.operator().get("/v1/accounts/alys/events", limit=100).text
    assert "thanks" in kinds


def test_a_transfer_within_the_town_is_named_by_the_new_generation(story: Story) -> None:
    opened, *_ = story
    answer = opened.member("alys").post("/v1/transfers", gift("alys", "bryn", 3))
    assert answer.status_code == 201
    assert answer.json()["id"].startswith("aberdare.g2.")
