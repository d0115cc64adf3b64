"""Payment by QR code: shown by the payee, scanned by the payer, in one town or two, and worth nothing once revoked."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import zxingcpp

from tests.ledger.pair_of_towns import carry, open_pair
from tests.ledger.town_api import NETWORK, Client, Town
from timebank_contracts.payment_address import CHARACTERS_MAX
from timebank_ledger.payment_code import MODULE_UNITS, payment_code

Pair = tuple[Town, Town]
PIXELS = 3
"""For a square of the code, as a camera would see it."""


@pytest.fixture
def pair() -> Iterator[Pair]:
    with open_pair() as towns:
        yield towns


def person(town: Town, account: str) -> Client:
    return town.client("transfers:write", "accounts:read", subject=account, accounts=frozenset({account}))


def scanned(svg: bytes) -> str:
    """What a reader of codes sees in the picture: its dark strokes are painted, one row of squares after another."""
    text = svg.decode("ascii")
    width = int(re.findall(r'viewBox="0 0 (\d+) \1"', text)[0]) // MODULE_UNITS
    strokes = re.findall(r'<path[^>]* stroke="#000"[^>]* d="([^"]+)"|d="([^"]+)"[^>]* stroke="#000"', text)
    rows = [bytearray(b"\xff" * width) for _ in range(width)]
    x, y = 0.0, 0.0
    for kind, numbers in re.findall(r"([Mmh])([-0-9. ]+)", "".join(strokes[0])):
        said = [float(one) for one in numbers.split()]
        if kind == "M":
            x, y = said
        elif kind == "m":
            x, y = x + said[0], y + said[1]
        else:
            rows[int(y)][int(x) : int(x + said[0])] = bytes(int(said[0]))
            x += said[0]
    wide = [b"".join(bytes([pixel]) * PIXELS for pixel in row) for row in rows for _ in range(PIXELS)]
    image = memoryview(b"".join(wide)).cast("B", (width * PIXELS, width * PIXELS))
    [found] = zxingcpp.read_barcodes(image)
    return str(found.text)


def shown(town: Town, account: str) -> tuple[str, bytes]:
    """An address for anybody, made by its owner, and the picture of its code."""
    owner = person(town, account)
    made = owner.post(f"/v1/accounts/{account}/aliases", {}).json()
    answer = owner.get(f"/v1/aliases/{made['alias']}/code")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    return str(made["alias"]), answer.content


def gift_to(address: str, minutes: int = 90) -> dict[str, object]:
    return {"payer": "alys", "payee": {"address": address}, "minutes": minutes, "purpose": "gift"}


def balance(town: Town, account: str) -> int:
    return int(person(town, account).get(f"/v1/accounts/{account}").json()["balance"])


def test_a_code_shown_in_one_town_is_paid_from_another_until_it_is_revoked(pair: Pair) -> None:
    """PROTOCOL.md N7, T6."""
    aberdare, barry = pair
    alias, picture = shown(barry, "bryn")
    address = scanned(picture)
    assert address == f"timebank:{NETWORK}/barry/{alias}"
    alys = person(aberdare, "alys")
    paid = alys.post("/v1/transfers", gift_to(address)).json()
    carry(aberdare, barry)
    carry(barry, aberdare)
    assert alys.get(f"/v1/transfers/{paid['id']}").json()["state"] == "settled"
    assert (balance(aberdare, "alys"), balance(barry, "bryn")) == (-90, 90)

    bryn = person(barry, "bryn")
    assert bryn.delete(f"/v1/aliases/{alias}").status_code == 204
    assert bryn.get(f"/v1/aliases/{alias}/code").json()["code"] == "alias_unknown"
    late = alys.post("/v1/transfers", gift_to(address)).json()
    carry(aberdare, barry)
    carry(barry, aberdare)
    said = alys.get(f"/v1/transfers/{late['id']}").json()
    assert (said["state"], said["reason"]) == ("returned", "alias_unknown")
    assert (balance(aberdare, "alys"), balance(barry, "bryn")) == (-90, 90)


def test_a_code_of_the_own_town_is_paid_at_once(town: Town) -> None:
    alias, picture = shown(town, "bryn")
    answer = person(town, "alys").post("/v1/transfers", gift_to(scanned(picture), 30))
    assert (answer.status_code, answer.json()["state"]) == (201, "posted")
    assert balance(town, "bryn") == 30
    person(town, "bryn").delete(f"/v1/aliases/{alias}")
    late = person(town, "alys").post("/v1/transfers", gift_to(scanned(picture), 30))
    assert (late.status_code, late.json()["code"]) == (404, "alias_unknown")


def test_a_scanned_address_and_its_parts_are_one_command(town: Town) -> None:
    alias, picture = shown(town, "bryn")
    alys = person(town, "alys")
    first = alys.post("/v1/transfers", gift_to(scanned(picture)), key="k")
    parts = {"payee": {"node": "aberdare", "alias": alias}}
    assert alys.post("/v1/transfers", gift_to("") | parts, key="k").json() == first.json()
    batch = alys.post("/v1/transfers/batch", [gift_to(scanned(picture)) | {"key": "k"}]).json()
    assert batch["answers"][0]["transfer"]["id"] == first.json()["id"]


def test_an_address_of_another_network_is_refused_before_anything_is_written(town: Town) -> None:
    """PROTOCOL.md N7."""
    length = town.writer.tail.length
    address = f"timebank:hours.elsewhere/aberdare/{'0' * 32}"
    answer = person(town, "alys").post("/v1/transfers", gift_to(address))
    assert (answer.status_code, answer.json()["code"]) == (404, "peer_unknown")
    assert "hours.elsewhere" in answer.json()["detail"]
    wrong = person(town, "alys").post("/v1/transfers", gift_to(address.upper())).json()
    assert wrong["errors"][0]["field"] == "payee.address"
    assert town.writer.tail.length == length


def test_an_address_for_one_town_has_no_code(pair: Pair) -> None:
    bryn = person(pair[1], "bryn")
    made = bryn.post("/v1/accounts/bryn/aliases", {"audience": "aberdare"}).json()
    assert made["address"] is None
    answer = bryn.get(f"/v1/aliases/{made['alias']}/code")
    assert (answer.status_code, answer.json()["code"]) == (409, "alias_for_one_town")


def test_the_keeper_of_an_account_sees_its_addresses_and_takes_any_of_them_back(pair: Pair) -> None:
    bryn = person(pair[1], "bryn")
    path = "/v1/accounts/bryn/aliases"
    made = [bryn.post(path, body).json() for body in ({}, {"audience": "aberdare"}, {})]
    assert bryn.get(path).json()["aliases"] == sorted(made, key=lambda one: str(one["alias"]))
    for one in made:
        assert bryn.get(f"/v1/aliases/{one['alias']}").json() == one
        assert person(pair[1], "alys").get(f"/v1/aliases/{one['alias']}").json()["code"] == "forbidden"
        assert bryn.delete(f"/v1/aliases/{one['alias']}").status_code == 204
        assert bryn.get(f"/v1/aliases/{one['alias']}").json()["code"] == "alias_unknown"
    assert bryn.get(path).json()["aliases"] == []
    assert person(pair[1], "alys").get(path).json()["code"] == "forbidden"
    assert pair[1].operator().get("/v1/accounts/nobody/aliases").json()["code"] == "account_unknown"


def test_a_code_is_for_who_keeps_the_account(town: Town) -> None:
    alias, _ = shown(town, "bryn")
    assert person(town, "alys").get(f"/v1/aliases/{alias}/code").json()["code"] == "forbidden"
    assert town.operator().get(f"/v1/aliases/{alias}/code").status_code == 200


def test_the_longest_address_has_a_code_that_is_read() -> None:
    address = f"timebank:{'x' * 63}.{'y' * 63}.{'z' * 62}/{'b' * 31}/{'0' * 32}"
    assert len(address) == CHARACTERS_MAX
    assert scanned(payment_code(address)) == address
