"""The Idempotency-Key of a writing route: its form, and what the document says of it, for every room.

What a key means is each room's own: it answers the same command as the first time, and refuses another one under it.
Source: design page 3, "Idempotency".
"""

from __future__ import annotations

import re
from typing import Any, Final

from timebank_contracts.errors import Refusal

KEY_HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[!-~]{1,200}")


def check_key(key: object) -> str:
    """A client's key; raises `Refusal` (`key_missing`) when it is missing or of another form."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise Refusal("key_missing")
    return key


def key_parameter() -> dict[str, Any]:
    """The parameter of a keyed route, as its OpenAPI entry has it."""
    schema = {"type": "string", "pattern": "^[!-~]{1,200}$"}
    what = "A new one for each new command; the same one to repeat a command whose answer was lost."
    return {"name": KEY_HEADER, "in": "header", "required": True, "schema": schema, "description": what}
