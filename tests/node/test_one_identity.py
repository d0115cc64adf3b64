"""Two nodes with one id: a home opens the journal that follows its own registry, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity
from timebank_contracts.state import Book
from timebank_federation.registries import Registries
from timebank_node.chance import Seeded
from timebank_node.home import Home, make_home
from timebank_node.network import first_registry
from timebank_node.one_identity import check_identity_is_ours

ABERDARE = Identity("timebank.example", "aberdare", "g1")
OPERATOR = SigningKey(b"o" * 32)


def make(folder: Path, label: str) -> Home:
    return make_home(folder, ABERDARE, url="http://127.0.0.1:8101", random=Seeded(1, label))


def registry_of(home: Home) -> bytes:
    return first_registry(ABERDARE.network, [home.described], operators=[OPERATOR], k=1)


def following(registries: Registries) -> Book:
    """A book whose journal accepted what is held."""
    latest = registries.latest
    assert latest is not None
    return Book(identity=ABERDARE, registry_version=latest.version, registry_sha256=latest.sha256)


def test_a_home_opens_the_journal_that_follows_its_registry(tmp_path: Path) -> None:
    home = make(tmp_path, "first")
    held = Registries(None)
    check_identity_is_ours(home, held, Book())
    held.add(registry_of(home))
    check_identity_is_ours(home, held, Book())
    check_identity_is_ours(home, held, following(held))


def test_a_home_without_the_registry_that_the_journal_follows_is_refused(tmp_path: Path) -> None:
    home = make(tmp_path, "first")
    held = Registries(None)
    held.add(registry_of(home))
    with pytest.raises(Malformed, match="put its registry folder back, or `timebank node accept`"):
        check_identity_is_ours(home, Registries(None), following(held))


def test_a_journal_that_follows_another_registry_is_another_nodes(tmp_path: Path) -> None:
    first, second = make(tmp_path / "1", "first"), make(tmp_path / "2", "second")
    theirs, ours = Registries(None), Registries(None)
    theirs.add(registry_of(first))
    ours.add(registry_of(second))
    with pytest.raises(Malformed, match="another node's of the same id"):
        check_identity_is_ours(second, ours, following(theirs))


def test_a_second_home_with_keys_of_its_own_is_refused_even_with_the_right_registry(tmp_path: Path) -> None:
    first, second = make(tmp_path / "1", "first"), make(tmp_path / "2", "second")
    held = Registries(None)
    held.add(registry_of(first))
    with pytest.raises(Malformed, match="restore the right key"):
        check_identity_is_ours(second, held, following(held))
