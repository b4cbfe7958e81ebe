"""A reader's data go to the pages that take their kind, and make no other page stale."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from own_data import cohort, edit, features, scans
from typer.testing import CliRunner

from als_core.__main__ import app
from als_core.book.build import elsewhere, put_on_top
from als_core.book.contents import (
    DATA,
    NO_DATA,
    book_pages,
    data_of,
    page_folder,
    page_parameters,
    parameters_of,
    source_of,
)
from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.cross_paper import book_data
from als_core.studies.cross_paper.book_data import OPTIONS, Opened, choose_patients, refuse_other_data, settle

TISSUE_PAGES = {page for page in book_pages() if page.startswith("xia2024/")} | {
    "audit/how_many_donors",
    "audit/leaks_replayed",
    "audit/published_numbers",
}
PAGES = {
    "images": TISSUE_PAGES,
    "crops": {page for page in book_pages() if page.startswith("miao2023/")},
    "volumes": {
        "panagiotaras/01_scans_and_training",
        "panagiotaras/02_heatmaps",
        "wang2023/01_overlap",
        "turrisi2024/01_cohort",
        "turrisi2024/02_features",
        "turrisi2024/03_classifiers",
    },
    "features": {"turrisi2024/03_classifiers"},
}


def labelled_as_crops(folder: Path) -> Path:
    return edit(folder, lambda table: table.replace({"label": {"als": "ALS"}}))


def make(kind: str, place: Path) -> str:
    """Data of a kind, as a reader brings them."""
    if kind == "images":
        return str(cohort(place))
    if kind == "crops":

        def grey(path, picture, number, label):
            picture.convert("L").save(f"{path}.png")
            return Path(f"{path}.png")

        return str(labelled_as_crops(cohort(place, grey)))
    if kind == "volumes":
        folder = scans(place)
        paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.nii.gz"))
        table = pd.DataFrame({"path": paths, "label": [path[:2] for path in paths], "group": paths})
        table.to_csv(folder / "manifest.csv", index=False)
        return str(folder)
    place.mkdir()
    features().to_csv(place / "features.csv", index=False)
    return str(place / "features.csv")


@pytest.fixture(autouse=True)
def standard_tissue(monkeypatch):
    """Where no tissue is given: the authors' images, without opening them."""
    opened = Opened(
        {"cohort": "xia2024"}, "xia2024", "published", "x" * 8, "Cohort: xia2024.", ("a", "b", "c")
    )
    given = book_data._open_tissue
    monkeypatch.setattr(
        book_data, "_open_tissue", lambda value, profile: opened if value == "auto" else given(value, profile)
    )


def own_pages(book: dict) -> set[str]:
    return {page for page in book_pages() if data_of(page, book).get("kind") == "own"}


@pytest.mark.parametrize("kind", PAGES)
def test_data_go_by_content_to_every_page_that_takes_them_and_to_no_other(kind, tmp_path):
    place = make(kind, tmp_path / "mine")
    book, lines = settle(place, {}, "test")
    assert own_pages(book) == PAGES[kind]
    for page in PAGES[kind]:
        given = page_parameters(page, book)
        assert place in given.values() and set(given) <= set(parameters_of(source_of(page)[0]))
    named = "\n".join(lines)
    assert (
        f"Pages: {len(PAGES[kind])} of {len(book_pages())}." in named
        and "show synthetic data, and say so" in named
    )


def test_several_data_go_each_to_its_pages(tmp_path):
    given = {option: make(DATA[name], tmp_path / option) for option, name in OPTIONS.items()}
    book, _ = settle("auto", given, "test")
    about = {page: data_of(page, book)["name"] for page in own_pages(book)}
    assert {page for page, name in about.items() if name == "tissue"} == PAGES["images"]
    assert {page for page, name in about.items() if name == "crops"} == PAGES["crops"]
    assert {page for page, name in about.items() if name == "brains"} == PAGES["volumes"] - PAGES["features"]
    assert {page for page, name in about.items() if name == "features"} == PAGES["features"]
    assert data_of("audit/how_fast", book) is NO_DATA


def test_colour_images_with_the_labels_of_crops_leave_miaos_pages_synthetic_and_say_so(tmp_path):
    folder = str(labelled_as_crops(cohort(tmp_path / "mine")))
    book, lines = settle(folder, {}, "test")
    assert own_pages(book) == PAGES["images"]
    (notice,) = [line for line in lines if "labels of crops" in line]
    assert "ALS, control" in notice and "--channel green" in notice
    book, _ = settle(folder, {}, "test", channel="green")
    assert own_pages(book) == PAGES["crops"]
    assert page_parameters("miao2023/02_super_resolution", book)["channel"] == "green"
    with pytest.raises(RefusedInput, match="3 channels that differ"):
        settle("auto", {"crops": folder}, "test")


def refused(*arguments, **options) -> str:
    with pytest.raises(RefusedInput) as raised:
        settle(*arguments, "test", **options)
    return str(raised.value)


def test_data_under_the_option_of_another_kind_are_refused_with_the_right_option(tmp_path):
    places = {kind: make(kind, tmp_path / kind) for kind in PAGES}
    said = refused(
        "auto", {"brains": places["features"], "features": places["images"], "tissue": places["volumes"]}
    )
    assert f"--brains {places['features']}: found a feature table; expected scans" in said
    assert f"Type --features {places['features']}." in said
    assert f"Type --tissue {places['images']}." in said and f"Type --brains {places['volumes']}." in said
    said = refused("auto", {"tissue": places["crops"]})
    assert "found mode L (greyscale)" in said and "--convert" in said, "crops are images, too"


def test_combinations_that_mean_nothing_are_refused(tmp_path):
    images, scanned = make("images", tmp_path / "images"), make("volumes", tmp_path / "scans")
    twice = refused(images, {"tissue": images})
    assert "both are images" in twice and "Leave one out." in twice
    assert "synthetic and --tissue" in refused("synthetic", {"tissue": images})
    said = refused(images, {}, patients="AD")
    assert "--patients" in said and "--brains or --features" in said
    assert "--channel: found 1 and no data of a reader; expected it with --crops" in refused(
        scanned, {}, channel="1"
    )
    said = refused("xia2025", {})
    assert "neither known data nor a folder; expected auto, xia2024, synthetic, oasis1, adni:FOLDER" in said


def test_the_label_of_the_patients_is_named_or_known(tmp_path):
    assert choose_patients("x", ["ALS", "mimic"]) == "ALS" and choose_patients("x", ["AD", "CN"]) == "AD"
    with pytest.raises(RefusedInput, match=r"labels FTD, control; expected .* ALS or AD.*--patients FTD"):
        choose_patients("x", ["FTD", "control"])
    table = tmp_path / "mine.csv"
    features().replace({"label": {"ALS": "FTD"}}).to_csv(table, index=False)
    assert "--patients FTD" in refused(str(table), {})
    book, _ = settle(str(table), {}, "test", patients="FTD")
    page = "turrisi2024/03_classifiers"
    assert page_parameters(page, book) == {"profile": "test", "features": str(table), "patients": "FTD"}


def test_a_page_that_takes_other_data_is_refused_with_the_pages_that_take_them(tmp_path):
    book, _ = settle(make("features", tmp_path / "mine"), {}, "test")
    refuse_other_data("turrisi2024/03_classifiers", book)
    with pytest.raises(
        RefusedInput, match=r"found a feature table; expected crops.*turrisi2024/03_classifiers"
    ):
        refuse_other_data("miao2023/03_train/vgg16", book)
    with pytest.raises(RefusedInput, match="expected no data: this page takes none"):
        refuse_other_data("audit/how_fast", book)
    book, _ = settle(make("features", tmp_path / "again"), {}, "test", pages=["turrisi2024/03_classifiers"])
    assert set(book["data"]) == {"features"}, "no tissue is opened for a page that shows none"
    done = CliRunner().invoke(app, ["page", "turrisi2024/04_none", "synthetic"])
    assert "no notebook of that name" in str(done.exception)


def test_a_page_is_stale_where_its_own_data_changed_and_only_there(tmp_path):
    given = {option: make(DATA[name], tmp_path / option) for option, name in OPTIONS.items()}

    def keys() -> dict[str, str]:
        book, _ = settle("auto", given, "test")
        return {page: data_of(page, book)["digest"] + str(page_folder(page, book)) for page in book_pages()}

    def changed() -> set[str]:
        nonlocal before
        now = keys()
        differing = {page for page in now if now[page] != before[page]}
        before = now
        return differing

    before = keys()
    assert changed() == set()
    edit(Path(given["crops"]), lambda table: table.assign(group="G" + table["group"]))
    assert changed() == PAGES["crops"]
    edit(Path(given["tissue"]), lambda table: table.iloc[1:])
    assert changed() == PAGES["images"]
    edit(Path(given["brains"]), lambda table: table.assign(age=60))
    assert changed() == PAGES["volumes"] - PAGES["features"]
    features(seed=1).to_csv(given["features"], index=False)
    assert changed() == PAGES["features"]
    moved = tmp_path / "elsewhere" / "brains"
    moved.parent.mkdir()
    Path(given["brains"]).rename(moved)
    given["brains"] = str(moved)
    assert changed() == set(), "the same data in another place"


def test_another_label_of_the_patients_or_word_of_the_reader_makes_the_pages_of_scans_stale(tmp_path):
    place = make("volumes", tmp_path / "mine")

    def entry(label: str) -> dict[str, str]:
        return settle(place, {}, "test", patients=label, pages=["turrisi2024/01_cohort"])[0]["data"]["brains"]

    entries = [entry("AD"), entry("CN")]
    for line in ("title: Mine", "group_word: dishes"):
        (Path(place) / "cohort.yml").write_text(f"{line}\n")
        entries.append(entry("AD"))
    assert len({each["digest"] for each in entries}) == len({each["slug"] for each in entries}) == 4


def test_a_page_without_the_readers_data_says_where_they_are(tmp_path):
    book, _ = settle(make("volumes", tmp_path / "mine"), {}, "test")
    said = elsewhere("miao2023/01_crops_and_filters", book)
    assert said == (
        "This page takes crops, and this book was given none: mine (scans) is on {doc}`/book/turrisi2024/01_cohort`."
    )
    assert "takes images" in elsewhere("xia2024/05_benchmark", book)
    assert elsewhere("turrisi2024/01_cohort", book) == "" == elsewhere("audit/how_fast", book)
    page = {"cells": [{"cell_type": "markdown", "source": "# Title"}, {"cell_type": "code", "source": ""}]}
    put_on_top(page, "")
    assert len(page["cells"]) == 2
    put_on_top(page, said)
    assert page["cells"][0]["source"] == "# Title" and said in page["cells"][1]["source"]
    standard = {"profile": "test", "data": {"cohort": book["data"]["cohort"]}}
    assert {elsewhere(each, standard) for each in book_pages()} == {""}, "nobody's data were expected"


def test_make_book_passes_every_kind_of_data():
    asked = [
        "make",
        "--no-print-directory",
        "-n",
        "-o",
        ".venv/.ready",
        "book",
        "COHORT=a b",
        "BRAINS=adni:c",
        "PATIENTS=AD",
        "CHANNEL=1",
    ]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(asked, cwd=repository(), env=alone, capture_output=True, text=True, check=True)
    words = done.stdout.split("als book ")[1].split()
    assert " ".join(words) == '"a b" --brains "adni:c" --channel "1" --patients "AD" --profile "quick"'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "page", "words"),
    [
        ("crops", "miao2023/01_crops_and_filters", "mine: 24 samples (12 ALS, 12 control)"),
        ("volumes", "turrisi2024/01_cohort", "mine: 12 samples (6 AD, 6 CN)"),
    ],
)
def test_data_of_each_kind_become_a_page_with_their_words_in_one_command(kind, page, words, tmp_path):
    place = make(kind, tmp_path / "mine")
    if kind == "crops":
        (Path(place) / "cohort.yml").write_text("group_word: dishes\n")
    done = CliRunner().invoke(app, ["page", page, place, "--profile", "test"])
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    made = Path(done.output.rpartition("Open ")[2].strip()).with_name("page.ipynb").read_text()
    assert words in made and "Your own cohort" in made and str(tmp_path) not in made
    if kind == "crops":
        assert (
            "no new dishes: there are still" in made
            and "The number that counts is the number of dishes" in made
        )
        assert "TDP-43 lies diffusely" not in made
    assert '"stderr"' not in made, "the site would not be built"
