"""One town's ledger as a real process on a real store, and the promise that every fault must leave standing.

`acknowledged` keeps each command that was answered, and its answer; `check` holds the town to them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import httpx

from deploy.local.towns import LocalTown, is_ready, make_network
from deploy.servers.child import free_port
from tests.e2e.faulty_ledger import serve
from tests.e2e.forked import Forked
from tests.e2e.running_towns import until
from timebank_contracts.tokens import TokenKey
from timebank_kit.journal import open_journal
from timebank_node.cli import main
from timebank_node.home import open_home

NETWORK = "faults.timebank.wales"
NODE = "aberdare"
READY_SECONDS = 30.0
HTTP_SECONDS = 30.0
SCOPES = frozenset({"operate", "transfers:write", "accounts:read", "statements:read", "audit:read", "reports:read"})
TRANSFERS = "/v1/transfers"


def gift(minutes: int, *, payer: str = "alys", payee: str = "bryn", **more: Any) -> dict[str, Any]:
    """The body of a transfer."""
    return {"payer": payer, "payee": {"account": payee}, "minutes": minutes, "purpose": "gift", **more}


class OneLedger:
    """A town's ledger process, and what it acknowledged.

    Args:
        folder: for the home and the logs.
        journal: the URL of its store; None: SQLite in its home.
        variables: more settings.
        peers: other towns of the network, which never run.
        pair_limit: what two towns may owe each other, in minutes.
    """

    def __init__(
        self,
        folder: Path,
        journal: str | None,
        *,
        variables: Mapping[str, str] | None = None,
        peers: Sequence[str] = (),
        pair_limit: int = 6_000,
    ) -> None:
        self.folder = folder
        ports = {"ledger": free_port(), "federation": free_port()}
        self.town, *others = [LocalTown(name=name, home=folder / name, ports=ports) for name in (NODE, *peers)]
        make_network(NETWORK, [self.town, *others], folder=folder, pair_limit=pair_limit)
        self.port = self.town.ports["ledger"]
        self.journal_url = journal or f"sqlite:{self.town.home}/journal.db"
        self.order_file = folder / "order"
        self.acknowledged: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {}
        """Key → path, body, answer."""
        self._variables = {"TIMEBANK_LEDGER_JOURNAL_URL": self.journal_url, **(variables or {})}
        self._child: Forked | None = None
        home = open_home(self.town.home)
        self._token = TokenKey(home.seed("token"), home.key("token").public).issue(
            issuer=f"{NODE}/directory",
            subject="tester",
            audience=f"{NETWORK}/{NODE}",
            scopes=SCOPES,
            accounts=None,
            now_seconds=int(time.time()),
            seconds=900,
        )
        self._http = self._client()

    @property
    def url(self) -> str:
        """Where its process serves."""
        return f"http://127.0.0.1:{self.port}"

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self._token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=HTTP_SECONDS)

    def twin(self, port: int) -> OneLedger:
        """The same town once more, for a second process: the accident that some tests are about."""
        other = copy(self)
        other.port, other._child = port, None
        other._http = other._client()
        return other

    def start(self) -> None:
        """Start the process, and wait until it is ready."""
        log = self.folder / f"ledger-{self.port}.log"
        child = self._child = Forked(
            serve, self.town.home, self.port, self.order_file, log=log, variables=self._variables
        )
        until(
            lambda: is_ready(self.url) or not child.running(),
            seconds=READY_SECONDS,
            what=f"the ledger is ready; see {log}",
        )
        assert child.running(), child.written()

    def order(self, what: str) -> None:
        """What fails next, see `faulty_ledger`; the next call that meets the point obeys."""
        beside = self.order_file.with_suffix(".new")
        beside.write_text(what, "ascii")
        beside.replace(self.order_file)

    def wait_killed(self) -> None:
        """Wait until the process has killed itself, as it was told."""
        child = self.child
        until(lambda: not child.running(), seconds=10, what="the process dies at the chosen point")
        assert not self.order_file.exists(), "it died of something else"
        child.kill()
        self._child = None

    @property
    def child(self) -> Forked:
        """The running process."""
        assert self._child is not None, "start it first"
        return self._child

    def stop(self) -> None:
        """End the process as an operator does."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def close(self) -> None:
        """End all that runs."""
        self.stop()
        self._http.close()

    # Asking ------------------------------------------------------------------------------------------------------

    def post(self, body: dict[str, Any], *, key: str, path: str = TRANSFERS) -> httpx.Response | None:
        """One command; None when the connection ended without an answer. What was answered with 201 is kept."""
        try:
            answer = self._http.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            return None
        if answer.status_code == 201:
            known = self.acknowledged.setdefault(key, (path, body, answer.json()))
            assert answer.json() == known[2], "the same key has one answer"
        return answer

    def settle(self, body: dict[str, Any], *, key: str, path: str = TRANSFERS, seconds: float = 30) -> dict[str, Any]:
        """Send a command as a careful client does: again, with the same key, until it is known; returns the answer."""

        def known() -> dict[str, Any] | None:
            answer = self.post(body, key=key, path=path)
            if answer is None or answer.status_code == 503:
                return None
            assert answer.status_code == 201, answer.text
            found: dict[str, Any] = answer.json()
            return found

        found: dict[str, Any] = until(known, seconds=seconds, what=f"{key} is answered")
        return found

    def door(self, *, key: str) -> tuple[str, dict[str, str]]:
        """Where transfers are posted, and the headers of one."""
        return f"{self.url}{TRANSFERS}", {**self._http.headers, "Idempotency-Key": key}

    def hand_in_registry(self) -> None:
        """What federation does: let the ledger accept the network's registry."""
        envelope = (self.folder / "registry.json").read_bytes()
        answer = self._http.put("/v1/registry", content=envelope, headers={"Idempotency-Key": "registry"})
        assert answer.status_code == 200, answer.text

    def get(self, path: str) -> httpx.Response:
        """One question."""
        return self._http.get(path)

    def balance(self, account: str) -> int:
        """Minutes on an account."""
        answer = self.get(f"/v1/accounts/{account}")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["balance"])

    def moved(self, body: dict[str, Any]) -> int:
        """What a command of `every_kind` does to the account of Alys: the last one takes the first back."""
        if "reason" in body and "payer" not in body:
            return int(self.acknowledged["transfer"][1]["minutes"])
        sign = {body["payer"]: -1, body["payee"]["account"]: 1}.get("alys", 0)
        return sign * int(body["minutes"])

    def checkpoint_size(self) -> int | None:
        """Entries in the checkpoint that is published now; None when the connection ended without an answer."""
        try:
            answer = self.get("/checkpoint")
        except httpx.TransportError:
            return None
        assert answer.status_code == 200, answer.text
        return int(answer.text.splitlines()[1])

    def metric(self, name: str) -> float:
        """The value of a gauge of the ledger."""
        lines = self.get("/metrics").text.splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"timebank_ledger_{name} "))

    def unready(self) -> str:
        """Why it is not ready; empty when it is."""
        answer = self.get("/readyz")
        return "" if answer.status_code == 200 else str(answer.json()["detail"])

    def trouble(self) -> str:
        """What does not work although commands are taken."""
        answer = self.get("/readyz")
        return " ".join(answer.json()["trouble"]) if answer.status_code == 200 else ""

    def begin(self) -> None:
        """Open the accounts that the tests use: two members, and what grants, support and imports come from."""
        for account, kind, floor, ceiling in (
            ("alys", "member", -60_000, 60_000),
            ("bryn", "member", -60_000, 60_000),
            ("opening", "opening", -60_000, 60_000),
        ):
            body = {"account": account, "kind": kind, "floor": floor, "ceiling": ceiling}
            self.settle(body, key=f"open/{account}", path="/v1/accounts")
        self.settle(gift(120, payee="pot", purpose="pot"), key="to-the-pot")

    # The promise -------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Nothing acknowledged is lost, nothing is doubled, the sum is 0, and the auditor is content; then it stops."""
        for key, (path, body, _) in list(self.acknowledged.items()):
            self.settle(body, key=key, path=path)
        accounts = self.get("/v1/accounts?limit=1000").json()["accounts"]
        assert sum(int(account["balance"]) for account in accounts) == 0
        assert self.get("/v1/trial-balance").status_code == 200
        self.stop()
        self.check_journal()
        log = self.folder / "log"
        self._timebank("node", "export", self.town.home, log)
        assert "PASS" in self._timebank("audit", "verify", log, "--vkey", log / "vkey")

    def _timebank(self, *arguments: str | Path) -> str:
        """Run the `timebank` command; returns what it said."""
        log = self.folder / "commands.log"
        command = Forked(main, list(map(str, arguments)), log=log, variables=self._variables)
        assert command.wait(seconds=60) == 0, command.written()
        return command.written()

    def check_journal(self) -> None:
        """One entry for each command that was acknowledged, and none that no client asked for."""
        journal = open_journal(self.journal_url, f"{NETWORK}/{NODE}")
        try:
            keys = [record.key for record in journal.scan(0, journal.length()) if record.key is not None]
        finally:
            journal.close()
        assert len(keys) == len(set(keys)) == len(self.acknowledged)


@contextmanager
def one_ledger(folder: Path, *, journal: str | None, **more: Any) -> Iterator[OneLedger]:
    """A town with its accounts, whose process runs; it ends with the block. Args: see `OneLedger`."""
    ledger = OneLedger(folder, journal, **more)
    try:
        ledger.start()
        ledger.begin()
        yield ledger
    finally:
        ledger.close()


def every_kind(ledger: OneLedger) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, path and body of each kind of command that moves minutes; the last takes the first back."""
    yield "transfer", TRANSFERS, gift(5)
    yield "grant", TRANSFERS, gift(60, payer="grant", payee="alys", purpose="grant")
    yield "payout", TRANSFERS, gift(30, payer="pot", purpose="support", reason="hardship")
    yield "opening", TRANSFERS, gift(600, payer="opening", payee="alys", purpose="opening")
    first = ledger.acknowledged["transfer"][2]["id"]
    yield "reversal", f"{TRANSFERS}/{first}/reversal", {"reason": "mistake"}
