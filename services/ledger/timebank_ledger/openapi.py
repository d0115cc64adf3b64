"""`python -m timebank_ledger.openapi FILE`: write the API's document, as it is committed and served.

A test compares the committed file with what is served; after a wanted change, run this and commit the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from timebank_kit.openapi import document_text
from timebank_ledger.api import document

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Say where to write: python -m timebank_ledger.openapi contracts/openapi/ledger.json")
    Path(sys.argv[1]).write_text(document_text(document()), "utf-8")
