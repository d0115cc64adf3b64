"""The rooms that the directory calls: its town's ledger, and the directories of peers. HTTP, here or elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import httpx

from timebank_contracts.errors import REFUSALS
from timebank_contracts.names import ALIAS_PATTERN
from timebank_contracts.registry import Registry
from timebank_kit.fetch import fetch

PEER_BYTES_MAX: Final = 65_536
PEER_SECONDS_MAX: Final = 20.0
_ALIAS = re.compile(ALIAS_PATTERN)


class RoomAway(Exception):
    """The other room does not answer, or not as agreed; come again."""


class RoomRefused(Exception):
    """The town's ledger refused by its rules; `code` is one of `errors.REFUSALS`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


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
        return _alias(said)

    def is_closed(self, account: str) -> bool:
        """Whether an account is closed, for good."""
        return self._ask("GET", f"/v1/accounts/{account}").get("state") == "closed"

    def is_kept(self, alias: str) -> bool:
        """Whether an address that was issued is still good: not taken back."""
        try:
            self._ask("GET", f"/v1/aliases/{alias}")
        except RoomRefused as refused:
            if refused.code != "alias_unknown":
                raise
            return False
        return True

    def _post(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        return self._ask("POST", path, json=body, headers={"Idempotency-Key": key})

    def _ask(
        self, method: str, path: str, *, json: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token()}"} | (headers or {})
        try:
            answer = self._http.request(method, path, json=json, headers=headers)
        except httpx.HTTPError as error:
            raise RoomAway(f"The town's ledger does not answer: {type(error).__name__}.") from error
        said = _object(answer)
        code = str(said.get("code"))
        if code in REFUSALS:
            raise RoomRefused(code, str(said.get("detail", REFUSALS[code])))
        if answer.status_code >= 400:
            raise RoomAway(f"The town's ledger answered {answer.status_code}; its /readyz says why.")
        return said


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
            RoomAway: the peer does not answer, or not with a receiving address.
        """
        registry = self._registry()
        peer = None if registry is None else registry.find(node)
        if registry is None or peer is None:
            return None
        headers = {"Authorization": f"Bearer {self._token(f'{registry.network}/{node}')}"}
        url = f"{peer.url.rstrip('/')}/v1/payees"
        try:
            answer = fetch(
                self._http,
                "POST",
                url,
                bytes_max=PEER_BYTES_MAX,
                seconds_max=PEER_SECONDS_MAX,
                headers=headers,
                json={"handle": handle},
            )
        except httpx.HTTPError as error:
            raise RoomAway(f"The other town does not answer: {type(error).__name__}.") from error
        if answer.status_code == 404:
            return None
        if answer.status_code >= 400:
            # Whatever it says was said to our node, not to who asked us.
            raise RoomAway(f"The other town answered {answer.status_code}; its operator finds the reason.")
        return _alias(_object(answer))


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {}


def _alias(said: dict[str, Any]) -> str:
    alias = said.get("alias")
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias):
        raise RoomAway("The answer holds no receiving address; the other side speaks another version.")
    return alias
