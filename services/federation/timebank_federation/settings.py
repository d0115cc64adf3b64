"""Settings of the federation service: read once at start, frozen, passed down."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from timebank_federation.broker_security import KafkaSettings
from timebank_kit.settings import ServiceAddress


class FederationSettings(KafkaSettings):
    """`TIMEBANK_FEDERATION_…`; an unknown variable with this prefix is an error (see `timebank_kit.settings`)."""

    model_config = SettingsConfigDict(env_prefix="TIMEBANK_FEDERATION_", frozen=True, extra="forbid")

    ledger_url: ServiceAddress | None = Field(
        default=None, description="The town's ledger, when it is another process."
    )
    directory_url: ServiceAddress | None = Field(
        default=None, description="The town's directory, when it is another process."
    )
    poll_seconds: float = Field(default=30.0, ge=0.1, le=3600, description="Pause between polls without a broker.")
    witness_seconds: float = Field(
        default=30.0, ge=1, le=3600, description="Pause between two checkpoints that a witness is asked about."
    )
    quarantine_folder: Path | None = Field(default=None, description="Where segments without effect are kept.")
    registry_folder: Path | None = Field(default=None, description="Where registry documents are kept.")
    inbox_file: Path | None = Field(default=None, description="How far the inbox at Kafka was read; a hint.")
