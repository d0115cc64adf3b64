"""Secrets that nobody else may read, and files that are replaced whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from timebank_kit.files import SECRET_BYTES_MAX, UnsafeFile, atomic_write, read_secret, write_secret


def test_a_secret_is_written_for_its_owner_only_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_secret(path, b"secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secret(path) == b"secret"


def test_a_secret_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_secret(path, b"secret")
    with pytest.raises(FileExistsError):
        write_secret(path, b"other")
    assert read_secret(path) == b"secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_secret_that_is_open_to_others_is_refused_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(mode)
    with pytest.raises(UnsafeFile, match=f"chmod 600 {path}"):
        read_secret(path)


def test_a_link_to_a_secret_is_judged_by_what_it_points_to(tmp_path: Path) -> None:
    path, link = tmp_path / "key", tmp_path / "link"
    write_secret(path, b"secret")
    link.symlink_to(path)
    assert read_secret(link) == b"secret"
    path.chmod(0o644)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        read_secret(link)


def test_what_is_no_small_plain_file_is_no_secret(tmp_path: Path) -> None:
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe, 0o600)
    write_secret(large, b"x" * (SECRET_BYTES_MAX + 1))
    for path in (tmp_path, pipe, large):
        with pytest.raises(UnsafeFile, match="not a plain file"):
            read_secret(path)
    with pytest.raises(UnsafeFile, match="cannot be read"):
        read_secret(tmp_path / "missing")


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "head"
    atomic_write(path, b"a longer first content")
    atomic_write(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_beside_a_file_does_not_stand_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "head"
    atomic_write(path, b"old")
    path.with_name("head.new").write_bytes(b"half of something much longer")
    assert path.read_bytes() == b"old"
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_replacement_that_fails_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    """A folder stands in its place, so the last step fails."""
    (tmp_path / "head").mkdir()
    with pytest.raises(OSError, match="directory"):
        atomic_write(tmp_path / "head", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["head"]
