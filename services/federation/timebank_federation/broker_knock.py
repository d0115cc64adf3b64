"""The first words with a broker, before its client is started: is somebody there, over TLS, and are we let in?

The client itself retries in silence until its time is over, says `KafkaTimeoutError` for every cause, and leaks sockets
meanwhile. Here each cause has its sentence. Three questions of Kafka's protocol are enough: ApiVersions (which a broker
answers to anybody; a refused certificate shows at its answer), SaslHandshake, SaslAuthenticate.
Source: Kafka's protocol guide; RFC 5802 and 7677 (SCRAM), with SHA-512.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import pbkdf2_hmac, sha512
from typing import Final

from timebank_federation.broker_security import MECHANISM, PREFIX, KafkaSecurity

KNOCK_SECONDS: Final = 3.0
ANSWER_BYTES_MAX: Final = 65_536
SCRAM_ROUNDS_MAX: Final = 1_000_000
_API_VERSIONS: Final = (18, 0)
_SASL_HANDSHAKE: Final = (17, 1)
_SASL_AUTHENTICATE: Final = (36, 0)


class NoWayIn(Exception):
    """No broker lets us in; the text says why, and what to look at."""


def knock(bootstrap: str, security: KafkaSecurity) -> None:
    """Return when one of the brokers lets us in.

    Args:
        bootstrap: host:port[,…].
        security: our credentials.

    Raises:
        NoWayIn: none does; the text is that of the last one.
    """
    reason = "no broker is named"
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with _connected(host.strip("[]"), int(port), security) as line:
                _ask(line, _API_VERSIONS, b"")
                if security.user is not None:
                    _log_in(line, security)
        except ssl.SSLCertVerificationError as error:
            reason = f"its certificate is not one that {PREFIX}CA_FILE vouches for ({error.verify_message})"
        except ssl.SSLError as error:
            reason = _of_tls(error)
        except (OSError, ValueError) as error:
            reason = str(error)
        except NoWayIn as refused:
            reason = str(refused)
        else:
            return
    raise NoWayIn(reason)


def _of_tls(error: ssl.SSLError) -> str:
    if "ALERT" in (error.reason or ""):
        return (
            "it refuses our certificate, which may be missing, have expired, or be signed by an authority that it does "
            f"not know: renew {PREFIX}CERTIFICATE_FILE and {PREFIX}KEY_FILE"
        )
    return f"it does not speak TLS at this port: see its listeners and {PREFIX}SECURITY_PROTOCOL"


@contextmanager
def _connected(host: str, port: int, security: KafkaSecurity) -> Iterator[socket.socket]:
    with socket.create_connection((host, port), timeout=KNOCK_SECONDS) as plain:
        if security.protocol == "PLAINTEXT":
            yield plain
            return
        context = ssl.create_default_context(cafile=security.ca_file)
        if security.certificate_file is not None and security.key_file is not None:
            context.load_cert_chain(security.certificate_file, security.key_file)
        with context.wrap_socket(plain, server_hostname=host) as line:
            yield line


def _ask(line: socket.socket, api: tuple[int, int], body: bytes) -> bytes:
    """One question; returns the answer behind its correlation id."""
    question = struct.pack(">hhih", *api, 0, -1) + body
    line.sendall(struct.pack(">i", len(question)) + question)
    (size,) = struct.unpack(">i", _read(line, 4))
    if not 4 <= size <= ANSWER_BYTES_MAX:
        raise NoWayIn(f"it does not answer as a broker at this port: see its listeners and {PREFIX}SECURITY_PROTOCOL")
    return _read(line, size)[4:]


def _read(line: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = line.recv(count - len(found))
        if not more:
            raise NoWayIn(f"it ends the connection at once: see its listeners and {PREFIX}SECURITY_PROTOCOL")
        found += more
    return found


def _log_in(line: socket.socket, security: KafkaSecurity) -> None:
    mechanism = MECHANISM.encode("ascii")
    answer = _ask(line, _SASL_HANDSHAKE, struct.pack(">h", len(mechanism)) + mechanism)
    if struct.unpack_from(">h", answer)[0] != 0:
        raise NoWayIn(f"it does not know {MECHANISM} at this port: see sasl.enabled.mechanisms of its listener")
    assert security.user is not None
    assert security.password is not None
    nonce = secrets.token_urlsafe(18)
    opening = f"n={security.user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
    challenge = _authenticate(line, f"n,,{opening}", security).decode("utf-8")
    said = dict(part.split("=", 1) for part in challenge.split(",") if "=" in part)
    rounds = int(said.get("i", "0"))
    if not said.get("r", "").startswith(nonce) or not 1 <= rounds <= SCRAM_ROUNDS_MAX:
        raise NoWayIn(f"its answer to {MECHANISM} is not one: see whether it is a broker")
    closing = f"c=biws,r={said['r']}"
    spoken = f"{opening},{challenge},{closing}".encode()
    salted = pbkdf2_hmac("sha512", security.password.encode("utf-8"), base64.b64decode(said["s"]), rounds)
    key = hmac.digest(salted, b"Client Key", "sha512")
    signature = hmac.digest(sha512(key).digest(), spoken, "sha512")
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    _authenticate(line, f"{closing},p={base64.b64encode(proof).decode('ascii')}", security)


def _authenticate(line: socket.socket, text: str, security: KafkaSecurity) -> bytes:
    body = text.encode("utf-8")
    answer = _ask(line, _SASL_AUTHENTICATE, struct.pack(">i", len(body)) + body)
    code, length = struct.unpack_from(">hh", answer)
    if code != 0:
        raise NoWayIn(
            f"it does not let {security.user} in by {MECHANISM}: see {PREFIX}USER and {PREFIX}PASSWORD_FILE, and that "
            "the user was made at the broker"
        )
    return answer[4 + max(0, length) + 4 :]
