"""Chance that can be had again, and the first registry that operators sign."""

from __future__ import annotations

from pathlib import Path

import pytest

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode, open_registry
from timebank_node.chance import Seeded
from timebank_node.home import make_home
from timebank_node.network import first_registry

OPERATORS = [SigningKey(bytes([number]) * 32) for number in (1, 2, 3)]


def described(folder: Path, name: str) -> RegisteredNode:
    identity = Identity("timebank.example", name, "g1")
    return make_home(folder / name, identity, url=f"https://{name}.example", random=Seeded(1, name)).described


def test_one_seed_and_label_give_the_same_bytes_in_the_same_order() -> None:
    one, again = Seeded(7, "a"), Seeded(7, "a")
    assert [one(5), one(32), one(0), one(100)] == [again(5), again(32), again(0), again(100)]


def test_another_seed_label_or_call_gives_other_bytes() -> None:
    source = Seeded(7, "a")
    given = [source(16), source(16), Seeded(8, "a")(16), Seeded(7, "b")(16), Seeded(71, "")(16), Seeded(7, "1")(16)]
    assert len(set(given)) == len(given)
    assert [len(Seeded(1, "x")(count)) for count in (0, 1, 32, 33, 1000)] == [0, 1, 32, 33, 1000]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_first_registry_is_signed_by_its_operators(tmp_path: Path, k: int) -> None:
    nodes = [described(tmp_path, "aberdare"), described(tmp_path, "barry")]
    registry = open_registry(first_registry("timebank.example", nodes, operators=OPERATORS, k=k), previous=None)
    assert (registry.version, registry.operators.k, len(registry.operators.keys)) == (1, k, 3)
    assert registry.nodes == nodes


@pytest.mark.parametrize("k", [0, 4, -1])
def test_k_is_at_least_one_and_at_most_the_number_of_operators(tmp_path: Path, k: int) -> None:
    with pytest.raises(Malformed):
        first_registry("timebank.example", [described(tmp_path, "aberdare")], operators=OPERATORS, k=k)


def test_a_node_or_an_operator_stands_once_in_a_registry(tmp_path: Path) -> None:
    node = described(tmp_path, "aberdare")
    with pytest.raises(Malformed):
        first_registry("timebank.example", [node, node], operators=OPERATORS, k=1)
    with pytest.raises(Malformed):
        first_registry("timebank.example", [node], operators=[OPERATORS[0], OPERATORS[0]], k=1)
