"""Settings of the console as a process of its own: read once at start, frozen, passed down."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from timebank_kit.settings import ServiceAddress


class ConsoleSettings(BaseSettings):
    """`TIMEBANK_CONSOLE_…`; an unknown variable with this prefix is an error (see `timebank_kit.settings`)."""

    model_config = SettingsConfigDict(env_prefix="TIMEBANK_CONSOLE_", frozen=True, extra="forbid")

    ledger_url: ServiceAddress = Field(description="The town's ledger.")
    directory_url: ServiceAddress = Field(description="The town's directory, which gives the console its tokens.")
    client_id: str = Field(default="console", description="The client that `timebank client add` made for it.")
    client_secret: str = Field(
        min_length=16, description="Its secret; better in a file that …_CLIENT_SECRET_FILE names."
    )
    sign_in_before: bool = Field(
        default=False,
        description="Whoever reaches this process was let in before, by a proxy or by being on the machine.",
    )
