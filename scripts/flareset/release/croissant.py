"""Croissant 1.1 metadata: the files of a release, and the columns of images.csv.

Source: docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. The metadata has the sum of
images.csv, and images.csv has the sums of the images.
"""

from __future__ import annotations

import json
from typing import Any

from flareset.release.bag import Bag
from flareset.release.contents import INTEGERS, NUMBERS, Contents
from flareset.release.terms import Terms

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
# The media type of a layout's files, and a pattern of their names.
_FORMATS = {
    "fits": ("application/fits", "*.fits"),
    "webdataset": ("application/x-tar", "*.tar"),
    "parquet": ("application/vnd.apache.parquet", "*.parquet"),
    "zarr": ("application/vnd.zarr", "**"),
    "asdf": ("application/x-asdf", "*.asdf"),
}
_MEANINGS = {
    "label": "1 in the flare, 0 before and after",
    "sha256": "of the FITS file",
    "split": "train by this one: groups of flares",
    "split_leaky": "a baseline to report, never to train on: images at random",
    "slot": "T_REC (UTC); with event_id the key of a stack of channels",
    "exposure": "short or normal",
}


def croissant(contents: Contents, terms: Terms, bag: Bag) -> str:
    """Return the Croissant of a release whose tables and layouts are in the bag."""
    return json.dumps(
        {
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.1",
            "name": terms.name,
            "description": terms.title,
            "version": terms.version,
            "datePublished": terms.date,
            "license": terms.license_url,
            "citeAs": terms.citation,
            "creator": [_person(name, orcid) for name, orcid in terms.people],
            **({"url": terms.url} if terms.url else {}),
            "distribution": [*_tables(bag), *_layouts(terms)],
            "recordSet": [_splits(contents), _images(contents)],
        },
        indent=1,
    )


def _person(name: str, orcid: str) -> dict[str, str]:
    person = {"@type": "sc:Person", "name": name}
    return {**person, "identifier": f"https://orcid.org/{orcid}"} if orcid else person


def _tables(bag: Bag) -> list[dict[str, Any]]:
    tables = [path for path in bag.sums if path.endswith(".csv")]
    return [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "encodingFormat": "text/csv",
            "contentSize": f"{bag.sizes[path]} B",
            "sha256": bag.sums[path],
        }
        for path in tables
    ]


def _layouts(terms: Terms) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileSet",
            "@id": layout,
            "name": layout,
            "encodingFormat": _FORMATS[layout][0],
            "includes": f"data/{layout}/{_FORMATS[layout][1]}",
        }
        for layout in terms.layouts
    ]


def _splits(contents: Contents) -> dict[str, Any]:
    names = sorted({*contents.images["split"]} - {""})
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"}
        ],
        "data": [{"splits/name": name} for name in names],
    }


def _images(contents: Contents) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": "A row per image and event.",
        "key": [{"@id": "images/event_id"}, {"@id": "images/filename"}],
        "field": [_field(column, contents) for column in contents.images],
    }


def _field(column: str, contents: Contents) -> dict[str, Any]:
    kind = "sc:Text"
    # A column of numbers with an empty cell would not load as numbers.
    if contents.images[column].notna().all():
        kind = "sc:Integer" if column in INTEGERS else "sc:Float" if column in NUMBERS else kind
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"images/{column}",
        "name": column,
        "dataType": kind,
        "source": {"fileObject": {"@id": "images.csv"}, "extract": {"column": column}},
    }
    if column in _MEANINGS:
        field["description"] = _MEANINGS[column]
    if column == "split":
        field["references"] = {"field": {"@id": "splits/name"}}
    return field
