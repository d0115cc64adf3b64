"""The repository's own rules: what a person would otherwise have to remember."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = [ROOT / "contracts", *sorted(path for path in (ROOT / "services").iterdir() if path.is_dir())]
LINES_MAX = 400
FUNCTION_LINES_MAX = 75
BARRED_FILE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "handler", "service", "misc"}


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        return [path for pattern in patterns for path in ROOT.rglob(pattern) if ".venv" not in path.parts]
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


SOURCES = _tracked("*.py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_is_short_says_what_it_owns_and_has_a_good_name(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= LINES_MAX, "split it by noun or verb"
    assert path.stem not in BARRED_FILE_NAMES, "name the noun it holds or the verb it performs"
    tree = ast.parse(text)
    if text.strip():
        assert ast.get_docstring(tree), "a module says what it owns"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            # A function that only holds an application's routes is as long as its routes are many.
            nested = sum(
                (inner.end_lineno or 0) - inner.lineno + 1
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            lines = node.end_lineno - node.lineno + 1 - nested
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_a_room_has_a_readme_with_reading_order_life_and_what_is_left_out(room: Path) -> None:
    text = (room / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 90, "one page"
    assert "reading order" in text.lower()
    assert "life of" in text.lower()
    assert "left out" in text.lower()


def test_nothing_names_a_registry_host_or_a_path_of_one_machine() -> None:
    hosts = r"(pypi\.org|pythonhosted|maven\.org|maven\.apache|registry\.npmjs|proxy\.golang|crates\.io|deb\.debian)"
    barred = re.compile(hosts + "|" + "/" + "work/|/" + "root/")
    found = []
    for path in _tracked("*"):
        if path.suffix in {".png", ".db"} or path.name in {"LICENSE", "requirements.lock"}:
            continue
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
            if barred.search(line) and path != Path(__file__):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert not found


def test_the_lock_is_pinned_by_hash_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in lock
    pinned = re.findall(r"^[a-z0-9][a-z0-9._\[\]-]*==", lock, re.MULTILINE)
    assert len(pinned) > 50
    assert lock.count("--hash=sha256:") >= len(pinned)


def test_nothing_unfinished_is_left_in_the_code() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError|pragma: no cover")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert not found


def test_every_ignored_type_error_or_lint_says_why() -> None:
    bare = re.compile(r"#\s*(type:\s*ignore(\[[a-z-, ]+\])?|noqa(:\s*[A-Z0-9, ]+)?)\s*$")
    seen: dict[Path, set[str]] = {}
    found = []
    for path in SOURCES:
        explained = seen.setdefault(path, set())
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            code = re.search(r"#\s*(?:type:\s*ignore|noqa)\S*\s*([A-Z0-9, ]*)", line)
            if code is None or path == Path(__file__):
                continue
            mark = re.sub(r"\s+-.*|\s+#.*", "", line[line.index("#") :])
            if bare.search(line) and mark not in explained:
                found.append(f"{path.relative_to(ROOT)}:{number}")
            explained.add(mark)
    assert not found, "say why behind it (once a file for the same mark is enough)"
