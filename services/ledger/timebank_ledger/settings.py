"""Settings of the ledger: one frozen class, read from `TIMEBANK_LEDGER_…` once (kit's `read_settings`) and passed down.

Numbers that a rule reads are never here: they are in the journal, else no replay could judge it.
Source: design page 7, "Settings".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from timebank_contracts import names
from timebank_contracts.days import ZONE_DEFAULT, read_zone
from timebank_kit.oidc import OidcSettings


def _known_zone(name: str) -> str:
    return read_zone(name).key


PublicKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
PublicKeys = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=(,[A-Za-z0-9+/]{43}=){0,3}$")]


class Settings(OidcSettings):
    """What the ledger is told from outside."""

    model_config = SettingsConfigDict(
        env_prefix="TIMEBANK_LEDGER_",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        regex_engine="python-re",  # a network's name is bounded by a look-ahead
    )

    network: Annotated[str, Field(pattern=names.NETWORK_PATTERN)]
    """The network's DNS name."""
    node: Annotated[str, Field(pattern=names.NODE_PATTERN)]
    """This town's name in the network."""
    journal_url: str = "memory:"
    """`memory:`, `sqlite:<path>` or `postgresql://…`."""
    log_key_file: Path | None = None
    """File of the 32-byte seed that signs checkpoints, mode 600."""
    head_file: Path | None = None
    """Where the greatest published size and root are kept, outside the database's backup."""
    snapshot_file: Path | None = None
    """Where a copy of the book spares the next start most of the replay; it may be deleted, and needs no backup."""
    snapshot_every_entries: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    """After so many entries a new snapshot is written, and at each stop."""
    tag_key_file: Path | None = None
    """File of the secret that makes payer tags, mode 600."""
    token_key: PublicKey | None = None
    """Public key of the directory that issues tokens, base64."""
    event_key: PublicKeys | None = None
    """Public event key of this node, base64: it signs the federation service's tokens. Two in a rotation: `old,new`."""
    registry_sha256: Annotated[str, Field(pattern=names.HASH_PATTERN)] | None = None
    """Hash of the network's first registry, from a trusted source; none: only an operator hands the first one in."""
    time_zone: Annotated[str, AfterValidator(_known_zone)] = ZONE_DEFAULT
    """The town's time zone, an IANA name: it says to which day an entry belongs in reports, and nothing else."""
    clock_confirmed: bool = False
    """The clock is right although it stands more than 30 days ahead of the last entry."""
    transfer_expires_after_seconds: Annotated[int, Field(ge=60, le=30 * 86_400)] = 7 * 86_400
    """Until when the payee's town may take a transfer whose sender does not say."""
    queue_limit: Annotated[int, Field(ge=1, le=1_000_000)] = 8_192
    """Commands that may wait for the writer."""
    rate_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000
    """Requests a second from one client, and from all those together who need no token."""
    rate_burst: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Requests that a client who rested may make at once."""
    wait_seconds_max: Annotated[int, Field(ge=0, le=30)] = 30
    """How long a reader of the journal's tail may wait for its next entry."""
    followers_max: Annotated[int, Field(ge=1, le=1_000)] = 16
    """Readers of the tail that may wait at the same time."""
    webhook_allow_loopback: bool = False
    """Webhooks may be sent to this machine, with http too: for a sandbox and for tests, never for a town."""
