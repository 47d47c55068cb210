"""A page in a real browser: what overflows and what overlaps, as laid out at some widths."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support import needs

# Tells the frame around the page how its words lie. What a box lets scroll may be beyond the edge.
_MEASURE = """<script>
const words = [], wrong = [], edge = document.documentElement.clientWidth;
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const node = walk.currentNode, text = node.textContent.trim();
  if (!text || node.parentElement.closest("script, style")) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const box of range.getClientRects())
    if (box.width > 1) words.push({box, text, scrolls: !!node.parentElement.closest(".scroll")});
}
for (const {box, text, scrolls} of words)
  if (!scrolls && (box.left < -1 || box.right > edge + 1)) wrong.push("beyond the edge: " + text);
if (document.documentElement.scrollWidth > edge) wrong.push("the page scrolls sideways");
for (let i = 0; i < words.length; i++)
  for (let j = i + 1; j < Math.min(words.length, i + 60); j++) {
    const [a, b] = [words[i].box, words[j].box];
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
      wrong.push("overlap: " + words[i].text + " / " + words[j].text);
  }
const pictures = [...document.images];
parent.document.getElementById("found").append(JSON.stringify({
  width: innerWidth, words: words.length, wrong,
  broken: pictures.filter((each) => !each.naturalWidth).length, pictures: pictures.length,
}) + "\\n");
</script>"""


def laid_out(page: Path, widths: Iterable[int], folder: Path) -> list[dict[str, Any]]:
    """Return how a page is laid out at some widths, narrowest first.

    Each has `width`, the number of `words`, `pictures` and `broken` ones, and what is `wrong`. A
    browser's window has a least width, so the page stands in frames of one.
    """
    text = html.escape(page.read_text().replace("</body>", f"{_MEASURE}</body>"))
    frames = [f'<iframe width="{width}" height="900" srcdoc="{text}"></iframe>' for width in widths]
    outer = folder / "frames.html"
    outer.write_text(f'<!DOCTYPE html><pre id="found"></pre>{"".join(frames)}')
    found = re.search(r'<pre id="found">(.*?)</pre>', _dump(outer, folder), re.DOTALL)
    assert found, "the browser has told nothing"
    rows = [json.loads(html.unescape(line)) for line in found[1].splitlines()]
    return sorted(rows, key=lambda row: row["width"])


def _dump(page: Path, folder: Path) -> str:
    """Return a page as the browser has it when it is loaded."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        needs.skip("Chromium is not installed")
    # Root has no sandbox; what it reaches for at its start leads nowhere.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'browser'}"]
    command = [browser, *options, "--dump-dom", page.as_uri()]
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
