"""Whatever entry a hostile or careless writer sends: refused, it leaves the book as it was; applied, a sound one."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from contracts.vectors.paper_town import PaperTown
from timebank_contracts import entries as e
from timebank_contracts.book import apply
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.rules_closing import closing_postings
from timebank_contracts.rules_reversal import reversal_postings
from timebank_contracts.state import Book
from timebank_ledger.layer import layer_over, settle

KINDS: Final = {"alys": "member", "bryn": "member", "cai": "member", "p1": "programme", "pot": "pot"}
ACCOUNTS: Final = tuple(KINDS)
ACTORS: Final = tuple(e.Actor(kind="rule") if kind == "rule" else e.Actor(kind=kind, id="x") for kind in (
    "member", "partner", "broker", "operator", "rule",
))  # fmt: skip
STEPS: Final = 60


class Pen:
    """Writes entries of the kinds that concern claims, leaving, reversals and money, most of them nearly right."""

    def __init__(self, town: PaperTown, dice: Random) -> None:
        self.town = town
        self.dice = dice
        self.claims: list[str] = ["aberdare.g1.1"]

    def entry(self) -> e.Entry:
        """The next candidate."""
        kind, data, rest = self.dice.choice((
            self._claim, self._claim, self._confirm, self._confirm, self._end, self._reverse, self._reverse,
            self._close, self._state, self._money, self._post,
        ))()  # fmt: skip
        if self.dice.random() < 0.1:
            rest["out"] = Raw(b"{}")
        if self.dice.random() < 0.05:
            rest["postings"] = [("alys", -1), ("bryn", 1)]
        head = {"n": self.town.book.n, "time": self.town.now, "by": self.dice.choice(ACTORS), "data": data}
        made: e.Entry = kind(**(head | rest))
        return made

    def _name(self) -> str:
        return self.dice.choice(ACCOUNTS)

    def _at(self) -> int:
        return self.dice.randrange(self.town.book.n + 1)

    def _claim(self) -> tuple[Any, Any, dict[str, Any]]:
        more: dict[str, Any] = {"agreed_minutes": 60} if self.dice.random() < 0.5 else {}
        more |= {"programme": "p1"} if self.dice.random() < 0.3 else {}
        day = self.town.now[:10]
        made = e.ClaimMade(
            giver=self._name(), receiver=self._name(), minutes=60, activity="garden", served_on=day, **more
        )
        return e.ClaimMadeEntry, made, {}

    def _confirm(self) -> tuple[Any, Any, dict[str, Any]]:
        name = self.dice.choice(list(self.town.book.claims) or self.claims)
        claim = self.town.book.claims.get(name)
        if claim is None:
            return self._post()
        said: Any = self.dice.choice(("receiver", "rule", "broker"))
        activity: Any = claim.activity
        data = e.Posted(
            purpose="service",
            confirmed_by=said,
            activity=activity,
            served_on=claim.served_on,
            programme=claim.programme or UNSET,
            claim=name,
        )
        minutes = self.dice.choice((60, 60, 30, 90))
        return e.TransferPosted, data, {"postings": [(claim.receiver, -minutes), (claim.giver, minutes)]}

    def _end(self) -> tuple[Any, Any, dict[str, Any]]:
        name = self.dice.choice([*self.town.book.claims, *self.town.book.rule_confirmed, *self.claims])
        if self.dice.random() < 0.4:
            return e.ClaimDisputedEntry, e.ClaimDisputed(claim=name, reason="other"), {}
        kind = self.dice.choice((e.ClaimWithdrawn, e.ClaimUpheld, e.ClaimUpheld, e.ClaimExpired))
        return kind, e.ClaimNamed(claim=name), {}

    def _reverse(self) -> tuple[Any, Any, dict[str, Any]]:
        at, minutes = self._at(), self.dice.choice((None, None, 7, 30))
        data = e.Reversed(transfer=f"aberdare.g1.{at}", reason="mistake", minutes=UNSET if minutes is None else minutes)
        original = self.town.entries[at] if at < self.town.book.n else None
        postings = [("alys", 1), ("bryn", -1)]
        if isinstance(original, e.TransferPosted):
            with suppress(Refusal):
                postings = reversal_postings(self.town.book, original, minutes) or postings
        return e.TransferReversed, data, {"postings": postings}

    def _close(self) -> tuple[Any, Any, dict[str, Any]]:
        name = self.dice.choice(ACCOUNTS)
        if self.dice.random() < 0.7:
            return self._end()
        postings = closing_postings(self.town.book.accounts[name], self._name())
        return e.AccountClosed, e.AccountNamed(account=name), {"postings": postings or UNSET}

    def _state(self) -> tuple[Any, Any, dict[str, Any]]:
        kind = self.dice.choice((e.AccountClosing, e.AccountFrozen, e.AccountUnfrozen, e.AccountUnfrozen))
        return kind, e.AccountNamed(account=self._name()), {}

    def _money(self) -> tuple[Any, Any, dict[str, Any]]:
        at, units = self._at(), self.dice.choice((100, 100, -100))
        about: dict[str, Any] = {"transfer": f"aberdare.g1.{at}", "position": at}
        if self.dice.random() < 0.5:
            about = {"programme": self._name()}
        if units < 0:
            about["corrects"] = f"aberdare.g1.{self._at()}"
        paid_on = self.town.now[:10]
        data = e.MoneyRecorded(
            minor_units=units, currency="GBP", kind="travel", settled_by="bank", paid_on=paid_on, **about
        )
        return e.MoneyRecordedEntry, data, {}

    def _post(self) -> tuple[Any, Any, dict[str, Any]]:
        data = e.Posted(purpose="correction", confirmed_by="broker")
        minutes = self.dice.choice((50, 200))
        return e.TransferPosted, data, {"postings": [(self._name(), -minutes), (self._name(), minutes)]}


def said_by(book: Book) -> dict[str, int]:
    """By account: the open claims that name it."""
    counts = dict.fromkeys(book.accounts, 0)
    for claim in book.claims.values():
        for account in (claim.giver, claim.receiver):
            counts[account] += 1
    return counts


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_a_refused_entry_leaves_the_book_as_it_was_and_a_layer_says_the_same(seed: int) -> None:
    """PROTOCOL.md B1, D3, T12."""
    dice, town = Random(seed), PaperTown("aberdare")
    policy = e.Policy(default_floor=-600, default_ceiling=6000, debt_limit=0, claim_tolerance_percent=50,
                      auto_confirm_after_days=1, claim_expires_after_days=9, leaver_after_days=3)  # fmt: skip
    town.write(e.PolicyChanged, policy)
    for account, kind in KINDS.items():
        town.account(account, kind, floor=-400)
    pen = Pen(town, dice)
    for _ in range(STEPS):
        town.wait(dice.choice((0, 0, 1, 2)))
        try:
            entry = e.decode_entry(e.encode_entry(pen.entry()))
        except Malformed:
            continue
        before, below = deepcopy(town.book), deepcopy(town.book)
        layer = layer_over(below)
        outcomes = []
        for book in (town.book, layer):
            try:
                apply(book, entry, read=town.entries.__getitem__)
                outcomes.append("applied")
            except (Refusal, Malformed, Breach) as refused:
                outcomes.append(str(refused))
        assert outcomes[0] == outcomes[1]
        assert below == before
        if outcomes[0] != "applied":
            assert town.book == before
        else:
            town.entries.append(entry)
            if isinstance(entry, e.ClaimMadeEntry):
                pen.claims.append(f"aberdare.g1.{entry.n}")
        settle(layer, below)
        assert below == town.book
        assert broken_invariants(town.book) == []
        assert {name: account.open_claims for name, account in town.book.accounts.items()} == said_by(town.book)
