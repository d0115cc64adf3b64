"""A dry run: commands are tried on a layer over the book, which is thrown away, so that nothing below it changes.

    layer_over(book) ── perform, as for a real command ──▶ the entry that it would be ──▶ answered, and forgotten

The writer's thread does it, in the order of the queue: the answer is what the real command would have got there.
Source: design page 3, "Group session": what is shown before it is confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass

from timebank_ledger import commands as c


@dataclass(frozen=True, slots=True)
class Trial:
    """Commands that are tried one after another, each on what those before it would have written."""

    commands: tuple[c.Command, ...]
