"""A broker that knows its clients: SASL_SSL with SCRAM on one listener, client certificates on another, ACLs on both.

Nobody may do what no ACL allows; `ADMIN` alone may do everything. A client's name is its SCRAM user or the common name
of its certificate, the same principal for both.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from .certificates import Authority
from .kafka import KafkaBroker

ADMIN = "admin"
SCRAM_LISTENER = "SCRAM"
CERTIFICATE_LISTENER = "CERTIFICATE"


class SecuredBroker(KafkaBroker):
    """Its `authority` signs clients' certificates; the administrator's password is `password`.

    Args:
        directory: for data, settings, certificates and log; kept.
        settings: further lines for `server.properties`, over ours.
        heap_megabytes: the JVM's heap.
    """

    def __init__(
        self, directory: Path, *, settings: Mapping[str, str] | None = None, heap_megabytes: int = 256
    ) -> None:
        self.authority = Authority(directory / "certificates")
        self.password = secrets.token_urlsafe(16)
        scram = f"SCRAM-SHA-512=[name={ADMIN},password={self.password}]"
        super().__init__(
            directory,
            settings={**self._secured(), **(settings or {})},
            listeners={SCRAM_LISTENER: "SASL_SSL", CERTIFICATE_LISTENER: "SSL"},
            format_options=["--standalone", "--add-scram", scram],
            heap_megabytes=heap_megabytes,
        )

    def _secured(self) -> dict[str, str]:
        broker = self.authority.issue("broker")
        login = (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            f'username="{ADMIN}" password="{self.password}";'
        )
        # PEM material within a properties file is one line.
        chain = broker.certificate.read_text("ascii").replace("\n", "\\n")
        key = broker.key.read_text("ascii").replace("\n", "\\n")
        trusted = self.authority.certificate.read_text("ascii").replace("\n", "\\n")
        scram = f"listener.name.{SCRAM_LISTENER.lower()}"
        return {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            f"{scram}.scram-sha-512.sasl.jaas.config": login,
            f"{scram}.ssl.client.auth": "none",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": chain,
            "ssl.keystore.key": key,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": trusted,
            "ssl.client.auth": "required",
            "ssl.principal.mapping.rules": r"RULE:^CN=([^,]+).*$/$1/,DEFAULT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
        }
