"""A payment address as a QR code, for a screen or for paper. Pure: text in, SVG out.

The picture holds the address and nothing else: no name, no account, no link to a page that would see who scans.
Source: PROTOCOL.md N7; ISO/IEC 18004.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

import segno

SVG_TYPE: Final = "image/svg+xml"
MODULE_UNITS: Final = 8
"""Units of the picture for one square of the code; it has no size of its own and fills its place."""
QUIET_MODULES: Final = 4
"""The empty margin that the standard demands."""


def payment_code(address: str) -> bytes:
    """The QR code of an address, as SVG.

    Args:
        address: `payment_address.show_payment_address`, at most 264 characters.

    Returns:
        Dark squares on white, whatever lies below; the address is its title, for who cannot see it. A sixth of the
        code may be damaged (level M): paper gets creased.
    """
    code = segno.make_qr(address, error="m", boost_error=False)
    out = BytesIO()
    code.save(
        out,
        kind="svg",
        scale=MODULE_UNITS,
        border=QUIET_MODULES,
        dark="#000",
        light="#fff",
        title=address,
        omitsize=True,
        svgclass=None,
        lineclass=None,
    )
    return out.getvalue()
