"""The threads of federation: one sends, one receives, one polls peers while there is no broker.

They begin when the ledger has what it needs (`prepare`): a federation that is started before its ledger waits for it.
Trouble (broker or ledger away) is met here and nowhere deeper: a pause that doubles up to its bound, then again. A bug
is logged with its trace, makes the service not ready, and ends no thread: the next step begins from the journal.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from timebank_federation.broker import BrokerAway, Inbox
from timebank_federation.intake import IntakeStopped
from timebank_federation.ledger_client import BATCH_ENTRIES, LedgerAway
from timebank_federation.receiver import Receiver
from timebank_federation.sender import Sender

FOLLOW_SECONDS = 1.0
LINGER_SECONDS = 0.02
LINGER_ENTRIES = 16
"""So many entries at once are a crowd: more come, and each look at them is a request, each segment a commit there."""
SILENT_SECONDS = 90.0
"""A peer that was not heard for so long is asked, although there is a broker."""
FORKED_SECONDS = 5.0
"""Between two looks whether the evidence of a fork was put away."""
WITNESS_SECONDS = 1.0
"""Between two looks whether a witness is to be asked."""
PAUSE_SECONDS_FIRST = 0.2
PAUSE_SECONDS_MAX = 10.0
_log = logging.getLogger(__name__)


class Worker:
    """Runs a sender and a receiver until `stop`.

    Args:
        inbox: this node's topic, None without a broker.
        poll_seconds: pause between polls of peers while there is no broker.
        prepare: is called until it does not raise, before all else.
        forked: why nothing may pass between towns, None while all is well; asked before each step.
        hand_over: gives peers what they did not take before; called at each poll.
        witness: asks the witnesses whose turn it is, in a thread of its own: nothing waits for them.
        put_back: asks peers for what this node lost; called before each poll.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        receiver: Receiver,
        inbox: Inbox | None,
        poll_seconds: float,
        prepare: Callable[[], object],
        forked: Callable[[], str | None] = lambda: None,
        hand_over: Callable[[], object] = lambda: None,
        witness: Callable[[], object] | None = None,
        put_back: Callable[[], object] = lambda: None,
    ) -> None:
        self._sender = sender
        self._receiver = receiver
        self.inbox = inbox
        self._inbox_away = inbox is None
        self._poll_seconds = poll_seconds
        self._prepare = prepare
        self._forked = forked
        self._hand_over = hand_over
        self._put_back = put_back
        self._preparing = threading.Lock()
        self._is_prepared = False
        self._stopping = threading.Event()
        self._reasons: dict[str, str] = {}
        self.bugs = 0
        """Steps that ended in a bug; the log has each one's trace."""
        loops: dict[str, Callable[[], object]] = {"sender": self._send, "poller": self._poll}
        if inbox is not None:
            loops["receiver"] = self._receive
        if witness is not None:
            loops["witness"] = lambda: (witness(), self._stopping.wait(WITNESS_SECONDS))
        self._threads = [
            threading.Thread(target=self._run, args=(name, loop), name=f"federation-{name}", daemon=True)
            for name, loop in loops.items()
        ]

    @property
    def trouble(self) -> str | None:
        """Why the service is not ready: the ledger is away, or a step met a bug. None: it works."""
        return next(iter(list(self._reasons.values())), None)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; what was not done is done after the next start."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=15)
        if self.inbox is not None:
            self.inbox.close()

    def _run(self, name: str, step: Callable[[], object]) -> None:
        pause = PAUSE_SECONDS_FIRST
        while not self._stopping.is_set():
            if (why := self._forked()) is not None:
                self._reasons[name] = why
                self._stopping.wait(FORKED_SECONDS)
                continue
            try:
                self._prepare_once()
                step()
            except LedgerAway as away:
                self._reasons[name] = str(away)
                _log.warning("ledger away", extra={"loop": name, "reason": str(away)})
            except IntakeStopped as stopped:
                self._reasons[name] = str(stopped)
            except BrokerAway as away:
                self._inbox_away = True
                self._reasons.pop(name, None)
                _log.warning("broker away", extra={"loop": name, "reason": str(away)})
            except Exception as bug:
                self.bugs += 1
                self._reasons[name] = f"The {name} met a bug ({type(bug).__name__}); its log says where."
                _log.exception("bug in a loop", extra={"loop": name})
            else:
                self._reasons.pop(name, None)
                pause = PAUSE_SECONDS_FIRST
                continue
            self._stopping.wait(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)

    def _prepare_once(self) -> None:
        with self._preparing:
            if not self._is_prepared:
                self._prepare()
                self._is_prepared = True

    def _send(self) -> None:
        until = time.monotonic() + FOLLOW_SECONDS
        before = self._sender.position
        sent = self._sender.step(wait_seconds=FOLLOW_SECONDS)
        if not sent and self._sender.position == before:
            # A ledger that has stopped, or has too many followers, answers at once: it must not be asked at once again.
            self._stopping.wait(max(0.0, until - time.monotonic()))
        elif LINGER_ENTRIES <= self._sender.position - before < BATCH_ENTRIES:
            self._stopping.wait(LINGER_SECONDS)

    def _receive(self) -> None:
        assert self.inbox is not None
        lost_before = self.inbox.made_again + self.inbox.given_up
        self._receiver.step(self.inbox, timeout_seconds=FOLLOW_SECONDS)
        self._inbox_away = False
        if self.inbox.made_again + self.inbox.given_up > lost_before:
            # What the broker lost shows as a gap behind the next segment; who was quiet would be silent for long.
            self._receiver.poll_peers()

    def _poll(self) -> None:
        # A peer may be without a broker while we have ours: it cannot send, so it is asked.
        no_broker = self._inbox_away or self._sender.broker_away
        self._put_back()
        self._receiver.poll_peers(silent_seconds=0.0 if no_broker else SILENT_SECONDS)
        self._hand_over()
        self._stopping.wait(self._poll_seconds)
