"""A partner's own webhooks: made, changed, given another secret, ended. (Delivery: `tests/e2e/test_partners.py`.)"""

from __future__ import annotations

import pytest

from tests.federation.towns import FederatedTown
from timebank_client import Invalid, NotFound, Timebank

pytestmark = pytest.mark.slow  # every test opens a town
URL = "https://hooks.example.org/timebank"


def test_a_webhook_is_made_changed_and_ended(town: Timebank, aberdare: FederatedTown) -> None:
    bryn = aberdare.accounts["bryn"]
    assert town.webhooks.create(URL, dry_run=True).secret is None
    assert list(town.webhooks.list()) == []
    made = town.webhooks.create(URL, accounts=[bryn], types=["transfer.posted"])
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    assert [(each.id, each.secret) for each in town.webhooks.list()] == [(made.id, None)]
    changed = town.webhooks.edit(made.id, URL + "/2")
    assert (changed.url, changed.types, town.webhooks.get(made.id).url) == (URL + "/2", None, URL + "/2")
    assert town.webhooks.enable(made.id).state == "active"
    assert list(town.webhooks.deliveries(made.id)) == []
    town.webhooks.delete(made.id)
    with pytest.raises(NotFound, match="webhook_unknown"):
        town.webhooks.get(made.id)


def test_a_new_secret_is_said_once_and_the_old_one_signs_for_a_while(town: Timebank) -> None:
    made = town.webhooks.create(URL)
    other = town.webhooks.rotate_secret(made.id, overlap_seconds=60, key="rotation-1")
    assert other.secret not in (None, made.secret)
    assert other.old_secret_until is not None
    assert town.webhooks.rotate_secret(made.id, overlap_seconds=60, key="rotation-1").secret is None


def test_every_webhook_is_listed(town: Timebank) -> None:
    made = {town.webhooks.create(f"{URL}/{number}").id for number in range(3)}
    assert {each.id for each in town.webhooks.list()} == made


@pytest.mark.parametrize(
    "url", ["http://hooks.example.org/", "https://127.0.0.1/", "https://[::1]:8443/", "ftp://x.org/"]
)
def test_a_live_town_sends_to_public_addresses_by_https_only(town: Timebank, url: str) -> None:
    with pytest.raises(Invalid, match="url_refused"):
        town.webhooks.create(url)


def test_a_delivery_that_never_was_is_not_sent_again(town: Timebank) -> None:
    made = town.webhooks.create(URL)
    with pytest.raises(NotFound, match="delivery_unknown"):
        town.webhooks.replay(made.id, 17)
