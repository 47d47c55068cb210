"""Read the table rows of an HTML page in one pass. Only the rows take memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from bs4 import BeautifulSoup

# A tag contains no < or >, so no text is read twice.
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)([^<>]*)>")
_HREF = re.compile(r"""\bhref\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
# The length (characters) of a refused page that is read for the error message.
_START = 4000


@dataclass(frozen=True)
class TableRow:
    """A table row of two cells. `link` is the first link in its second cell, or empty.

    `section` is the heading above the row. `bold`: the first cell has bold text, as the keys of
    JSOC's summary have.
    """

    section: str
    key: str
    value: str
    link: str
    bold: bool


@dataclass(frozen=True)
class Page:
    """The headings (h2) of a page, and its table rows with two cells."""

    headings: list[str]
    rows: list[TableRow]


def read_markup(text: str) -> Page:
    """Return the headings and table rows of a page.

    The time is proportional to the length of any text, unlike that of the HTML parsers we tried.
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
    """Return a page without comments. A comment without end goes to the page's end."""
    parts, end = [], 0
    while (start := text.find("<!--", end)) >= 0:
        parts.append(text[end:start])
        close = text.find("-->", start)
        end = close + len("-->") if close >= 0 else len(text)
    return "".join([*parts, text[end:]])


def start_of(text: str) -> str:
    """Return the first words of a page's text, for a message."""
    try:
        shown = BeautifulSoup(text[:_START], "html.parser").get_text(" ")
    except Exception:  # noqa: BLE001 - bytes that are no HTML make the parser raise many things
        shown = text[:_START]
    return " ".join(shown.split())[:120]


class _Reader:
    """A reader that collects headings and rows, tag by tag."""

    def __init__(self) -> None:
        self.headings: list[str] = []
        self.rows: list[TableRow] = []
        self._cells: list[list[str]] = []
        self._links: list[str] = []
        self._bold = False
        # The list that collects the text of the current heading or cell; None outside of both.
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
        """Keep the current row if it has two cells, and begin another."""
        if len(self._cells) == 2:
            key, value = ("".join(cell).strip() for cell in self._cells)
            section = self.headings[-1] if self.headings else ""
            self.rows.append(TableRow(section, key, value, self._links[1], self._bold))
        self._cells, self._links, self._bold, self._text = [], [], False, None
