"""`python -m timebank_ledger.openapi FILE`: write the API's document, as it is committed and served.

A test compares the committed file with what is served; after a wanted change, run this and commit the file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from timebank_ledger.api import openapi_document


def document_text() -> str:
    """The document as it is committed: sorted, indented, ended by a line feed."""
    return json.dumps(openapi_document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Say where to write: python -m timebank_ledger.openapi contracts/openapi/ledger.json")
    Path(sys.argv[1]).write_text(document_text(), "utf-8")
