"""Cursors: where a page ended, as a text that callers hand back and do not read.

    base64url("<route> <place>")        a cursor of another route, or none of ours, is refused

A cursor gives nobody anything: each page is filtered for its caller again.
Source: design page 3, "HTTP API".
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from timebank_kit.problem_answers import EdgeProblem

CURSOR_CHARACTERS_MAX: Final = 200
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]+")


def make_cursor(route: str, place: str) -> str:
    """The cursor of the page that begins after `place`.

    Args:
        route: its operation id.
        place: ASCII, what the route finds the place by, such as the last id of a page.
    """
    cursor = urlsafe_b64encode(f"{route} {place}".encode("ascii")).decode("ascii").rstrip("=")
    assert len(cursor) <= CURSOR_CHARACTERS_MAX, "a place is short"
    return cursor


def read_cursor(route: str, cursor: str, *, place: str) -> str:
    """The place that a cursor names.

    Args:
        route: the operation id that it must be of.
        cursor: as it came.
        place: pattern of a place; the whole of it must match.

    Raises:
        EdgeProblem: `cursor_invalid`.
    """
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        text = ""
    own, _, found = text.partition(" ")
    if not _TEXT.fullmatch(cursor) or own != route or not re.fullmatch(place, found):
        raise EdgeProblem("cursor_invalid")
    return found
