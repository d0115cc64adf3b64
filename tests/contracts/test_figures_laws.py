"""Laws of the figures: sums over towns, what is taken back, what never counts, cuts of the journal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.vectors.paper_between import refund, thank
from contracts.vectors.paper_town import OPERATOR, PaperTown, talk, two_towns
from tests.contracts.figures_of import (
    ALL_DAYS,
    add_programme,
    document,
    figures,
    make_town,
    network,
    pay_money,
    send_service,
    serve,
)
from timebank_contracts import entries as e
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.errors import Refusal
from timebank_contracts.figures_document import Cut, town_document
from timebank_contracts.figures_people import withheld
from timebank_contracts.figures_period import make_period
from timebank_contracts.figures_reciprocity import reciprocity
from timebank_contracts.figures_services import sent_data
from timebank_contracts.figures_town import town_figures

PEOPLE = ("m1", "m2", "m3", "m4", "m5", "m6")
OF_TIME = ("home_minutes", "given_minutes", "used_minutes", "export_minutes", "import_minutes")


def not_yet_settled(*towns: PaperTown) -> int:
    """Minutes of service received in one town and not settled in the other, straight from the journals."""
    received: dict[str, int] = {}
    settled: set[str] = set()
    for town in towns:
        for entry in town.entries:
            if isinstance(entry, e.TransferReceived):
                data = sent_data(entry)
                if data.purpose == "service":
                    received[data.transfer] = data.minutes if data.given_minutes is UNSET else data.given_minutes
                elif data.purpose == "refund":
                    # The hours are back where they were used; where they were given it is still to be known.
                    received[data.transfer] = data.minutes
            elif isinstance(entry, e.TransferSettled):
                settled.add(entry.data.transfer)
    return sum(minutes for transfer, minutes in received.items() if transfer not in settled)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["home", "there", "here", "nobody", "refund", "carry", "talk"]), st.integers(1, 90)),
        max_size=25,
    )
)
def test_home_and_imports_are_what_is_used_and_what_is_given_and_not_used_is_not_yet_settled(
    acts: list[tuple[str, int]],
) -> None:
    aberdare, barry, alys, bryn = two_towns()
    for town in (aberdare, barry):
        town.account("cai", floor=-6000)
    sent: list[str] = []
    for act, minutes in acts:
        try:
            if act == "home":
                serve(aberdare, "alys", "cai", minutes)
            elif act == "there":
                sent.append(send_service(aberdare, "cai", "barry", bryn, minutes))
            elif act == "here":
                send_service(barry, "cai", "aberdare", alys, minutes)
            elif act == "nobody":
                send_service(barry, "cai", "aberdare", "0" * 32, minutes)
            elif act == "refund" and sent:
                refund(barry, sent[minutes % len(sent)], minutes)
            elif act == "carry":
                first = barry.book.peers["aberdare"].incoming.n + 1
                if first <= len(aberdare.sent.get("barry", [])):
                    barry.take(aberdare.segment("barry", first))
            elif act == "talk":
                talk(aberdare, barry)
        except (Refusal, LookupError):
            continue
        product = network(aberdare, barry)["product"]
        assert product["home_minutes"] + product["import_minutes"] == product["used_minutes"]
        assert product["not_yet_settled_minutes"] == not_yet_settled(aberdare, barry)
    for _ in range(2):
        talk(aberdare, barry)
        talk(barry, aberdare)
    product = network(aberdare, barry)["product"]
    assert product["given_minutes"] == product["used_minutes"]
    assert sum(row["minutes"] for row in product["confirmed_by"]) == product["used_minutes"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_reversal_takes_back_exactly_what_was_given_in_parts_too(data: st.DataObject) -> None:
    """A-1."""
    town = make_town(*PEOPLE)
    serve(town, "m1", "m2", 30, programme="garddio", activity="design")
    before = document(town)
    paid = data.draw(st.lists(st.integers(1, 90), min_size=2, max_size=3))
    earned = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=2))
    postings = [(name, -minutes) for name, minutes in zip(PEOPLE, paid, strict=False)]
    postings += [(name, minutes) for name, minutes in zip(PEOPLE[3:], earned, strict=False)]
    rest = sum(paid) - sum(earned)
    if rest:
        postings.append(("pot", rest))
    time_given = [(name, data.draw(st.integers(1, 200))) for name in PEOPLE[3 : 3 + len(earned)]]
    posted = town.post(*postings, purpose="service", given=time_given, programme="garddio")
    assert figures(town).given.minutes == 30 + sum(minutes for _, minutes in time_given)
    left, known = sum(minutes for _, minutes in postings if minutes > 0), figures(town).given.minutes
    while left:
        part = data.draw(st.integers(1, left))
        town.reverse(posted.n, part)
        left -= part
        now = figures(town).given.minutes
        assert 30 <= now <= known
        known = now
    after = document(town)
    for part_of_it in ("programmes", "organisations", "reciprocity"):
        assert after[part_of_it] == before[part_of_it]
    assert {name: after["product"][name] for name in OF_TIME} == {name: before["product"][name] for name in OF_TIME}
    assert after["product"]["people"] == before["product"]["people"]
    assert after["product"]["services"]["taken_back"] == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.integers(1, 90), st.booleans()), max_size=30
    )
)
def test_adding_a_programme_never_changes_the_label_of_another(acts: list[tuple[str, str, int, bool]]) -> None:
    alone, beside = make_town(*PEOPLE), make_town(*PEOPLE)
    add_programme(beside, "canu")
    for giver, receiver, minutes, is_first in acts:
        if giver == receiver:
            continue
        activity = "design" if minutes % 3 == 0 else "garden"
        if is_first:
            serve(alone, giver, receiver, minutes, programme="garddio", activity=activity)
        serve(beside, giver, receiver, minutes, programme="garddio" if is_first else "canu", activity=activity)
    rows = [{row["programme"]: row for row in document(town)["programmes"]} for town in (alone, beside)]
    assert rows[0].get("garddio") == rows[1].get("garddio")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["grant", "opening", "gift", "correction", "pot", "support"]), st.integers(1, 90)),
        max_size=20,
    )
)
def test_opening_hours_grants_gifts_and_corrections_are_never_service(acts: list[tuple[str, int]]) -> None:
    """O-1, O-6."""
    town = make_town(*PEOPLE)
    for purpose, minutes in acts:
        source, target = {"grant": ("grant", "m1"), "pot": ("m1", "pot"), "support": ("pot", "m2")}.get(
            purpose, ("m3", "m1")
        )
        entry = town.post((source, -minutes), (target, minutes), purpose=purpose, by=OPERATOR)
        if minutes % 4 == 0:
            town.reverse(entry.n)
    product = document(town)["product"]
    assert [product[name] for name in OF_TIME] == [0] * 5
    assert sum(product["people"].values()) == 0
    kept = sum(minutes for _, minutes in acts if minutes % 4)
    assert sum(row["minutes"] for row in product["not_counted"]) == kept


def busy_town() -> PaperTown:
    """A town in which every kind of figure has something."""
    town = make_town(*PEOPLE)
    served = [serve(town, PEOPLE[at % 6], PEOPLE[(at + 1) % 6], 10 + at, programme="garddio") for at in range(12)]
    town.reverse(served[3].n, 5)
    town.reverse(served[4].n)
    pay_money(town, 900, "pay", "garddio")
    thanks = e.ThanksGiven(transfer=f"aberdare.g1.{served[0].n}", side="payer", position=served[0].n)
    town.write(e.ThanksGivenEntry, thanks, by=e.Actor(kind="member", id="m-1"))
    town.confirm(town.claim("m1", "m2", 20))
    return town


BUSY = busy_town()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, len(BUSY.journal)), max_size=8))
def test_a_replay_in_any_cut_of_pages_gives_the_same_document(cuts: list[int]) -> None:
    """G-5: and every time the same."""

    def pages() -> Iterator[e.Entry]:
        reader, edges = EntryReader(), sorted({0, *cuts, len(BUSY.journal)})
        for start, stop in pairwise(edges):
            yield from reader.read(BUSY.journal[start:stop])

    def read(position: int) -> e.Entry:
        return e.decode_entry(BUSY.journal[position])

    found, book = town_figures(pages(), make_period(*ALL_DAYS, "Europe/London"), read)
    cut = Cut(book.n, BUSY.tree().root().hex())
    assert town_document(found, origin=book.me.origin, cut=cut) == document(BUSY)


def held(of: object) -> int:
    """How many things something holds, and what it holds, and so on."""
    if isinstance(of, str | int | None):
        return 1
    if isinstance(of, dict):
        return 1 + sum(held(value) for value in of.values())
    if isinstance(of, list | tuple | set):
        return 1 + sum(map(held, of))
    names = getattr(of, "__slots__", None) or vars(of)
    return 1 + sum(held(getattr(of, name)) for name in names)


def test_what_is_kept_grows_with_people_and_what_is_open_and_never_with_entries() -> None:
    sizes = []
    for rounds in (3, 30):
        town = make_town(*PEOPLE)
        for at in range(6 * rounds):
            served = serve(town, PEOPLE[at % 6], PEOPLE[(at + 1) % 6], 10, programme="garddio" if at % 2 else UNSET)
            town.post((PEOPLE[at % 6], -1), (PEOPLE[(at + 1) % 6], 1))
            if at % 6 == 5:
                town.reverse(served.n, 4)
        sizes.append(held(figures(town)))
    assert sizes[0] == sizes[1]


def test_what_is_open_between_towns_is_kept_until_it_is_decided_and_no_longer() -> None:
    sizes = []
    for rounds in (2, 12):
        aberdare, barry, _, bryn = two_towns()
        for _ in range(rounds):
            sent = [send_service(aberdare, "alys", "barry", payee, 4) for payee in (bryn, "0" * 32)]
            for position in (len(aberdare.entries) - 2, len(aberdare.entries) - 1):
                thank(aberdare, position)
            talk(aberdare, barry)
            aberdare.wait(40)
            barry.wait(40)
            refund(barry, sent[0], 4)
            talk(barry, aberdare)
        sizes.append((held(figures(aberdare)), held(figures(barry))))
    assert sizes[0] == sizes[1]


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 12), max_size=8))
def test_what_is_withheld_cannot_be_found_by_subtraction(people: dict[str, int]) -> None:
    gone = withheld(people)
    few = {name for name, count in people.items() if 0 < count < 5}
    assert few <= gone
    assert all(people[name] for name in gone)
    if few and any(count >= 5 for count in people.values()):
        assert len(gone - few) == 1
        assert max(people[name] for name in gone) >= 5
    else:
        assert gone == few


@given(st.dictionaries(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), st.integers(-3, 9), max_size=20))
def test_what_goes_straight_back_and_what_goes_round_are_never_more_than_all(flows: dict[tuple[str, str], int]) -> None:
    found = reciprocity(flows)
    total = sum(minutes for (one, two), minutes in flows.items() if minutes > 0 and one != two)
    assert found.direct.denominator == found.round.denominator == total
    assert 0 <= found.direct.numerator + found.round.numerator <= total
    turned = reciprocity({(two, one): minutes for (one, two), minutes in flows.items()})
    assert turned == found
