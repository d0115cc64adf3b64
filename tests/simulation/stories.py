"""Two quiet towns, Aberdare (A) and Barry (B), for tests that tell one fault each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from tests.simulation.clients import BROKER
from tests.simulation.registries import NETWORK
from tests.simulation.rules import REAL, Rules
from tests.simulation.schedule import BEGINNING
from tests.simulation.simulation import TRANSFERS_END_SECONDS, Simulation
from tests.simulation.town import Answer, Town
from timebank_contracts import entries as e
from timebank_contracts.moments import show_time
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard, make_segment
from timebank_contracts.streams import StreamHead, fold
from timebank_ledger import commands as c

MINUTE = 60.0


class Story:
    """A and B, founded and at rest; nothing goes wrong unless the test says so."""

    def __init__(self, *, rules: Rules = REAL, limit: int = 900) -> None:
        self.simulation = Simulation(7, rules=rules, towns=2, limit=limit)
        self.network = self.simulation.network
        self.registries = self.simulation.registries
        self.a, self.b = self.simulation.towns
        self.a_mail, self.b_mail = self.simulation.mails
        self.simulation.clients.debt_limit = 1500
        self.simulation.found()
        self.run(2 * MINUTE)
        self.answers: list[Answer] = []
        self._keys = 0

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.simulation.schedule.run_until(self.simulation.schedule.now + seconds)

    def payee(self, member: int = 0) -> str:
        """The receiving address of a member of B."""
        return self.simulation.clients.aliases["barry"][member]

    def transfer(self, *, minutes: int = 90, payee: str | None = None, expires_seconds: float = 86_400.0) -> c.Command:
        """A command with a new key: m0 of A gives minutes to somebody at B."""
        self._keys += 1
        moment = BEGINNING + timedelta(seconds=self.simulation.schedule.now + expires_seconds)
        return c.SendTransfer(
            by=e.Actor(kind="member", id="m0"),
            key=c.key_of("story", str(self._keys)),
            digest=c.digest_of(self._keys),
            payer="m0",
            peer="barry",
            payee=payee or self.payee(),
            minutes=minutes,
            payer_tag="0" * 30,
            purpose="gift",
            expires_at=show_time(moment),
        )

    def ask(self, town: Town, command: c.Command) -> None:
        """Ask once; the answer, if one comes, joins `answers`."""
        town.submit(command, self.answers.append)

    def send(self, *, minutes: int = 90, payee: str | None = None, expires_seconds: float = 86_400.0) -> c.Command:
        """Ask A for a transfer, once."""
        command = self.transfer(minutes=minutes, payee=payee, expires_seconds=expires_seconds)
        self.ask(self.a, command)
        return command

    def operate(self, town: Town, command: c.Command) -> None:
        """Something a broker does, done at once."""
        self.ask(town, command)
        self.run(0.1)
        assert not isinstance(self.answers[-1], Exception), self.answers[-1]

    def close_account(self, town: Town, member: int) -> None:
        """An empty account closes."""
        self.operate(town, c.SetAccountState(by=BROKER, account=f"m{member}", state="closed"))

    def forged_by(self, town: Town, messages: Sequence[bytes], *, after: int) -> bytes:
        """A segment to the other town with any messages, signed with the town's true key."""
        mail = self.a_mail if town is self.a else self.b_mail
        name = "barry" if town is self.a else "aberdare"
        peer = town.book.peers[name]
        stream = mail.streams[name]
        start = mail.chain(name, 0)
        chain = [start, *fold(start, stream.messages)][after]
        return make_segment(
            identity=Identity(NETWORK, town.name, "g1"),
            to=name,
            after=StreamHead(after, chain),
            messages=list(messages),
            heard=Heard(generation="g1", n=peer.incoming.n, chain=peer.incoming.chain.hex()),
            registry=town.book.registry_version,
            size=town.memory.tree.size,
            root=town.memory.tree.root(),
            key=self.registries.signing_key(town.name, town.book.registry_version),
        )

    # What became of it -------------------------------------------------------------------------------------------

    def count(self, town: Town, kind: str) -> int:
        """How many entries of a type a town's journal has."""
        return sum(e.entry_type(e.decode_entry(raw)) == kind for raw in town.disk.entries)

    def ends_within(self, seconds: float = TRANSFERS_END_SECONDS) -> bool:
        """Whether no transfer is open after so much time, or before; promises are judged to the end."""
        ended = self.simulation.schedule.run_until(
            self.simulation.schedule.now + seconds, stop=lambda: not self.simulation.open_transfers()
        )
        for town in self.simulation.towns:
            if town.up:
                self.simulation.promises.judge_memory(town)
        return ended

    def reasons(self) -> list[str]:
        """Why transfers came back to A."""
        entries = [e.decode_entry(raw) for raw in self.a.disk.entries]
        return [entry.data.reason for entry in entries if isinstance(entry, e.TransferReturned)]
