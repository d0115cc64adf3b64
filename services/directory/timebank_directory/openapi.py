"""`python -m timebank_directory.openapi FILE`: write the API's document, as it is committed and served.

A test compares the committed file with what is served; after a wanted change, run this and commit the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from timebank_directory.api import document
from timebank_kit.openapi import document_text

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Say where to write: python -m timebank_directory.openapi contracts/openapi/directory.json")
    Path(sys.argv[1]).write_text(document_text(document()), "utf-8")
