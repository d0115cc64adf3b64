"""Subscriptions: where the town sends its hints, with which secret, and what became of them.

create ─▶ Webhook with its secret (said once) ─▶ hints arrive ─▶ verify_webhook ─▶ read the event feed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from timebank_client.answers import Webhook, WebhookDelivery
from timebank_client.asked import dry
from timebank_client.door import Door
from timebank_client.sending import Answer

OVERLAP_SECONDS: Final = 86_400


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    webhooks: list[Webhook]
    next: str | None = None


class _Deliveries(msgspec.Struct, frozen=True, kw_only=True):
    deliveries: list[WebhookDelivery]
    before: int | None = None


class Webhooks:
    """The client's own subscriptions."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def create(
        self,
        url: str,
        *,
        accounts: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        key: str | None = None,
        dry_run: bool = False,
    ) -> Webhook:
        """Subscribe to what happens from now on.

        Args:
            url: https, a public name or address; in a sandbox also `http://127.0.0.1:…`.
            accounts: whose events; None: those of all accounts that the client was granted.
            types: which types of events; None: all.
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.

        Returns:
            The webhook with its `secret`, which is not said again. Where an answer was lost it is missing: make another
            by `rotate_secret`.

        Raises:
            Invalid: `url_refused`.
        """
        return self._ask("createWebhook", Webhook, None, _wishes(url, accounts, types), key=key, dry_run=dry_run)

    def list(self) -> Iterator[Webhook]:
        """All of the client's, page after page."""
        after: str | None = None
        while True:
            page = self._door.ask("listWebhooks", _Page, query={"after": after})
            yield from page.webhooks
            if page.next is None:
                return
            after = page.next

    def get(self, webhook: str) -> Webhook:
        """One as it stands; raises `NotFound`."""
        return self._door.ask("getWebhook", Webhook, path={"webhook": webhook})

    def edit(
        self,
        webhook: str,
        url: str,
        *,
        accounts: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        key: str | None = None,
        dry_run: bool = False,
    ) -> Webhook:
        """Say anew where hints are sent and what is wanted. Args: see `create`."""
        return self._ask("editWebhook", Webhook, webhook, _wishes(url, accounts, types), key=key, dry_run=dry_run)

    def delete(self, webhook: str, *, key: str | None = None) -> None:
        """End a subscription; its log goes with it."""
        self._ask("deleteWebhook", type(None), webhook, None, key=key, dry_run=False)

    def rotate_secret(self, webhook: str, *, overlap_seconds: int = OVERLAP_SECONDS, key: str | None = None) -> Webhook:
        """Make a new signing secret, which the answer holds.

        Args:
            webhook: its id.
            overlap_seconds: for how long the one before signs too, 0 to 604,800.
            key: Idempotency-Key; None: a new one.
        """
        body = {"overlap_seconds": overlap_seconds}
        return self._ask("rotateWebhookSecret", Webhook, webhook, body, key=key, dry_run=False)

    def enable(self, webhook: str, *, key: str | None = None) -> Webhook:
        """Send again, from the event where it stopped."""
        return self._ask("enableWebhook", Webhook, webhook, None, key=key, dry_run=False)

    def deliveries(self, webhook: str) -> Iterator[WebhookDelivery]:
        """What was sent and what came back, the newest first; the town keeps the last 500."""
        before: int | None = None
        while True:
            page = self._door.ask(
                "listWebhookDeliveries", _Deliveries, path={"webhook": webhook}, query={"before": before}
            )
            yield from page.deliveries
            if page.before is None:
                return
            before = page.before

    def replay(self, webhook: str, delivery: int, *, key: str | None = None) -> WebhookDelivery:
        """Send a hint once more, with the same id, whatever the state of the webhook."""
        return self._door.ask(
            "replayWebhookDelivery",
            WebhookDelivery,
            path={"webhook": webhook, "delivery": str(delivery)},
            key=key or self._door.around.new_key(),
        )

    def _ask(
        self,
        operation: str,
        into: type[Answer],
        webhook: str | None,
        body: dict[str, Any] | None,
        *,
        key: str | None,
        dry_run: bool,
    ) -> Answer:
        return self._door.ask(
            operation,
            into,
            path={} if webhook is None else {"webhook": webhook},
            query=dry(dry_run),
            body=body,
            key=key or self._door.around.new_key(),
        )


def _wishes(url: str, accounts: Sequence[str] | None, types: Sequence[str] | None) -> dict[str, Any]:
    body: dict[str, Any] = {"url": url}
    if accounts is not None:
        body["accounts"] = list(accounts)
    if types is not None:
        body["types"] = list(types)
    return body
