import itertools
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from support.factories import EUV, HOSTS, SHORT, a_query, an_event
from support.rows import cells, column

from flareset.campaign.events import Event
from flareset.campaign.pages import page_text
from flareset.errors import ListingError
from flareset.ledger import empty_slots
from flareset.listing import list_page
from flareset.sdo.keywords import LISTED
from flareset.sdo.recordset import window_recordset
from flareset.sdo.series import SERIES
from flareset.sdo.times import iso, parse_utc
from flareset.sources.page import read_page
from flareset.sources.rows import (
    check_length,
    check_link,
    edges_of,
    read_record,
    segment_of,
    wavelength_in_name,
)
from flareset.standin import catalogue
from flareset.tables.listing import COLUMNS as LISTING
from flareset.tables.listing import (
    ExportFacts,
    read_facts,
    read_listing,
    write_facts,
    write_listing,
)
from flareset.tables.manifest import COLUMNS as MANIFEST
from flareset.tables.manifest import read_manifest, write_manifest
from flareset.tables.records import COLUMNS, UNSAID, read_records, write_records

REAL_EVENTS = {
    "2014-01-07": ("2014-01-07 15:07:00", "2014-01-07 22:46:00", 4590, 4590),
    "2014-02-20": ("2014-02-20 04:25:00", "2014-02-20 12:07:00", 4620, 14),
    "2014-02-25": ("2014-02-24 21:43:00", "2014-02-25 05:22:00", 4580, 13),
    "2014-04-18": ("2014-04-18 09:36:00", "2014-04-18 17:01:00", 4450, 13),
    "2014-09-10": ("2014-09-10 14:00:00", "2014-09-10 23:08:00", 5244, 12),
}


def whole_event(begin: str, close: str) -> Event:
    """Return an event whose flare fills its window but for an hour on either side."""
    start, end = parse_utc(begin) + timedelta(hours=1), parse_utc(close) - timedelta(hours=1)
    return an_event((start, end), (begin, close), event_id="test")


@pytest.fixture(scope="module")
def page() -> str:
    wanted = str(window_recordset(EUV, SHORT.window_start, SHORT.window_end, [131]))
    return catalogue.listing_page(catalogue.export(wanted, 128))


def read(text: str, event: Event = SHORT, **over: object):
    options = {"series": EUV, "wavelengths": [131], "hosts": HOSTS, **over}
    return read_page(text, event, 131, **options)


def refused(text: str, event: Event = SHORT, **over: object) -> str:
    with pytest.raises(ListingError) as error:
        read(text, event, **over)
    return str(error.value)


@pytest.mark.parametrize("date", REAL_EVENTS)
def test_real_pages(real: Path, date: str) -> None:
    begin, close, count, rows = REAL_EVENTS[date]
    text = page_text(real / f"original/html_dump/{date}.html")
    event = whole_event(begin, close)
    if count == rows:
        listing, facts = read(text, event)
        assert (len(listing), facts.count, facts.requestid) == (4590, 4590, "JSOC_20250703_003270")
        assert Counter(column(listing, "segment")) == {"image": 2295, "spikes": 2295}
        first = listing[0]
        assert first["record"] == "aia.lev1_euv_12s[2014-01-07T15:07:01Z][131]"
        assert iso(first["time"]) == "2014-01-07T15:07:10Z"
        assert first["url"].startswith("https://jsoc1.stanford.edu/SUM14/D1891724991/S00000/aia")
        return
    message = refused(text, event)
    assert f"count says {count} files, but it lists {rows}" in message
    assert "accept_pages: [test]" in message
    _, facts = read(text, event, accept=True)
    assert f"count says {count}" in facts.accepted


def test_index_samples(real: Path) -> None:
    folder = real / "jsoc/index_samples"
    event = an_event(
        flare=("2014-02-20 08:18:02", "2014-02-20 08:18:20"),
        window=("2014-02-20 08:18:00", "2014-02-20 08:18:24"),
        event_id="test",
    )
    listing, _ = read(page_text(folder / "s1/index.html"), event)
    assert column(listing, "segment") == ["image", "spikes", "image"]
    in_tar, facts = read(page_text(folder / "s2/index.html"), event)
    assert column(in_tar, "filename") == column(listing, "filename")
    assert in_tar[0]["url"].endswith(f"/JSOC_20260115_0123.tar#{in_tar[0]['filename']}")
    assert facts.method == "url-tar"
    assert "protocol 'as-is'" in refused(page_text(folder / "s3/index.html"), event)
    assert "the export is empty, its count is 0: warning=No FITS files" in refused(
        page_text(folder / "s4/index.html")
    )


def test_round_trip(page: str, tmp_path: Path) -> None:
    listing, facts = read(page)
    write_listing(listing, tmp_path / "listing.csv")
    again = read_listing(tmp_path / "listing.csv")
    assert again == listing
    images = [row["filename"] for row in again if row["segment"] == "image"]
    assert all("image_lev1" in name for name in images)
    write_facts(facts, tmp_path / "export.json")
    assert read_facts(tmp_path / "export.json") == facts


def test_a_page_s_records_are_what_it_tells_of_each(page: str, tmp_path: Path) -> None:
    # A record whose image is not listed, only its spikes, has none.
    rows = re.findall(r"<tr><td>aia.*</tr>\n", page)
    lost = next(row for row in rows if ".image_lev1." in row)
    count = re.search(r"count</b></td><td>(\d+)", page)
    text = page.replace(lost, "").replace(count[0], count[0].replace(count[1], f"{len(rows) - 1}"))
    found = list_page(a_query(SHORT), text, hosts=HOSTS, accept=False)
    assert found.facts.source == "page"
    records = found.records
    assert {frozenset(row) for row in records} == {frozenset(COLUMNS)}
    names = column(records, "record")
    assert len({*names}) == len(names)
    assert {*names} == set(column(found.listing, "record"))
    bare = [row for row in records if row["status"]]
    assert cells(bare, "record", "status", "reason") == [
        [re.match("<tr><td>([^<{]*)", lost)[1], "no_image", "the record lists only spikes"]
    ]
    # The time is that in the file's name; nothing else is known of a record.
    images = {row["record"]: row["time"] for row in found.listing if row["segment"] == "image"}
    there = {row["record"]: row["time"] for row in records if not row["status"]}
    assert there == images
    assert set(column(records, "t_obs")) == {None}
    assert set(column(records, "QUALITY")) == {""}
    assert set(column(records, "bytes")) == {0}
    write_records(records, tmp_path / "records.csv")
    assert read_records(tmp_path / "records.csv") == records


def test_rows_in_any_order_give_one_listing(page: str) -> None:
    head, *rows, tail = re.split(r"(?=<tr><td>aia)|(?=</table></body>)", page)
    shuffled = head + "".join(reversed(rows)) + tail
    assert read(shuffled)[0] == read(page)[0]


LINK = "https://jsoc1.stanford.edu"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<h2>JSOC Data Request Summary</h2>", "<h2>Hello</h2>", "not a listing that JSOC's"),
        ("<td><b>status</b></td><td>0<", "<td><b>status</b></td><td>1<", "JSOC says status 1"),
        ("<td><b>method</b></td><td>url<", "<td><b>method</b></td><td>url-tar<", "inside a tar"),
        ("<td><b>count</b></td><td>", "<td><b>count</b></td><td>9", "but it lists"),
        ("<td><b>count</b></td>", "<td><b>number</b></td>", "no usable count"),
        ("aia.lev1_euv_12s[2014-01-07T18:01:01Z]", "aia.lev1_uv_24s[2014-01-07T18:01:01Z]",
         "is of series aia.lev1_uv_24s, not aia.lev1_euv_12s"),
        ("[2014-01-07T18:01:01Z][131]", "[2014-01-07T18:01:01Z][171]", "another wavelength"),
        ("[2014-01-07T18:01:01Z][131]", "[2014-01-07T17:01:01Z][131]", "is of another time than"),
        ("[2014-01-07T18:01:01Z][131]", "[at noon][131]", "is not a record of aia.lev1_euv_12s"),
        ("aia.lev1_euv_12s[2014-01-07T18:01:01Z][131]<", "warning=nothing<", "is not a record of"),
        (LINK, "https://evil.example", "host evil.example, which is not in archive.hosts"),
        (LINK, "https://jsoc1.stanford.edu@evil.example", "host evil.example"),
        (LINK, "file://jsoc1.stanford.edu", "not a link to a web server"),
        (f'"{LINK}/', '"/', "not a link to a web server"),
        ("S00000/aia", "S00000/../aia", "does not end in the file name"),
        ("S00000/aia", "S00000/%2e%2e/aia", "does not end in the file name"),
        (">aia.lev1_euv_12s.2014", ">../aia.lev1_euv_12s.2014", "not a bare name of a FITS file"),
        (">aia.lev1_euv_12s.2014", ">x/aia.lev1_euv_12s.2014", "not a bare name of a FITS file"),
        (">aia.lev1_euv_12s.2014", ">.aia.lev1_euv_12s.2014", "not a bare name of a FITS file"),
    ],
)  # fmt: skip
def test_refusals(page: str, old: str, new: str, message: str) -> None:
    assert old in page
    assert message in refused(page.replace(old, new, 1))


def exporters_names(page: str, segment: str = "image_lev1") -> str:
    """Return a page whose files have the names that JSOC's exporter gives without a format."""
    numbers = itertools.count(1_157_588_501)
    names = set(re.findall(r">(aia[^<]*\.image_lev1\.fits)<", page))
    new = {name: f"aia.lev1_euv_12s.{next(numbers)}.{segment}.fits" for name in sorted(names)}
    return re.sub(r"aia[^<>\"/]*\.image_lev1\.fits", lambda match: new[match[0]], page)


def test_the_exporters_own_names(page: str) -> None:
    listing, _ = read(exporters_names(page))
    usual, _ = read(page)
    images, same = ([row for row in rows if row["segment"] == "image"] for rows in (listing, usual))
    assert column(images, "record") == column(same, "record")
    assert column(images, "time") == column(images, "t_rec"), "the names have no times"
    # A segment that is not known here is another segment in these names, too.
    listing, _ = read(exporters_names(page, "image_err"))
    assert set(column(listing, "segment")) == {"image_err", "spikes"}
    # The exporter's name of all files for an empty format.
    nameless = re.sub(r"aia[^<>\"/]*\.image_lev1\.fits", "method=url", page)
    assert "'method=url' is not a bare name of a FITS file" in refused(nameless)


def test_a_name_that_no_filesystem_takes(page: str) -> None:
    lengthened = page.replace(".131.image_lev1", f".131.{'x' * 180}.image_lev1")
    assert len(read(lengthened)[0]) == len(read(page)[0])
    lengthened = page.replace(".131.image_lev1", f".131.{'x' * 200}.image_lev1")
    assert "has 256 characters, and a filesystem takes 241" in refused(lengthened)


def test_other_pages() -> None:
    assert "It says: 'nothing'" in refused("")
    error = "<html><title>500</title><h1>Internal Server Error</h1></html>"
    assert "Internal Server Error" in refused(error)
    assert 'It says: \'{"status":4' in refused('{"status":4,"error":"Bad RequestID"}')


def test_duplicates(page: str) -> None:
    rows = re.findall(r"<tr><td>aia.*</tr>", page)
    count = int(re.search(r"count</b></td><td>(\d+)", page)[1])
    doubled = page.replace(rows[0], f"{rows[0]}\n{rows[0]}")
    doubled = doubled.replace(f"<td>{count}</td>", f"<td>{count + 1}</td>")
    assert "is listed twice" in refused(doubled)
    # The same record and segment under two names.
    other = re.sub(r"(T180\d\d)(\d)Z", lambda m: f"{m[1]}{(int(m[2]) + 1) % 10}Z", rows[0])
    assert other != rows[0]
    renamed = page.replace(rows[0], f"{rows[0]}\n{other}")
    renamed = renamed.replace(f"<td>{count}</td>", f"<td>{count + 1}</td>")
    assert "is listed twice for one segment" in refused(renamed)


def test_a_window_that_does_not_belong_to_the_event(page: str) -> None:
    day = timedelta(days=1)
    other = replace(
        SHORT,
        flare_start=SHORT.flare_start + day,
        flare_end=SHORT.flare_end + day,
        window_start=SHORT.window_start + day,
        window_end=SHORT.window_end + day,
    )
    assert "belongs to another event" in refused(page, other)
    assert "belongs to another event" in refused(page, other, accept=True)
    begin = SHORT.window_start - timedelta(minutes=30)
    wider = replace(SHORT, window_start=begin)
    # A gap of the archive at the window's edge, or an export that was narrower: both are told.
    assert read(page)[1].edges == ""
    assert "span 2014-01-07T18:00:49Z to 2014-01-07T18:13:01Z only" in read(page, wider)[1].edges
    shifted = replace(wider, window_end=SHORT.window_end - timedelta(minutes=3))
    assert "belongs to another event" in refused(page, shifted)


def test_a_wider_page_is_taken_and_its_edges_lie_outside(page: str) -> None:
    begin = SHORT.window_start + timedelta(minutes=2)
    narrow = replace(SHORT, window_start=begin)
    assert len(read(page, narrow)[0]) == len(read(page)[0])


def test_two_wavelengths_on_one_page() -> None:
    wanted = str(window_recordset(EUV, SHORT.window_start, SHORT.window_end, [131, 171]))
    text = catalogue.listing_page(catalogue.export(wanted, 128))
    assert "another wavelength" in refused(text)
    listing, facts = read(text, wavelengths=[131, 171])
    assert set(column(listing, "wavelength")) == {131}
    assert facts.count > len(listing)
    only = catalogue.listing_page(
        catalogue.export(
            str(window_recordset(EUV, SHORT.window_start, SHORT.window_end, [171])), 128
        )
    )
    assert "lists no record at 131" in refused(only, wavelengths=[131, 171])


def test_empty_slots() -> None:
    wanted = str(window_recordset(EUV, SHORT.window_start, SHORT.window_end, [131]))
    listing, _ = read(catalogue.listing_page(catalogue.export(wanted, 128)))
    times = column(listing, "t_rec")
    assert empty_slots(times, SHORT.window_start, SHORT.window_end, 12) == []
    gap = [time for time in times if f"{time:%H:%M:%S}" not in ("18:07:13", "18:07:25")]
    empty = empty_slots(gap, SHORT.window_start, SHORT.window_end, 12)
    assert [iso(t) for t in empty] == ["2014-01-07T18:07:13Z", "2014-01-07T18:07:25Z"]


def test_a_leap_second_empties_no_slot() -> None:
    begin, close = parse_utc("2015-06-30 23:30:00"), parse_utc("2015-07-01 00:30:00")
    event = an_event(("2015-06-30 23:50:00", "2015-07-01 00:10:00"), (begin, close))
    made = catalogue.export(str(window_recordset(EUV, begin, close, [131])), 128)
    listing, _ = read(catalogue.listing_page(made), event)
    times = {row["record"]: row["t_rec"] for row in listing if begin <= row["t_rec"] < close}
    seconds = {t.second % 12 for t in times.values()}
    assert seconds == {0, 1}, "the grid shifts at the leap second"
    assert len(empty_slots(times.values(), begin, close, 12)) == 300 - len(times)


def test_a_whole_page_is_not_taken_as_it_is(page: str) -> None:
    assert read(page)[1].accepted == ""


def test_a_page_cut_anywhere_is_seen(page: str) -> None:
    count = re.search(r"count</b></td><td>(\d+)", page)[1]
    for length in range(0, len(page) - 40, 997):
        message = refused(page[:length])
        assert any(
            text in message
            for text in (
                "not a listing that JSOC's",
                "no usable count",
                f"count says {count} files, but it lists",
            )
        ), (length, message)


def test_names_that_say_no_segment_are_images(page: str) -> None:
    listing, _ = read(page.replace(".image_lev1.fits", ".fits"))
    assert set(column(listing, "segment")) == {"image", "spikes"}


def test_no_protocol_is_no_reason(page: str) -> None:
    assert len(read(page.replace("<tr><td><b>protocol</b></td><td>fits</td></tr>\n", ""))[0])


def test_pages_of_older_index_makers(page: str) -> None:
    expected = read(page)[0]
    tags = re.compile(r"</?(?:html|head|body|h2|table|tr|td|b|p)\b")
    capitals = tags.sub(lambda match: match[0].upper(), page)
    two_slashes = re.sub(r'(HREF="https?://[^/"]+)/', r"\1//", page)
    for older in (capitals, two_slashes):
        assert older != page
        assert read(older)[0] == expected


def test_the_table_of_processing_steps_is_none_of_the_summary(page: str) -> None:
    steps = (
        "<p><h2><b>Processing Steps</b></h2><p><table>"
        "<tr><td><b>no_op</b></td></tr><tr><td><b>method</b></td><td>boxcar</td></tr></table>"
    )
    heading = "<p><h2><b>Selected Data</b></h2>"
    assert heading in page
    listing, facts = read(page.replace(heading, steps + heading))
    assert (facts.method, len(listing)) == (read(page)[1].method, len(read(page)[0]))


def test_another_segment_is_another_segment_known_or_not(page: str) -> None:
    for own, other in ((".image_lev1.fits", ".image_err.fits"), (".image_lev1.", ".x_image_lev1.")):
        listing, _ = read(page.replace(own, other))
        assert "image" not in column(listing, "segment"), other


@pytest.mark.parametrize(
    "text",
    [
        "<td>" * 200_000,
        "<!--" * 200_000,
        "<" * 500_000,
        "<a " + "href=x " * 200_000,
        '<tr><td><td><a href="' * 50_000,
        "<td>" + "&" * 500_000,
    ],
    ids=["cells", "comments", "brackets", "attributes", "quotes", "entities"],
)
@pytest.mark.timeout(20)
def test_markup_takes_time_in_proportion_to_its_length(page: str, text: str) -> None:
    assert "not a listing" in refused(text)
    refused(page.replace("<h2>", f"{text}<h2>", 1).replace("count</b>", "counted</b>"))


def test_a_page_that_is_none_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "A.html"
    path.write_bytes(b"x" * 20_000_001)
    with pytest.raises(ListingError, match="20 MB is more than a page of JSOC has"):
        page_text(path)


def test_a_window_may_begin_two_minutes_and_a_slot_before_the_records(page: str) -> None:
    listing, _ = read(page)
    first, last = (which(column(listing, "t_rec")) for which in (min, max))
    edge = timedelta(minutes=2, seconds=12)
    second = timedelta(seconds=1)

    def edges(begin: timedelta, end: timedelta) -> str:
        """Return what is said of a window that begins and ends so long before and after them."""
        window = first - begin, last + end
        return edges_of(listing, replace(SHORT, window_start=window[0], window_end=window[1]), EUV)

    assert edges(edge, edge) == edges(-edge, -edge) == edges(-edge, edge) == ""
    for late in ((edge + second, edge), (edge, edge + second), (-edge, edge + second)):
        assert edges(*late).startswith("the page's records span 2014-01-07T")
    for moved in ((-edge - second, edge + second), (edge + second, -edge - second)):
        with pytest.raises(ListingError, match="another event"):
            edges(*moved)


def test_a_channel_is_read_from_a_name_if_only_one_fits() -> None:
    name = "aia.lev1_euv_12s[2014-01-07T15:07:01Z][131]"
    listed = read_record(name, "x.fits", EUV, processed=False)
    assert wavelength_in_name(listed, "x.fits", [131]) == 131
    assert wavelength_in_name(listed, "aia.171.fits", [131, 171]) == 171
    for name in ("aia.fits", "aia.131.171.fits", "aia.1310.fits"):
        with pytest.raises(ListingError, match="one wavelength at a time"):
            wavelength_in_name(listed, name, [131, 171])


def test_a_process_that_does_nothing_is_none(page: str) -> None:
    assert read(page, process="n=0|no_op")[1].process == ""


@pytest.mark.parametrize("name", ["aia.lev1_euv_12s.131.2014-01-07T150709Z.fits", "mine.131.fits"])
def test_a_channel_in_a_name_is_no_recnum(name: str) -> None:
    record = "aia.lev1_euv_12s[2014-01-07T15:07:01Z][131]"
    listed = read_record(record, name, EUV, processed=False)
    assert segment_of(listed, name, EUV, "image") == "image"


@pytest.mark.parametrize("moment", ["window_start", "window_end"])
def test_a_single_record_at_an_edge_belongs_to_the_window(moment: str) -> None:
    listing = [{"t_rec": getattr(SHORT, moment)}]
    assert edges_of(listing, SHORT, EUV).startswith("the page's records span")


def test_records_may_begin_late_and_end_a_little_late() -> None:
    edge = timedelta(minutes=2, seconds=12)
    late = SHORT.window_start + 2 * edge, SHORT.window_end + edge
    listing = [{"t_rec": time} for time in late]
    assert edges_of(listing, SHORT, EUV).startswith("the page's records span")
    early = SHORT.window_start - edge, SHORT.window_end - 2 * edge
    listing = [{"t_rec": time} for time in early]
    assert edges_of(listing, SHORT, EUV).startswith("the page's records span")


@pytest.mark.parametrize(
    ("series", "record", "name", "latest"),
    [
        ("aia.lev1_euv_12s", "[2014-01-07T15:00:00Z][131]", "{}T150100Z.131.fits", "{}T150101Z"),
        ("aia.lev1_vis_1h", "[2014-01-07T15:00:00Z][4500]", "{}T170000Z.4500.fits", "{}T170001Z"),
    ],
)
def test_a_file_s_time_is_near_its_record_s(
    series: str, record: str, name: str, latest: str
) -> None:
    near = f"{series}.{name.format('2014-01-07')}"
    far = f"{series}.{latest.format('2014-01-07')}.fits"
    listed = read_record(series + record, near, SERIES[series], processed=False)
    assert listed.time > listed.t_rec
    with pytest.raises(ListingError, match="is of another time than its record"):
        read_record(series + record, far, SERIES[series], processed=False)


def test_the_series_of_a_record_is_ours_or_was_made_of_it() -> None:
    at = "[2014-01-07T15:07:01Z][131]"
    own = read_record(f"AIA.lev1_EUV_12s{at}{{image}}", "x.fits", EUV, processed=False)
    assert (own.name, own.own) == (f"aia.lev1_euv_12s{at}", True)
    made = read_record(f"aia.lev1_euv_12s_mod{at}", "x.fits", EUV, processed=True)
    assert (made.name, made.own) == (f"aia.lev1_euv_12s_mod{at}", False)
    hint = "write its steps in export.processing"
    for series, hinted in (("aia.lev1_euv_12s_mod", True), ("aia.lev1p5", True), ("hmi.M", False)):
        with pytest.raises(ListingError, match=f"is of series {series}, not") as error:
            read_record(f"{series}{at}", "x.fits", EUV, processed=False)
        assert str(error.value).endswith(hint) == hinted


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("mine.Br.fits", "Br"),
        ("mine.Br.Bt.fits", "magnetogram"),
        ("mine.other.fits", "magnetogram"),
        ("hmi.sharp_cea_720s.377.20140107_150000_TAI.other.fits", "other"),
        ("hmi.sharp_cea_720s.98765.other.fits", "other"),
    ],
)
def test_a_segment_is_read_from_a_name(name: str, segment: str) -> None:
    sharp = SERIES["hmi.sharp_cea_720s"]
    listed = read_record(f"{sharp.name}[377][2014.01.07_15:00:00_TAI]", "x", sharp, processed=False)
    assert segment_of(listed, name, sharp, "magnetogram") == segment


@pytest.mark.parametrize("link", ["http://h/a.tar#other.fits", "http://h/a.zip#x.fits"])
def test_a_link_into_a_tar_names_the_file(link: str) -> None:
    check_link("r", "http://h/a.tar#x.fits", "x.fits")
    check_link("r", "http://h/S1/x.fits", "x.fits")
    with pytest.raises(ListingError, match=r"does not end in the file name x\.fits"):
        check_link("r", link, "x.fits")


@pytest.mark.parametrize("more", ["", "<tr><td>aia", '<tr><td>r</td><td><A HREF="https://h/S'])
def test_a_cut_page_has_the_rows_that_are_whole(page: str, more: str) -> None:
    head, *rows, _ = re.split(r"(?=<tr><td>aia)|(?=</table></body>)", page)
    listing, facts = read(head + "".join(rows[:7]) + more, accept=True)
    assert len(listing) == facts.rows == 7
    assert "but it lists 7" in facts.accepted


def test_a_page_has_fits_files_only(page: str) -> None:
    name = re.search(r">(aia[^<]*image_lev1\.fits)<", page)[1]
    assert "is not a bare name of a FITS file" in refused(page.replace(name, f"{name[:-5]}.jpg"))


def test_a_name_leaves_room_for_what_the_store_appends() -> None:
    # The store appends up to 14 of the 255 bytes that a filesystem takes.
    check_length("r", "x" * 241)
    with pytest.raises(ListingError, match="has 242 characters, and a filesystem takes 241"):
        check_length("r", "x" * 242)


def test_tables_keep_texts_as_they_are_and_times_with_their_zone(tmp_path: Path) -> None:
    path = tmp_path / "listing.csv"
    write_listing([], path)
    assert read_listing(path) == []
    time = parse_utc("2014-01-07 15:07:01")
    row = {"record": "NA", "wavelength": 131, "requestid": "", "t_rec": time, "time": time}
    write_listing([row], path)
    (listed,) = read_listing(path)
    assert listed == {**dict.fromkeys(LISTING, ""), **row}
    assert [listed[name].tzinfo for name in ("t_rec", "time")] == [UTC, UTC]
    usual = dict.fromkeys(MANIFEST, "")
    manifest = [
        {**usual, "record": "NA", "QUALITY": "007", "tries": 1, "bytes": 9},
        {**usual, "record": "007", "QUALITY": "008", "tries": 0, "bytes": None},
    ]
    write_manifest(manifest, path)
    assert read_manifest(path) == manifest


def test_a_column_that_an_earlier_version_did_not_write_is_empty(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("record,tries,bytes\na,1,9\n")
    (row,) = read_manifest(tmp_path / "manifest.csv")
    assert row == {**dict.fromkeys(MANIFEST, ""), "record": "a", "tries": 1, "bytes": 9}
    time = "2014-01-07T15:07:01Z"
    (tmp_path / "listing.csv").write_text(f"record,wavelength,t_rec,time\na,131,{time},{time}\n")
    (row,) = read_listing(tmp_path / "listing.csv")
    assert (row["requestid"], row["wavelength"]) == ("", 131)


def test_the_facts_of_an_export_say_what_its_files_are(tmp_path: Path) -> None:
    usual = {"requestid": "", "count": 1, "rows": 1, "exptime": "", "method": "url"}
    for protocol, pictured, as_stored in (
        ("FITS,compress Rice", False, False),
        ("as-is", False, True),
        ("JPEG,CT=grey.sao", True, False),
        ("MPG", True, False),
        ("mp4", True, False),
    ):
        facts = ExportFacts(**usual, protocol=protocol)
        assert (facts.pictured, facts.as_stored) == (pictured, as_stored)
        assert facts.megabytes == 0
    write_facts(facts, tmp_path / "facts.json")
    keys = re.findall(r'^ "(\w+)"', (tmp_path / "facts.json").read_text(), re.MULTILINE)
    assert keys == sorted(vars(facts))


def test_stored_headers_lack_what_jsoc_s_list_does_not_tell() -> None:
    assert not {*UNSAID} & {*LISTED}
    assert {"NSPIKES", "DATAMEAN", "NSATPIX", "DATAP99"} <= {*UNSAID}
