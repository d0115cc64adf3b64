"""What the node says to anybody and to its peers: registry, addresses, refusals of tokens. Judged by the answers.

Source: PROTOCOL.md W1 to W7, R7, H1, N5.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import httpx

from timebank_conformance.session import Session
from timebank_conformance.towns import KitTown
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import ALIAS_PATTERN
from timebank_contracts.problems import STATUS
from timebank_contracts.tokens import CLOCK_SKEW_SECONDS, TOKEN_SECONDS_MAX, audience

NOT_LET_IN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
UNKNOWN_VERSION: Final = 999_999
_ALIAS: Final = re.compile(ALIAS_PATTERN)


def check_problem(session: Session, answer: httpx.Response, what: str) -> None:
    """An error is an RFC 9457 problem with a stable code of one status."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        said = None
    code = said.get("code") if isinstance(said, dict) else None
    is_so = kind == "application/problem+json" and isinstance(code, str)
    expected = "application/problem+json with a code"
    session.findings.expect(
        "H1", f"{what}: a problem", is_so, expected=expected, found=f"{kind} {answer.content[:80]!r}"
    )
    if is_so and code in STATUS:
        wanted, found = STATUS[str(code)], answer.status_code
        session.findings.expect(
            "H1", "a code has one status", wanted == found, expected=f"{code}: {wanted}", found=found
        )


def check_registry_served(session: Session) -> None:
    """Every version that the node holds is served to anybody, byte for byte in its payload."""
    expect, held = session.findings.expect, session.stage.registries
    wanted_of: list[tuple[int | str, bytes]] = [*held.items(), ("latest", held[max(held)])]
    for version, wanted in wanted_of:
        answer = session.door.registry(version)
        is_so = answer.status_code == HTTPStatus.OK and answer.content == wanted
        found = f"{answer.status_code}, {len(answer.content)} bytes"
        expect("W5 R7 R1", f"registry {version} is served", is_so, expected="the envelope that was signed", found=found)
    answer = session.door.registry(UNKNOWN_VERSION)
    is_so = answer.status_code == HTTPStatus.NOT_FOUND
    expect("W5", "a version that is not there", is_so, expected="404", found=answer.status_code)
    check_problem(session, answer, "a version that is not there")


# Tokens ----------------------------------------------------------------------------------------------------------


def check_tokens(session: Session) -> None:
    """A stream is given to its receiver alone, under a good token."""
    expect, town = session.findings.expect, session.town("main")
    good = session.door.stream(town, 0, token=session.door.token(town, session.seed(town)))
    if not expect("W4", "a good token", good.status_code == 200, expected="200", found=good.status_code):
        return
    for rules, what, token in _bad_tokens(session, town):
        answer = session.door.stream(town, 0, token=token)
        is_so = answer.status_code in NOT_LET_IN
        expect(f"{rules} W4", f"a token {what}", is_so, expected="401 or 403", found=answer.status_code)
        if is_so:
            check_problem(session, answer, "a token refused")
    for what, token in (("no token", None), ("a peer's token", session.door.token(town, session.seed(town)))):
        answer = session.door.ask("GET", "/v1/federation/state", token=token)
        is_so = answer.status_code in NOT_LET_IN
        expect("W6", f"the state of streams with {what}", is_so, expected="401 or 403", found=answer.status_code)


def _bad_tokens(session: Session, town: KitTown) -> Iterator[tuple[str, str, str | None]]:
    door, seed, poor = session.door, session.seed(town), session.town("poor")
    now = int(session.clock.now().timestamp())
    good = door.token(town, seed)
    yield "W1", "that is not there", None
    yield "W1", "of another's key", door.token(town, session.seed(poor))
    yield "W1", "of an unknown issuer", door.token(town, seed, issuer="nobody")
    yield "W1", "of another peer", door.token(poor, session.seed(poor))
    yield "W1", "with its signature cut", good[:-4]
    yield "W1", "without a signature", _jwt({"alg": "none"}, _claims(good), None)
    yield "W1", "under EdDSA", _jwt({"alg": "EdDSA"}, _claims(good), town.key)
    yield "W1", "under HS256 with the public key", _hs256(_claims(good), town.key.public)
    stranger = session.network.stranger
    x = base64.urlsafe_b64encode(stranger.public).rstrip(b"=").decode()
    head = {"alg": "Ed25519", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}}
    yield "W1", "with a key in its head", _jwt(head, _claims(good), stranger)
    yield "W2", "for another town", door.token(town, seed, audience=audience(town.node.network, "kit-poor"))
    yield "W2", "for another network", door.token(town, seed, audience=audience("elsewhere.example", town.node.node))
    yield "W2", "that is over", door.token(town, seed, now_seconds=now - 3_600)
    yield "W2", "from the future", door.token(town, seed, now_seconds=now + 10 * CLOCK_SKEW_SECONDS)
    head = {"alg": "Ed25519"}
    long = {**_claims(good), "exp": now + TOKEN_SECONDS_MAX + 1}
    yield "W2", "of more than 900 seconds", _jwt(head, long, town.key)
    yield "W2", "of no time at all", _jwt(head, {**_claims(good), "exp": _claims(good)["iat"]}, town.key)
    yield (
        "W3",
        "of a scope that a node cannot give",
        door.token(town, seed, scopes=frozenset({"operate", "federation"})),
    )
    yield "W3", "without a scope", door.token(town, seed, scopes=frozenset())


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _signed_part(head: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (head, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _jwt(head: dict[str, Any], claims: dict[str, Any], key: SigningKey | None) -> str:
    signed = _signed_part(head, claims)
    signature = b"" if key is None else key.sign(signed.encode())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _hs256(claims: dict[str, Any], secret: bytes) -> str:
    signed = _signed_part({"alg": "HS256"}, claims)
    signature = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


# Addresses -------------------------------------------------------------------------------------------------------


def ask_payee(session: Session, town: KitTown, handle: str, *, with_token: bool = True) -> httpx.Response:
    """The node's answer to a town's question for a handle's address."""
    token = session.door.token(town, session.seed(town)) if with_token else None
    return session.door.ask("POST", "/v1/payees", token=token, json={"handle": handle})


def check_payees(session: Session, handle: str) -> None:
    """A handle is answered with an address for the asking peer; else 404. The towns keep their addresses."""
    expect = session.findings.expect
    answer = ask_payee(session, session.town("main"), handle, with_token=False)
    is_so = answer.status_code in NOT_LET_IN
    expect("W7", "a handle without a token", is_so, expected="401 or 403", found=answer.status_code)
    answer = ask_payee(session, session.town("main"), "nobody-of-this-handle")
    expect("W7", "an unknown handle", answer.status_code == 404, expected="404", found=answer.status_code)
    check_problem(session, answer, "an unknown handle")
    for town in session.network.towns.values():
        answer = ask_payee(session, town, handle)
        alias = _alias_in(answer)
        if town.name == "kit-away" and alias is None:
            # Whether a suspended peer is given addresses is the node's own affair.
            continue
        found = f"{answer.status_code} {answer.content[:80]!r}"
        is_so = alias is not None
        if not expect("W7 N5 L6", "a handle is answered", is_so, expected="an address of 32 hex digits", found=found):
            return
        town.alias = alias or ""
    aliases = [town.alias for town in session.network.towns.values() if town.alias]
    is_so = len(set(aliases)) == len(aliases)
    expect("W7 L6", "an address for each peer", is_so, expected="as many addresses as peers", found=len(set(aliases)))


def _alias_in(answer: httpx.Response) -> str | None:
    try:
        alias = answer.json()["alias"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return alias if answer.status_code == 200 and isinstance(alias, str) and _ALIAS.fullmatch(alias) else None
