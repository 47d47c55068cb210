"""RO-Crate 1.1 metadata and CITATION.cff: the release for catalogues.

Source: w3id.org/ro/crate/1.1; github.com/citation-file-format.
"""

from __future__ import annotations

import json
from typing import Any

from flareset import __version__
from flareset.release.bag import Bag
from flareset.release.contents import Contents
from flareset.release.terms import Terms


def crate(contents: Contents, terms: Terms, bag: Bag) -> str:
    """Return the RO-Crate of a release whose tables and layouts are in the bag."""
    files = [path for path in bag.sums if not path.startswith("data/")]
    folders = [f"data/{layout}/" for layout in terms.layouts]
    people = [
        {"@id": f"https://orcid.org/{orcid}" if orcid else f"#{name}", "@type": "Person"}
        | {"name": name}
        for name, orcid in terms.people
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": terms.title,
        "description": terms.citation,
        "datePublished": terms.date,
        "version": terms.version,
        "license": {"@id": terms.license_url},
        "creator": _references(people),
        "hasPart": [{"@id": path} for path in [*files, *folders]],
        "mentions": {"@id": "#selection"},
    }
    graph = [
        _descriptor(),
        root,
        *({"@id": path, "@type": "File", "sha256": bag.sums[path]} for path in files),
        *({"@id": path, "@type": "Dataset", "name": path} for path in folders),
        *people,
        {"@id": terms.license_url, "@type": "CreativeWork", "name": terms.license},
        *_history(contents),
    ]
    context = "https://w3id.org/ro/crate/1.1/context"
    return json.dumps({"@context": context, "@graph": graph}, indent=1)


def _descriptor() -> dict[str, Any]:
    return {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }


def _history(contents: Contents) -> list[dict[str, Any]]:
    """Return the origin of the data set: the draw, the software, and the recordsets."""
    found = contents.history["recordsets"]
    recordsets = [
        {"@id": f"#recordset-{n}", "@type": "Dataset", "name": name} for n, name in enumerate(found)
    ]
    software = {
        "@id": "#flareset",
        "@type": "SoftwareApplication",
        "name": "flareset",
        "softwareVersion": __version__,
    }
    if commit := contents.history["flareset"]["git"]:
        software["identifier"] = commit
    action = {
        "@id": "#selection",
        "@type": "CreateAction",
        "name": f"The draw, with seed {contents.history['seed']}",
        "instrument": {"@id": "#flareset"},
        "object": _references(recordsets),
        "result": {"@id": "./"},
    }
    return [action, software, *recordsets]


def _references(entities: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"@id": entity["@id"]} for entity in entities]


def citation(terms: Terms) -> str:
    """Return CITATION.cff, with JSON values, which are valid YAML."""
    people = [
        {"name": name, **({"orcid": f"https://orcid.org/{orcid}"} if orcid else {})}
        for name, orcid in terms.people
    ]
    entries = {
        "cff-version": "1.2.0",
        "message": "If you use this data set, cite it, and JSOC as the source of the images.",
        "type": "dataset",
        "title": terms.title,
        "authors": people,
        "version": terms.version,
        "date-released": terms.date,
        **({"url": terms.url} if terms.url else {}),
    }
    # The format allows only SPDX's licences.
    if not terms.license.startswith("http"):
        entries["license"] = terms.license
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in entries.items())
