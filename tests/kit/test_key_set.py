"""An issuer's keys: rotated, withdrawn, away, or nonsense; read again at most once a minute, and nobody waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.signed_tokens import EC, ED, RSA, public
from timebank_contracts.errors import Malformed
from timebank_kit.clock import ManualClock
from timebank_kit.key_set import (
    FRESH_SECONDS,
    JWKS_BYTES_MAX,
    JWKS_KEYS_MAX,
    KEPT_SECONDS,
    PAUSE_SECONDS,
    KeysAway,
    KeySet,
    at_once,
    file_reader,
    read_key_set,
    url_reader,
)


def jwks(**keys: Any) -> bytes:
    return json.dumps({"keys": [public(key, kid=kid) for kid, key in keys.items()]}).encode()


class Published:
    """An issuer's door: what it publishes now, or that it is away; and how often it was asked."""

    def __init__(self, raw: bytes | None) -> None:
        self.raw, self.asked = raw, 0

    def __call__(self) -> bytes:
        self.asked += 1
        if self.raw is None:
            raise httpx.ConnectError("away")
        return self.raw


class Later:
    """Readings that are begun and not done yet."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        self.work.append(work)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))


def test_a_new_key_is_found_when_a_token_names_it(clock: ManualClock) -> None:
    """PROTOCOL.md W9."""
    door = Published(jwks(one=ED))
    keys = KeySet(door, clock, start=at_once)
    assert keys.find("one") is not None
    door.raw = jwks(one=ED, two=EC)
    clock.advance(PAUSE_SECONDS)
    assert keys.find("two") is not None
    assert door.asked == 2


def test_names_that_do_not_exist_have_it_asked_once_a_minute(clock: ManualClock) -> None:
    door = Published(jwks(one=ED))
    keys = KeySet(door, clock, start=at_once)
    for number in range(100):
        assert keys.find(f"no-{number}") is None
    assert door.asked == 1
    clock.advance(PAUSE_SECONDS)
    assert keys.find("no") is None
    assert door.asked == 2


def test_a_key_that_was_withdrawn_is_believed_an_hour_at_the_longest(clock: ManualClock) -> None:
    door = Published(jwks(one=ED, two=EC))
    keys = KeySet(door, clock, start=at_once)
    assert keys.find("one") is not None
    door.raw = jwks(two=EC)
    clock.advance(FRESH_SECONDS - 1)
    assert keys.find("one") is not None
    clock.advance(1)
    assert keys.find("one") is None
    assert keys.find("two") is not None


def test_an_issuer_that_is_away_is_believed_by_its_last_keys_for_a_day(clock: ManualClock) -> None:
    door = Published(jwks(one=ED))
    keys = KeySet(door, clock, start=at_once)
    assert keys.find("one") is not None
    for raw in (None, b"<html>", b'{"keys": []}', b"[]"):
        door.raw = raw
        clock.advance(FRESH_SECONDS)
        assert keys.find("one") is not None
    clock.advance(KEPT_SECONDS - 4 * FRESH_SECONDS)
    with pytest.raises(KeysAway):
        keys.find("one")
    door.raw = jwks(one=ED)
    clock.advance(PAUSE_SECONDS)
    assert keys.find("one") is not None


def test_keys_that_were_never_read_are_trouble_and_no_verdict(clock: ManualClock) -> None:
    door = Published(None)
    keys = KeySet(door, clock, start=at_once)
    for _ in range(3):
        with pytest.raises(KeysAway):
            keys.find("one")
    assert door.asked == 1


def test_nobody_waits_while_keys_are_read_and_known_ones_count(clock: ManualClock) -> None:
    later = Later()
    keys = KeySet(Published(jwks(one=ED)), clock, start=later)
    for _ in range(3):
        with pytest.raises(KeysAway, match="moment"):
            keys.find("one")
    assert len(later.work) == 1
    later.work.pop()()
    assert keys.find("one") is not None
    clock.advance(FRESH_SECONDS)
    assert keys.find("one") is not None, "the reading that this began is not done"
    with pytest.raises(KeysAway, match="moment"):
        keys.find("two")
    later.work.pop()()
    assert keys.find("two") is None


def test_a_reading_that_meets_a_bug_does_not_end_all_readings(clock: ManualClock) -> None:
    def buggy() -> bytes:
        raise AssertionError("bug")

    keys = KeySet(buggy, clock, start=at_once)
    for _ in range(2):
        with pytest.raises(AssertionError):
            keys.find("one")
        clock.advance(PAUSE_SECONDS)


def test_what_is_of_no_use_in_a_key_set_is_left_out() -> None:
    listed = [
        public(ED, kid="one"),
        public(EC, kid="enc", use="enc"),
        public(RSA),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "EC", "crv": "P-521", "kid": "other"},
        7,
        public(RSA, kid="one"),
    ]
    found = read_key_set(json.dumps({"keys": listed}).encode())
    assert list(found) == ["one"]
    assert "Ed25519" in found["one"].algorithms


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\xff", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000),
        json.dumps({"keys": [public(ED, kid=f"{n}") for n in range(JWKS_KEYS_MAX + 1)]}).encode(),
    ],
    ids=lambda raw: str(raw[:20]),
)
def test_what_is_no_key_set_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_key_set(raw)


def test_keys_are_read_from_a_file_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(one=ED))
    assert list(read_key_set(file_reader(path)())) == ["one"]
    path.write_bytes(b" " * JWKS_BYTES_MAX + jwks(one=ED))
    with pytest.raises(Malformed):
        read_key_set(file_reader(path)())


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_address_that_answers_otherwise_gives_no_keys(status: int) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status, headers={"Location": "http://127.0.0.1/"}, content=jwks(one=ED))

    http = httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True)
    with http, pytest.raises(Malformed):
        url_reader(http, "https://id.example/jwks")()
    assert asked == ["https://id.example/jwks"]
