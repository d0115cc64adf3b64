"""How a client proves who it is: by a secret, or by a key that never leaves it (RFC 7523, `private_key_jwt`)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 60
_ALGORITHMS: Final = {"Ed25519": "Ed25519", "P-256": "ES256"}


class Credentials(Protocol):
    """What goes into a token request beside the grant type."""

    def form(self, *, client_id: str, audience: str, now_seconds: int) -> dict[str, str]:
        """The fields of the form.

        Args:
            client_id: the client's id.
            audience: the address of the token route.
            now_seconds: Unix time.
        """
        ...


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that the town's operator gave."""

    text: str

    def form(self, *, client_id: str, audience: str, now_seconds: int) -> dict[str, str]:
        return {"client_id": client_id, "client_secret": self.text}

    def __repr__(self) -> str:
        return "Secret(…)"


class PrivateKey:
    """A private key whose public part the town's operator registered. Needs the package joserfc.

    Args:
        key: a JWK (as a mapping), or PEM (as text or bytes).
        key_id: the name under which it is registered, if it has one; a JWK brings its own.
        algorithm: by default Ed25519 for a key of that curve, ES256 for P-256.

    Raises:
        ImportError: joserfc is not installed.
        ValueError: another kind of key, or a public one.
    """

    def __init__(
        self, key: dict[str, Any] | str | bytes, *, key_id: str | None = None, algorithm: str | None = None
    ) -> None:
        try:
            # Only who signs with a key needs the library.
            from joserfc.errors import JoseError  # noqa: PLC0415 - see above
            from joserfc.jwk import ECKey, OKPKey  # noqa: PLC0415
        except ImportError as missing:
            text = "A private key signs with the package joserfc: pip install 'timebank-client[keys]'"
            raise ImportError(text, name=missing.name) from missing

        readable: OKPKey | ECKey | None = None
        for kind in (OKPKey, ECKey):
            try:
                readable = kind.import_key(key)
            except (JoseError, ValueError, TypeError, KeyError, AttributeError):
                # Each kind says in its own way that the key is of another one.
                continue
            break
        if readable is None or not readable.is_private:
            raise ValueError("This is no private key that can sign: give a JWK or PEM of Ed25519 or P-256.")
        self._key = readable
        said = readable.as_dict(private=False)
        self._algorithm = algorithm or _ALGORITHMS.get(str(said.get("crv", said["kty"])), "")
        if not self._algorithm:
            raise ValueError("A town takes keys of Ed25519 and P-256; name the algorithm of another one.")
        self._key_id = key_id or said.get("kid")

    def form(self, *, client_id: str, audience: str, now_seconds: int) -> dict[str, str]:
        from joserfc import jwt  # noqa: PLC0415 - as above

        header = {"alg": self._algorithm} | ({"kid": self._key_id} if self._key_id else {})
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": now_seconds,
            "exp": now_seconds + ASSERTION_SECONDS,
            "jti": secrets.token_urlsafe(16),
        }
        assertion = jwt.encode(header, claims, self._key, algorithms=[self._algorithm])
        return {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


def read_private_key(path: str | Path, *, key_id: str | None = None) -> PrivateKey:
    """The private key in a file: PEM, or a JWK as JSON. Raises `OSError` and what `PrivateKey` raises."""
    text = Path(path).read_text("utf-8")
    return PrivateKey(json.loads(text) if text.lstrip().startswith("{") else text, key_id=key_id)
