"""Writes what is generated from the contracts: `contracts/schemas/` and `contracts/vectors/`. Run it after a change.

    python -m contracts.generate

The functions that make the files are pure; tests compare their results with what is committed.
"""

from __future__ import annotations

from pathlib import Path

from contracts.vectors.make_vectors import make_vectors
from timebank_contracts.schemas import make_schemas

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write every generated file that differs, and say which."""
    for folder, files in (("schemas", make_schemas()), ("vectors", make_vectors())):
        for name, text in files.items():
            path = HERE / folder / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
                print(f"written: {path.relative_to(HERE)}")


if __name__ == "__main__":
    main()
