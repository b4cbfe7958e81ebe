"""The ordinary script computes what the companion computes, and a toy run of the benchmarks gives every row."""

import json
import os
import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch

from als_core.models.weights import calibrate_batch_norm
from als_core.storage import repository
from als_core.studies.cross_paper import figures_speed
from als_core.studies.xia2024.recipes import OF_PAPER, RECIPES
from benchmarks import __main__ as bench
from benchmarks import ordinary
from benchmarks.measuring import compared, cost, in_fresh_process
from benchmarks.steps import copy_values, difference_in_double, networks


@pytest.mark.parametrize("name", OF_PAPER)
def test_ordinary_network_equals_the_companions(name):
    """The same number of trained parameters, equal scores, and equal scores after three Adam steps."""
    recipe, generator = replace(RECIPES[name], side=48), torch.Generator().manual_seed(0)
    companion, plain = networks(recipe, torch.float64)
    images = torch.randn(2, 3, 48, 48, dtype=torch.float64, generator=generator)
    calibrate_batch_norm(companion, images)
    copy_values(companion, plain)
    trained = [
        sum(each.numel() for each in network.parameters() if each.requires_grad)
        for network in (companion, plain)
    ]
    assert trained[0] == trained[1]
    torch.testing.assert_close(plain.eval()(images), companion.eval()(images), rtol=1e-10, atol=1e-12)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
    assert difference_in_double(recipe, pixels) < 1e-9


def test_ordinary_occlusion_is_the_drop_of_a_sum():
    def model(given):
        return given.flatten(1).sum(1, keepdim=True)

    drops = ordinary.occlude(model, torch.ones(1, 1, 4, 4, 2), 0, patch=2)
    assert drops.shape == (2, 2, 1) and (drops == 8).all()


def test_costs_are_positive_and_ratios_are_taken_within_a_round():
    spent = cost(lambda: sum(range(1_000_000)))
    assert spent["processor"] > 0 and spent["clock"] > 0
    plain = [{"processor": each, "clock": 1.0} for each in (10.0, 40.0, 12.0)]
    own = [{"processor": each, "clock": 2.0} for each in (5.0, 10.0, 4.0)]
    row = compared("x", "fp32", plain, own)
    assert (row["ratio_low"], row["ratio"], row["ratio_high"]) == (2, 3, 4)
    assert (row["ordinary_seconds"], row["companion_seconds"], row["clock_ratio"]) == (12, 5, 0.5)


def test_fresh_process_returns_its_json_and_its_cost():
    found, spent = in_fresh_process(os.environ)("benchmarks.occlusion", "receptive field", 40, 20)
    assert spent["processor"] > found["cost"]["processor"] > 0


def test_toy_run_gives_every_row_and_the_page_shows_them(tmp_path, cohort_folder, monkeypatch):
    """Every comparison of the table, without compiling and without processes."""
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)

    def run(module, *arguments):
        found: dict = {}
        spent = cost(lambda: found.update(import_module(module).main(*arguments)))
        return found, spent

    sizes = bench.Sizes(
        step_side=32,
        head_side=32,
        step_images=4,
        head_images=4,
        epochs=1,
        seeds=2,
        volume_side=40,
        patch=20,
        rounds=1,
    )
    folder, file = tmp_path / "bench", tmp_path / "latest.json"
    folder.mkdir()
    toy = bench.Bench(str(cohort_folder(classes=3)), folder, run, sizes, file)
    for part in bench.PARTS:
        toy.write(part)
    found = json.loads(file.read_text())
    names = ["part", "subject", "way"]
    rows = pd.DataFrame(found["rows"])
    assert {*rows[names].itertuples(index=False, name=None)} == {
        *bench.COMPARISONS[names].itertuples(index=False, name=None)
    }
    assert (rows["ratio"] > 0).all() and found["book"] is None
    assert rows["difference"].dropna().max() < 1e-3
    table = figures_speed.compare(bench.COMPARISONS, found)
    assert table["ratio"].notna().all() and figures_speed.speed_ratios(table).data["ratio"].notna().all()


def test_recorded_results_have_the_rows_of_the_table():
    """Rows may be missing, and then the page says so; none may be of a comparison that is not made."""
    found = json.loads((repository() / "benchmarks/results/latest.json").read_text())
    assert set(found) == {"device", "versions", "cohort", "rows", "book"}
    known = {*bench.COMPARISONS[["part", "subject", "way"]].itertuples(index=False, name=None)}
    assert {(row["part"], row["subject"], row["way"]) for row in found["rows"]} <= known
    table = figures_speed.compare(bench.COMPARISONS, {"rows": []})
    assert "not measured yet" in figures_speed.found_sentence(table)
    printed = figures_speed.speed_table(table)
    assert set(printed["Times less"]) == {"not measured yet"}
    assert figures_speed.speed_ratios(table).data["target"].notna().any()
    measured = {"part": "occlusion", "subject": "volume", "way": "batched", "ratio": 2.0}
    partly = figures_speed.speed_ratios(figures_speed.compare(bench.COMPARISONS, {"rows": [measured]}))
    assert len(partly.data) == 1 and f"not measured yet: {len(table) - 1};" in partly.caption
    answer = figures_speed.speed_answer(table, found | {"rows": []})
    assert not any(each in " ".join(answer.values()) for each in ("minute", "was measured", "×"))
    page = (repository() / "notebooks/audit/how_fast.py").read_text()
    assert set(re.findall(r"\*(Once [^*]+)\* in the table", page)) <= set(printed.columns)
