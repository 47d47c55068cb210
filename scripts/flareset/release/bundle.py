"""Pack a data set: refuse what must not be published, write all files, name the folder at last."""

from __future__ import annotations

import inspect
import shutil
from dataclasses import replace
from pathlib import Path

from flareset.errors import ReleaseError
from flareset.release import loader
from flareset.release.bag import Bag, refuse_addresses
from flareset.release.card import card
from flareset.release.contents import OF_ARRAYS, TABLES, Contents
from flareset.release.crate import citation, crate
from flareset.release.croissant import croissant
from flareset.release.layouts import WITH_HEADERS, WRITERS, header_text, needed
from flareset.release.terms import Terms

_SUMS = "tagmanifest-sha256.txt"


def pack(contents: Contents, terms: Terms, folder: Path) -> str:
    """Make `folder`/<name>-<version>, and return a sha256 over the whole release.

    The same contents and terms give the same sum. Raises ReleaseError if the set must not be
    published, or this version exists with other sums. Raises StoreError if the folder cannot be
    written.
    """
    for layout in terms.layouts:
        needed(layout)
    _refuse_unfit(contents)
    final, new = folder / terms.folder, folder / f"{terms.folder}.new"
    terms = replace(terms, title=terms.title or _title(contents, terms))
    shutil.rmtree(new, ignore_errors=True)
    try:
        found = _write(contents, terms, Bag(new))
        if not final.exists():
            new.rename(final)
        elif _sums(final) != _sums(new):
            raise ReleaseError(
                f"{final}: this version is there and would have other sums now: raise"
                " release.version, or remove it with its .sha256 if nobody has it"
            )
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return found


def _sums(folder: Path) -> bytes:
    """Return the sums of a release; nothing if it has none."""
    path = folder / _SUMS
    return path.read_bytes() if path.is_file() else b""


def _refuse_unfit(contents: Contents) -> None:
    """Raise ReleaseError if the audit failed, or if more images failed than allowed."""
    if breaches := contents.audit["breaches"]:
        raise ReleaseError(
            f"the audit failed: {len(breaches)} breaches; the first: {breaches[0]}. A set like this"
            " is not released: see audit.md"
        )
    allowed = contents.history["config"]["completeness"]["allow_missing"]
    for entry in contents.history["events"]:
        if (failed := entry["statuses"].get("failed", 0)) > allowed:
            raise ReleaseError(
                f"{entry['event_id']} at {entry['wavelength']}: {failed} images failed, and"
                f" completeness.allow_missing is {allowed}: run again until they are there"
            )
    if contents.images.empty:
        raise ReleaseError("no image was drawn: there is nothing to release")


def _title(contents: Contents, terms: Terms) -> str:
    return f"{terms.name}: labelled SDO images of {contents.images['event_id'].nunique()} flares"


def _write(contents: Contents, terms: Terms, bag: Bag) -> str:
    if WITH_HEADERS & {*terms.layouts}:
        for name in contents.files["filename"]:
            refuse_addresses(header_text(contents.path(name)), name)
    for layout in terms.layouts:
        WRITERS[layout](contents, bag, terms.shard_size)
    for table in TABLES:
        bag.write(table, (contents.folder / table).read_text(encoding="utf-8"))
    if contents.arrays is not None:
        for name in OF_ARRAYS:
            bag.write(name, (contents.arrays / name).read_text(encoding="utf-8"))
    bag.write("loader.py", inspect.getsource(loader))
    bag.write("README.md", card(contents, terms))
    bag.write("CITATION.cff", citation(terms))
    bag.write("croissant.json", croissant(contents, terms, bag) + "\n")
    bag.write("ro-crate-metadata.json", crate(contents, terms, bag) + "\n")
    return bag.close(terms.folder, terms.date)


def date_of(folder: Path) -> str:
    """Return the day on which a release was packed earlier; empty if there is none."""
    try:
        lines = (folder / "bag-info.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ""
    return dict(line.split(": ", 1) for line in lines)["Bagging-Date"]
