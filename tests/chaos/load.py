"""Members who pay into other towns while things break; every call and its outcome goes into the history.

Each payer is a thread. Of the commands whose outcome is unknown, or that met a ledger that takes none, every other one
is repeated under its key until it is known; the rest are left as they are, as careless clients leave them. One in ten
is paid to an address that the payee's town does not know, and comes back; one in ten is more than anybody may owe.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Sequence

import httpx

from tests.chaos.history import Attempt, History, Outcome
from tests.e2e.running_towns import LIMIT_MINUTES, RunningTown, until
from timebank_ledger.commands import key_of

BETWEEN_SECONDS = 0.15
AGAIN_SECONDS = 0.3
ANSWER_SECONDS = 5.0
MORE_SECONDS = 60.0
REFUSED_MINUTES = 2 * LIMIT_MINUTES
NOWHERE = "0" * 32
"""An address that no town gave out."""
_NO_TOKEN = frozenset({"client_unknown", "unauthorised"})
_NOT_WRITTEN = frozenset({"writer_stopped", "queue_full"})


class Payer:
    """One member who pays another town's member, a minute at a time.

    Args:
        payer, payee: their towns.
        base_url: where the payer's ledger is reached.
        label: begins every key.
    """

    def __init__(self, payer: RunningTown, payee: RunningTown, *, base_url: str, label: str, history: History) -> None:
        self.payer, self.payee = payer, payee
        self._alias = payer.resolve(payee)
        self._label = f"{label}/{payer.name}/{payee.name}"
        self._history = history
        self._http = httpx.Client(base_url=base_url, timeout=ANSWER_SECONDS)
        self._token = payer.renew_token()
        claims = json.loads(base64.urlsafe_b64decode(self._token.split(".")[1] + "=="))
        self._who = f"{claims['iss']}/{claims['sub']}"
        self._ended = threading.Event()
        self.answered: dict[str, tuple[dict[str, object], str]] = {}
        """Client's key → body, transfer."""
        self.attempts = 0
        self._thread = threading.Thread(target=self._run, name=self._label)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Go on for so long, unless it has ended."""
        self._ended.wait(seconds)

    def end(self) -> None:
        """Stop paying."""
        self._ended.set()

    def join(self) -> None:
        """Wait for the last command; then some commands that were answered are sent again."""
        self._thread.join(MORE_SECONDS)
        assert not self._thread.is_alive(), f"{self._label} does not come to its end"
        keys = list(self.answered)
        for key in keys[:: max(1, len(keys) // 20)]:
            self.send(key, self.answered[key][0])
        self._http.close()

    def _run(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            kind = number % 10
            body = {
                "payer": self.payer.account,
                "payee": {"node": self.payee.name, "alias": NOWHERE if kind == 3 else self._alias},
                "minutes": REFUSED_MINUTES if kind == 7 else 1,
                "purpose": "gift",
            }
            key = f"{self._label}/{number}"
            known = self.send(key, body)
            while not known and number % 2 and not self._ended.is_set():
                self._ended.wait(AGAIN_SECONDS)
                known = self.send(key, body)
            self._ended.wait(BETWEEN_SECONDS)

    def send(self, key: str, body: dict[str, object]) -> bool:
        """One attempt; says whether the command's outcome is known for good."""
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
        try:
            answer = self._http.post("/v1/transfers", json=body, headers=headers)
            outcome, said = judge(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            outcome, said = "fail", type(error).__name__
        except httpx.HTTPError as error:
            outcome, said = "unknown", type(error).__name__
        self.attempts += 1
        self._history.add(
            Attempt(
                town=self.payer.name,
                peer=self.payee.name,
                key=key_of(self._who, key),
                outcome=outcome,
                said=said,
            )
        )
        if outcome == "ok":
            self.answered[key] = body, said
        if said in _NO_TOKEN:
            self._renew()
        return outcome == "ok" or (outcome == "fail" and said not in _NOT_WRITTEN and not said.startswith("Connect"))

    def _renew(self) -> None:
        try:
            self._token = self.payer.renew_token()
        except httpx.HTTPError:
            return


def judge(answer: httpx.Response) -> tuple[Outcome, str]:
    """What an answer says became of a command, and the transfer or the code."""
    if answer.status_code == 201:
        return "ok", str(answer.json()["id"])
    try:
        code = str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        code = f"status {answer.status_code}"
    written_nothing = code in _NOT_WRITTEN or 400 <= answer.status_code < 500
    return "fail" if written_nothing else "unknown", code


class Load:
    """All payers of a scenario."""

    def __init__(self, payers: Sequence[Payer]) -> None:
        self.payers = payers

    def more(self, count: int = 10, *, of: Callable[[Payer], bool] = lambda _: True) -> None:
        """Wait until payers (all, or some) got so many more answers of 201."""
        chosen = [each for each in self.payers if of(each)]
        before = [len(each.answered) for each in chosen]
        until(
            lambda: all(len(each.answered) >= had + count for each, had in zip(chosen, before, strict=True)),
            seconds=MORE_SECONDS,
            what="payments go on",
        )

    def during(self, seconds: float) -> None:
        """Let payments go on, or fail, for so long."""
        self.payers[0].wait(seconds)

    def from_town(self, name: str, count: int = 10) -> None:
        """Wait until payers of one town got more answers."""
        self.more(count, of=lambda each: each.payer.name == name)

    def end(self) -> None:
        """Stop all, and repeat some of what was answered."""
        for each in self.payers:
            each.end()
        for each in self.payers:
            each.join()

    @property
    def answered(self) -> int:
        """Transfers that were acknowledged."""
        return sum(len(each.answered) for each in self.payers)
