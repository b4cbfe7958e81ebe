"""The ordinary scripts that ours is measured against compute the same, and the results file says what it must."""

import ast
import json
import os
from importlib import import_module

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from als_core.models.stages import IMAGENET_SCALING
from als_core.models.weights import calibrate_batch_norm, load_weights
from als_core.storage import repository
from als_core.studies.cross_paper.figures_speed import gpu_table
from als_core.studies.xia2024.networks import build_tissue_network
from als_core.studies.xia2024.recipes import RECIPES
from als_core.training.features import as_input
from benchmarks import ordinary
from benchmarks.measuring import cost, in_fresh_process, row
from benchmarks.steps import same_start
from benchmarks.weights import stand_in


@pytest.mark.parametrize("name", RECIPES)
def test_the_ordinary_network_is_ours(name):
    """Scores with the same values, and the same number of parameters that train."""
    ours, plain = same_start(name, 48, torch.float64)
    images = torch.randn(2, 3, 48, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    calibrate_batch_norm(ours, images)
    plain.load_state_dict(dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True)))
    trained = [sum(p.numel() for p in each.parameters() if p.requires_grad) for each in (ours, plain)]
    assert trained[0] == trained[1]
    torch.testing.assert_close(plain.eval()(images), ours.eval()(images), rtol=1e-10, atol=1e-12)


def test_what_benchmarks_import_in_functions_is_there():
    """A part may run but once in months, and an import in a function fails only then."""
    wanted = [
        (node.module, each.name)
        for path in (repository() / "benchmarks").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("als_core", "benchmarks")
        for each in node.names
    ]
    assert ("benchmarks.steps", "HEADS") in wanted
    missing = [f"{module}.{name}" for module, name in wanted if not hasattr(import_module(module), name)]
    assert not missing


def test_the_ordinary_occlusion_is_a_drop():
    volume = torch.ones(1, 1, 4, 4, 2)

    def model(given):
        return given.flatten(1).sum(1, keepdim=True)

    drops = ordinary.occlude(model, volume, 0, patch=2)
    assert drops.shape == (2, 2, 1) and (drops == 8).all()


def test_the_stand_in_for_imagenet_weights_is_read_as_such_a_file_is(tmp_path):
    """torchvision takes all but the classifier from it, and so does our network."""
    images = np.random.default_rng(0).integers(0, 256, (4, 40, 40, 3), dtype=np.uint8)
    path = stand_in("resnet18", images, tmp_path)
    theirs = torchvision.models.resnet18(weights=None)
    left = theirs.load_state_dict(torch.load(path), strict=False)
    assert left == (["fc.weight", "fc.bias"], [])
    network = build_tissue_network("resnet18", side=40, seed=7)
    load_weights(network, str(path))
    batch = as_input(torch.from_numpy(images), IMAGENET_SCALING)
    with torch.no_grad():
        seen = theirs.conv1(batch)
        features = torch.nn.Sequential(*list(theirs.eval().children())[:-1])(batch)
        torch.testing.assert_close(network.eval().stages[:-1](batch), features.flatten(1))
    # its batch norm fits these images
    torch.testing.assert_close(theirs.bn1.running_mean, seen.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18_se", "resnet18"])
def test_the_part_for_a_gpu_runs_on_a_cpu_and_its_table_adds_up(name, tmp_path):
    """Images per second, utilisation, the whole recipe, and the row of the page."""
    generator = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    told, _ = in_fresh_process("benchmarks.gpu", name, 32, tmp_path, "cpu", 20, environment=environment)
    assert told["images"] == 20 and set(told["ours"]) == {"fp32", "bf16"}
    for found in told["ours"].values():
        assert found["images per second"] == pytest.approx(20 / found["epoch"])
        assert found["whole"] == pytest.approx(found["prefix"] + 5 * RECIPES[name].epochs * found["epoch"])
        assert 0 < found["utilisation"] < 1.5
    # ResNet18 at 32 pixels: 1.8 GMAC at 224 pixels, two operations each; training a gate is half as much again
    whole = 2 * 1.8e9 * (32 / 224) ** 2
    assert 0.8 * whole < told["ours"]["fp32"]["operations"] < 2.2 * whole
    table = gpu_table({"Network": told})
    assert table["How"][0] == "ordinary script" and len(table) == 3 and table["Times as fast"][0] == "1.0x"


def test_costs_count_processor_time_and_ratios_are_of_neighbours():
    spent = cost(lambda: sum(range(1_000_000)))
    assert spent["processor"] > 0 and spent["clock"] > 0
    base = [{"processor": each, "clock": 1.0} for each in (10.0, 40.0, 12.0)]
    ours = [{"processor": each, "clock": 2.0} for each in (5.0, 10.0, 4.0)]
    found = row("x", base, ours, target=2.5, equal_within="")
    assert (found["ratio_min"], found["ratio_median"], found["ratio_max"]) == (2, 3, 4)
    assert (found["baseline"], found["ours"], found["clock_ratio_median"]) == (12, 5, 0.5)


def test_the_results_are_whole():
    found = json.loads((repository() / "benchmarks/results/latest.json").read_text())
    wanted = {"name", "baseline", "ours", "ratio_min", "ratio_median", "ratio_max", "equal_within", "device", "measured", "target"}  # fmt: skip
    assert found["versions"]["torch"] and found["gpu"] in ("measured", "not measured")
    for each in found["rows"]:
        assert wanted <= set(each)
        assert 0 < each["ratio_min"] <= each["ratio_median"] <= each["ratio_max"], each["name"]
        memory = each.get("memory_gb_per_second", [1])
        assert memory == sorted(memory) and memory[0] > 0, each["name"]
