"""How this node proves to the broker who it is: SCRAM over TLS, a certificate, both, or nothing at all on one machine.

Secrets are files that only we can read. What a broker refuses is told by `broker_knock`.
Source: design page 11, "Secured"; issue 5, point 4.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from timebank_kit.files import read_secret
from timebank_kit.oidc import OidcSettings
from timebank_kit.settings import HostPorts, SettingRefused

MECHANISM: Final = "SCRAM-SHA-512"
PREFIX: Final = "TIMEBANK_FEDERATION_KAFKA_"


class KafkaSettings(OidcSettings):
    """The part of federation's settings that names the brokers and our credentials there."""

    kafka: HostPorts | None = Field(
        default=None, description="host:port[,…] of the brokers; empty: pull over HTTPS only."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="SSL: by certificate; SASL_SSL: by SCRAM-SHA-512."
    )
    kafka_ca_file: Path | None = Field(default=None, description="PEM of who vouches for brokers; empty: the system's.")
    kafka_certificate_file: Path | None = Field(default=None, description="PEM of this node's certificate.")
    kafka_key_file: Path | None = Field(default=None, description="Its key, mode 600.")
    kafka_user: str | None = Field(default=None, description="This node's SCRAM user: its own name.")
    kafka_password_file: Path | None = Field(default=None, description="Its password, mode 600.")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """What the client of Kafka is told; `PLAIN` for nothing."""

    protocol: str = "PLAINTEXT"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def client_settings(self) -> dict[str, Any]:
        """Settings for producer, consumer and administrator alike. Files are read anew at each connection, so that a
        renewed certificate needs no restart."""
        settings: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol != "PLAINTEXT":
            settings["ssl_cafile"] = None if self.ca_file is None else str(self.ca_file)
        if self.certificate_file is not None:
            settings |= {"ssl_certfile": str(self.certificate_file), "ssl_keyfile": str(self.key_file)}
        if self.protocol == "SASL_SSL":
            settings |= {
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return settings


PLAIN: Final = KafkaSecurity()


def read_security(settings: KafkaSettings) -> KafkaSecurity:
    """The broker's part of the settings, with its secrets read and every file tried.

    Raises:
        SettingRefused: something is missing, superfluous or no PEM; the text says what to set.
        UnsafeFile: a secret file is open to others.
    """
    protocol = settings.kafka_security_protocol
    files = (settings.kafka_ca_file, settings.kafka_certificate_file, settings.kafka_key_file)
    if protocol == "PLAINTEXT" and (any(files) or settings.kafka_user or settings.kafka_password_file):
        raise SettingRefused(
            f"Set {PREFIX}SECURITY_PROTOCOL to SSL or SASL_SSL: with PLAINTEXT the other settings do nothing."
        )
    if (settings.kafka_certificate_file is None) != (settings.kafka_key_file is None):
        raise SettingRefused(f"Set {PREFIX}CERTIFICATE_FILE and {PREFIX}KEY_FILE together, or neither.")
    if protocol == "SSL" and settings.kafka_certificate_file is None:
        raise SettingRefused(
            f"With SSL the node proves itself by {PREFIX}CERTIFICATE_FILE and {PREFIX}KEY_FILE: set them."
        )
    if protocol == "SASL_SSL" and (settings.kafka_user is None or settings.kafka_password_file is None):
        raise SettingRefused(f"With SASL_SSL set {PREFIX}USER and {PREFIX}PASSWORD_FILE.")
    if protocol == "SSL" and (settings.kafka_user or settings.kafka_password_file):
        raise SettingRefused(f"{PREFIX}USER and {PREFIX}PASSWORD_FILE count with SASL_SSL only: unset them.")
    security = KafkaSecurity(
        protocol=protocol,
        ca_file=settings.kafka_ca_file,
        certificate_file=settings.kafka_certificate_file,
        key_file=settings.kafka_key_file,
        user=settings.kafka_user,
        password=None if settings.kafka_password_file is None else read_password(settings.kafka_password_file),
    )
    _try_files(security)
    return security


def read_password(path: Path) -> str:
    """The password in a secret file, without the line's end.

    Raises:
        SettingRefused: the file is empty or no text.
        UnsafeFile: others can read it.
    """
    try:
        text = read_secret(path).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingRefused(f"The password file {path} is no text.") from error
    if not text:
        raise SettingRefused(f"The password file {path} is an empty file: write the password into it.")
    return text


def _try_files(security: KafkaSecurity) -> None:
    """A file that cannot be used is told at the start, not at the first connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if security.ca_file is not None:
        try:
            context.load_verify_locations(security.ca_file)
        except OSError as error:
            raise SettingRefused(
                f"{PREFIX}CA_FILE names a file without certificates in PEM: {security.ca_file}."
            ) from error
    if security.certificate_file is not None and security.key_file is not None:
        read_secret(security.key_file)
        try:
            # An empty password: a key that is encrypted is an error here, and no question at a terminal.
            context.load_cert_chain(security.certificate_file, security.key_file, password="")
        except OSError as error:
            raise SettingRefused(
                f"{PREFIX}CERTIFICATE_FILE and {PREFIX}KEY_FILE are no certificate with its unencrypted key (PEM)."
            ) from error
