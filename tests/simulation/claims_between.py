"""What people do across towns besides paying: claims on somebody there, refunds of what came, and thanks.

They act on what their own town's journal says, so a claim may be withdrawn here while it is being paid there, and two
refunds of one transfer may be asked for in one batch.
"""

from __future__ import annotations

from tests.simulation.clients import BROKER, MINUTES, Clients
from tests.simulation.promises import Broken
from tests.simulation.town import Town
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_ledger import commands as c

MEMBER = e.Actor(kind="member", id="someone")
RECENT = 80
"""So many of the newest entries are looked through for something to act on."""
BEGAN = (b'"type":"transfer.sent"}', b'"type":"transfer.received"}', b'"type":"transfer.posted"}')


class ClaimsBetween:
    """Adds to what the clients of a run may ask for."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.schedule = clients.schedule
        self.chance = clients.chance
        self.until = 0.0
        """When people stop asking."""
        clients.kinds += [
            (12, self._claim),
            (8, self._confirm),
            (4, self._withdraw),
            (10, self._refund),
            (5, self._thank),
        ]

    def plan(self, seconds: float) -> None:
        """People answer claims that reached them, for so long."""
        self.until = self.schedule.now + seconds

    # Claims ------------------------------------------------------------------------------------------------------

    def _claim(self, town: Town) -> None:
        """On somebody with an address at another town, or on nobody; from an address of the giver, or a revoked one."""
        peer = self.chance.choice([other for other in self.clients.towns if other is not town])
        givers, receivers = self.clients.aliases[town.name], self.clients.aliases[peer.name]
        if not givers:
            return
        address = self.chance.choice(givers)
        alias = town.book.aliases.get(address)
        self.clients.ask(
            town,
            c.SendClaim(
                by=MEMBER,
                giver="m0" if alias is None else alias.account,
                giver_alias=address,
                peer=peer.name,
                receiver=self.chance.choice(receivers) if receivers and self.chance.random() < 0.93 else "0" * 32,
                minutes=self.chance.choice(MINUTES),
                activity="garden",
                served_on=town.book.time[:10],
                given_minutes=self.chance.choice((None, None, 45)),
                programme=self.chance.choice((None, None, "p1")),
            ),
        )
        if self.chance.random() < 0.7:
            self.schedule.after(self.chance.choice((2.0, 5.0, 30.0)), lambda: self._answer(peer))

    def _answer(self, town: Town) -> None:
        if self.schedule.now < self.until and any(claim.peer for claim in town.book.claims.values()):
            self._confirm(town)

    def _confirm(self, town: Town) -> None:
        """A claim that came from another town is paid there; with some chance it is withdrawn at the same moment."""
        names = [name for name, claim in town.book.claims.items() if claim.peer]
        if not names:
            self._claim(town)
            return
        name = self.chance.choice(names)
        self._pay(town, name)
        if self.chance.random() < 0.25:
            self.withdraw_at_giver(name)

    def _pay(self, town: Town, name: str) -> None:
        claim = town.book.claims[name]
        by, said = self.chance.choice(((MEMBER, "receiver"), (MEMBER, "receiver"), (BROKER, "broker")))
        minutes = None
        if self.chance.random() < 0.3:
            top = claim.minutes * (100 + town.book.claim_tolerance_percent) // 100
            minutes = self.chance.choice((1, top, top + 1))
        expires = self.chance.choice((5.0, 3600.0, 604_800.0, 604_800.0))
        command = c.ConfirmClaim(
            by=by,
            claim=name,
            confirmed_by=said,
            minutes=minutes,
            payer_tag=self.clients.tag_of(claim.receiver),
            expires_at=self.schedule.wall(town.skew_seconds + expires),
        )
        for _ in range(self.chance.choice((1, 1, 1, 2))):
            self.clients.ask(town, command)

    def _withdraw(self, town: Town) -> None:
        """By its giver, or by the receiver, who may not."""
        names = list(town.book.sent_claims) or list(town.book.claims)
        if names:
            name = self.chance.choice(names)
            self.clients.ask(town, c.EndClaim(by=MEMBER, claim=name, how="withdrawn"))

    def withdraw_at_giver(self, name: str) -> None:
        """The giver changes their mind now."""
        giver = name.partition(".")[0]
        for town in self.clients.towns:
            if town.name == giver:
                self.clients.ask(town, c.EndClaim(by=MEMBER, claim=name, how="withdrawn"))

    # Refunds and thanks ------------------------------------------------------------------------------------------

    def _began(self, town: Town, *kinds: bytes) -> list[int]:
        """Positions of the newest entries that began a transfer here."""
        raws = town.disk.entries
        return [n for n in range(max(0, len(raws) - RECENT), len(raws)) if raws[n].endswith(kinds)]

    def _refund(self, town: Town) -> None:
        """All, parts at once, more than there is, from the pot, of a refund, in time or too late to be taken."""
        received = self._began(town, BEGAN[1])
        if not received:
            return
        position = self.chance.choice(received)
        transfer, _ = _named(town, position)
        from_pot = self.chance.random() < 0.2
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            expires = self.chance.choice((5.0, 5.0, 604_800.0, 604_800.0))
            self.clients.ask(
                town,
                c.RefundTransfer(
                    by=self.chance.choice((MEMBER, BROKER)) if from_pot else MEMBER,
                    transfer=transfer,
                    position=position if self.chance.random() < 0.95 else town.book.n // 2,
                    minutes=self.chance.choice((None, None, 1, 15, 30, 60, 90)),
                    payer="pot" if from_pot else None,
                    payer_tag=f"{self.chance.getrandbits(120):030x}",
                    expires_at=self.schedule.wall(town.skew_seconds + expires),
                ),
            )

    def _thank(self, town: Town) -> None:
        """Once, twice, or for the wrong side."""
        began = self._began(town, *BEGAN)
        if not began:
            return
        position = self.chance.choice(began)
        transfer, side = _named(town, position)
        if self.chance.random() < 0.1:
            side = self.chance.choice(("payer", "payee"))
        for _ in range(self.chance.choice((1, 1, 2))):
            self.clients.ask(town, c.GiveThanks(by=MEMBER, transfer=transfer, side=side, position=position))

    # In the end --------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """P8 of claims on other towns: all streams are heard, so both towns of a claim mean the same by it."""
        for said in self.clients.promises.disagreements():
            raise Broken(f"P8: {said}")


def _named(town: Town, position: int) -> tuple[str, str]:
    """The transfer that began at a position, and the side that somebody of this town is on."""
    entry = e.decode_entry(town.disk.entries[position])
    if isinstance(entry, e.TransferReceived):
        return entry.data.transfer, "payee"
    if isinstance(entry, e.TransferSent) and entry.out:
        message = m.decode_message(bytes(entry.out))
        assert isinstance(message, m.TransferSentMessage)
        return message.data.transfer, "payer"
    return town.name_of(position), "payee"
