"""After "No problems": the first page is made from each of these folders, and says what is so. Pages run in process.

The other inputs of the second table are met by the check or by a function of the library: `test_rows_tried` lists where.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest
from own_data import cohort, edit, texture
from test_own_data import run

from als_core.book.blocks import MIME
from als_core.cohorts.cohort import Cohort
from als_core.storage import repository
from als_core.studies.xia2024 import separation

PAGE = "xia2024/01_cohort_and_quality"


def with_column(**columns: Callable[[pd.DataFrame], pd.Series]) -> Callable[[Path], Path]:
    return lambda folder: edit(cohort(folder), lambda table: table.assign(**columns))


def sized(height: int, width: int) -> Callable[[Path], Path]:
    return lambda folder: cohort(folder, pixels=lambda number: texture(number, height, width))


def twenty_identical(folder: Path) -> Path:
    """One image of the first donor, twenty times."""
    cohort(folder)
    for number in range(19):
        shutil.copy(folder / "d01_1.png", folder / f"copy{number}.png")
    copies = pd.DataFrame({"path": [f"copy{n}.png" for n in range(19)], "label": "als", "group": "d01"})
    return edit(folder, lambda table: pd.concat([table, copies]))


def one_label_with_three(folder: Path) -> Path:
    """Three images of a rare label, each of its own donor, among 21 others."""
    rare = lambda table: table["group"] == "d01"  # noqa: E731
    change = {
        "label": lambda t: np.where(rare(t), "rare", t["label"]),
        "group": lambda t: np.where(rare(t), t["path"], t["group"]),
    }
    return edit(cohort(folder), lambda table: table.assign(**{n: f(table) for n, f in change.items()}))


def relabelled(als: str, control: str) -> Callable[[Path], Path]:
    return with_column(label=lambda table: table["label"].map({"als": als, "control": control}))


LONG = "a very long label of a class that goes on and on for a while"
FOLDERS = {
    "a column slide without region": (with_column(slide=lambda t: t["group"]), "of each of the 8 slides"),
    "slides without donors": (
        lambda f: edit(cohort(f), lambda t: t.assign(slide=t["group"]).drop(columns="group")),
        "of each of the 8 slides",
    ),
    "images taller than 2048 pixels": (sized(2100, 40), "two images. Medians by class"),
    "images lower than 32 pixels": (sized(20, 48), "two images. Medians by class"),
    "one label with three images": (one_label_with_three, "als 9, control 12 and rare 3"),
    "20 identical images": (twenty_identical, "20 of the 43 images are identical to another or nearly so, in 1 set"),
    "labels in Chinese, and long ones": (relabelled("肌萎缩侧索硬化", LONG), "肌萎缩侧索硬化"),
    "labels with signs of Markdown and mathematics": (relabelled("a_b*c|d", "$x^$"), r"a\_b\*c\|d"),
}  # fmt: skip


def without_groups(folder: Path) -> Path:
    return edit(cohort(folder), lambda table: table.drop(columns="group"))


@pytest.fixture
def page(monkeypatch) -> Callable[..., str]:
    """Runs a page, the first where none is named, for a folder at the smallest profile; gives back its text."""
    shown: list[dict] = []
    monkeypatch.setattr("als_core.book.page.publish_display_data", shown.append)

    def run_page(folder: Path, name: str = PAGE) -> str:
        space = {}
        for cell in jupytext.read(repository() / "notebooks" / f"{name}.py").cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, name, "exec"), space)
            if "parameters" in cell.metadata.get("tags", ()):
                space["cohort"] = str(folder)
        return "\n\n".join(bundle[MIME]["myst"] for bundle in shown)

    return run_page


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
@pytest.mark.parametrize(("make", "words"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_passes_the_check_gets_its_first_page(make, words, tmp_path, page):
    folder = make(tmp_path / "with_an_underscore")
    code, printed = run("check", folder)
    assert code == 0 and "No problems." in printed
    text = page(folder)
    assert words in text and "xia-shortcuts" in text
    assert text.count("```{figure}") <= 9
    assert "<td>with_an_underscore: " in text, "the folder is named as written"


@pytest.mark.parametrize(
    ("make", "option", "words"),
    [
        (cohort, ["--group-word", "dishes"], "from 8 dishes. "),
        (cohort, ["--group-word", "mouse, mice"], "from 8 mice. "),
        (cohort, [], "from 8 groups. "),
        (without_groups, [], "24 images of 2 classes; which images belong together is not known."),
        (without_groups, ["--group-word", "dishes"], "which images come from one dish. "),
    ],
)
def test_the_first_page_calls_groups_by_the_readers_word_and_never_donors(
    make, option, words, tmp_path, page
):
    folder = make(tmp_path / "mine")
    code, printed = run("check", folder, *option)
    assert code == 0 and "No problems." in printed, printed
    text = page(folder)
    assert words in text
    assert (
        "donor" not in re.sub(r"\S*-\S*", "", text).lower()
    )  # names of figures, such as xia-donors-over-parts


@pytest.mark.parametrize("command", ["check", "manifest"])
def test_a_group_word_is_kept_in_the_folder_and_one_without_a_singular_is_refused(command, tmp_path):
    folder = cohort(tmp_path / "mine")
    if command == "manifest":
        (folder / "manifest.csv").unlink()
        for label in ("a", "b"):
            (folder / label).mkdir()
        for number, path in enumerate(sorted(folder.glob("*.png"))):
            path.rename(folder / "ab"[number % 2] / path.name)
    code, printed = run(command, folder, "--group-word", "mice")
    assert code == 1 and "whose singular is not known" in printed and "'mouse, mice'" in printed
    assert not (folder / "cohort.yml").exists() and (folder / "manifest.csv").exists() == (command == "check")
    code, printed = run(command, folder, "--group-word", "dishes")
    assert code == 0 and "Kept for the book" in printed
    assert "group_word: dishes" in (folder / "cohort.yml").read_text()


def test_every_donor_is_held_out_where_labels_have_unequally_many():
    """Two donors of six images, twelve of one: intervals speak of fourteen donors, so all are predicted once."""
    groups = np.array([f"als {n // 6}" for n in range(12)] + [f"control {n}" for n in range(12)])
    labels = pd.Series(["als"] * 12 + ["control"] * 12)
    features = {"noise": np.random.default_rng(0).normal(size=(24, 5))}
    asked = separation.questions(labels)
    _, counts = separation.separation_table(features, asked, groups, None, rounds=2, permutations=0)
    held_out = counts[separation.EVERY_CLASS, separation.BY_DONOR, "noise"].sum(1)
    assert (held_out == 2).all() and len(set(groups)) == 14


@pytest.mark.parametrize("column", ["group", None])
@pytest.mark.parametrize("counts", [(3, 3), (4, 3)])
def test_fewer_images_than_training_needs_are_refused_by_the_check(tmp_path, column, counts):
    folder = cohort(tmp_path / "few")
    keep = {"als": [0, 1, 3, 6], "control": [12, 13, 15, 18]}
    rows = [row for name, n in zip(keep, counts, strict=True) for row in keep[name][:n]]
    edit(folder, lambda t: t.iloc[rows] if column else t.iloc[rows].drop(columns="group"))
    code, printed = run("check", folder)
    assert (
        code == 1
        and "1 problem" in printed
        and f"{sum(counts)} samples; expected at least 8 in all" in printed
    )


def test_eight_images_are_enough_for_the_check(tmp_path):
    folder = cohort(tmp_path / "eight")
    edit(folder, lambda t: t.iloc[[0, 1, 3, 6, 12, 13, 15, 18]])
    assert run("check", folder)[0] == 0


def test_the_shortcut_report_names_sharpness_on_the_published_images(real_data):
    from als_core.studies.xia2024 import figures_data
    from als_core.studies.xia2024.cohort import PUBLISHED, open_cohort
    from als_core.studies.xia2024.synthetic import TissueParameters

    if not (real_data / "xia2024").is_dir():
        pytest.skip("real data absent: xia2024")
    data: Cohort = open_cohort(PUBLISHED, TissueParameters(), progress=False)
    said = figures_data.check_words(data.notices, data.shortcuts)
    assert "harpness" in said.partition(" alone ")[0]


@pytest.mark.slow
def test_the_papers_classes_without_groups_are_compared_by_image_only(tmp_path, page, monkeypatch):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    labels = ["control", "concordant", "discordant"] * 8
    folder = edit(without_groups(tmp_path / "mine"), lambda table: table.assign(label=labels))
    text = page(folder, "xia2024/07_by_donor")
    assert "xia-by-donor-accuracy" in text and "xia-two-questions" not in text and "xia-cues" not in text
