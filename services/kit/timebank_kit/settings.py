"""Settings from the environment: frozen, read once at start, and never silently misspelt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings


class SettingRefused(ValueError):
    """A setting is missing, or its value has another form."""


S = TypeVar("S", bound=BaseSettings)


class UnknownSetting(Exception):
    """A variable with our prefix that no setting has."""


def read_settings(kind: type[S], environ: Mapping[str, str]) -> S:
    """The settings of a room.

    Args:
        kind: its settings class, with `env_prefix`.
        environ: variables, such as `os.environ`.

    Raises:
        UnknownSetting: a variable begins with the prefix and is no setting; a typing error would go unseen.
        SettingRefused: a value is missing or out of its range.
    """
    prefix = str(kind.model_config["env_prefix"])
    given = {name.removeprefix(prefix): value for name, value in environ.items() if name.startswith(prefix)}
    known = {name.upper() for name in kind.model_fields}
    unknown = sorted(name for name in given if name not in known)
    if unknown:
        raise UnknownSetting(f"{prefix}{unknown[0]} is not a setting; there are: {', '.join(sorted(known))}.")
    try:
        return kind.model_validate_strings({name.lower(): value for name, value in given.items()})
    except ValidationError as error:
        # The value itself is not repeated: it may be a secret.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = "_".join(map(str, first["loc"])).upper()
        raise SettingRefused(f"{prefix}{name} cannot be used: {first['msg']}.") from None
