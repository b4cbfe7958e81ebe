"""The pages on the Alzheimer slides: figures hold every mark they draw, and sentences follow from the numbers."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from als_core.claims.published import published_table
from als_core.cohorts.volumes import mni_map, template_brain
from als_core.figures.primitives import TRAINING, VALIDATION
from als_core.studies.brains.synthetic import BrainParameters
from als_core.studies.brains.training import CURVES, PanagiotarasAmounts
from als_core.studies.brains.words import drawn_effect
from als_core.studies.panagiotaras import audit, figures, own_network, preparation, tables, words

RNG = np.random.default_rng(0)
METHODS = ("Sensitivity", "Guided backpropagation", "Occlusion", "Brain area occlusion")


@pytest.fixture(scope="module")
def volumes():
    """Brain, truth and a map a method on the 4 mm grid."""
    brain = np.asarray(mni_map("t1", 4).dataobj)
    brain = np.where(brain > 0.1, brain, 0)
    truth = np.zeros(brain.shape, dtype=bool)
    truth[22:28, 25:32, 18:24] = True
    return brain, truth, {name: RNG.random(brain.shape) * (brain > 0) for name in METHODS}


def check_words(drawn) -> None:
    assert len(drawn.caption.split(". ")[0].split()) <= 25 and len(drawn.alt) >= 30 and len(drawn.data)


def test_the_null_histogram_says_its_means():
    nulls = pd.DataFrame({"Folds by patient": [0.4, 0.6], "Folds by scan": [0.8, 0.9]})
    drawn = figures.inflation(nulls)
    check_words(drawn)
    assert (
        "by patient around 50 %" in drawn.alt and "scan around 85 %" in drawn.alt and drawn.data.equals(nulls)
    )


def test_a_head_is_prepared_step_by_step_and_shown():
    head = preparation.synthetic_head(BrainParameters(fraction=0.01), 4)
    steps, record = preparation.prepare_in_steps(head, 4)
    assert tuple(steps) == preparation.STEPS and record["demons"]["least_jacobian"] > 0
    shape = mni_map("t1", 4).shape
    assert all(volume.shape == shape for volume in list(steps.values())[1:])
    template = np.asarray(mni_map("t1", 4).dataobj)
    inside = template > 0.3
    alike = {
        name: np.corrcoef(volume[inside], template[inside])[0, 1] for name, volume in list(steps.items())[1:]
    }
    assert 0.5 < alike["Registered, affine"] < alike["Registered, non-linear"]
    brain = template_brain(mni_map("t1", 4))
    assert not steps["Brain only"][~brain].any() and not steps["Normalised"][~brain].any()
    assert abs(steps["Normalised"][brain].mean()) < 1e-4 and steps["Normalised"][
        brain
    ].std() == pytest.approx(1)
    drawn = figures.preparation({"1.5T": steps}, (template > 0.5).astype(int), "an atlas")
    check_words(drawn)
    assert len(drawn.data) == 3 * 7 and "an atlas" in drawn.caption


def test_slices_are_where_the_slides_print_them(volumes):
    positions = published_table("panagiotaras_slice_positions")
    cuts = preparation.slice_numbers(positions, (193, 229, 193))
    assert [place for _, place in cuts] == positions["slice_index"].tolist()  # on the slides' own grid
    cuts = preparation.slice_numbers(positions, volumes[0].shape)
    drawn = figures.slice_grid({"1.5T": volumes[0], "3T": volumes[0]}, cuts, positions, "normalised")
    check_words(drawn)
    assert len(drawn.data) == 15 and len(drawn.figure.axes) == 30


def test_curves_have_the_books_colours_and_accuracies_every_fold():
    rows = [(epoch, 1.0, 0.5, 1.1, 0.4) for epoch in (1, 2)]
    curves = pd.concat(pd.DataFrame(rows, columns=CURVES).assign(fold=fold, field="1.5T") for fold in (1, 2))
    drawn = figures.learning_curves(curves)
    check_words(drawn)
    assert {line.get_color() for line in drawn.figure.axes[0].lines} == {TRAINING, VALIDATION}

    labels = np.tile([0, 1], 10)
    predictions = pd.DataFrame(
        {"scan": range(20), "patient": [f"p{n // 2 * 2 + n % 2}" for n in range(20)], "label": labels,
         "predicted": np.where(np.arange(20) < 16, labels, 1 - labels), "share": 1.0 - labels,
         "fold": np.arange(20) // 4, "field": "3T"}
    )  # fmt: skip
    pooled, folds = tables.accuracies(predictions, np.random.default_rng(0))
    assert pooled["accuracy"][0] == 0.8 and folds["accuracy"].tolist() == [1, 1, 1, 1, 0]
    assert pooled["printed"][0] == audit.accuracy_of("3T") and pooled["majority"][0] == 0.5
    drawn = figures.accuracies(folds, pooled)
    check_words(drawn)
    assert (
        drawn.data["mark"].value_counts().to_dict() == {"fold": 5, "all scans": 1}
        and "printed 69 %" in drawn.alt
    )
    assert set(tables.accuracy_claims(pooled)) == {
        f"panagiotaras.results.3t.accuracy{end}" for end in ("", "_spread")
    }
    two = pd.concat([predictions, predictions.assign(field="1.5T", predicted=labels)])
    claims = tables.accuracy_claims(tables.accuracies(two, np.random.default_rng(0))[0])
    order = claims["panagiotaras.slide_classification.accuracy_1_5t_minus_3t.accuracy"]
    assert order == pytest.approx(1 - 0.8)
    own, _ = tables.accuracies(predictions.assign(field="all scans"), np.random.default_rng(0))
    assert tables.accuracy_claims(own) == {} and "printed" not in figures.accuracies(folds, own).alt


def test_pictures_of_heat_say_what_each_slice_holds(volumes):
    brain, truth, maps = volumes
    drawn = figures.one_scan(brain, maps, truth, "AD", 0.7)
    check_words(drawn)
    assert len(drawn.data) == 3 * 4 and drawn.data["mean_in_truth"].notna().all()
    assert "70 %" in drawn.caption and "blue" in drawn.caption
    assert "blue" not in figures.one_scan(brain, maps, None, "AD", 0.7).caption
    block = figures.scan_to_lay_over(brain, maps, None, "AD")
    assert all(f"<option>{name}</option>" in block for name in maps) and "from the front" in block
    both = {name: {"AD": heat, "CN": heat} for name, heat in maps.items()}
    drawn = figures.average_heatmaps(brain, both, truth, {"AD": 8, "CN": 10})
    check_words(drawn)
    assert len(drawn.data) == 3 * 2 * 4 and "8 scans of label AD and 10" in drawn.caption
    assert "mean_in_truth" not in figures.average_heatmaps(brain, both, None, {"AD": 8, "CN": 10}).data


def test_areas_concentration_and_nulls_hold_their_marks():
    table = pd.DataFrame(
        {"method": method, "label": label, "area": f"Area {area}", "concentration": RNG.random() * area / 20}
        for method in METHODS for label in ("AD", "CN") for area in range(40)
    )  # fmt: skip
    drawn = figures.area_relevance(table, "an atlas", "AD")
    check_words(drawn)
    assert len(drawn.data) == 4 * 2 * 40 and "the 12 of 40" in drawn.caption
    scores = pd.DataFrame({"method": METHODS, "on": [0.9, 0.8, 0.7, 0.4], "off": [0.8, 0.6, 0.7, 0.5],
                           "times": [2.0, 1.5, 1.2, 0.9], "null_low": 0.3, "null_high": 0.65})  # fmt: skip
    drawn = figures.concentration(scores, "without an effect")
    check_words(drawn)
    assert drawn.data.equals(scores) and "Sensitivity: with the effect 0.90" in drawn.alt
    text = words.truth_in_words(scores, 0.4, ["Lateral ventricle, left"])
    assert "no area of the atlas, and" in text
    assert "which has none for the ventricles" in words.truth_in_words(scores, 0.4, ["Hippocampus, left"])
    assert "2 of the 4 methods would appear" in text and "Brain area occlusion stays within" in text
    assert "1.2 to 2.0 times the relevance" in text and "40 % of the effect lies in no area" in text
    nulls = pd.DataFrame({"accuracy": [0.4, 0.6], "auc": [0.55, 0.57]})
    said = words.linear_in_words(nulls, {"accuracy": 0.9, "auc": 0.8})
    assert (
        "right for 90 % of the patients" in said
        and "is 0.80, against 0.56" in said
        and "not the value to exceed" in said
    )
    assert "AUC" not in words.linear_in_words(nulls[["accuracy"]], {"accuracy": 0.9})
    drawn = figures.null_cohorts(
        pd.Series([0.4, 0.5, 0.6]), 0.9, 0.25, "Accuracy by patient", "the cohort itself"
    )
    check_words(drawn)
    assert len(drawn.data) == 4 and "p = 0.25" in drawn.caption


class Cohort(SimpleNamespace):
    """What the words read of a cohort of volumes."""

    def __len__(self) -> int:
        return len(self.groups)


def cohort(kind: str, patients: int = 3, visits: int = 2) -> Cohort:
    groups = np.repeat([f"p{number}" for number in range(patients)], visits)
    paths = [f"{number}.nii" for number in range(len(groups))]
    samples = pd.DataFrame({"label": "AD", "path": paths})
    return Cohort(kind=kind, name="scans", about={"title": "Some scans"}, groups=groups, samples=samples, twins=(),
                  notices=("2 scans are left out.",), labels=np.arange(len(groups)) % 2)  # fmt: skip


def test_a_page_says_which_scans_it_is_made_from():
    real, drawn = cohort("own"), cohort("synthetic")
    text = words.about_brains({"1.5T": real})
    assert (
        "6 scans of 3 people (1.5T: 6 labelled AD)" in text
        and "is not known" in text
        and "- 2 scans are left out." in text
    )
    assert "not known" not in words.about_brains({"1.5T": drawn})
    rows = words.substitutions({"1.5T": real}, PanagiotarasAmounts())
    assert (
        rows["Scans of patients, 1.5T"] == ("6 of 3", "969 of 344")
        and "Size of the disease's effect" not in rows
    )
    rows = words.substitutions({"1.5T": drawn}, PanagiotarasAmounts(resolution=4, effect=3))
    said = "in an average patient up to 90 % of the medial temporal grey matter is lost and the border of the ventricles"
    assert rows["Voxel side"] == ("4 mm", "1 mm") and said in rows["Size of the disease's effect"][0]
    assert drawn_effect(10).startswith(
        "drawn: in an average patient up to 100 % of"
    ) and "20 mm" in drawn_effect(10)
    assert drawn_effect(1, "ALS").endswith("corticospinal white matter loses up to 8 % of its signal")
    assert words.forbids({"1.5T": real}) != words.forbids({"1.5T": drawn})
    assert "nothing to refuse" in words.image_folds_in_words(cohort("own", 6, 1), 3, 0)
    assert "of 3 patients have scans in more than one part" in words.image_folds_in_words(real, 3, 0)


def test_answers_say_what_was_found_and_what_was_not():
    pooled = pd.DataFrame(
        {
            "field": ["1.5T", "3T"],
            "accuracy": [0.9, 0.8],
            "low": [0.8, 0.5],
            "high": [1.0, 0.9],
            "majority": [0.5, 0.53],
        }
    )
    nulls = pd.DataFrame({"Folds by patient": [0.5], "Folds by scan": [0.85]})
    answer = words.training_answer(pooled, nulls, "synthetic", "AD")
    assert "recognise Alzheimer's disease" in answer["question"]
    own = words.training_answer(pooled, nulls, "own", "FTD")
    assert "patients labelled FTD" in own["question"] and "synthetic" not in own["found"]
    assert "85 % right with folds by scan and 50 % with folds by patient" in answer["found"]
    assert "80 % at 3T (always the commonest label: 53 %)" in answer["found"]
    assert "80 % to 100 % at 1.5T" in answer["how_sure"] and answer["found"].startswith(
        "On synthetic scans a"
    )
    assert answer["how_sure"].endswith(
        "At 3T the network is not shown to do better than always giving the commonest label."
    )
    surer = words.training_answer(pooled.assign(low=0.7), nulls, "own", "AD")
    assert surer["how_sure"].endswith("at 3T.")
    alike = pd.DataFrame(
        {"method": ["Occlusion", "Sensitivity"], "spearman": [0.5, 0.95], "pearson": [0.75, 0.9]}
    )
    reached = {"on": 0.9, "off": 0.6}
    scores = pd.DataFrame({"method": ["Occlusion", "Sensitivity"], "on": [0.7, 0.9], "off": [0.5, 0.8]})
    said = words.heatmap_answer(reached, alike, scores, ("A (left)", "B"), (18, 8), (6, 3), 0.5)
    assert said["found"].startswith(
        "On synthetic brains drawn with a known change, the areas with most relevance for their size are A (left)"
    )
    assert "densest in B." in said["found"] and "best method (sensitivity)" in said["found"]
    assert "trained on brains without any change it still does so in 80 %." in said["found"]
    assert "with 6 people, guessing does as well as the twin with probability 0.34." in said["how_sure"]
    assert "averages over 8 scans of 3 patients" in said["how_sure"]
    real = words.heatmap_answer(reached, alike, None, ("A (left)", ""), (18, 8), (6, 3), 0.5)
    assert "cannot be measured here" in real["found"] and "synthetic" not in " ".join(real.values())
    assert real["how_sure"].startswith(
        "One network, and a twin trained on permuted labels. On 18 scans of 6 held-out people"
    )
    said = words.likeness_in_words(alike)
    assert (
        "between 0.50 and 0.95 (for occlusion the Pearson correlation is 0.75, the rank correlation 0.50)"
        in said
    )
    assert "(for" not in words.likeness_in_words(alike.assign(pearson=alike["spearman"]))
    assert "maps are empty" in words.likeness_in_words(alike.assign(spearman=np.nan))
    labels, groups = np.array([0, 0, 1]), np.array(["a", "a", "b"])
    said = words.twin_in_words(reached, labels, groups, "own")
    assert (
        "3 scans of 2 people" in said
        and "with 2 people, guessing does as well as the twin with probability 0.89." in said
    )
    assert "permuted" in words.twin_in_words(reached, labels, groups, "own")


def test_the_leading_areas_are_named_with_their_sides():
    names = ["Ventricle, right", "Brainstem", "Ventricle, left", "Insula, left", "Frontal, left"]
    table = pd.DataFrame({"label": "AD", "area": names, "concentration": [4.0, 3.0, 2.0, 1.5, 1.0]})
    table = pd.concat([table, table.assign(label="CN", concentration=[0.0, 0, 0, 0, 9])])
    assert words.areas_in_words(table, "AD") == "ventricle (left and right), brainstem and insula (left)"
    assert words.areas_in_words(table.assign(concentration=np.nan), "AD") == "none, for the maps are empty"
    said = words.focus_in_words(table, table, "AD")
    assert "especially its medial part" in said and said.count("insula (left)") == 2
    assert "drawn change" not in words.focus_in_words(table, None, "AD")


def test_accuracies_and_predictions_have_headers_that_say_what_they_are():
    row = {"field": "3T", "scans": 55, "patients": 20, "accuracy": 0.6184, "low": 0.44, "high": 0.7777, "majority": 0.5,
           "by_patient": 0.6, "fold_mean": 0.615, "fold_sd": 0.222, "printed": 0.69, "spread": 0.05}  # fmt: skip
    shown = tables.rounded(pd.DataFrame([row])).iloc[0]
    assert (
        shown["95 % interval"] == "0.44 to 0.78"
        and shown["Accuracy"] == 0.62
        and shown["SD over folds"] == 0.22
    )
    names = ["field", "patient", "scan", "fold", "label", "predicted", "share"]
    table = tables.per_scan(pd.DataFrame([["3T", "p", 1, 1, 0, 1, 0.4981]], columns=names), ["AD", "CN"])
    assert table["Share of AD"].tolist() == [0.5] and "softmax" in tables.PREDICTIONS


def test_a_sentence_on_accuracy_knows_images_from_volumes():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(2))
    for sides, noun in (((4, 4), "images"), ((4, 4, 4), "volumes")):
        images, labels, _ = own_network.draw(count=4, sides=sides, seed=0)
        network[1] = torch.nn.LazyLinear(2)
        assert f"of 4 {noun} correctly" in own_network.in_words(network.eval(), images, labels)


def test_printed_counts_and_the_network_are_put_in_words():
    text = words.printed_split(
        audit.shares_of_the_printed_splits(), audit.class_shares_at_3t(), audit.accuracy_of("3T")
    )
    assert (
        text.startswith("All printed sums are the sums of their parts.")
        and "62.6 %" in text
        and "69 %" in text
    )
    assert len(tables.data_claims(tables.data_tables())) == 36 and len(tables.split_shares()) == 4
    by_hand = audit.sizes_of_the_printed_layers()
    amounts = PanagiotarasAmounts()
    assert "the same number" in words.network_size(int(by_hand["parameters"]), by_hand, 9, (2, 2, 2), amounts)
    assert "737,026" in words.network_size(5, by_hand, 9, (2, 2, 2), amounts)


def test_drawn_images_have_their_sign_and_maps_their_pictures():
    images, labels, sign = own_network.draw(count=40, sides=(16, 16, 16), seed=0)
    bright = images[:, 0, sign].mean(1)
    assert (bright[labels == 1].mean() - bright[labels == 0].mean()).item() == pytest.approx(
        own_network.BRIGHTER, abs=0.1
    )
    areas = own_network.blocks((16, 16))
    assert (
        sorted(np.unique(areas)) == list(range(1, 17))
        and np.bincount(areas.ravel())[1:].tolist() == [16] * 16
    )
    shown = own_network.first_with_sign(images, labels)
    maps = {"Itself": images[:, 0], "Sign": images[:, 0] * 0 + torch.from_numpy(sign)}
    picture, heat, outline = own_network.pictures(images, maps, sign, shown)
    assert picture.shape == outline.shape == heat["Sign"].shape == (16, 16) and outline.any()
    drawn = figures.own_model(picture, heat, outline, "a slice", "Slice")
    check_words(drawn)
    assert drawn.data.set_index("method").loc["Sign", "share_of_relevance_inside"] == 1


def test_the_answer_says_that_areas_which_hold_the_sign_favour_a_method():
    images, labels, sign = own_network.draw(count=4, sides=(16, 16, 16), seed=0)
    areas, whole = own_network.blocks((16, 16, 16)), torch.ones(4, 16, 16, 16)
    maps = {"Occlusion": whole, "Brain area occlusion": whole * torch.from_numpy(sign)}
    found = own_network.answer(maps, sign, areas, own_network.first_with_sign(images, labels))["found"]
    assert found.startswith(
        "With one call for each method. In a drawn volume a brighter cube, the sign of class 1, fills 2 %;"
    )
    assert "occlusion puts 2 % of its relevance there. Brain area occlusion puts 100 % there" in found
    assert found.endswith("exactly one of the 64 areas that it covers, which favours it.")
    halves = 1 + (np.arange(16) >= 8)[:, None, None] * np.ones((16, 16, 16), dtype=int)
    found = own_network.answer(maps, sign, halves, 1)["found"]
    assert found.endswith("Brain area occlusion puts 100 % there.")


def test_the_table_of_faithfulness_knows_a_heatmap_that_is_exact():
    images, labels, _ = own_network.draw(count=8, sides=(8, 8), seed=0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)).eval()
    weights = network[1].weight.detach()[labels].view(-1, 8, 8)
    heat = images[:, 0] * weights
    maps = {"LRP, epsilon": heat, "Sensitivity": heat.flip(0)}
    exact, other = own_network.faithful_table(network, images, labels, maps, seed=0).to_dict("records")
    assert exact["Faithfulness correlation"] == 1 > other["Faithfulness correlation"]
    assert float(exact["Infidelity"]) < 1e-9 and other["Infidelity"] == ""
    assert exact["Insertion minus deletion"] > other["Insertion minus deletion"]


def test_the_sentence_on_conservation_names_the_layer_that_keeps_most():
    pixels = own_network.draw(count=4, sides=(32, 32), seed=0)[0].expand(-1, 3, -1, -1)
    networks = own_network.awkward_networks(pixels, seed=0)
    table = own_network.conservation(networks, pixels[:1])
    assert len(table) == 3 * 3 and (table["Lost without shifts"] < 1e-3).all()
    said = own_network.conservation_words(table, networks[own_network.DENSENET], pixels[:1])
    assert "121 batch-norm layers keep" in said and re.search(r"in `features\.[a-z0-9.]+norm\w*`", said)
    assert float(re.search(r"\(([0-9.]+) % of the larger", said)[1]) < 1
    parts = re.search(r"keep (\S+) under the epsilon rule; .* but for (\S+) \(", said)
    norms, rest = (float(each.replace("−", "-")) for each in parts.groups())
    row = table[(table["Network"] == own_network.DENSENET) & (table["LRP rule"] == "epsilon")].iloc[0]
    assert norms + rest == pytest.approx(row["Kept by shifts"], abs=0.002)  # the last layer's bias is 0
    printed = own_network.conservation_rows(
        table.assign(**{"Lost without shifts": [2.2e-6, 0.0] + [1e-3] * 7})
    )
    assert printed["Lost without shifts"].tolist()[:3] == ["2e-06", "0", "1e-03"]
