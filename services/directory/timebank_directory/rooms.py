"""The rooms that the directory calls: its town's ledger, and the directories of peers. HTTP, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from timebank_contracts.registry import Registry


class RoomAway(Exception):
    """The other room does not answer; come again."""


class RoomRefused(Exception):
    """The other room refused; `status` and `body` are its problem document."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("detail", "refused")))
        self.status, self.body = status, body


class LedgerDoor:
    """The town's ledger.

    Args:
        http: a client whose base URL is the ledger's.
        token: makes a bearer token of scope `operate`.
    """

    def __init__(self, http: httpx.Client, token: Callable[[], str]) -> None:
        self._http = http
        self._token = token

    def open_account(self, account: str, *, kind: str, floor: int | None, ceiling: int | None, key: str) -> None:
        """Open an account; floor and ceiling in minutes, None for the town's default."""
        body = {"account": account, "kind": kind, "floor": floor, "ceiling": ceiling}
        self._post("/v1/accounts", {name: value for name, value in body.items() if value is not None}, key)

    def issue_alias(self, account: str, *, audience: str | None, key: str) -> str:
        """A new receiving address of an account, for one peer or for anybody."""
        said = self._post(f"/v1/accounts/{account}/aliases", {} if audience is None else {"audience": audience}, key)
        return str(said["alias"])

    def _post(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token()}", "Idempotency-Key": key}
        return _answer(lambda: self._http.post(path, json=body, headers=headers))


class PeerDirectories:
    """Directories of other nodes, asked with a node token.

    Args:
        http: a client without a base URL, its time-outs bounded.
        token: makes a node token: audience → text.
        registry: the registry in force, or None.
    """

    def __init__(
        self, http: httpx.Client, token: Callable[[str], str], registry: Callable[[], Registry | None]
    ) -> None:
        self._http = http
        self._token = token
        self._registry = registry

    def resolve(self, node: str, handle: str) -> str | None:
        """The receiving address that a peer's member gives us; None when there is none or they did not consent.

        Raises:
            RoomAway: the peer does not answer. RoomRefused: it refuses us.
        """
        registry = self._registry()
        peer = None if registry is None else registry.find(node)
        if registry is None or peer is None:
            return None
        headers = {"Authorization": f"Bearer {self._token(f'{registry.network}/{node}')}"}
        url = f"{peer.url.rstrip('/')}/v1/payees"
        try:
            return str(_answer(lambda: self._http.post(url, json={"handle": handle}, headers=headers))["alias"])
        except RoomRefused as refused:
            if refused.status == 404:
                return None
            raise


def _answer(call: Callable[[], httpx.Response]) -> dict[str, Any]:
    try:
        answer = call()
    except httpx.HTTPError as error:
        raise RoomAway(f"The other room does not answer: {type(error).__name__}.") from error
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if answer.status_code >= 500:
        raise RoomAway(str(body.get("detail", f"The other room answered {answer.status_code}.")))
    if answer.status_code >= 400:
        raise RoomRefused(answer.status_code, body)
    return dict(body)
