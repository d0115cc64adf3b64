"""The path of a transfer between towns, step by step, in one thread: where each microsecond goes.

    A: propose, apply ─ encode ─ settle ─ follow ─ cut, sign ──▶ B: parse, verify ─ decide, apply ─ … ──▶ A: settle

No server, no socket, no second thread: what a running node uses beyond this is HTTP, the stores and changes of thread.
The sum is a measure of the machine as well: runs of the other benches are compared by it.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from msgspec import UNSET

from deploy.bench.exchanges import exchanges, opening
from deploy.bench.setting import Setting
from timebank_contracts import entries as e
from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.book import apply
from timebank_contracts.keys import SigningKey
from timebank_contracts.messages import forget_messages
from timebank_contracts.moments import show_time
from timebank_contracts.names import Identity
from timebank_contracts.segments import SEGMENT_MESSAGES_MAX, Heard, is_signed_by, make_segment, parse_segment
from timebank_contracts.streams import StreamHead, chain_next
from timebank_federation.outline import decode_outline
from timebank_kit.garbage import spare_what_stands
from timebank_kit.journal import Record
from timebank_ledger import commands as c
from timebank_ledger.committed import Batch, Committed
from timebank_ledger.propose import perform
from timebank_ledger.written import enter_segment

NAME = "path"
TRANSFERS, TRANSFERS_QUICK = 20_480, 512
_NETWORK = "bench.timebank.wales"
_OPERATOR = e.Actor(kind="operator", id="bench")
_ALIAS = "ab" * 16


@dataclass(kw_only=True)
class Steps:
    """Seconds of this thread by step."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count what the block uses."""
        began = time.thread_time()
        yield
        self.seconds[name] += time.thread_time() - began


class PathTown:
    """A town without its threads: the pure steps of its writer and its sender, each counted."""

    def __init__(self, node: str, peer: str, key: SigningKey, peer_key: SigningKey, steps: Steps) -> None:
        self.me, self.peer, self.key, self.peer_key = Identity(_NETWORK, node, "g1"), peer, key, peer_key
        self.steps = steps
        self.now = show_time(datetime.now(UTC))
        self.state = Committed()
        batch = self.state.begin()
        for command in opening(self.me):
            self._perform(batch, command)
        keys = [b64encode(peer_key.public).decode("ascii")]
        said = e.Peer(
            peer=peer, generation="g1", state="open", owe_limit=LIMIT_MAX, owed_limit=LIMIT_MAX, event_keys=keys
        )
        known = e.PeerChanged(n=batch.book.n, time=self.now, by=_OPERATOR, data=said)
        apply(batch.book, known)
        batch.add(known)
        self._perform(batch, c.IssueAlias(by=_OPERATOR, account="m0000", alias=_ALIAS, audience=None))
        self.state.settle(batch)
        self.head = self.state.book.peers[peer].outgoing

    def _perform(self, batch: Batch, command: c.Command) -> None:
        for entry in perform(batch.book, command, time=self.now, cite=lambda position: None):
            batch.add(entry)

    def send(self, commands: list[c.Command], heard: StreamHead) -> bytes:
        """Write commands as one batch; returns the segment with their messages."""
        batch, name = self.state.begin(), f"{self.me.node}.1_sent"
        with self.steps.of(f"{name}.propose_apply"):
            entries = [
                perform(batch.book, command, time=self.now, cite=lambda position: None)[0] for command in commands
            ]
        return self._finish(batch, entries, heard, name)

    def take(self, raw: bytes, heard: StreamHead, *, name: str) -> bytes:
        """Enter the peer's segment; returns the one with what this town says next."""
        name = f"{self.me.node}.{name}"
        forget_messages()
        with self.steps.of(f"{name}.parse_verify"):
            assert is_signed_by(parse_segment(raw).envelope, (self.peer_key.public,))
        batch = self.state.begin()
        with self.steps.of(f"{name}.judge_decide_apply"):
            written = enter_segment(
                batch.book, c.TakeSegment(by=_OPERATOR, raw=raw), time=self.now, read=lambda position: None
            )
        assert written.outcome is not None
        assert written.outcome.outcome == "fresh", written.outcome
        return self._finish(batch, list(written.entries), heard, name)

    def _finish(self, batch: Batch, entries: list[e.Entry], heard: StreamHead, name: str) -> bytes:
        with self.steps.of(f"{name}.encode_hash"):
            for entry in entries:
                batch.add(entry)
        with self.steps.of(f"{name}.settle"):
            self.state.settle(batch)
        after = self.head
        with self.steps.of(f"{name}.follow"):
            messages = self._follow(batch.records)
        with self.steps.of(f"{name}.cut_sign"):
            return make_segment(
                identity=self.me,
                to=self.peer,
                after=after,
                messages=messages,
                heard=Heard(generation="g1", n=heard.n, chain=heard.chain.hex()),
                registry=0,
                size=batch.book.n,
                root=bytes(32),
                key=self.key,
            )

    def _follow(self, records: list[Record]) -> list[bytes]:
        """What the sender makes of new entries: the outline of each, and both chains."""
        messages, heard = list[bytes](), b""
        for record in records:
            outline = decode_outline(record.state)
            if outline.in_ is not UNSET:
                heard = chain_next(heard, bytes(outline.in_))
            if outline.out is not UNSET:
                messages.append(bytes(outline.out))
                self.head = StreamHead(self.head.n + 1, chain_next(self.head.chain, messages[-1]))
        return messages


def bench_path(setting: Setting) -> None:
    """Microseconds of each step for each transfer."""
    if not setting.wants(NAME):
        return
    keys = [SigningKey(sha256(name).digest()) for name in (b"a", b"b")]
    steps = Steps()
    payers = PathTown("aberdare", "barry", keys[0], keys[1], steps)
    payees = PathTown("barry", "aberdare", keys[1], keys[0], steps)
    count = setting.count(TRANSFERS, quick=TRANSFERS_QUICK)
    commands = _commands(count, payers.now)
    spare_what_stands()
    for start in range(0, count, SEGMENT_MESSAGES_MAX):
        segment = payers.send(commands[start : start + SEGMENT_MESSAGES_MAX], payees.head)
        answer = payees.take(segment, payers.head, name="2_received")
        payers.take(answer, payees.head, name="3_settled")
    assert not payers.state.book.open_transfers, "every transfer was settled"
    for name, seconds in sorted(steps.seconds.items()):
        setting.figures.add(f"{NAME}.{name}", 1e6 * seconds / count, "µs", "for each transfer, in one thread")
    total = 1e6 * sum(steps.seconds.values()) / count
    setting.figures.add(NAME, total, "µs", f"for each of {count:,} transfers, all steps at both towns")


def _commands(count: int, now: str) -> list[c.Command]:
    return [
        c.SendTransfer(
            by=e.Actor(kind="member", id=exchange.payer),
            key=c.key_of("bench", str(number)),
            digest=c.digest_of(exchange),
            payer=exchange.payer,
            peer="barry",
            payee=_ALIAS,
            minutes=exchange.minutes,
            payer_tag="0" * 30,
            purpose="service",
            expires_at="2099-01-01T00:00:00.000Z",
            activity="garden",
            served_on=now[:10],
            confirmed_by="broker",
        )
        for number, exchange in enumerate(exchanges(count))
    ]
