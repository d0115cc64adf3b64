"""The people of the simulated towns: what they ask, and how their programs ask again until they are answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.simulation.promises import Broken, Promises
from tests.simulation.registries import NETWORK, Registries
from tests.simulation.schedule import Schedule
from tests.simulation.town import Answer, Town
from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_ledger import commands as c

OPERATOR = e.Actor(kind="operator", id="op")
BROKER = e.Actor(kind="broker", id="broker")
MEMBERS = 5
RETRY_SECONDS = 5.0
MINUTES = (1, 15, 30, 60, 60, 90, 90, 120, 240, 600)
BAD_MINUTES = (0, -5, 60_001, 2**53, 2**63)


class Clients:
    """Chooses what happens; asks with one key until an answer comes; compares repeated answers."""

    def __init__(self, towns: list[Town], registries: Registries, promises: Promises, schedule: Schedule) -> None:
        self.towns = towns
        self.registries = registries
        self.promises = promises
        self.schedule = schedule
        self.chance = schedule.random
        self.aliases: dict[str, list[str]] = {town.name: [] for town in towns}
        self.written: dict[str, dict[type[c.Command], list[int]]] = {town.name: defaultdict(list) for town in towns}
        """Positions of what was answered, by town and kind of command."""
        self.kinds: list[tuple[int, Callable[[Town], None]]] = [
            (40, self._send),
            (20, self._post),
            (5, self._group),
            (5, self._gift),
            (6, self._reverse),
            (5, self._keep_account),
            (3, self._revoke),
            (2, self._bad),
        ]
        """How often, and what is asked; others add to it."""
        self.waiting = 0
        self.payers: dict[str, str] = {}
        """Payer's tag → who paid."""
        self.debt_limit = self.chance.choice((1500, 1500, 1500, 400, 120))
        """Of every town to all its peers, in minutes."""
        self.refused: dict[str, int] = {}
        self.answer_loss = 0.0
        self._asked = 0

    def found(self, town: Town) -> None:
        """Found a town: identity, policy, registry, accounts, addresses."""
        town.tags = self.payers
        self.ask(town, c.OpenNode(by=OPERATOR, network=NETWORK, node=town.name, generation="g1"))
        policy = c.ChangePolicy(by=OPERATOR, default_floor=-600, default_ceiling=600, debt_limit=self.debt_limit)
        self.ask(town, policy)
        town.later(1.0, lambda: town.submit(self.registries.latest, lambda answer: None))
        names = [("grant", "grant")] + ([("pot", "pot")] if self.chance.random() < 0.8 else [])
        names += [(f"m{number}", "member") for number in range(MEMBERS)]
        for account, kind in names:
            floor = -10_000_000 if kind == "grant" else None
            self.ask(town, c.OpenAccount(by=OPERATOR, account=account, kind=kind, floor=floor))
        self.ask(town, c.OpenAccount(by=OPERATOR, account="o1", kind="organisation", floor=-600, ceiling=10_000_000))
        town.later(3.0, lambda: self._issue_first(town))

    def _issue_first(self, town: Town) -> None:
        for number in range(MEMBERS):
            self._issue(town, f"m{number}")

    # Asking ------------------------------------------------------------------------------------------------------

    def ask(self, town: Town, command: c.Command) -> None:
        """Send a command with a new key until it is answered."""
        self._asked += 1
        key = c.key_of("client", str(self._asked))
        digest = c.digest_of(repr(command))
        self.waiting += 1
        self._try(town, replace(command, key=key, digest=digest), [])

    def _try(self, town: Town, command: c.Command, answered: list[list[bytes]]) -> None:
        done: list[bool] = []

        def take(answer: Answer) -> None:
            if done or self.schedule.chance(self.answer_loss):
                return
            done.append(True)
            self._take(town, command, answer, answered)

        def again() -> None:
            if not done and town.is_gone:
                done.append(True)
                self.waiting -= not answered
            elif not done:
                done.append(True)
                self._try(town, command, answered)

        town.later(0.001, lambda: town.submit(command, take))
        self.schedule.after(RETRY_SECONDS, again)

    def _take(self, town: Town, command: c.Command, answer: Answer, answered: list[list[bytes]]) -> None:
        if answered and not self.promises.still_holds(town, answered[0]):
            # The town lost it: whoever asks once more asks for something new.
            if not isinstance(answer, Exception):
                self.promises.acknowledge(town, answer)
            return
        if isinstance(answer, Exception):
            if answered:
                raise Broken(f"P2: {town.name} refused a key that it had answered: {answer}")
            self.waiting -= 1
            code = answer.code if isinstance(answer, Refusal) else type(answer).__name__
            self.refused[code] = self.refused.get(code, 0) + 1
            self.schedule.note(f"{town.name} refuses {type(command).__name__}: {code}")
            return
        self.promises.acknowledge(town, answer)
        if answered:
            if answered[0] != answer:
                raise Broken(f"P3: {town.name} answered one key in two ways.")
            return
        self.waiting -= 1
        self.written[town.name][type(command)].append(e.decode_entry(answer[0]).n)
        if self.schedule.chance(0.1):
            self.schedule.after(self.chance.uniform(0.0, 60.0), lambda: self._try(town, command, [answer]))
        if self.schedule.chance(0.03):
            other = replace(command, digest=c.digest_of("another content"))
            town.submit(other, lambda said: self._must_be_refused(town, said))

    def _must_be_refused(self, town: Town, answer: Answer) -> None:
        if not isinstance(answer, Refusal) or answer.code != "key_reused":
            raise Broken(f"P3: {town.name} let one key serve two commands.")

    # What is asked -----------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Somebody somewhere asks for something."""
        town = self.chance.choice(self.towns)
        if town.book.identity is None or town.on_old_disk or town.is_gone:
            return
        weights = [weight for weight, _ in self.kinds]
        self.chance.choices([act for _, act in self.kinds], weights)[0](town)

    def _member(self) -> str:
        return f"m{self.chance.randrange(MEMBERS)}"

    def _send(self, town: Town) -> None:
        payee_town = self.chance.choice([other for other in self.towns if other is not town])
        known = self.aliases[payee_town.name]
        alias = self.chance.choice(known) if known and self.chance.random() < 0.93 else self._new_alias()
        expires = self.chance.choice((5.0, 60.0, 3600.0, 86_400.0, 604_800.0, 604_800.0))
        payer = self._member()
        self.ask(
            town,
            c.SendTransfer(
                by=e.Actor(kind="member", id="someone"),
                payer=payer,
                peer=payee_town.name,
                payee=alias,
                minutes=self.chance.choice(MINUTES),
                payer_tag=self.tag_of(payer),
                expires_at=self.schedule.wall(town.skew_seconds + expires),
                **self._purpose(town),
            ),
        )

    def tag_of(self, payer: str) -> str:
        """A new tag, which names the payer to whoever has the town's key."""
        tag = f"{self.chance.getrandbits(120):030x}"
        self.payers[tag] = payer
        return tag

    def forget(self, town: Town, size: int) -> None:
        """A town lost what it wrote after its first `size` entries."""
        for positions in self.written[town.name].values():
            positions[:] = [position for position in positions if position < size]

    def _purpose(self, town: Town) -> dict[str, Any]:
        if self.chance.random() < 0.3:
            return {"purpose": "gift"}
        day = town.book.time[:10] or "2026-03-01"
        return {"purpose": "service", "activity": "garden", "served_on": day}

    def _post(self, town: Town) -> None:
        payer, payee = self._member(), self._member()
        minutes = self.chance.choice(MINUTES)
        postings = ((payer, -minutes), (payee, minutes))
        member = e.Actor(kind="member", id="someone")
        self.ask(town, c.PostTransfer(by=member, postings=postings, confirmed_by="receiver", **self._purpose(town)))

    def _group(self, town: Town) -> None:
        members = self.chance.sample([f"m{number}" for number in range(MEMBERS)], 4)
        each, earned = self.chance.choice((10, 20, 60)), self.chance.choice((30, 60, 120))
        postings = [(member, -each) for member in members[:3]] + [(members[3], earned)]
        if 3 * each != earned:
            postings.append(("pot", 3 * each - earned))
        self.ask(
            town,
            c.PostTransfer(
                by=BROKER,
                postings=tuple(postings),
                purpose="service",
                confirmed_by="broker",
                activity="arts",
                served_on=town.book.time[:10],
                given=((members[3], 120),),
            ),
        )

    def _gift(self, town: Town) -> None:
        minutes = self.chance.choice(MINUTES)
        purpose, payer, payee = self.chance.choice(
            (("pot", self._member(), "pot"), ("support", "pot", self._member()), ("grant", "grant", self._member()))
        )
        self.ask(
            town,
            c.PostTransfer(
                by=BROKER,
                postings=((payer, -minutes), (payee, minutes)),
                purpose=purpose,
                confirmed_by="broker",
                reason="hardship" if purpose == "support" else None,
            ),
        )

    def _reverse(self, town: Town) -> None:
        posted = self.written[town.name][c.PostTransfer]
        position = self.chance.choice(posted) if posted and self.chance.random() < 0.8 else town.book.n // 2
        transfer = town.name_of(position)
        self.ask(town, c.ReverseTransfer(by=BROKER, transfer=transfer, reason="mistake"))

    def _keep_account(self, town: Town) -> None:
        account, state = self._member(), self.chance.choice(("frozen", "open", "open", "closed", "limits"))
        if state == "limits":
            floor, ceiling = self.chance.choice(((-60, 300), (-600, 900), (-6000, 9000)))
            self.ask(town, c.ChangeAccount(by=BROKER, account=account, floor=floor, ceiling=ceiling))
        else:
            self.ask(town, c.SetAccountState(by=BROKER, account=account, state=state))
        self._issue(town, account)

    def _new_alias(self) -> str:
        return f"{self.chance.getrandbits(128):032x}"

    def _issue(self, town: Town, account: str) -> None:
        alias = self._new_alias()
        audience = self.chance.choice([other.name for other in self.towns if other is not town])
        public = self.chance.random() < 0.9
        self.ask(town, c.IssueAlias(by=BROKER, account=account, alias=alias, audience=None if public else audience))
        self.aliases[town.name].append(alias)

    def _revoke(self, town: Town) -> None:
        if self.aliases[town.name]:
            self.ask(town, c.RevokeAlias(by=BROKER, alias=self.chance.choice(self.aliases[town.name])))

    def _bad(self, town: Town) -> None:
        minutes = self.chance.choice(BAD_MINUTES)
        postings = (("grant", -minutes), (self.chance.choice((self._member(), "o1")), minutes))
        self.ask(town, c.PostTransfer(by=BROKER, postings=postings, purpose="grant", confirmed_by="broker"))
