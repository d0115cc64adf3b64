"""Routes of tokens: a client proves who it is, in one of three ways, and gets a token for what it was granted, or less.

    client_id, client_secret in the form      RFC 6749, 2.3.1          ┐
    Authorization: Basic                      RFC 6749, 2.3.1          ├─▶ Client ─▶ token of 15 minutes
    client_assertion                          RFC 7523, 2.2            ┘

Who fails learns nothing of why, and each failure costs one of a few tries (`attempts.py`).
Source: design page 4, "Sign-in"; PROTOCOL.md W1 and W8.
"""

from __future__ import annotations

import base64
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import unquote_plus

from fastapi import APIRouter, Form, Header
from starlette.responses import Response

from timebank_contracts.tokens import TOKEN_CHARACTERS_MAX, TOKEN_SECONDS_MAX
from timebank_directory import asked
from timebank_directory.assertions import TooMany, named_client
from timebank_directory.clients import Client
from timebank_directory.edge import Directory, TheDirectory
from timebank_kit.openapi import PUBLIC
from timebank_kit.problem_answers import EdgeProblem

router = APIRouter(tags=["tokens"])
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="timebank", charset="UTF-8"'}
_ONE_WAY: Final = (
    "Prove who the client is in one way: client_id with client_secret, Basic authentication, or client_assertion with "
    "its type."
)
_EXAMPLE: Final = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "example": {
                    "grant_type": "client_credentials",
                    "client_id": "office",
                    "client_secret": "Zk1qX3vN8pR5tW7yB2dF4hJ6mQ9sU0aE",
                    "scope": "accounts:read",
                }
            }
        }
    }
}
ClientId = Annotated[str, Form(max_length=64, description="As the operator made it.", examples=["office"])]
ClientSecret = Annotated[str, Form(max_length=256, description="Its secret.", examples=["v3Kx…"])]
AssertionType = Annotated[
    Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer", ""],
    Form(description="RFC 7523, section 2.2.", examples=["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]),
]
Assertion = Annotated[
    str,
    Form(
        max_length=TOKEN_CHARACTERS_MAX,
        description="A JWT that the client signed: iss and sub its id, aud this town, a jti, and exp within 5 minutes.",
        examples=["eyJhbGciOiJFZDI1NTE5In0…"],
    ),
]
Authorization = Annotated[str, Header(include_in_schema=False)]


class Proof(NamedTuple):
    """How a client says that it is this client; empty: not in this way."""

    way: Literal["secret", "key"]
    client: str
    secret: str = ""
    assertion: str = ""


@router.post("/v1/token", operation_id="getToken", openapi_extra=PUBLIC | _EXAMPLE)
def get_token(
    directory: TheDirectory,
    response: Response,
    grant_type: Annotated[Literal["client_credentials"], Form(description="RFC 6749, section 4.4.")],
    client_id: ClientId = "",
    client_secret: ClientSecret = "",
    client_assertion_type: AssertionType = "",
    client_assertion: Assertion = "",
    scope: Annotated[str, Form(max_length=300, description="Less than was granted; empty: all of it.")] = "",
    authorization: Authorization = "",
) -> asked.IssuedToken:
    """Client credentials → a token of 15 minutes; the answer lists what it allows. Basic authentication does too."""
    basic = authorization[:6].lower() == "basic "
    if [basic, bool(client_secret), bool(client_assertion)].count(True) != 1:
        raise EdgeProblem("field_invalid", _ONE_WAY)
    if basic:
        proof = _basic(authorization[6:], client_id)
    elif client_secret and client_id:
        proof = Proof("secret", client_id, secret=client_secret)
    elif client_assertion and client_assertion_type:
        proof = Proof("key", named_client(client_assertion), assertion=client_assertion)
        if client_id not in ("", proof.client):
            raise EdgeProblem("client_unknown")
    else:
        raise EdgeProblem("field_invalid", _ONE_WAY)
    client = _proven(directory, proof, headers=_CHALLENGE if basic else None)
    wanted = frozenset(scope.split()) or frozenset(client.scopes)
    if not wanted:
        raise EdgeProblem("scope_not_granted", "The client was granted no scope; ask the town's operator for one.")
    if not wanted <= set(client.scopes):
        raise EdgeProblem("scope_not_granted")
    token = directory.token_key.issue(
        issuer=directory.issuer.name,
        subject=client.client,
        audience=directory.audience,
        scopes=wanted,
        accounts=None if client.accounts is None else frozenset(client.accounts),
        now_seconds=int(directory.clock.now().timestamp()),
        seconds=TOKEN_SECONDS_MAX,
        mandate=client.mandate,
    )
    response.headers["Cache-Control"] = "no-store"
    return asked.IssuedToken(access_token=token, expires_in=TOKEN_SECONDS_MAX, scope=" ".join(sorted(wanted)))


def _basic(text: str, client_id: str) -> Proof:
    """What Basic authentication says; a text that says nothing is a client that does not exist."""
    try:
        client, _, secret = base64.b64decode(text.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        raise EdgeProblem("client_unknown", headers=_CHALLENGE) from None
    # Both were written as in a form before they were joined (RFC 6749, 2.3.1).
    client, secret = unquote_plus(client), unquote_plus(secret)
    if client_id not in ("", client) or len(client) > 64 or len(secret) > 256:
        raise EdgeProblem("client_unknown", headers=_CHALLENGE)
    return Proof("secret", client, secret=secret)


def _proven(directory: Directory, proof: Proof, *, headers: dict[str, str] | None) -> Client:
    """The client that a proof proves; raises `EdgeProblem`: too many tries, or the one answer to all that fails."""
    name, attempts = f"{proof.way}/{proof.client}", directory.attempts
    wait = attempts.take(name, now=directory.clock.monotonic())
    if wait:
        raise EdgeProblem("too_many_attempts", headers={"Retry-After": str(wait)})
    now_seconds = int(directory.clock.now().timestamp())
    try:
        if proof.way == "secret":
            client = directory.clients.check(proof.client, proof.secret, now_seconds=now_seconds)
        else:
            client = directory.assertions.check(proof.assertion, now_seconds=now_seconds)
    except TooMany:
        raise EdgeProblem("too_many_attempts", headers={"Retry-After": "60"}) from None
    if client is None:
        attempts.count_failure()
        raise EdgeProblem("client_unknown", headers=headers)
    attempts.give_back(name, now=directory.clock.monotonic())
    directory.count(f"token/{client.client}")
    return client


@router.get("/v1/public-key", operation_id="getPublicKey", openapi_extra=PUBLIC)
def get_public_key(directory: TheDirectory) -> asked.PublicKey:
    """The key under which this directory's tokens verify."""
    return asked.PublicKey(x=base64.urlsafe_b64encode(directory.token_public).rstrip(b"=").decode("ascii"))
