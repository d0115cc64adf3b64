"""The report's page in a real browser: axe, which looks for what bars people from a page, finds nothing.

Chromium loads the page from a file, with axe put into it; what axe found is read from the document afterwards.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.audit.mutators import MUTATORS
from timebank_audit.page import page
from timebank_audit.page_words import Language
from timebank_audit.report import make_report
from timebank_audit.verify import verify

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--virtual-time-budget=30000",
    "--dump-dom",
)
"""No sandbox: it cannot be had as root, and the page is our own."""
RUN = """axe.run().then(found => { const told = document.createElement("pre"); told.id = "told";
told.textContent = JSON.stringify(found); document.body.append(told); });"""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sentence = "Chromium is not installed: on Debian, apt-get install chromium."
        if os.environ.get("CI") == "true":
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)
    return found


def told_by_axe(text: str, folder: Path) -> dict[str, Any]:
    """Axe's results on a page, whose policy against scripts is lifted for this one."""
    axe = (files("axe_core_python") / "axe.min.js").read_text("utf-8").replace("</script", "<\\/script")
    lifted, count = POLICY.subn("", text)
    assert count == 1
    file = folder / "page.html"
    file.write_text(lifted.replace("</body>", f"<script>{axe}</script><script>{RUN}</script></body>"), "utf-8")
    command = [browser(), f"--user-data-dir={folder / 'profile'}", *ARGUMENTS, file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, done.stderr[-2_000:]
    found: dict[str, Any] = json.loads(html.unescape(told[1]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "cy"])
def test_axe_finds_nothing_on_the_page(language: Language, tmp_path: Path) -> None:
    MUTATORS["A32"](tmp_path / "towns")
    report = make_report(verify([tmp_path / "towns"]), version="test")
    assert report["findings"]
    assert report["listed"]
    found = told_by_axe(page(report, language), tmp_path)
    assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert {"color-contrast", "html-has-lang", "scrollable-region-focusable"} <= {one["id"] for one in found["passes"]}
