"""The part of a hash-pinned lock that some roots need: an image of the servers holds no test runner and no compiler.

    requirements.lock (servers and tools) ─ names, and "via" whom each came ─▶ what the roots need, hashes and all

uv notes behind each pin who asked for it; the graph is walked from the roots. Needs the standard library alone, since
it runs before anything is installed. `python deploy/image/pick.py EXTRA|NAME …` prints the chosen pins.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?==")
_VIA = re.compile(r"^ +# (?:via )? *(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)$")
_REQUIREMENT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


class Pin(NamedTuple):
    """A pinned distribution: the distributions that asked for it, and its lines in the lock."""

    asked_by: frozenset[str]
    text: str


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> dict[str, Pin]:
    """The pins of a lock by name."""
    pins: dict[str, Pin] = {}
    name, lines, asked_by = "", list[str](), set[str]()
    for line in [*text.splitlines(), "end==0"]:
        if found := _PIN.match(line):
            if name:
                pins[name] = Pin(frozenset(asked_by), "\n".join(lines))
            name, lines, asked_by = normal(found["name"]), [], set()
        if name and (via := _VIA.match(line)):
            asked_by.add(normal(via["name"]))
        elif name and line.strip() and not line.lstrip().startswith("#"):
            lines.append(line)
    return pins


def roots_of(project: str, asked: Iterable[str]) -> set[str]:
    """The names that are asked for: those of an extra (`node`) with the base distribution's, else the name itself."""
    described = tomllib.loads(project)["project"]
    roots: set[str] = set()
    for each in asked:
        extra = described["optional-dependencies"].get(each)
        wanted = [each] if extra is None else [*described["dependencies"], *extra]
        roots |= {normal(found[0]) for text in wanted if (found := _REQUIREMENT.match(text))}
    return roots


def pick(pins: dict[str, Pin], roots: Iterable[str]) -> list[str]:
    """The names that the roots need, themselves included, in order.

    Raises:
        KeyError: a root is not in the lock.
    """
    needed: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        if name not in pins:
            raise KeyError(name)
        needed.add(name)
        waiting += [other for other, pin in pins.items() if name in pin.asked_by]
    return sorted(needed)


def main(asked: list[str]) -> int:
    """Print the pins; exit status 1 when one is asked for that the lock does not hold."""
    pins = read_lock((ROOT / "requirements.lock").read_text("utf-8"))
    try:
        names = pick(pins, roots_of((ROOT / "pyproject.toml").read_text("utf-8"), asked))
    except KeyError as missing:
        print(f"requirements.lock does not hold {missing}: make lock", file=sys.stderr)
        return 1
    for name in names:
        print(pins[name].text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
