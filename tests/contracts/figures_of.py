"""Figures of towns on paper, for tests: one period that holds all that they do, unless another is asked for."""

from __future__ import annotations

from typing import Any

from contracts.vectors.paper_between import name_of_next
from contracts.vectors.paper_town import MEMBER, NEVER, OPERATOR, PaperTown
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.figures_document import Asked, Cut, town_document
from timebank_contracts.figures_network import network_document
from timebank_contracts.figures_period import make_period
from timebank_contracts.figures_town import TownFigures, town_figures
from timebank_contracts.names import transit

ALL_DAYS = ("2025-04-01", "2026-12-31")


def figures(town: PaperTown, days: tuple[str, str] = ALL_DAYS, *, end: int | None = None) -> TownFigures:
    """The figures of a town, or of the first `end` entries of its journal."""
    entries = town.entries[:end]
    return town_figures(entries, make_period(*days, "Europe/London"), town.entries.__getitem__)[0]


def document(town: PaperTown, days: tuple[str, str] = ALL_DAYS, *, asked: Asked | None = None) -> dict[str, Any]:
    """The same as a document."""
    cut = Cut(len(town.entries), town.tree().root().hex())
    return town_document(figures(town, days), origin=town.book.me.origin, cut=cut, asked=asked or Asked())


def network(*towns: PaperTown) -> dict[str, Any]:
    """The figures of some towns together."""
    return network_document([document(town) for town in towns], is_complete=True)


def make_town(*members: str, node: str = "aberdare") -> PaperTown:
    """A town with these members, a pot, an issuer, an organisation `clwb` and its programme `garddio`."""
    town = PaperTown(node)
    for member in members:
        town.account(member, floor=-60_000, ceiling=60_000)
    for account in ("pot", "grant"):
        opened = e.AccountOpened(account=account, kind=account, floor=-600_000, ceiling=600_000)
        town.write(e.AccountOpenedEntry, opened)
    town.account("clwb", "organisation", floor=-60_000, ceiling=60_000)
    add_programme(town, "garddio")
    return town


def add_programme(town: PaperTown, name: str) -> None:
    """A programme of `clwb`."""
    opened = e.AccountOpened(account=name, kind="programme", floor=-60_000, ceiling=60_000, owner="clwb")
    town.write(e.AccountOpenedEntry, opened)


def serve(town: PaperTown, giver: str, receiver: str, minutes: int, *, by: str = "receiver", **said: Any) -> e.Entry:
    """A service within the town: `receiver` is helped by `giver`, and pays."""
    data = {"activity": "garden", "served_on": town.now[:10], **said}
    postings = [(receiver, -minutes), (giver, minutes)]
    posted = e.Posted(purpose="service", confirmed_by=by, **data)  # type: ignore[arg-type]  # a word of the closed set
    return town.write(e.TransferPosted, posted, by=MEMBER, postings=postings)


def send_service(town: PaperTown, payer: str, peer: str, payee: str, minutes: int, **said: Any) -> str:
    """Somebody here was helped by somebody in another town, and pays."""
    data = {"purpose": "service", "activity": "repair", "served_on": town.now[:10], **said}
    return town.send(payer, peer, payee, minutes, **data)


def send_for(town: PaperTown, payer: str, peer: str, payee: str, minutes: int, *, programme: str, by: str) -> None:
    """The same within a programme of this town, confirmed by somebody."""
    transfer = name_of_next(town, peer)
    data = m.Sent(
        transfer=transfer,
        at=town.book.n,
        minutes=minutes,
        payee=payee,
        payer_tag="0" * 30,
        purpose="service",
        activity="repair",
        served_on=town.now[:10],
        expires_at=NEVER,
    )
    said = e.SentTo(peer=peer, programme=programme, confirmed_by=by)  # type: ignore[arg-type]  # a word of the closed set
    out = town.tell(peer, m.TransferSentMessage, data)
    town.write(e.TransferSent, said, by=MEMBER, postings=[(payer, -minutes), (transit(peer), minutes)], out=out)


def pay_money(town: PaperTown, minor_units: int, kind: str, programme: str, **said: Any) -> e.Entry:
    """A record of money about a programme."""
    data = {"currency": "GBP", "settled_by": "bank", "paid_on": town.now[:10], **said}
    record = e.MoneyRecorded(minor_units=minor_units, kind=kind, programme=programme, **data)  # type: ignore[arg-type]  # a word of the closed set
    return town.write(e.MoneyRecordedEntry, record, by=OPERATOR)
