"""Every problem has its sentence in English and Welsh, and its code in neither."""

from __future__ import annotations

import re

import pytest

from timebank_contracts.errors import REFUSALS
from timebank_contracts.problems import EDGE, STATUS, problem
from timebank_contracts.problems_cy import TITLES_CY, in_welsh

ENGLISH = REFUSALS | EDGE
SAME_IN_BOTH = re.compile(
    r"`[^`]+`|<\w+>|/\w+|[A-Z]\w*-[A-Z]\w*(?:-\w+)?|\b\w+_\w+\b|\b\w+\.\w*[a-z]\w*\b|\d[\d,:.]*\d|\d"
)
"""Headers, paths, fields, entry types and numbers."""


def test_every_code_has_a_welsh_sentence() -> None:
    assert sorted(ENGLISH.keys() - TITLES_CY.keys()) == [], "write it in problems_cy.py"
    assert sorted(TITLES_CY.keys() - ENGLISH.keys()) == []
    assert ENGLISH.keys() == STATUS.keys()


@pytest.mark.parametrize("code", sorted(ENGLISH))
def test_a_welsh_sentence_is_another_text_that_names_the_same_things(code: str) -> None:
    english, welsh = ENGLISH[code], TITLES_CY[code]
    assert welsh != english
    assert welsh.endswith(".")
    assert "'" not in welsh, "write ’"
    assert sorted(SAME_IN_BOTH.findall(welsh)) == sorted(SAME_IN_BOTH.findall(english))


@pytest.mark.parametrize("code", sorted(ENGLISH))
def test_only_words_are_translated(code: str) -> None:
    """Case J-11."""
    plain, special = (
        problem(code),
        problem(code, "This case alone.", errors=[{"field": "a", "code": "b", "detail": "c"}]),
    )
    assert in_welsh(plain) == plain | {"title": TITLES_CY[code], "detail": TITLES_CY[code]}
    assert in_welsh(special) == special | {"title": TITLES_CY[code]}
