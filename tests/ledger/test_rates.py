"""Who asks too often is told when to come again; nobody else notices."""

from __future__ import annotations

from tests.ledger.town_api import gift, open_town


def test_a_client_that_asks_too_often_is_told_when_to_come_again() -> None:
    with open_town(rate_per_second=1, rate_burst=2) as town:
        alys, bryn = town.member("alys"), town.member("bryn")
        assert [alys.get("/v1/accounts/alys").status_code for _ in range(2)] == [200, 200]
        refused = alys.post("/v1/transfers", gift("alys", "bryn", 30))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["Retry-After"] == "1"
        assert town.writer.tail.length == 6
        assert bryn.get("/v1/accounts/bryn").status_code == 200
        town.clock.advance(1)
        assert alys.post("/v1/transfers", gift("alys", "bryn", 30)).status_code == 201


def test_those_without_a_token_share_one_limit_and_the_watch_on_the_node_has_none() -> None:
    with open_town(rate_per_second=1, rate_burst=1) as town:
        assert [town.http.get("/checkpoint").status_code for _ in range(2)] == [200, 429]
        assert town.operator().get("/v1/accounts").status_code == 200
        for path in ("/livez", "/readyz", "/metrics"):
            assert [town.http.get(path).status_code for _ in range(3)] == [200, 200, 200]


def test_the_town_s_own_rooms_are_not_counted() -> None:
    with open_town(rate_per_second=1, rate_burst=1) as town:
        assert [town.federation().get("/v1/streams").status_code for _ in range(3)] == [200, 200, 200]
