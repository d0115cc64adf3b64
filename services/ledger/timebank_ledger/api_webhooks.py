"""Routes of webhooks: a client's own subscriptions, their secrets, and the log of what was delivered.

A client sees its own webhooks only, and names accounts that it was granted; an operator sees all of them. A secret is
answered where it is made and never again: whose answer was lost makes a new one.
Source: design page 3, "HTTP API"; `webhook_sender.py` says what happens with them.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from timebank_contracts import http_webhooks as h
from timebank_contracts.errors import Refusal
from timebank_contracts.moments import show_time
from timebank_contracts.tokens import Caller
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, may_see
from timebank_ledger.api_edits import TheExpected
from timebank_ledger.api_feed import seen_accounts
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs
from timebank_ledger.tags import tag_of
from timebank_ledger.webhook_hint import new_secret
from timebank_ledger.webhook_store import Asked, Change, Changed
from timebank_ledger.webhook_tables import Delivery, Endpoint, milliseconds, moment_of
from timebank_ledger.webhook_target import TargetRefused, parse_target

router = APIRouter(prefix="/v1/webhooks", route_class=GuardedRoute, tags=["webhooks"])
_SCOPES = ("statements:read", "operate")
WebhookPath = Annotated[str, Path(pattern="^wh-[0-9a-f]{32}$", description="The webhook's id.")]
DeliveryPath = Annotated[int, Path(ge=1, le=2**53 - 1, description="The delivery's number.")]


@router.post("", operation_id="createWebhook", status_code=201, openapi_extra=needs(*_SCOPES, keyed=True))
def create_webhook(
    edge: TheEdge, caller: TheCaller, key: TheKey, body: h.NewWebhook, response: Response, dry_run: TheDryRun
) -> h.WebhookMade:
    """Subscribe to what happens from now on. The answer holds the signing secret: keep it, it is not said again."""
    asking = _Asking(edge, caller, key, dry_run=dry_run)
    assert edge.identity, "a journal that was not opened is refused here"
    made = Endpoint(
        id=f"wh-{edge.random_bytes(16).hex()}",
        owner=asking.owner,
        **_wishes(edge, caller, body),
        secret=new_secret(edge.random_bytes),
        old_secret=None,
        old_secret_until=0,
        state="active",
        failure=None,
        position=edge.length,
        failures=0,
        due=0,
        made_at=asking.now,
        deliveries=0,
        waiting=0,
    )
    changed = asking.ask(made.id, edge.webhooks.add(made), kind="create", body=body.model_dump())
    return _made_answer(changed, response, asking)


@router.get("", operation_id="listWebhooks", openapi_extra=needs(*_SCOPES))
def list_webhooks(
    edge: TheEdge,
    caller: TheCaller,
    after: Annotated[str, Query(max_length=40, description="Cursor: `next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=100, description="Webhooks in a page.")] = 100,
) -> h.Webhooks:
    """The caller's webhooks; for an operator, the town's."""
    owner = None if "operate" in caller.scopes else _owner(caller)
    found = edge.webhooks.page(owner, after=after, limit=limit + 1)
    now = milliseconds(edge.clock.now())
    page = [h.Webhook(**_shown(one, now)) for one in found[:limit]]
    return h.Webhooks(webhooks=page, next=page[-1].id if len(found) > limit else None)


@router.get("/{webhook}", operation_id="getWebhook", openapi_extra=needs(*_SCOPES))
def get_webhook(edge: TheEdge, caller: TheCaller, webhook: WebhookPath, response: Response) -> h.Webhook:
    """A webhook as it stands."""
    found = _own(edge, caller, webhook)
    response.headers["ETag"] = f'"{_tag(found)}"'
    return h.Webhook(**_shown(found, milliseconds(edge.clock.now())))


@router.put("/{webhook}", operation_id="editWebhook", openapi_extra=needs(*_SCOPES, keyed=True))
def edit_webhook(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    webhook: WebhookPath,
    body: h.NewWebhook,
    response: Response,
    expected: TheExpected,
    dry_run: TheDryRun,
) -> h.Webhook:
    """Say anew where hints are sent and what is wanted; it holds for the events from `position` on."""
    _own(edge, caller, webhook)
    wishes = _wishes(edge, caller, body)

    def edit(found: Endpoint) -> Endpoint:
        if expected is not None and _tag(found) not in expected:
            raise Refusal("precondition_failed")
        return found._replace(**wishes)

    asking = _Asking(edge, caller, key, dry_run=dry_run)
    content = {"kind": "edit", "body": body.model_dump(), "expected": None if expected is None else list(expected)}
    changed = asking.ask(webhook, edge.webhooks.edit(webhook, edit), **content)
    return _answer(changed, response, asking)


@router.delete("/{webhook}", operation_id="deleteWebhook", status_code=204, openapi_extra=needs(*_SCOPES, keyed=True))
def delete_webhook(edge: TheEdge, caller: TheCaller, key: TheKey, webhook: WebhookPath, dry_run: TheDryRun) -> Response:
    """End a subscription; its log goes with it."""
    if edge.webhooks.find(webhook) is not None:
        _own(edge, caller, webhook)
    _Asking(edge, caller, key, dry_run=dry_run).ask(webhook, edge.webhooks.remove(webhook), kind="delete")
    return Response(status_code=204)


@router.post("/{webhook}/secret", operation_id="rotateWebhookSecret", openapi_extra=needs(*_SCOPES, keyed=True))
def rotate_secret(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    webhook: WebhookPath,
    body: h.NewSecret,
    response: Response,
    dry_run: TheDryRun,
) -> h.WebhookMade:
    """Make a new signing secret; the one before signs too until the overlap is over."""
    _own(edge, caller, webhook)
    asking = _Asking(edge, caller, key, dry_run=dry_run)
    secret, until = new_secret(edge.random_bytes), asking.now + body.overlap_seconds * 1_000

    def edit(found: Endpoint) -> Endpoint:
        return found._replace(secret=secret, old_secret=found.secret, old_secret_until=until)

    content = {"kind": "secret", "body": body.model_dump()}
    return _made_answer(asking.ask(webhook, edge.webhooks.edit(webhook, edit), **content), response, asking)


@router.post("/{webhook}/enable", operation_id="enableWebhook", openapi_extra=needs(*_SCOPES, keyed=True))
def enable_webhook(
    edge: TheEdge, caller: TheCaller, key: TheKey, webhook: WebhookPath, response: Response, dry_run: TheDryRun
) -> h.Webhook:
    """Send again, from the event where it stopped, at once and with all its attempts before it."""
    _own(edge, caller, webhook)
    length = edge.length

    def edit(found: Endpoint) -> Endpoint:
        start = min(found.position, length)
        return found._replace(state="active", failure=None, failures=0, due=0, position=start)

    asking = _Asking(edge, caller, key, dry_run=dry_run)
    return _answer(asking.ask(webhook, edge.webhooks.edit(webhook, edit), kind="enable"), response, asking)


@router.get("/{webhook}/deliveries", operation_id="listWebhookDeliveries", openapi_extra=needs(*_SCOPES))
def list_deliveries(
    edge: TheEdge,
    caller: TheCaller,
    webhook: WebhookPath,
    before: Annotated[int, Query(ge=1, le=2**53 - 1, description="Cursor: `before` of the page before.")] = 2**53 - 1,
    limit: Annotated[int, Query(ge=1, le=100, description="Deliveries in a page.")] = 50,
) -> h.WebhookDeliveries:
    """What was sent, and what came back; the newest first."""
    _own(edge, caller, webhook)
    found = edge.webhooks.deliveries(webhook, before=before, limit=limit + 1)
    page = [_delivery_answer(one) for one in found[:limit]]
    return h.WebhookDeliveries(deliveries=page, before=page[-1].delivery if len(found) > limit else None)


@router.post(
    "/{webhook}/deliveries/{delivery}/replay",
    operation_id="replayWebhookDelivery",
    status_code=202,
    openapi_extra=needs(*_SCOPES, keyed=True),
)
def replay_delivery(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    webhook: WebhookPath,
    delivery: DeliveryPath,
    dry_run: TheDryRun,
) -> h.WebhookDelivery:
    """Send a delivery's hint once more, with the same id, whatever the webhook's state; the log says what came back."""
    _own(edge, caller, webhook)
    asking = _Asking(edge, caller, key, dry_run=dry_run)
    change = edge.webhooks.send_again(webhook, delivery, now=asking.now)
    changed = asking.ask(webhook, change, kind="replay", delivery=delivery)
    if changed.delivery is None:
        raise EdgeProblem("delivery_unknown")
    return _delivery_answer(changed.delivery)


class _Asking:
    """Who asks for a change, and under which key."""

    def __init__(self, edge: Edge, caller: Caller, key: str, *, dry_run: bool) -> None:
        self._edge = edge
        self._key = key
        self.owner = _owner(caller)
        self.now = milliseconds(edge.clock.now())
        self.dry_run = dry_run

    def ask(self, webhook: str, change: Change, **content: Any) -> Changed:
        """Make the change once; `content` is what was asked."""
        named = content if content["kind"] == "create" else {"webhook": webhook, **content}
        asked = Asked(
            owner=self.owner,
            key=c.key_of(self.owner, self._key),
            digest=c.digest_of(named),
            now=self.now,
            dry_run=self.dry_run,
        )
        return self._edge.webhooks.ask(asked, webhook, change)


def _owner(caller: Caller) -> str:
    return f"{caller.issuer}/{caller.subject}"


def _own(edge: Edge, caller: Caller, webhook: str) -> Endpoint:
    """The webhook, if it is the caller's; another's is as unknown as none."""
    found = edge.webhooks.find(webhook)
    if found is None or not ("operate" in caller.scopes or found.owner == _owner(caller)):
        raise EdgeProblem("webhook_unknown")
    return found


def _wishes(edge: Edge, caller: Caller, body: h.NewWebhook) -> dict[str, Any]:
    """Where to and what, once both are allowed."""
    try:
        parse_target(body.url, allow_loopback=edge.settings.webhook_allow_loopback)
    except TargetRefused as refused:
        raise EdgeProblem("url_refused", str(refused)) from refused
    accounts = seen_accounts(caller) if body.accounts is None else frozenset(body.accounts)
    for account in sorted(accounts or ()):
        if not may_see(caller, account):
            raise Forbidden(f"The token was not granted the account {account}.")
    if accounts is not None and len(accounts) > h.ACCOUNTS_MAX:
        raise EdgeProblem("field_invalid", f"accounts: name at most {h.ACCOUNTS_MAX}.")
    return {
        "url": body.url,
        "accounts": None if accounts is None else tuple(sorted(accounts)),
        "types": None if body.types is None else tuple(sorted(set(body.types))),
    }


def _tag(endpoint: Endpoint) -> str:
    return tag_of({"url": endpoint.url, "accounts": endpoint.accounts, "types": endpoint.types})


def _answer(changed: Changed, response: Response, asking: _Asking) -> h.Webhook:
    if changed.endpoint is None:
        raise EdgeProblem("webhook_unknown")
    response.headers["ETag"] = f'"{_tag(changed.endpoint)}"'
    return h.Webhook(**_shown(changed.endpoint, asking.now))


def _made_answer(changed: Changed, response: Response, asking: _Asking) -> h.WebhookMade:
    shown = _answer(changed, response, asking).model_dump()
    assert changed.endpoint is not None
    hidden = changed.repeated or asking.dry_run
    return h.WebhookMade(**shown, secret=None if hidden else changed.endpoint.secret)


def _shown(endpoint: Endpoint, now: int) -> dict[str, Any]:
    """A webhook without its secrets."""
    waits = endpoint.state == "active" and endpoint.failures > 0
    overlaps = len(endpoint.secrets(now)) > 1
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "accounts": None if endpoint.accounts is None else list(endpoint.accounts),
        "types": None if endpoint.types is None else list(endpoint.types),
        "state": endpoint.state,
        "failure": endpoint.failure,
        "position": endpoint.position,
        "failures": endpoint.failures,
        "next_attempt_at": _show(endpoint.due) if waits else None,
        "old_secret_until": _show(endpoint.old_secret_until) if overlaps else None,
        "made_at": _show(endpoint.made_at),
    }


def _delivery_answer(delivery: Delivery) -> h.WebhookDelivery:
    shown = delivery._asdict()
    return h.WebhookDelivery(
        delivery=shown["n"],
        at=_show(delivery.at),
        **{name: shown[name] for name in h.WebhookDelivery.model_fields if name not in ("delivery", "at")},
    )


def _show(moment: int) -> str:
    return show_time(moment_of(moment))
