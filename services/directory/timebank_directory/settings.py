"""Settings of the directory service: read once at start, frozen, passed down."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from timebank_kit.oidc import OidcSettings
from timebank_kit.settings import ServiceAddress


class DirectorySettings(OidcSettings):
    """`TIMEBANK_DIRECTORY_…`; an unknown variable with this prefix is an error (see `timebank_kit.settings`)."""

    model_config = SettingsConfigDict(env_prefix="TIMEBANK_DIRECTORY_", frozen=True, extra="forbid")

    ledger_url: ServiceAddress | None = Field(
        default=None, description="The town's ledger, when it is another process."
    )
    url: str | None = Field(default=None, description="Where clients reach it, when not under the node's URL.")
    database: str = Field(default="sqlite://", description="SQLAlchemy URL of the erasable tables.")
    erasures_file: Path | None = Field(default=None, description="Erased accounts, kept apart from the database.")
