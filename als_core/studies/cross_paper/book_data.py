"""Which data a book is about: tell by content where a reader's data go, open and check them, describe them to the graph.

| data                          | option       | parameter of the notebooks that take it |
|-------------------------------|--------------|-----------------------------------------|
| images                        | `--tissue`   | `cohort`                                |
| grey crops, or one channel    | `--crops`    | `crops`, `channel`                      |
| scans (NIfTI)                 | `--brains`   | `brains`, `patients`                    |
| a feature table               | `--features` | `features`, `patients`                  |

Which pages these are follows from the parameters cell of each notebook (`book.contents.data_of`). All other pages stay
as they are: the tissue pages on the authors' images or on synthetic ones, the others on synthetic data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from als_core.book.build import KIND_WORDS
from als_core.book.contents import DATA, book_pages, data_of, parameters_of, source_of
from als_core.book.profile import Profile, load_profile
from als_core.cohorts.check import MANIFEST, read_manifest
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.folders import CASE, Kind, kind_of
from als_core.cohorts.tables import read_table
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import content_key
from als_core.studies.xia2024.cohort import AUTO, PUBLISHED, SYNTHETIC, choose, describe, open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters

OPTIONS = {"tissue": "cohort", "crops": "crops", "brains": "brains", "features": "features"}
OPTION_OF = {parameter: option for option, parameter in OPTIONS.items()}
NAMED = {"cohort": (AUTO, PUBLISHED, SYNTHETIC), "brains": ("oasis1", SYNTHETIC), "crops": (SYNTHETIC,)}
"""Data that are no folder, by parameter; so is `adni:FOLDER` for `brains`."""
ADNI = "adni:"
SUBJECT = "The data of the book"


@dataclass(frozen=True)
class Opened:
    """Data that passed their check. parameters: of the notebooks. line: for the terminal and the landing page."""

    parameters: dict[str, str]
    name: str
    kind: str
    digest: str
    line: str
    classes: Sequence[str]
    notices: Sequence[str] = ()

    def entry(self) -> dict[str, Any]:
        """What the graph of pages needs to know of them (`contents.made_book`)."""
        readable = "".join(c if c.isalnum() or c in "-_" else "-" for c in self.name.lower())
        return {
            "parameters": self.parameters,
            "name": self.name,
            "kind": self.kind,
            "slug": f"{readable}-{self.digest[:8]}",
            "digest": self.digest,
        }


def settle(
    wanted: str,
    given: Mapping[str, str],
    profile: str,
    channel: str = "",
    patients: str = "",
    pages: Sequence[str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Open and check what a book is to be about; return its state (`contents.made_book`) and lines for the terminal.

    Parameters
    ----------
    wanted : name or folder of any kind of data; "auto" leaves the choice to `xia2024.cohort.choose`
    given : option of `OPTIONS` -> name or folder; empty where it was not given
    channel : of crops that have several
    patients : label of the patients, in scans or a feature table
    pages : those to make, by default all: where no tissue is given and none of them shows any, none is opened

    Raises
    ------
    RefusedInput
        With every problem of the combination, or of the first data that do not pass.
    """
    asked = {OPTIONS[option]: value for option, value in given.items() if value}
    problems = [problem for parameter, value in asked.items() for problem in _wrong_kind(parameter, value)]
    if wanted != AUTO:
        parameter = parameter_of(wanted, channel)
        if parameter in asked:
            found = f"{wanted} and --{OPTION_OF[parameter]} {asked[parameter]}"
            expected = f"one of them: both are {KIND_WORDS[DATA[parameter]]}"
            problems.append(Problem("als book", found, expected, "Leave one out."))
        asked = {parameter: wanted} | asked
    refuse_if(SUBJECT, [*problems, *_without_data(asked, channel, patients)])
    settings = load_profile(profile)
    opened = {}
    if "cohort" in asked or any("cohort" in _takes(page) for page in pages or book_pages()):
        opened["cohort"] = _open_tissue(asked.pop("cohort", AUTO), settings)
    for parameter, value in asked.items():
        if value != SYNTHETIC:
            option = channel if parameter == "crops" else patients
            opened[parameter] = OPENERS[parameter](_absolute(value), settings, option)
    book = {
        "profile": profile,
        "data": {parameter: each.entry() for parameter, each in opened.items()},
        "line": " ".join(each.line for each in opened.values()),
    }
    return book, [*_terminal(book, opened), *_crops_notice(opened)]


def refuse_other_data(page: str, book: Mapping[str, Any]) -> None:
    """Raise RefusedInput where a page takes none of a reader's data that were given for it."""
    own = [DATA[name] for name, entry in book["data"].items() if entry["kind"] == "own"]
    if own and data_of(page, book).get("kind") != "own":
        takes = [DATA[name] for name in _takes(page)]
        expected = " or ".join(KIND_WORDS[kind] for kind in takes) or "no data: this page takes none"
        pages = [other for other in book_pages() if data_of(other, book).get("kind") == "own"]
        remedy = f"Pages for your data: {', '.join(pages)}."
        found = " and ".join(KIND_WORDS[kind] for kind in own)
        raise RefusedInput(f"The page {page}", [Problem("its data", found, expected, remedy)])


def _takes(page: str) -> list[str]:
    """The parameters of a page's notebook that take data."""
    known = parameters_of(source_of(page)[0])
    return [name for name in DATA if name in known]


def parameter_of(wanted: str, channel: str = "") -> str:
    """Name of the notebooks' parameter for a name or a folder, by its content.

    channel: of images, which makes crops of them. Raises RefusedInput where a folder holds none of the kinds.
    """
    for parameter, names in NAMED.items():
        if wanted in names:
            return parameter
    if wanted.startswith(ADNI):
        return "brains"
    kind = _kind_of(wanted)
    if kind == "images" and channel:
        kind = "crops"
    return next(parameter for parameter, takes in DATA.items() if takes == kind)


def _kind_of(value: str) -> Kind:
    place = Path(value).expanduser()
    if not place.exists():
        names = dict.fromkeys(name for known in NAMED.values() for name in known)
        expected = f"{', '.join(names)}, {ADNI}FOLDER, a folder, or a feature table"
        raise RefusedInput(
            SUBJECT, [Problem(value, "neither known data nor a folder", expected, "Correct it.")]
        )
    return kind_of(place)


def _wrong_kind(parameter: str, value: str) -> Iterator[Problem]:
    """A problem where data were given under the option of another kind."""
    if value in NAMED.get(parameter, ()) or (parameter == "brains" and value.startswith(ADNI)):
        return
    found = _kind_of(value)
    alike = {"images", "crops"}  # crops are images; which images can be crops is checked when they are opened
    if found == DATA[parameter] or {found, DATA[parameter]} == alike:
        return
    right = next(option for option, name in OPTIONS.items() if DATA[name] == found)
    yield Problem(
        f"--{OPTION_OF[parameter]} {value}",
        KIND_WORDS[found],
        KIND_WORDS[DATA[parameter]],
        f"Type --{right} {value}.",
    )


def _without_data(asked: Mapping[str, str], channel: str, patients: str) -> Iterator[Problem]:
    """Problems of `--channel` and `--patients` where no data are given that they belong to."""
    belongs = (("channel", channel, ("crops",)), ("patients", patients, ("brains", "features")))
    for name, value, parameters in belongs:
        if value and not any(asked.get(each, SYNTHETIC) != SYNTHETIC for each in parameters):
            options = " or ".join(f"--{OPTION_OF[each]}" for each in parameters)
            remedy = f"Add {options} FOLDER, or leave it out."
            yield Problem(f"--{name}", f"{value} and no data of a reader", f"it with {options}", remedy)


def _absolute(value: str) -> str:
    """The value with a folder's absolute path: notebooks run in other folders."""
    if value in NAMED["brains"]:
        return value
    source = ADNI if value.startswith(ADNI) else ""
    return source + str(Path(value.removeprefix(source)).expanduser().resolve())


def _open_tissue(value: str, profile: Profile) -> Opened:
    choice = choose(value)
    cohort = open_cohort(choice.cohort, profile.amounts("synthetic_tissue", TissueParameters))
    line = describe(cohort, choice)
    return Opened(
        {"cohort": choice.cohort},
        cohort.name,
        cohort.kind,
        _digest_with_words(cohort),
        line,
        cohort.classes,
        cohort.notices,
    )


def _digest_with_words(cohort: Cohort) -> str:
    """Digest of a cohort and, for a reader's, of the words by which pages call it and its groups."""
    return content_key(cohort.digest, cohort.about) if cohort.kind == "own" else cohort.digest


def _open_crops(value: str, profile: Profile, channel: str) -> Opened:
    from als_core.studies.miao2023.cohort import open_crops
    from als_core.studies.miao2023.protocol import CropSettings
    from als_core.studies.miao2023.synthetic import CropParameters

    side = profile.amounts("miao2023", CropSettings).crop_side
    cohort = open_crops(value, CropParameters(side=side), channel=channel)
    parameters = {"crops": value, "channel": channel}
    return Opened(
        parameters,
        cohort.name,
        "own",
        _digest_with_words(cohort),
        _line("Crops", cohort, "crops"),
        cohort.classes,
        cohort.notices,
    )


def _open_brains(value: str, profile: Profile, patients: str) -> Opened:
    from als_core.studies.brains.cohorts import PATIENTS, find_brains
    from als_core.studies.brains.training import PanagiotarasAmounts
    from als_core.studies.turrisi2024.feature_table import least_class_size

    amounts = profile.amounts("panagiotaras", PanagiotarasAmounts)
    if value in NAMED["brains"] or value.startswith(ADNI):
        label = patients or PATIENTS
    else:
        labels = read_manifest(Path(value), Path(value) / MANIFEST)["label"]
        label = patients or choose_patients(value, sorted(set(labels)))
    # the classifiers need this many patients of a label even with a single neighbour for SMOTE
    cohort = find_brains(value, amounts.resolution, max(amounts.folds, least_class_size(1)), label)
    parameters, line = {"brains": value, "patients": label}, _line("Scans", cohort, "scans", label)
    digest = content_key(_digest_with_words(cohort), label)
    return Opened(parameters, cohort.name, cohort.kind, digest, line, cohort.classes, cohort.notices)


def _open_features(value: str, profile: Profile, patients: str) -> Opened:
    from als_core.studies.turrisi2024.feature_table import NOT_FEATURES
    from als_core.studies.turrisi2024.study import open_table, table_file

    file = table_file(value)
    rows = read_table(file.name, file, file.name, NOT_FEATURES)
    # without such a column the check below says what is wrong
    label = patients or (choose_patients(file.name, sorted(set(rows["label"]))) if "label" in rows else CASE)
    table = open_table(value, label)
    parameters, line = (
        {"features": value, "patients": label},
        _line("Feature table", table, "subjects", label),
    )
    return Opened(parameters, Path(table.name).stem, "own", table.digest, line, table.classes, table.notices)


# Each imports its study when it is called: most books open none of these, and what they load takes seconds.
OPENERS = {"crops": _open_crops, "brains": _open_brains, "features": _open_features}


def choose_patients(where: str, labels: Sequence[str]) -> str:
    """The label of the patients where none was named: ALS or AD, if it is among the labels.

    Raises RefusedInput for other labels.
    """
    from als_core.studies.brains.cohorts import PATIENTS

    known = [label for label in (CASE, PATIENTS) if label in labels]
    if len(known) == 1:
        return known[0]
    expected = f"one of them to be {CASE} or {PATIENTS}"
    remedy = f"Name the label of the patients: --patients {labels[0]}."
    raise RefusedInput(SUBJECT, [Problem(where, f"labels {', '.join(labels)}", expected, remedy)])


def _line(title: str, data: Any, noun: str, patients: str = "") -> str:
    groups = "no group column" if data.groups is None else f"{len(set(data.groups))} groups"
    label = f", patients: {patients}" if patients else ""
    return f"{title}: {data.name}, {len(data)} {noun}, {len(data.classes)} classes{label}, {groups}."


def _terminal(book: dict[str, Any], opened: Mapping[str, Opened]) -> Iterator[str]:
    """What each of the data is, on how many pages, and its notices."""
    pages = book_pages()
    for parameter, each in opened.items():
        number = sum(data_of(page, book) is book["data"][parameter] for page in pages)
        yield f"{each.line} Pages: {number} of {len(pages)}."
        yield from (f"Note: {notice}" for notice in each.notices)
    missing = [KIND_WORDS[kind] for parameter, kind in DATA.items() if parameter not in opened]
    if missing and any(each.kind == "own" for each in opened.values()):
        yield f"Note: not given: {', '.join(missing)}. The pages on them show synthetic data, and say so."


def _crops_notice(opened: Mapping[str, Opened]) -> Iterator[str]:
    """Colour images with the labels of crops are not on the crops' pages: how they would be."""
    tissue = opened.get("cohort")
    if (
        tissue
        and tissue.kind == "own"
        and "crops" not in opened
        and CASE in tissue.classes
        and len(tissue.classes) == 2
    ):
        yield (
            f"Note: {tissue.name} has the labels of crops ({', '.join(tissue.classes)}) but colour images, so the pages "
            f"on crops stay synthetic. If one channel is meant: --crops {tissue.name} --channel green, or red, blue, a number."
        )
