"""Read the table rows of an HTML page in one pass, in memory that grows with the rows alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from bs4 import BeautifulSoup

# A tag ends before the next one begins: so no text is read twice.
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)([^<>]*)>")
_HREF = re.compile(r"""\bhref\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
# Of a page that is refused, so much is read to say what it says (characters).
_START = 4000


@dataclass(frozen=True)
class TableRow:
    """A table row of two cells; `link` is the first one in its second cell, or empty.

    `section` is the heading above it; `bold` where the first cell has bold text, as the keys of
    JSOC's summary do.
    """

    section: str
    key: str
    value: str
    link: str
    bold: bool


@dataclass(frozen=True)
class Page:
    """The headings of a page (h2), and its table rows that have two cells."""

    headings: list[str]
    rows: list[TableRow]


def read_markup(text: str) -> Page:
    """Return the headings and table rows of a page.

    Takes time in proportion to the text, whatever that is: parsers of HTML that were tried do not.
    """
    reader, end = _Reader(), 0
    text = _without_comments(text)
    for tag in _TAG.finditer(text):
        reader.read_text(text[end : tag.start()])
        end = tag.end()
        closes, name, attributes = tag.groups()
        if closes:
            reader.close_tag(name.lower())
        else:
            reader.open_tag(name.lower(), attributes)
    reader.read_text(text[end:])
    reader.end_row()
    return Page(reader.headings, reader.rows)


def _without_comments(text: str) -> str:
    """Return a page without comments; one that does not end goes to the page's end."""
    parts, end = [], 0
    while (start := text.find("<!--", end)) >= 0:
        parts.append(text[end:start])
        close = text.find("-->", start)
        end = close + len("-->") if close >= 0 else len(text)
    return "".join([*parts, text[end:]])


def start_of(text: str) -> str:
    """Return the first words that a page shows, for a message."""
    try:
        shown = BeautifulSoup(text[:_START], "html.parser").get_text(" ")
    except Exception:  # noqa: BLE001 - bytes that are no HTML make the parser raise many things
        shown = text[:_START]
    return " ".join(shown.split())[:120]


class _Reader:
    """Collects headings and rows, tag by tag."""

    def __init__(self) -> None:
        self.headings: list[str] = []
        self.rows: list[TableRow] = []
        self._cells: list[list[str]] = []
        self._links: list[str] = []
        self._bold = False
        # The list that takes the text: of a heading, of a cell, or none.
        self._text: list[str] | None = None

    def open_tag(self, name: str, attributes: str) -> None:
        if name == "tr":
            self.end_row()
        elif name == "td":
            self._text = []
            self._cells.append(self._text)
            self._links.append("")
        elif name == "h2":
            self._text = []
            self.headings.append("")
        elif name == "b" and len(self._cells) == 1:
            self._bold = True
        elif name == "a" and self._links and not self._links[-1]:
            match = _HREF.search(attributes)
            self._links[-1] = unescape(match[1].strip("\"'")) if match else ""

    def close_tag(self, name: str) -> None:
        if name == "h2" and self.headings and self._text is not None:
            self.headings[-1] = "".join(self._text).strip()
            self._text = None
        elif name == "td":
            self._text = None
        elif name in ("tr", "table"):
            self.end_row()

    def read_text(self, text: str) -> None:
        if self._text is not None and text:
            self._text.append(unescape(text))

    def end_row(self) -> None:
        """Keep the row that is read, where it has two cells, and begin another."""
        if len(self._cells) == 2:
            key, value = ("".join(cell).strip() for cell in self._cells)
            section = self.headings[-1] if self.headings else ""
            self.rows.append(TableRow(section, key, value, self._links[1], self._bold))
        self._cells, self._links, self._bold, self._text = [], [], False, None
