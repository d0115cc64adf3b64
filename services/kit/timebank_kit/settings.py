"""Settings from the environment: frozen, read once at start, and never silently misspelt.

variables ─ secrets_from_files ─▶ `X_FILE` becomes X ─ read_settings ─▶ one frozen object for each room
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, ValidationError
from pydantic_settings import BaseSettings

from timebank_kit.files import UnsafeFile, read_secret

FILE_SUFFIX: Final = "_FILE"
OURS: Final = "TIMEBANK_"
_NEAR: Final = 0.75
"""How alike a variable's room and one of ours must be to be taken for a typing error."""


class SettingRefused(ValueError):
    """A setting is missing, or its value has another form."""


S = TypeVar("S", bound=BaseSettings)


class UnknownSetting(Exception):
    """A variable with our prefix that no setting has."""


def _service_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("write it as http://host:port")
    return text


ServiceAddress = Annotated[str, AfterValidator(_service_address)]
"""Where another service of the town listens: `http://host:port`, without a path."""


def _addresses(text: str) -> str:
    for each in text.split(",") if text else ():
        host, _, port = each.strip().rpartition(":")
        if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise ValueError("write it as host:port, several of them with commas between")
    return text


HostPorts = Annotated[str, AfterValidator(_addresses)]
"""`host:port[,…]`, or nothing."""


def refuse_misspelt_rooms(environ: Mapping[str, str], kinds: Iterable[type[BaseSettings]]) -> None:
    """Refuse a variable that is nobody's although it was surely meant for one of the rooms.

    Args:
        environ: variables, such as `os.environ`.
        kinds: the settings of every room.

    Raises:
        UnknownSetting: such as TIMEBANK_LEGDER_JOURNAL_URL, which no room would ever read.
    """
    prefixes = [str(kind.model_config["env_prefix"]) for kind in kinds]
    rooms = [prefix.removeprefix(OURS).rstrip("_") for prefix in prefixes]
    for name in sorted(environ):
        if not name.startswith(OURS) or name.startswith(tuple(prefixes)):
            continue
        near = get_close_matches(name.removeprefix(OURS).partition("_")[0], rooms, n=1, cutoff=_NEAR)
        if near:
            raise UnknownSetting(f"{name} is no room's setting; did you mean {OURS}{near[0]}_…?")


def secrets_from_files(environ: Mapping[str, str], kinds: Iterable[type[BaseSettings]]) -> dict[str, str]:
    """The variables, with each `<SETTING>_FILE` replaced by `<SETTING>`: the text in that file, which must be secret.

    Args:
        environ: variables, such as `os.environ`.
        kinds: the settings whose values may come from files; a setting that is a path itself stays as it is.

    Raises:
        UnsafeFile: the file is missing, or others can read it.
        SettingRefused: a setting is given twice, or its file holds more than one line.
    """
    said = dict(environ)
    for kind in kinds:
        prefix = str(kind.model_config["env_prefix"])
        settings = {f"{prefix}{name.upper()}" for name in kind.model_fields}
        for name in sorted(settings):
            variable = name + FILE_SUFFIX
            if variable not in said or variable in settings:
                continue
            if name in said:
                raise SettingRefused(f"{name} and {variable} are both set; keep one of them.")
            said[name] = _line_of(Path(said.pop(variable)), variable)
    return said


def _line_of(path: Path, variable: str) -> str:
    try:
        line = read_secret(path).decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnsafeFile as error:
        raise UnsafeFile(f"{variable}: {error}") from error
    except UnicodeDecodeError as error:
        raise SettingRefused(
            f"{variable} names a file that is not text; write the value into it, on one line."
        ) from error
    if not line or not line.isprintable():
        raise SettingRefused(f"{variable} names a file that does not hold one line; write the value into it.")
    return line


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
