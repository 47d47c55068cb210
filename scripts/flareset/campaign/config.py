"""The settings of a campaign: one place for each key's type, default, unit and meaning.

`make reference` writes the meanings into config/README.md and into the schema for editors.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from flareset.campaign.events import SOURCES
from flareset.campaign.values import (
    Above0,
    Auc,
    Cadence,
    Count,
    Day,
    Duration,
    Extent,
    FileName,
    Flag,
    FrameSize,
    From1To16,
    GoesClass,
    Host,
    Identifier,
    ImageSeries,
    KeywordSeries,
    Name,
    Natural,
    Part,
    Path,
    PeakStartOrTime,
    Point,
    PointOrEvent,
    Protocol,
    RegionOrEvent,
    Reject,
    Requestor,
    Section,
    Seed,
    Shape,
    Share,
    Size,
    Text,
    Time,
    Url,
    Version,
    WindowLimbOrTime,
    empty_is_none,
    not_empty,
    refusal,
    unique,
)
from flareset.sdo.series import SERIES, Series
from flareset.system.loopback import is_loopback


class Archive(Section):
    """The archive, and how it is reached."""

    kind: Literal["rehearsal", "jsoc"] = Field(
        "rehearsal",
        description="`rehearsal`: the stand-in that ships with the project; each job that needs it"
        " starts it. `jsoc`: the archive at `archive.data_url`: JSOC, a mirror or a test server",
    )
    data_url: Url = Field(
        "http://jsoc.stanford.edu/",
        description="where files are fetched: this URL, joined with the path of a link",
    )
    cgi_url: Url = Field(
        "http://jsoc.stanford.edu/cgi-bin/ajax/",
        description="where records are looked up and exports are asked for",
    )
    hosts: tuple[Host, ...] = Field(
        ("jsoc.stanford.edu", "jsoc1.stanford.edu", "jsoc2.stanford.edu"),
        description="hosts that links and redirects may name, with or without a port",
    )
    email: Text = Field(
        "",
        description="the e-mail address that is registered with JSOC, which exports need."
        " `JSOC_EMAIL` in the environment takes precedence. It is in no log and no output",
    )
    connections: From1To16 = Field(
        2,
        description="the most connections to the archive at once, of all your jobs and runs on all"
        " machines that share your home, questions about exports included. JSOC is one shared"
        " machine: leave it at 2",
    )
    patience: Duration = Field(
        timedelta(minutes=30),
        description="how long the archive may be down. After ten failures in a row it counts as"
        " down: one connection tries it now and then, and no file is given up. After this time the"
        " job stops with a message",
    )
    max_file_size: Size = Field(
        100 * 10**6,
        description="a larger file is refused (kB, MB, GB: powers of 1000 bytes)",
    )
    rate: Size = Field(
        5 * 10**6,
        description="what `plan` reckons with: so much arrives in a second over all connections",
    )
    frame_size: FrameSize = Field(
        256, description="the side of a rehearsal's frames in pixels; real frames have 4096"
    )

    @property
    def rehearses(self) -> bool:
        """Whether the stand-in takes the archive's place."""
        return self.kind == "rehearsal"

    @property
    def origin(self) -> str:
        """The origin of files: `jsoc`, `local`, or `rehearsal-` with the side of its frames.

        Files of rehearsals, and of a server on this machine, never mix with observations.
        """
        if self.rehearses:
            return f"rehearsal-{self.frame_size}"
        return "local" if is_loopback(self.data_url) else self.kind


class Window(Section):
    """The window around the flare whose images are wanted."""

    pre: Duration = Field(timedelta(minutes=178), description="how long before the flare's start")
    post: Duration = Field(timedelta(minutes=178), description="how long after the flare's end")
    guard: Duration = Field(
        timedelta(0),
        description="images before or after the flare that are nearer to it than this are not"
        " drawn: GOES lists end a flare when its flux has fallen to half",
    )


class Quality(Section):
    """Which images are refused for their QUALITY."""

    reject: Annotated[tuple[Reject, ...], unique] = Field(
        ("no_image", "no_sun", "eclipse", "safe_mode", "dark", "calibration"),
        description="QUALITY bits that keep an image out of the data set and the partition; the"
        " names are below. `blank` is an image whose pixels all have the same value, or none",
    )
    unproven: Literal["reject", "accept"] = Field(
        "reject",
        description="what becomes of a stored file (`source: direct`, `protocol: as-is`) if JSOC"
        " has no statistics of its pixels, so that only its header tells that it is the image",
    )


class Quotas(Section):
    """How many images a bin gives: each is the `quota` of a phase in `partition.PHASES`."""

    per_minute: Count = Field(1, description="images drawn from each minute of flare")
    pre: Count = Field(178, description="images drawn from before the flare")
    post: Count = Field(178, description="images drawn from after the flare")


class Sample(Quotas):
    """The draw."""

    seed: Seed = Field(20140107, description="decides every choice of the draw")
    exposure: Literal["any", "normal", "short"] = Field(
        "normal",
        description="which exposures are drawn. In a flare AIA shortens every other exposure, so"
        " that with `any` the exposure tells the label; the normal ones between fill every minute."
        " `short` as JSOC defines it: AIMGSHCE below 2800 ms (94, 131, 211, 304, 335, 1600),"
        " 1931 (171, 193), 966 (1700) or 483 (4500). HMI has neither",
    )
    channels: Literal["together", "apart"] = Field(
        "together",
        description="`together`: a slot is drawn in all channels of an event or in none, so that"
        " they show the same moments. `apart`: each channel is judged by itself, as always for"
        " `aia.lev1`, whose channels share no slot",
    )

    @property
    def quotas(self) -> dict[str, int]:
        """The quotas alone, by their keys."""
        return {key: getattr(self, key) for key in Quotas.model_fields}


class Completeness(Section):
    """When an event counts as done."""

    allow_missing: Count = Field(
        0, description="images of an event and channel that may fail before its job fails"
    )


class Leaks(Section):
    """How well each keyword alone tells the label."""

    keywords: Annotated[tuple[Name, ...], unique] = Field(
        (
            "EXPTIME", "AIMGSHCE", "exposure", "seconds_in_slot", "AECTYPE", "NSPIKES", "QUALITY",
            "bytes", "NSATPIX", "DATAMEAN", "DATAMEDN", "DATAMAX", "DATAP99",
            "hour", "day_of_year", "year",
        ),
        description="what `leaks.csv` judges: any column of `images.csv`, also those that come from"
        " events.csv, and what follows from its times: `seconds_in_slot` (the image's time minus"
        " that of its slot), `hour`, `day_of_year`, `year`",
    )  # fmt: skip
    fail_above: Auc | None = Field(
        None,
        description="the run fails if a keyword of the instrument, or a column that comes from"
        " events.csv, tells the label with an AUC above this; null: it never fails",
    )


class Fractions(Section):
    """The share of the events in each split."""

    train: Share = Field(0.7, description="the share of the events to train on")
    validation: Share = Field(0.15, description="the share to choose a model by; 0: no such split")
    test: Share = Field(0.15, description="the share to judge it by; 0: no such split")


class Splits(Section):
    """Which events are for training, validation and test."""

    method: Literal["groups", "time", "none"] = Field(
        "groups",
        description="`groups`: events that are linked, by `group_by` or `buffer`, stay together."
        " `time`: by `boundaries`. `none`: no split. Where nothing is set under `splits` and the"
        " flares are too few for the groups, there is no split and `audit.md` says so",
    )
    fractions: Fractions = Fractions()
    buffer: Duration = Field(
        timedelta(days=1),
        description="windows that are nearer than this are linked; windows that touch always are",
    )
    group_by: Annotated[tuple[Name, ...], unique] = Field(
        ("noaa_ar",),
        description="columns of events.csv: events with the same value are linked. In `noaa_ar` (or"
        " HEK's `ar_noaanum`) 1944 is 11944, and 0 and nothing are no region",
    )
    stratify: Text = Field(
        "goes_class",
        description="a column: each split gets its share of each value. Of `goes_class` (or HEK's"
        " `fl_goescls`) the letter counts, and the highest one of a group. Empty: none",
    )
    seed: Seed | None = Field(
        None, description="decides the order of the groups; null: that of `sample.seed`"
    )
    freeze: Text = Field(
        "",
        description="the `splits.csv` of an earlier release: its events keep their split, and a"
        " new event that links two of its splits gets none",
    )
    boundaries: tuple[Time, ...] = Field(
        (),
        description="of `method: time`: the times between the splits, one less than there are"
        " splits. Events nearer to one than `buffer`, and regions on both sides, are in none",
    )
    folds: Count = Field(
        0, description="so many parts of whole groups for cross-validation, beside the split"
    )

    @property
    def shares(self) -> dict[str, float]:
        """The share of each split, in the order of time; 0 if there is no such split."""
        return self.fractions.model_dump()

    @property
    def names(self) -> list[str]:
        """The names of the splits with a share above 0."""
        return [name for name, share in self.shares.items() if share]


class Tables(Section):
    """Tables of AIA's calibration, which the release names."""

    response: Annotated[Path | None, empty_is_none] = Field(
        None,
        description="the table of responses, needed for `degradation`: where `snakemake"
        " fetch_tables` writes it, or SolarSoft's `aia_V*_response_table.txt`",
    )
    version: Natural = Field(
        10, description="the version of its rows that counts; a table without it is refused"
    )
    sha256: Text = Field("", description="what the table's sha256 has to be; empty: any")
    pointing: Annotated[Path | None, empty_is_none] = Field(
        None,
        description="the table of pointings, needed for `register: aiapy`: where `snakemake"
        " fetch_tables` writes it, or CSV with the rows of JSOC's aia.master_pointing3h",
    )


class Arrays(Section):
    """What is made of the drawn images for training."""

    steps: Annotated[
        tuple[Literal["exposure", "degradation", "crop", "block_mean"], ...], unique
    ] = Field(
        (),
        description="what is done: `exposure`: to DN/s; `degradation`: to the sensitivity at"
        " launch; `crop`: to a box around the flare that follows the Sun's rotation; `block_mean`:"
        " to fewer pixels. Needed for `snakemake arrays`",
    )
    size: Natural = Field(512, description="pixels a side after `block_mean`")
    box: Above0 = Field(
        500, description="of `crop`: arcsec a side; with `block_mean`, up to whole blocks"
    )
    # Every model has a method `register`.
    register_by: Literal["none", "jsoc", "aiapy"] = Field(
        "none",
        alias="register",
        description="`jsoc`: an image that `aia_scale` did not register is refused; `aiapy`: aiapy"
        " does it here, from Python 3.12 on, with `tables.pointing`; `none`: images stay as the"
        " telescope saw them, turned and scaled by less than a percent",
    )
    dtype: Literal["float32", "int16"] = Field(
        "float32",
        description="`int16` is rounded, with -32768 where a pixel is missing; a value that does"
        " not fit is refused, not clipped",
    )
    format: Literal["npy", "zarr"] = Field(
        "npy", description="a file per image, or an array per flare and channel (needs zarr)"
    )
    tables: Tables = Tables()


class Release(Section):
    """How the data set is packed for others."""

    name: Identifier = Field("", description="what it is called; needed for `snakemake release`")
    version: Version = Field(
        "1.0.0",
        description="raise it when anything changes: a version that is there with other sums is"
        " refused",
    )
    title: Text = Field("", description="what the card is headed; empty: made of name and flares")
    creators: tuple[Name, ...] = Field(
        (), description="who made it, like `Ada Lovelace 0000-0002-1825-0097` (ORCID); needed"
    )
    license: Text = Field(
        "", description="by SPDX, like `CC0-1.0` or `CC-BY-4.0`, or a URL; needed"
    )
    url: Annotated[Url | None, empty_is_none] = Field(
        None, description="where it will be found, like a DOI's URL"
    )
    date: Day | None = Field(
        None, description="the day of publication; null: the day on which it is first packed"
    )
    changes: Text = Field("", description="what is new in this version, for the card")
    layouts: Annotated[
        tuple[Literal["fits", "webdataset", "parquet", "zarr", "asdf"], ...], not_empty, unique
    ] = Field(
        ("fits",),
        description="how the images are packed, each in `data/<layout>/`: `fits` as they came,"
        " `webdataset` tars of `.npy`, and with a library more `parquet`, `zarr`, `asdf`",
    )
    images: Literal["raw", "arrays"] = Field(
        "raw",
        description="what all layouts but `fits` hold: the pixels as they came, or the arrays that"
        " `arrays` makes of them, with `arrays.format: npy`",
    )
    shard_size: Size = Field(
        500 * 10**6, description="pixels in a file of `webdataset`, `parquet` and `zarr`, about"
    )

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return f"{self.name}-{self.version}"


class ReportPage(Section):
    """The page that shows the campaign."""

    make: Flag = Field(
        True,
        description="whether a run makes `report/index.html`; `snakemake report_page` makes it"
        " whatever is set here",
    )
    images: Count = Field(
        4,
        description="images that are shown of each phase of a flare; 0: none, and no image is read",
    )
    one_page: Count = Field(
        50, description="so many flares are shown on one page; of more, each has a page of its own"
    )
    goes: Annotated[tuple[Path, ...], unique] = Field(
        (),
        description="files with the X-ray flux that GOES measured, as CSV or netCDF; each flare is"
        " shown with the flux of its window",
    )


class NoOp(Section):
    """A step that does nothing."""


class AiaScale(Section):
    """Level 1.5: 0.6 arcsec a pixel, north up. The variant is that of the series."""

    pointing_series: KeywordSeries = Field(
        "",
        description="the series of master pointing, like `aia.master_pointing3h`; empty: JSOC's",
    )
    center: Point | None = Field(
        None, description="the frame's centre in pixels, `[x, y]`; null: JSOC's"
    )
    size: Extent | None = Field(
        None, description="the frame's size in pixels, `[width, height]`; null: JSOC's"
    )


class ImPatch(Section):
    """A cut-out."""

    center: PointOrEvent | None = Field(
        None,
        description="`[x, y]` in `center_units`, or `event`: the row's `hpc_x`, `hpc_y`. Needed"
        " where there is no `noaa_ar`",
    )
    center_units: Annotated[
        Literal["arcsec", "pixels", "carrington", "stonyhurst"] | None, empty_is_none
    ] = Field(
        None,
        description="`arcsec` from the Sun's centre, `pixels`, or longitude and latitude (degrees),"
        " `carrington` or `stonyhurst`. Needed with `[x, y]`",
    )
    noaa_ar: RegionOrEvent | None = Field(
        None,
        description="the number of a NOAA active region, or `event`: the row's. Its place is looked"
        " up as JSOC's form does. Where the row has none, or JSOC does not know it, `event` uses"
        " the row's `hpc_x`, `hpc_y` and says so",
    )
    size: Extent | None = Field(None, description="`[width, height]` in `size_units`; needed")
    size_units: Annotated[Literal["arcsec", "pixels", "degrees"] | None, empty_is_none] = Field(
        None, description="the units of `size`; needed"
    )
    track: Flag = Field(True, description="follow the Sun's rotation")
    # Every model has a method `register`.
    registered: Flag = Field(
        False,
        alias="register",
        description="shift each image to the sub-pixel position of the first",
    )
    crop: Flag = Field(False, description="blank what is off the limb")
    t_ref: PeakStartOrTime = Field(
        "peak",
        description="when `center` holds: `peak` (the start, where the row has no peak), `start`,"
        " or a time",
    )
    t_start: WindowLimbOrTime = Field(
        "window", description="the first image: of the `window`, from the `limb`, or a time"
    )
    t_stop: WindowLimbOrTime = Field(
        "window", description="the last image: of the `window`, at the `limb`, or a time"
    )
    cadence: Annotated[Cadence | None, empty_is_none] = Field(
        None,
        description="between two images; null: the recordset's `@`, or the series' own",
    )
    car_rot: Natural | None = Field(
        None,
        description="the Carrington rotation, with `center_units: carrington`; null: that of"
        " `t_ref`",
    )


class Resize(Section):
    """Another scale."""

    scale: Above0 | None = Field(None, description="arcsec a pixel; null: as it is")
    interpolation: Literal["bicubic", "nearest"] = Field(
        "bicubic", description="how values between pixels are found"
    )
    center_on: Literal["sun", "first_image", "none"] = Field(
        "sun", description="what is moved to the middle of the frame"
    )
    fill_off_limb: Flag = Field(False, description="JSOC's `do_stretchmarks`")
    crop: Flag = Field(False, description="blank what is off the limb")


class Rebin(Section):
    """Fewer pixels."""

    scale: Part = Field(0.5, description="pixels out for one in, along each axis")
    method: Literal["boxcar", "gaussian"] = Field("boxcar", description="how pixels are averaged")
    fwhm: Above0 = Field(1.0, description="of `gaussian`, in pixels")
    vector_length: Natural = Field(6, description="of `gaussian`, in pixels")
    crop: Flag = Field(False, description="blank what is off the limb")


class Maproj(Section):
    """A map."""

    projection: Literal[
        "carree", "cyleqa", "cassini", "sineqa", "Mercator", "orthographic", "Postel",
        "stereographic", "Lambert",
    ] = Field("cyleqa", description="the map's projection")  # fmt: skip
    center: Point = Field(
        (0.0, 0.0), description="Carrington longitude and latitude of the map's centre (degrees)"
    )
    scale: Above0 = Field(0.03, description="degrees a pixel")
    size: Shape = Field((512, 512), description="pixels, `[columns, rows]`")


def _of_nothing(value: Any) -> Any:
    """Return empty settings for a step that is written without settings."""
    return {} if value is None else value


_Settings = BeforeValidator(_of_nothing)


class ProcessingStep(Section):
    """A step of JSOC's processing: one key, its name, with its settings."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    no_op: Annotated[NoOp | None, _Settings] = None
    aia_scale: Annotated[AiaScale | None, _Settings] = None
    im_patch: Annotated[ImPatch | None, _Settings] = None
    resize: Annotated[Resize | None, _Settings] = None
    rebin: Annotated[Rebin | None, _Settings] = None
    maproj: Annotated[Maproj | None, _Settings] = None

    @model_validator(mode="before")
    @classmethod
    def _one_key(cls, given: Any) -> Any:
        if isinstance(given, str):
            raise refusal(f"is not a step: write its settings behind it, {given}: {{}}")
        if isinstance(given, dict) and not given:
            raise refusal("is not a step: write its name and its settings, like rebin: {}")
        if isinstance(given, dict) and len(given) > 1:
            raise refusal("is several steps: begin each with a dash")
        return given

    @property
    def name(self) -> str:
        """The step's name."""
        return next(iter(self.model_fields_set))

    @property
    def settings(self) -> Any:
        """The step's own settings: an AiaScale, ImPatch, Resize, Rebin, Maproj or NoOp."""
        return getattr(self, self.name)

    @model_serializer
    def _as_given(self) -> dict[str, Any]:
        return {self.name: self.settings}


class Request(Section):
    """The form and the processing of an export's files."""

    method: Literal["url", "url-tar", "url_quick"] = Field(
        "url",
        description="`url`: a link per file. `url-tar`: one tar, fetched once with resume and"
        " unpacked file by file into the store. `url_quick`: the files as stored, at once where"
        " they are online (with `protocol: as-is`)",
    )
    protocol: Protocol = Field(
        "FITS,compress Rice",
        description="in any case of letters; also `FITS`, `FITS,**NONE**` (uncompressed), `as-is`"
        " (files as stored: their headers say little, so QUALITY, EXPTIME and the like come from"
        " `jsoc_info`), or `JPEG`, `MPG`, `MP4`, with `,CT=`, `,scaling=`, `,size=`, `,min=`,"
        " `,max=`",
    )
    filename_format: FileName = Field(
        "",
        description="names with `{KEYWORD}` fields, like"
        " `{seriesname}.{T_REC:A}.{WAVELNTH}.{segment}`; empty: JSOC's own. Fields are compared"
        " with the series' keywords first. Not `{#}`, which counts from the start in each export",
    )
    processing: tuple[ProcessingStep, ...] = Field(
        (), description="JSOC's processing, a list of steps"
    )


class Manners(Section):
    """The parts of an export that do not change its files."""

    requestor: Requestor = Field("", description="your name, for JSOC")
    wait: Duration = Field(
        timedelta(days=2),
        description="how long a run waits for a pending export; the next run goes on waiting",
    )


class Export(Manners, Request):
    """How exports are asked for."""


class Conflicts(Section):
    """What a flare has where its lists differ."""

    ar: Literal["first", "blank"] = Field(
        "first", description="the region: that of the first list that has one, or none"
    )
    position: Literal["first", "blank"] = Field(
        "first", description="the position that is kept where sources disagree; `blank`: none"
    )
    # Every Python class has a keyword `class`.
    goes_class: Literal["first", "blank"] = Field(
        "first",
        alias="class",
        description="the class that is kept where sources disagree; `blank`: none",
    )


class Disk(Section):
    """Where on the disk a flare has to be."""

    longitude: Above0 | None = Field(
        None, description="the largest Stonyhurst longitude, east or west (degrees)"
    )
    latitude: Above0 | None = Field(
        None, description="the largest latitude, north or south (degrees)"
    )
    radius: Above0 | None = Field(
        None, description="the largest distance from the disk's centre (solar radii)"
    )


class Keep(Section):
    """How many of the flares that are left are kept."""

    strongest: Natural | None = Field(
        None, description="so many of each `per`, the strongest first; ties: the earlier peak"
    )
    sample: Natural | None = Field(
        None,
        description="so many of each `per`, by chance: the first in the order of"
        " the sha256 (hex) of the seed, a bar and the `flare_id`",
    )
    per: Literal["all", "year", "month", "date", "class"] = Field(
        "all",
        description="what `strongest` and `sample` count in; `date` of the start, `class`: its"
        " letter",
    )
    by: Literal["class", "fl_peakflux", "integrated_flux"] = Field(
        "class", description="what `strongest` compares; a flare without it is not kept"
    )
    seed: Seed = Field(20140107, description="of `sample`")


class Criteria(Section):
    """What a flare has to be."""

    begin: Time | None = Field(
        None, alias="from", description="the first start; null: SDO's first images, 2010-05-13"
    )
    end: Time | None = Field(None, alias="to", description="starts before this")
    goes_class: tuple[GoesClass, ...] = Field(
        (),
        alias="class",
        max_length=2,
        description="the least class, or the least and the largest, like `[M1.0, X99]`; compared as"
        " fluxes on `intake.scale`",
    )
    disk: Disk = Disk()
    regions: Annotated[tuple[Natural, ...], unique] = Field(
        (), description="NOAA active regions (five digits); empty: any"
    )
    require: Annotated[tuple[Literal["region", "position"], ...], unique] = Field(
        (), description="what a flare has to have"
    )


class Query(Criteria):
    """What HEK is asked: every flare from `from` to `to`. The rest is looked at here."""

    begin: Time = Field(alias="from", description="the first start")
    end: Time = Field(alias="to", description="starts before this")


class Select(Criteria):
    """Which of all known flares are the campaign's."""

    apart: Duration = Field(
        timedelta(0),
        description="the least time between the flare and any other of `apart_class` or more. Most"
        " flares have another near: with 178m six in seven of M and X are lost",
    )
    apart_class: GoesClass = Field("C1.0", description="see `apart`")
    keep: Keep = Keep()


class Intake(Section):
    """Flare lists, from which `snakemake intake` makes `events`."""

    lists: Annotated[tuple[Path, ...], unique] = Field(
        (),
        description="flare lists of any known form: files (`*` and `**` stand for any name and"
        " folders), or URLs, which are fetched once. The order is that of precedence: values come"
        " from the first list that has them. Files of one pattern have equal precedence",
    )
    queries: tuple[Query, ...] = Field(
        (),
        description="what HEK is asked, like `{from: 2013-01-01, to: 2016-01-01}`, a list each,"
        " behind `lists`. A rehearsal asks the stand-in, which makes flares up",
    )
    hek_url: Url = Field("https://www.lmsal.com/hek/her", description="where HEK is asked")
    sources: Annotated[tuple[Name, ...], unique] = Field(
        (),
        description="the sources that count, like `swpc`, `ssw`, `aia_131`; empty: all. A list may"
        " hold several: HEK's do",
    )
    times: Name = Field(
        "goes",
        description="whose start, peak and end a flare has: `goes`: the first list's, or a source,"
        " like `aia_131`, where it saw the flare",
    )
    scale: Literal["operational", "science"] = Field(
        "operational",
        description="the scale on which classes are compared. Operational classes of GOES-8 to 15"
        " are 0.7 of science classes; from GOES-16 on there is one scale, `science`",
    )
    conflicts: Conflicts = Conflicts()
    longest: Duration = Field(
        timedelta(hours=12),
        description="an end that is later than this after the start is dropped",
    )
    at_most_dropped: Part = Field(
        0.02, description="the part of a list's rows that may be unreadable"
    )
    select: Select = Select()


class Config(Section):
    """The settings of a flareset campaign; config/README.md explains each."""

    events: Path = Field("config/events.csv", description="the flares")
    intake: Intake = Intake()
    results: Path = Field("results", description="the folder of results")
    store: Path = Field(
        "store",
        description="the folder of verified files; campaigns that run one after the other may"
        " share it",
    )
    archive: Archive = Archive()
    source: Literal[SOURCES] = Field(
        "direct",
        description="where files come from. `direct`: the stored files of the wanted images,"
        " without an export or an e-mail address; files that JSOC has offline come by an export if"
        " JSOC_EMAIL is set, else they are `failed`. `export`: the workflow asks for exports of the"
        " wanted images, which may be cut out or processed otherwise. `request_id`: the files of"
        " exports made on JSOC's page, by the id in the row. `page`: the files of saved export"
        " pages. A row may have its own source",
    )
    export_pages: Path = Field(
        "export_pages",
        description="the folder of saved pages: `<event_id>.html` or `<flare's date>.html`, or with"
        " the channel, `<event_id>.131.html`. One page may list several of the channels that the"
        " campaign asks for. A rehearsal makes the pages that it does not find. A page that lacks"
        " images at the window's edges is used, with a warning and the reason in the ledger. A page"
        " that is shifted against the window is refused",
    )
    accept_pages: Annotated[tuple[Text, ...], unique] = Field(
        (),
        description="event_ids whose page is used although its number of rows differs from its own"
        " count; the ledger and the provenance note it",
    )
    series: ImageSeries = Field(
        "aia.lev1_euv_12s",
        description="also `aia.lev1_uv_24s` (1600, 1700), `aia.lev1_vis_1h` (4500), `aia.lev1` (all"
        " of these), and of HMI (6173): `hmi.M_45s`, `hmi.V_45s`, `hmi.Ic_45s`, `hmi.M_720s`,"
        " `hmi.V_720s`, `hmi.Ic_720s`, `hmi.B_720s`, `hmi.sharp_720s`, `hmi.sharp_cea_720s`",
    )
    wavelengths: Annotated[tuple[Natural, ...], not_empty, unique] = Field(
        (131,), description="channels (angstrom)"
    )
    segment: Name = Field(
        "image",
        validate_default=True,
        description="the segment that is used, like `magnetogram` or `Br` for HMI; `spikes` are"
        " never fetched",
    )
    window: Window = Window()
    fetch: Literal["all", "sampled"] = Field(
        "sampled",
        description="`sampled`: the images that are drawn, and the next in the draw if an image"
        " cannot be had. `all`: every listed image of the window (images outside it are in the"
        " ledger and are not fetched)",
    )
    quality: Quality = Quality()
    sample: Sample = Field(Sample(), validate_default=True)
    flares: Annotated[Path | None, empty_is_none] = Field(
        None,
        description="a flares.csv of all known flares, as `snakemake intake` writes it: an image"
        " during one of them counts as in another flare. So does an image that only another source"
        " of the list places in the event's own flare",
    )
    other_flares_class: GoesClass = Field(
        "C1.0",
        description="flares of `flares` that are below this class, or have no class, are ignored",
    )
    other_flares: Literal["exclude", "allow"] = Field(
        "exclude",
        description="`exclude`: an image during another listed flare is not drawn as pre or post."
        " `allow`: it may be. A file that is then drawn as flare too has label 1",
    )
    completeness: Completeness = Completeness()
    leaks: Leaks = Leaks()
    splits: Splits = Splits()
    report_page: ReportPage = ReportPage()
    export: Export = Export()
    arrays: Arrays = Arrays()
    release: Release = Release()
    clean: Literal["list", "remove"] = Field(
        "list",
        description="what `clean_unused` does; `--config clean=remove` removes",
    )
    refresh: Flag = Field(
        False,
        description="`snakemake intake --config refresh=true` asks again for what it has pinned,"
        " and says which rows were added, are gone and have changed; so does `fetch_tables`, which"
        " says nothing of rows",
    )

    @field_validator("segment")
    @classmethod
    def _as_the_series_calls_it(cls, segment: str, known: ValidationInfo) -> str:
        # The other series link to the image of aia.lev1, which has another name there.
        own = known.data.get("series") == "aia.lev1" and segment == "image"
        return "image_lev1" if own else segment

    @field_validator("sample")
    @classmethod
    def _apart_where_no_slot_is_shared(cls, sample: Sample, known: ValidationInfo) -> Sample:
        series = SERIES.get(known.data.get("series", ""))
        if series is None or series.shares_slots or "channels" in sample.model_fields_set:
            return sample
        return sample.model_copy(update={"channels": "apart"})

    @property
    def image_series(self) -> Series:
        """The campaign's series."""
        return SERIES[self.series]

    @property
    def origin(self) -> str:
        """The origin of files (see `Archive.origin`)."""
        return self.archive.origin

    @property
    def split_seed(self) -> int | str:
        """The seed that decides the order of groups in the splits."""
        return self.sample.seed if self.splits.seed is None else self.splits.seed

    @property
    def guard(self) -> timedelta:
        """The least time between a flare and images before or after it."""
        return self.window.guard

    @property
    def exposure(self) -> str:
        """Which exposures are drawn."""
        return self.sample.exposure

    @property
    def request(self) -> Request:
        """What an export asks for."""
        return Request(**{name: getattr(self.export, name) for name in Request.model_fields})

    @property
    def quotas(self) -> dict[str, int] | None:
        """The number of images per bin, by the keys under `sample`; None if all are fetched."""
        if self.fetch == "all":
            return None
        return self.sample.quotas
