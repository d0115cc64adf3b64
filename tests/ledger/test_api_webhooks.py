"""Subscribing over HTTP: one's own webhooks for granted accounts, a secret said once, a key that makes it once."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.ledger.test_webhook_target import INSIDE, OTHERWISE
from tests.ledger.town_api import Client, Town, gift
from timebank_kit.files import UnsafeFile
from timebank_ledger.webhook_store import ENDPOINTS_PER_OWNER_MAX, KEYS_KEPT, Asked, WebhookStore
from timebank_ledger.webhook_tables import STATES, Endpoint, webhooks_url

URL = "https://hooks.example.org/in"
PATH = "/v1/webhooks"


def _partner(town: Town, *accounts: str, subject: str = "housing") -> Client:
    return town.client("statements:read", subject=subject, accounts=frozenset(accounts or {"alys", "library"}))


def _made(client: Client, **more: Any) -> dict[str, Any]:
    answer = client.post(PATH, {"url": URL, **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_webhook_is_made_for_the_granted_accounts_and_begins_now(town: Town) -> None:
    partner = _partner(town)
    made = _made(partner, types=["transfer.posted", "account.frozen"])
    assert made.pop("secret").startswith("whsec_")
    assert made == {
        "id": made["id"],
        "url": URL,
        "accounts": ["alys", "library"],
        "types": ["account.frozen", "transfer.posted"],
        "state": "active",
        "failure": None,
        "position": 6,
        "failures": 0,
        "next_attempt_at": None,
        "old_secret_until": None,
        "made_at": "2026-03-02T10:00:00.000Z",
    }
    assert partner.get(f"{PATH}/{made['id']}").json() == made
    assert partner.get(PATH).json() == {"webhooks": [made], "next": None}


def test_a_secret_is_answered_once_and_never_again(town: Town) -> None:
    partner = _partner(town)
    first = partner.post(PATH, {"url": URL}, key="k").json()
    again = partner.post(PATH, {"url": URL}, key="k")
    assert (again.status_code, again.json()) == (201, first | {"secret": None})
    path = f"{PATH}/{first['id']}"
    second = partner.post(f"{path}/secret", {}, key="s").json()
    assert second["secret"] != first["secret"]
    assert second["old_secret_until"] == "2026-03-03T10:00:00.000Z"
    assert partner.post(f"{path}/secret", {}, key="s").json()["secret"] is None
    for answer in (partner.get(path), partner.get(PATH), town.operator().get(path), partner.get(f"{path}/deliveries")):
        assert "whsec_" not in answer.text
        assert first["secret"].removeprefix("whsec_") not in answer.text


def test_a_key_makes_one_change_and_with_other_content_none(town: Town) -> None:
    partner = _partner(town)
    made = partner.post(PATH, {"url": URL}, key="k").json()
    assert partner.post(PATH, {"url": URL + "/b"}, key="k").json()["code"] == "key_reused"
    assert _partner(town, subject="other").post(PATH, {"url": URL}, key="k").json()["id"] != made["id"]
    path = f"{PATH}/{made['id']}"
    edited = partner.put(path, {"url": URL + "/b"}, key="e").json()
    partner.put(path, {"url": URL + "/c"}, key="f")
    assert partner.put(path, {"url": URL + "/b"}, key="e").json()["url"] == URL + "/c", "the second edit stands"
    assert edited["url"] == URL + "/b"
    for key in ("d", "d"):
        assert partner.delete(path, key=key).status_code == 204
    assert partner.delete(path, key="other").json()["code"] == "webhook_unknown"
    assert partner.get(PATH).json()["webhooks"] == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_without_a_key_is_refused(town: Town, method: str) -> None:
    partner = _partner(town)
    made = _made(partner)
    path = PATH if method == "POST" else f"{PATH}/{made['id']}"
    answer = town.http.request(method, path, json={"url": URL}, headers=partner.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "key_missing")


def test_a_dry_run_answers_and_changes_nothing(town: Town) -> None:
    partner = _partner(town)
    tried = partner.post(PATH + "?dry_run=true", {"url": URL}, key="k").json()
    assert (tried["secret"], tried["url"]) == (None, URL)
    assert partner.get(PATH).json()["webhooks"] == []
    made = partner.post(PATH, {"url": URL}, key="k").json()
    assert made["secret"] is not None
    path = f"{PATH}/{made['id']}"
    assert partner.put(path + "?dry_run=true", {"url": URL + "/b"}).json()["url"] == URL + "/b"
    assert partner.post(path + "/secret?dry_run=true", {}).json()["secret"] is None
    assert partner.delete(path + "?dry_run=true").status_code == 204
    assert partner.get(path).json() == {name: value for name, value in made.items() if name != "secret"}


def test_a_client_sees_and_changes_its_own_webhooks_only(town: Town) -> None:
    made = _made(_partner(town))
    other, path = _partner(town, "bryn", subject="other"), f"{PATH}/{made['id']}"
    answers = [
        other.get(path),
        other.put(path, {"url": URL}),
        other.delete(path),
        other.post(f"{path}/secret", {}),
        other.post(f"{path}/enable"),
        other.get(f"{path}/deliveries"),
        other.post(f"{path}/deliveries/1/replay"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "webhook_unknown")}
    assert other.get(PATH).json()["webhooks"] == []
    assert town.operator().get(path).status_code == 200
    assert [one["id"] for one in town.operator().get(PATH).json()["webhooks"]] == [made["id"]]


def test_a_client_subscribes_to_granted_accounts_only(town: Town) -> None:
    partner = _partner(town)
    assert partner.post(PATH, {"url": URL, "accounts": ["alys", "bryn"]}).json()["code"] == "forbidden"
    made = _made(partner, accounts=["alys"])
    answer = partner.put(f"{PATH}/{made['id']}", {"url": URL, "accounts": ["bryn"]})
    assert answer.json()["code"] == "forbidden"
    assert town.client("accounts:read").post(PATH, {"url": URL}).json()["code"] == "forbidden"
    assert _made(town.operator(), accounts=["bryn"])["accounts"] == ["bryn"]


@pytest.mark.parametrize("url", INSIDE + OTHERWISE)
def test_a_url_that_leads_inside_is_refused_at_subscription(town: Town, url: str) -> None:
    """N-3."""
    answer = _partner(town).post(PATH, {"url": url})
    assert answer.status_code == 422
    assert answer.json()["code"] in ("url_refused", "field_invalid")
    made = _made(_partner(town))
    assert _partner(town).put(f"{PATH}/{made['id']}", {"url": url}).status_code == 422


def test_a_sandbox_may_name_this_machine_and_a_town_may_not(town: Town) -> None:
    assert town.member("alys").post(PATH, {"url": "http://127.0.0.1:8000/"}).json()["code"] == "url_refused"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": URL, "accounts": []},
        {"url": URL, "types": ["transfer.imagined"]},
        {"url": URL, "secret": "whsec_mine"},
        {"url": URL, "accounts": ["Alys Jones"]},
        {"url": 5},
    ],
)
def test_a_subscription_of_another_form_is_refused(town: Town, body: dict[str, Any]) -> None:
    answer = _partner(town).post(PATH, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")


def test_an_edit_of_what_was_changed_meanwhile_is_refused(town: Town) -> None:
    partner = _partner(town)
    path = f"{PATH}/{_made(partner)['id']}"
    tag = partner.get(path).headers["ETag"]
    edited = town.http.put(
        path, json={"url": URL + "/b"}, headers=partner.headers | {"Idempotency-Key": "1", "If-Match": tag}
    )
    assert edited.status_code == 200
    assert edited.headers["ETag"] == partner.get(path).headers["ETag"] != tag
    late = town.http.put(
        path, json={"url": URL + "/c"}, headers=partner.headers | {"Idempotency-Key": "2", "If-Match": tag}
    )
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")


def test_a_client_has_a_bounded_number_of_webhooks(town: Town) -> None:
    partner = _partner(town)
    for _ in range(ENDPOINTS_PER_OWNER_MAX):
        _made(partner)
    answer = partner.post(PATH, {"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_limit")
    page = partner.get(PATH, limit=10).json()
    rest = partner.get(PATH, limit=10, after=page["next"]).json()
    ids = [one["id"] for one in page["webhooks"] + rest["webhooks"]]
    assert (len(set(ids)), ids, rest["next"]) == (ENDPOINTS_PER_OWNER_MAX, sorted(ids), None)


def test_a_delivery_that_the_log_does_not_have_is_unknown(town: Town) -> None:
    partner = _partner(town)
    made = _made(partner)
    answer = partner.post(f"{PATH}/{made['id']}/deliveries/1/replay")
    assert (answer.status_code, answer.json()["code"]) == (404, "delivery_unknown")


def _endpoint(n: int = 0) -> Endpoint:
    return Endpoint(
        id=f"wh-{n:032}",
        owner="o",
        url=URL,
        accounts=None,
        types=("transfer.posted",),
        secret="whsec_" + "A" * 43 + "=",
        old_secret=None,
        old_secret_until=0,
        state="active",
        failure=None,
        position=5,
        failures=0,
        due=0,
        made_at=1,
        deliveries=0,
        waiting=0,
    )


def _add(store: WebhookStore, endpoint: Endpoint, *, key: str = "k", now: int = 0) -> None:
    asked = Asked(owner="o", key=key, digest="d", now=now)
    store.ask(asked, endpoint.id, store.add(endpoint))


def test_webhooks_outlive_a_restart_in_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    assert webhooks_url(f"sqlite:{path}") == f"sqlite:///{path}-webhooks"
    store = WebhookStore(webhooks_url(f"sqlite:{path}"), name="test")
    _add(store, _endpoint())
    store.close()
    again = WebhookStore(webhooks_url(f"sqlite:{path}"), name="test")
    assert again.page(None, after="", limit=9) == [_endpoint()]
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    again.close()


def test_the_error_of_a_database_repeats_no_secret(tmp_path: Path) -> None:
    store = WebhookStore(f"sqlite:///{tmp_path}/webhooks.db", name="test")
    _add(store, _endpoint())
    with pytest.raises(sa.exc.IntegrityError) as trouble:
        _add(store, _endpoint(), key="other")
    assert "whsec_" not in str(trouble.value)
    assert URL not in str(trouble.value)
    store.close()


def test_a_secret_that_was_changed_leaves_the_file(tmp_path: Path) -> None:
    store = WebhookStore(f"sqlite:///{tmp_path}/webhooks.db", name="test")
    secrets = [f"whsec_{letter * 43}=" for letter in "ABC"]
    _add(store, _endpoint()._replace(secret=secrets[0]))
    for n, (old, new) in enumerate(pairwise(secrets)):
        change = store.edit(_endpoint().id, partial(Endpoint._replace, secret=new, old_secret=old))
        store.ask(Asked(owner="o", key=f"s{n}", digest="d", now=n), _endpoint().id, change)
    store.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [secret.encode() in raw for secret in secrets] == [False, True, True]


def test_a_file_of_secrets_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.db"
    WebhookStore(f"sqlite:///{path}", name="test").close()
    path.chmod(0o640)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        WebhookStore(f"sqlite:///{path}", name="test")


def test_keys_are_remembered_in_a_bounded_number(town: Town) -> None:
    store, endpoint = town.webhooks, _endpoint()
    _add(store, endpoint)
    for n in range(KEYS_KEPT + 5):
        asked = Asked(owner="o", key=f"k{n}", digest="d", now=n + 1)
        store.ask(asked, endpoint.id, store.edit(endpoint.id, lambda found: found))
    with store.engine.connect() as connection:
        kept = connection.execute(sa.select(sa.func.count()).select_from(store.tables.keys)).scalar_one()
    assert kept <= KEYS_KEPT


def test_the_metrics_and_the_log_name_no_address_and_no_secret(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    made = _made(_partner(town))
    town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5))
    text = town.http.get("/metrics").text
    assert 'timebank_ledger_webhooks{state="active"} 1.0' in text
    for hidden in ("hooks.example.org", made["secret"], made["id"]):
        assert hidden not in text
        assert hidden not in caplog.text


@pytest.mark.servers
def test_webhooks_are_kept_in_postgresql_too(postgres_dsn: str) -> None:
    store = WebhookStore(webhooks_url(postgres_dsn), name="test")
    for n in range(3):
        _add(store, _endpoint(n), key=f"k{n}", now=n)
    trial = Asked(owner="o", key="t", digest="d", now=9, dry_run=True)
    store.ask(trial, _endpoint(1).id, store.remove(_endpoint(1).id))
    store.close()
    again = WebhookStore(webhooks_url(postgres_dsn), name="test")
    assert again.page("o", after=_endpoint(0).id, limit=9) == [_endpoint(1), _endpoint(2)]
    assert again.due(0) == [_endpoint(n) for n in range(3)]
    assert [again.count(state) for state in STATES] == [3, 0, 0]
    again.close()
