"""What is asked of the directory, and what it answers: HTTP models. Nothing else of a person is ever taken."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from timebank_contracts.names import ALIAS_PATTERN, HANDLE_PATTERN, NODE_PATTERN

ACCOUNT_PATTERN = r"^[a-z][a-z0-9-]{0,62}$"
Handle = Annotated[str, Field(pattern=HANDLE_PATTERN, description="Unique in its town.", examples=["bryn"])]
Node = Annotated[str, Field(pattern=NODE_PATTERN, description="A town of the network.", examples=["barry"])]
AccountId = Annotated[str, Field(description="An opaque account id.", examples=["m-3q5x7"])]
AliasId = Annotated[
    str, Field(pattern=ALIAS_PATTERN, description="A receiving address.", examples=["9f86d081884c7d659a2feaa0c55ad015"])
]
Consents = Annotated[bool, Field(description="Whether other towns may turn the handle into a receiving address.")]


_UNSEEN: Final = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Never in a name: a database refuses the first of them, and others hide or turn round what stands beside them."""
_NAME_PATTERN: Final = rf"^[^{_UNSEEN}]*[^{_UNSEEN}\s][^{_UNSEEN}]*$"


class Model(BaseModel):
    """Strict: no field is unknown, no value is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewPerson(Model):
    """A member or an organisation to enrol. Limits in minutes; absent: the town's defaults."""

    handle: Handle
    name: str = Field(
        min_length=1,
        max_length=200,
        pattern=_NAME_PATTERN,
        description="As the person wants to be called: no control character, nor one that turns the text round.",
        examples=["Bryn"],
    )
    language: Literal["en", "cy"] = Field(default="en", description="Of what is written to them.")
    payable_from_other_towns: Consents = False
    floor: int | None = Field(default=None, ge=-10_000_000, le=0, description="Minutes, 0 or less.", examples=[-600])
    ceiling: int | None = Field(default=None, ge=0, le=10_000_000, description="Minutes.", examples=[6000])


class Enrolled(Model):
    """The person's handle and the opaque account that the ledger knows."""

    handle: Handle
    account: AccountId


class SeenPerson(Model):
    """A person as their town's operator sees them."""

    account: AccountId
    handle: Handle
    kind: Literal["member", "organisation"]
    name: str = Field(examples=["Bryn"])
    language: Literal["en", "cy"]
    payable_from_other_towns: Consents


class People(Model):
    """A page, in order of account; `next` is the cursor of the following page, if there is one."""

    people: list[SeenPerson]
    next: str | None = Field(
        default=None, description="Where the page ended; opaque.", examples=["bGlzdFBlb3BsZSBtLTE"]
    )


class Consent(Model):
    payable_from_other_towns: Consents


class HandleQuestion(Model):
    """A handle of this town, asked by a peer's node."""

    handle: Handle


class PayeeQuestion(Model):
    """A handle at a node."""

    handle: Handle
    node: Node


class PayeeHere(Model):
    node: Node
    account: AccountId


class PayeeThere(Model):
    node: Node
    alias: AliasId


class GivenAlias(Model):
    alias: AliasId


class IssuedToken(Model):
    """RFC 6749, section 5.1."""

    access_token: str = Field(examples=["eyJhbGciOiJFZDI1NTE5In0…"])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - how the token is sent, and no secret
    expires_in: int = Field(description="Seconds.", examples=[900])
    scope: str = Field(description="What it allows, separated by spaces.", examples=["transfers:write"])


class PublicKey(Model):
    """The key under which this directory's tokens verify, as a JWK (RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    alg: Literal["Ed25519"] = "Ed25519"
    use: Literal["sig"] = "sig"
    x: str = Field(
        description="The raw public key, base64url.", examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
    )
