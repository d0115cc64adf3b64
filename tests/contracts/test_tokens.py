"""Tokens: one algorithm, one audience, a short life, and no more than the issuer may give."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

import pytest

from contracts.vectors.paper_town import make_key
from timebank_contracts import tokens
from timebank_contracts.tokens import Issuer, Rejected, TokenKey, verify_token

NOW = 1_772_442_000
AUDIENCE = tokens.audience("timebank.wales", "barry")
KEY, OLD = make_key("aberdare event key"), make_key("aberdare old event key")
TOKEN_KEY = TokenKey(sha256(b"aberdare event key").digest(), KEY.public)
ISSUERS = {"aberdare": Issuer("aberdare", (OLD.public, KEY.public), frozenset({"federation"}))}


def issue(**change: Any) -> str:
    said: dict[str, Any] = {
        "issuer": "aberdare",
        "subject": "aberdare",
        "audience": AUDIENCE,
        "scopes": frozenset({"federation"}),
        "accounts": frozenset(),
        "now_seconds": NOW,
        "seconds": 60,
    }
    return TOKEN_KEY.issue(**(said | change))


def verify(token: str, *, now: int = NOW) -> tokens.Caller:
    return verify_token(token, issuers=ISSUERS, audience=AUDIENCE, now_seconds=now)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_names_its_caller() -> None:
    """PROTOCOL.md W1, W3: also while an old key stands beside the new one."""
    caller = verify(issue())
    assert (caller.issuer, caller.subject, caller.scopes) == ("aberdare", "aberdare", frozenset({"federation"}))
    assert not caller.may_use("alys")
    assert verify(issue(accounts=frozenset({"alys"}))).may_use("alys")
    assert verify(issue(accounts=None)).may_use("anybody")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "EdDSA", "RS256", "ed25519", ""])
def test_a_token_under_another_algorithm_is_rejected(algorithm: str) -> None:
    """PROTOCOL.md W1."""
    _, claims, signature = issue().split(".")
    for rest in (signature, ""):
        with pytest.raises(Rejected):
            verify(f"{part({'alg': algorithm})}.{claims}.{rest}")


def test_a_key_in_the_tokens_head_counts_for_nothing() -> None:
    """PROTOCOL.md W1."""
    stranger = make_key("stranger")
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(stranger.public).decode().rstrip("=")}
    head, claims = part({"alg": "Ed25519", "jwk": jwk}), issue().split(".")[1]
    signature = base64.urlsafe_b64encode(stranger.sign(f"{head}.{claims}".encode())).decode().rstrip("=")
    with pytest.raises(Rejected):
        verify(f"{head}.{claims}.{signature}")


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "..", "\u00e9.b.c", "x" * 5000])
def test_what_is_no_token_is_rejected(token: str) -> None:
    """PROTOCOL.md W1."""
    with pytest.raises(Rejected):
        verify(token)


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "Ed25519", "crit": 5},
        {"alg": "Ed25519", "crit": ["b64"], "b64": False},
        {"alg": "Ed25519", "kid": {}, "typ": [], "jwk": 7},
        {"alg": []},
        {"alg": {}},
        {},
        [],
        7,
    ],
)
def test_a_head_of_any_form_is_rejected_and_never_a_bug(head: object) -> None:
    """PROTOCOL.md W1."""
    _, claims, signature = issue().split(".")
    for text in (signature, "", "!"):
        with pytest.raises(Rejected):
            verify(f"{part(head)}.{claims}.{text}")


def test_a_token_is_for_one_town_and_for_a_short_time() -> None:
    """PROTOCOL.md W2."""
    assert (tokens.TOKEN_SECONDS_MAX, tokens.CLOCK_SKEW_SECONDS, tokens.NODE_TOKEN_SECONDS) == (900, 60, 60)
    with pytest.raises(Rejected, match="another town"):
        verify(issue(audience=tokens.audience("timebank.wales", "cardiff")))
    for now, good in ((NOW - 61, False), (NOW - 60, True), (NOW + 119, True), (NOW + 120, False)):
        if good:
            verify(issue(), now=now)
        else:
            with pytest.raises(Rejected):
                verify(issue(), now=now)
    with pytest.raises(AssertionError):
        issue(seconds=901)


def test_a_token_may_name_the_mandate_under_which_its_caller_acts() -> None:
    """PROTOCOL.md W3."""
    assert verify(issue()).mandate is None
    assert verify(issue(mandate="m-3q5x7")).mandate == "m-3q5x7"
    for mandate in ("", "Alys Jones", "1", "a" * 64, "m-1\n"):
        with pytest.raises(AssertionError):
            issue(mandate=mandate)
    wrong: tuple[object, ...] = ("", "Alys Jones", "m-1\n", 7, ["m-1"], {}, False)
    for said in wrong:
        with pytest.raises(Rejected, match="mandate"):
            tokens.mandate_said(said)


def test_an_issuer_gives_only_the_scopes_that_it_may_give() -> None:
    """PROTOCOL.md W3."""
    with pytest.raises(Rejected, match="scope"):
        verify(issue(scopes=frozenset({"operate"})))
    with pytest.raises(Rejected, match="issuer"):
        verify(issue(issuer="cardiff"))
