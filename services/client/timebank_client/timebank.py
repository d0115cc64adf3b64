"""`Timebank`: one town, as one client may use it."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import httpx

from timebank_client.accounts import Accounts, Payees
from timebank_client.claims import Claims
from timebank_client.credentials import Credentials, PrivateKey, Secret
from timebank_client.door import Door
from timebank_client.events import Events
from timebank_client.money import MoneyRecords
from timebank_client.retries import Retries
from timebank_client.routes import ROUTES
from timebank_client.sending import Sender, Surroundings
from timebank_client.subscriptions import Webhooks
from timebank_client.tokens import Tokens
from timebank_client.transfers import Transfers

TIMEOUT_SECONDS: Final = 30.0
VERSION: Final = "0.1.0"


class Timebank:
    """A town's API. It may be used by several threads; close it, or use it in a `with` block.

    Args:
        url: address of the town.
        client_id: as the town's operator gave it.
        client_secret: its secret, or
        private_key: the key that the operator registered the public part of.
        directory_url: where the directory is, when it is not at the same address.
        token_url: where tokens are made, when an outside issuer makes them; None: at the directory.
        scope: what the client's tokens shall allow, separated by spaces; empty: all that was granted.
        language: en or cy, of the texts in refusals; codes are the same in each.
        audience: for whom an assertion by `private_key` is made; None: the address of the token route.
        timeout_seconds: of each try.
        retries: how stubborn the client is.
        transport: another way to the town, for tests or proxies.
        around: clock, chance and sleep, for tests.

    Raises:
        ValueError: neither a secret nor a key, or both.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str | None = None,
        private_key: PrivateKey | None = None,
        directory_url: str | None = None,
        token_url: str | None = None,
        scope: str = "",
        language: str = "en",
        audience: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
        around: Surroundings | None = None,
    ) -> None:
        if (client_secret is None) == (private_key is None):
            raise ValueError("Give client_secret or private_key, and not both.")
        credentials: Credentials | None = private_key if client_secret is None else Secret(client_secret)
        assert credentials is not None
        # No redirect is followed: a token goes to no other place.
        self._http = httpx.Client(
            timeout=timeout_seconds,
            transport=transport,
            follow_redirects=False,
            headers={"User-Agent": f"timebank-client/{VERSION}", "Accept-Language": language},
        )
        sender = Sender(http=self._http, retries=retries or Retries(), around=around or Surroundings())
        directory = (directory_url or url).rstrip("/")
        tokens = Tokens(
            sender,
            url=token_url or directory + ROUTES["getToken"][1],
            client_id=client_id,
            credentials=credentials,
            scope=scope,
            audience=audience,
        )
        self._door = Door(sender, tokens, ledger_url=url, directory_url=directory)
        self.accounts = Accounts(self._door)
        self.payees = Payees(self._door)
        self.transfers = Transfers(self._door)
        self.claims = Claims(self._door)
        self.money = MoneyRecords(self._door)
        self.events = Events(self._door)
        self.webhooks = Webhooks(self._door)

    def token(self) -> str:
        """A token that is valid for some minutes more, for requests of your own."""
        return self._door.token()

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
