"""The guides are followed to their end: their code blocks are carried out in a copy of the checkout, by their captions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from checkouts import copy_checkout, keep_pages, run_in
from PIL import Image

from als_core.storage import repository

pytestmark = pytest.mark.slow

BLOCK = re.compile(
    r"```\{code-block\} (?P<language>\w+)\n:caption: (?P<caption>[^\n]*)\n(?P<body>.*?)```", re.DOTALL
)


class Block(NamedTuple):
    language: str
    caption: str
    body: str


def blocks(guide: str) -> list[Block]:
    text = (repository() / "book" / f"{guide}.md").read_text(encoding="utf-8")
    found = [Block(*match.groups()) for match in BLOCK.finditer(text)]
    return [block._replace(caption=block.caption.strip("`")) for block in found]


def edit(root: Path, block: Block) -> None:
    """Change a file as a block's caption says: a new file, the end of one, or around one of its lines."""
    if block.caption.startswith("new file: "):
        file = root / block.caption.removeprefix("new file: ")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.body, encoding="utf-8")
        return
    name, _, rest = block.caption.partition(", ")
    place, _, line = rest.partition(": ")
    lines = (root / name).read_text(encoding="utf-8").splitlines(keepends=True)
    if rest == "at the end":
        lines.append(block.body)
    else:
        at = next(
            number
            for number, text in enumerate(lines)
            if text.strip().removeprefix("# ") == line.removeprefix("# ")
        )
        start, end = {"before": (at, at), "after": (at + 1, at + 1), "in place of": (at, at + 1)}[place]
        lines[start:end] = [block.body]
    (root / name).write_text("".join(lines), encoding="utf-8")


def follow(guide: str, root: Path, pages: tuple[str, ...] = ()) -> list[str]:
    """Carry out a guide in `root`, and give what its commands printed. pages: those the copy's book keeps."""
    printed = []
    for block in blocks(guide):
        if block.caption != "run":
            edit(root, block)
            continue
        if block.language == "python":
            commands = [("-c", block.body)]
        else:
            commands = [in_this_environment(line) for line in block.body.splitlines()]
        for command in commands:
            done = run_in(root, *command)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            printed.append(done.stdout)
    if pages:
        keep_pages(root, pages)
    return printed


def in_this_environment(line: str) -> tuple[str, ...]:
    """`.venv/bin/python -m pytest` or `.venv/bin/papermill ...` as arguments of this interpreter."""
    tool, *arguments = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
    modules = {"jupytext": "jupytext", "papermill": "papermill", "als": "als_core"}
    name = tool.removeprefix(".venv/bin/")
    if name == "python":
        return tuple(arguments)
    return ("-m", modules[name], *arguments)


@pytest.mark.parametrize("guide", ["add_a_model", "add_an_augmentation"])
def test_a_guide_can_be_followed_to_its_end(guide, tmp_path):
    root = copy_checkout(tmp_path, also=("tests", "pyproject.toml"))
    printed = follow(guide, root)
    assert re.search(r"\d+ passed", printed[0]) or printed[0].count(".") > 5
    if guide == "add_a_model":
        made = (root / "mine.ipynb").read_text()
        assert "Small CNN" in made and "How this page was made" in made
        assert "Regenerates" not in made, "a page on a reader's network claims no paper"
        before = codes(root)
        network = root / "als_core/studies/xia2024/small_cnn.py"
        network.write_text(
            network.read_text().replace("(32, 64)]", "(32, 64), ]").replace("padding=1", "padding=2")
        )
        after = codes(root)
        assert {name for name in before if before[name] != after[name]} == {"small_cnn"}
        done = run_in(root, "-m", "papermill", "notebooks/xia2024/05_benchmark.ipynb", "benchmark.ipynb")
        assert done.returncode == 0, done.stderr
        assert "Small CNN" in (root / "benchmark.ipynb").read_text()


CODES = """
import json
from als_core.storage import code_digest
from als_core.studies.xia2024.recipes import RECIPES, with_added
assert "small_cnn" in with_added(["resnet18"])
module = {name: recipe.builder.partition(":")[0] for name, recipe in RECIPES.items()}
print(json.dumps({name: code_digest("als_core.training.train", module[name]) for name in RECIPES}))
"""


def codes(root: Path) -> dict[str, str]:
    """The code behind the runs of each network, in a copy of the checkout."""
    return json.loads(run_in(root, "-c", CODES).stdout)


def test_a_paper_can_be_added(tmp_path):
    root = copy_checkout(tmp_path, also=("tests", "pyproject.toml"))
    follow("add_a_paper", root, pages=("doe2030/01_sizes",))
    done = run_in(root, "-m", "als_core", "book", "synthetic", "--profile", "test")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (root / "_build/html/book/doe2030/01_sizes.html").read_text()
    verdicts = re.findall(r"als-verdict-([a-z-]+)", page)
    assert verdicts == ["as-built", "differs"]
    assert "An invented paper" in (root / "_build/html/book/index.html").read_text()


def test_a_folder_of_jpegs_becomes_a_book(tmp_path):
    root = copy_checkout(tmp_path / "checkout", ("xia2024/01_cohort_and_quality",))
    cohort = root / "my_cohort"
    generator = np.random.default_rng(0)
    for label, brightness in (("als", 90), ("control", 160)):
        (cohort / label).mkdir(parents=True)
        for donor in range(4):
            for field in (1, 2, 3):
                pixels = generator.normal(brightness + 5 * donor, 25, (64, 64, 3)).clip(0, 255)
                picture = Image.fromarray(pixels.astype(np.uint8))
                picture.save(cohort / label / f"d{donor}{label[0]}_{field}.jpg", quality=95)
    manifest, check = blocks("bring_your_own_images")
    written = run_in(root, *in_this_environment(manifest.body.strip()))
    assert "24 samples; als 12, control 12, 8 groups." in written.stdout, written.stdout + written.stderr
    checked = run_in(root, *in_this_environment(check.body.strip()))
    assert "24 images of 64 x 64 pixels; als 12, control 12. No problems." in checked.stdout
    assert "Brightness alone predicts the label of 100 % of left-out groups" in checked.stdout
    done = run_in(root, "-m", "als_core", "book", "my_cohort", "--profile", "test")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (root / "_build/html/book/xia2024/01_cohort_and_quality.html").read_text()
    assert "Your own cohort" in page and "no printed number is judged by it" in page
    verdicts = set(re.findall(r"als-verdict als-verdict-([a-z-]+)", page))
    assert "reproduced" not in verdicts and "differs" not in verdicts
    assert str(tmp_path) not in page
