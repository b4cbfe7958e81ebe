"""Claims: every numeric cell accounted for, ids that do not change, and settled verdicts that follow from numbers."""

from __future__ import annotations

import csv
import math
import re
import shutil

import numpy as np
import pytest
from sklearn.model_selection import StratifiedShuffleSplit

from als_core.claims import published
from als_core.claims.printed import agrees_as_printed, parse_printed
from als_core.claims.published import (
    PAPERS,
    cells,
    claim_named,
    claims,
    editions,
    published_folder,
    published_table,
    snapshot,
)
from als_core.refusal import RefusedInput

ABOUT_CLAIMS = {"claim_columns.csv", "claim_kinds.csv", "claim_marks.csv"}

# Columns of numbers that only number or name their row. A result among the names would be missed.
NUMBERED = {
    ("xia2024_augmentations.csv", "bullet_order"),
    ("miao2023_fig6_samples.csv", "row_in_figure"),
    ("miao2023_promised_not_reported.csv", "promised_in_section"),
    ("miao2023_fig6_samples.csv", "second_field"),
    ("miao2023_fig10_vgg16_training_log.csv", "epoch"),
    ("miao2023_fig12_resnet50_training_log.csv", "epoch"),
    *((f"miao2023_fig{n}_grid.csv", axis) for n in ("11_vgg16", "13_resnet50", "15_mobilenetv3") for axis in
      ("batch_size", "learning_rate")),
    ("turrisi2024_search_grids.csv", "order"),
    ("panagiotaras_architecture.csv", "order"),
    ("panagiotaras_slice_positions.csv", "order"),
}  # fmt: skip


def transcriptions() -> dict[str, list[dict[str, str]]]:
    files = sorted(path for path in published_folder().glob("*.csv") if path.name not in ABOUT_CLAIMS)
    return {path.name: list(csv.DictReader(path.open(newline="", encoding="utf-8"))) for path in files}


def test_every_cell_of_every_file_is_accounted_for_once():
    written = {
        (file, line, column): text
        for file, rows in transcriptions().items()
        for line, row in enumerate(rows, 2)
        for column, text in row.items()
        if text
    }
    assert {(cell.file, cell.line, cell.column): cell.text for cell in cells()} == written
    assert len(cells()) == len(written)
    for cell in cells():
        assert bool(cell.claims) != bool(cell.reason), cell


def test_every_number_in_a_cell_of_claims_is_a_claim():
    for cell in cells():
        if cell.claims:
            plain = re.sub(r"\(.*?\)", "", cell.text)
            numbers = re.findall(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", plain) or [plain]
            assert len(cell.claims) == len(numbers), cell
        elif cell.reason == "no number":
            assert not re.search(r"\d", cell.text), cell


def test_columns_of_numbers_that_name_rows_are_listed_here():
    def is_number(text):
        return bool(re.fullmatch(r"[\d.]+", text))

    names = {(cell.file, cell.column): [] for cell in cells() if cell.reason == "names or describes its row"}
    for cell in cells():
        if (cell.file, cell.column) in names:
            names[cell.file, cell.column].append(is_number(cell.text))
    assert {column for column, numbers in names.items() if all(numbers)} == NUMBERED


def test_a_repeated_number_repeats_a_claim():
    repeats = [cell for cell in cells() if cell.reason.startswith("repeats ")]
    assert repeats
    for cell in repeats:
        again = [claim_named(claim_id) for claim_id in cell.reason.split()[1:]]
        printed = parse_printed(cell.text)
        assert len(again) == len(printed), cell
        for claim, number in zip(again, printed, strict=True):
            assert agrees_as_printed(claim.value, number), cell


def test_transcriptions_hold_no_sentence_of_a_paper():
    for file, rows in transcriptions().items():
        assert not {"quote", "source_sentence"} & set(rows[0]), file


def test_ids_and_their_meaning_are_those_committed():
    committed = (published_folder() / "claim_ids.txt").read_text(encoding="utf-8").splitlines()
    changed = set(committed) ^ set(snapshot().splitlines())
    assert not changed, "ids are cited elsewhere: if the change is meant, write snapshot() to claim_ids.txt"
    assert len(committed) == len({line.split("\t")[0] for line in committed}) == len(claims())


@pytest.mark.parametrize(
    ("claim_id", "text", "value", "unit", "success", "needs"),
    [
        ("xia2024.table1.resnet18.params", "11.2M", 11.2e6, "parameters", "as built", "nothing"),
        ("xia2024.table1.resnet18.flops", "5.9G", 5.9e9, "FLOPs", "as built", "nothing"),
        ("xia2024.table1.resnet18.accuracy", "86.84%", 86.84, "percent", "reproduced", "training"),
        ("xia2024.table2.original.train", "114", 114, "images", "adds up", "composition"),
        ("xia2024.table2.augmented.size", "1140", 1140, "images", "adds up", "composition"),
        ("xia2024.section4_1.control.images", "70", 70, "images", "as released", "composition"),
        ("xia2024.section4_4.rotation.angle", "90 degrees", 90, "degrees", "as built", "nothing"),
        (
            "xia2024.section3.resnet18_minus_densenet121.accuracy",
            "> 0 (better)",
            0,
            "percent",
            "reproduced",
            "training",
        ),
        ("xia2024.section4_2_1.augmentations.count", "nine", 9, "methods", "adds up", "composition"),
        ("turrisi2024.table3.svm_rbf.radiomics.f1_mean", "83.84", 83.84, "percent", "reproduced", "training"),
        ("turrisi2024.table2.sex.statistic", "3.34", 3.34, "", "adds up", "printed"),
        ("turrisi2024.section2_4.smote.train.subjects", "730", 730, "subjects", "adds up", "printed"),
        ("turrisi2024.section2_1.als.subjects", "548", 548, "subjects", "as released", "composition"),
        ("panagiotaras.data.3t.train.ad.images", "48", 48, "images", "as released", "composition"),
        ("panagiotaras.data.1_5t.all.all.patients", "344", 344, "patients", "adds up", "printed"),
        ("miao2023.fig15.lr0_001.batch32.accuracy", "0.9524", 0.9524, "fraction", "reproduced", "training"),
        ("wang2023.abstract.overlap.ig.rank", "1 (best)", 1, "rank", "reproduced", "training"),
    ],
)
def test_claims_read_as_their_ids_say(claim_id, text, value, unit, success, needs):
    claim = claim_named(claim_id)
    read = (claim.printed.text, claim.value, claim.unit, claim.success, claim.needs)
    assert read == (text, value, unit, success, needs) and claim.paper == claim_id.split(".")[0]


def test_every_paper_names_the_edition_that_is_judged():
    table = editions().set_index("paper")
    assert list(table.index) == list(PAPERS) and (table["judged"] != "").all()
    assert ((table["other_edition"] == "") == (table["what_differs"] == "")).all()
    assert table.loc["xia2024", "doi"] == "10.1038/s41598-025-90881-9"


def test_a_printed_order_without_a_number_is_a_difference_from_zero():
    orders = published_table("orders", as_printed=True)
    assert set(orders["paper"]) == {"xia2024", "miao2023", "turrisi2024", "panagiotaras"}
    for claim in claims().values():
        if claim.source.startswith("orders.csv"):
            assert claim.printed.relation in "<>" and claim.value == 0
            assert (claim.rule in ("equal", "order")) == (claim.needs == "training")
            assert claim.rule != "order" or claim.amount == claim_named("xia2024.table2.original.test").value


def test_an_unknown_id_is_refused_with_the_nearest_three():
    with pytest.raises(RefusedInput) as refused:
        claim_named("xia2024.table1.resnet18.parameters")
    remedy = refused.value.problems[0].remedy
    assert "xia2024.table1.resnet18.params" in remedy and remedy.count("xia2024.") == 3


def test_hyperparameters_and_wall_times_are_not_targets():
    for claim in claims().values():
        if ".table3." in claim.id and claim.paper == "xia2024":
            assert (claim.settled, claim.why) == ("not a target", "hyper-parameter")
        if claim.quantity in ("epoch_time", "step_time"):
            assert (claim.settled, claim.why) == ("not a target", "wall time")


# --- settled verdicts follow from the printed numbers


def grid_mean(file: str) -> float:
    return 100 * published_table(file)["accuracy"].mean()


def test_x1_every_test_score_above_90_percent_leaves_no_average_of_89_47():
    least = min(count for count in range(39) if count / 38 > 0.90)
    assert 100 * least / 38 > claim_named("xia2024.table1.miniset_densesenet.accuracy").printed.value + 0.005
    every_run = claim_named("xia2024.section2_2.every_run.accuracy")
    assert every_run.settled == "conflicts" and "curves over epochs" in every_run.why


def test_m1_accuracy_0_9925_needs_a_larger_auc_than_0_73():
    missed, non_als = 1 - claim_named("miao2023.fig13.lr0_0001.batch16.accuracy").value, 11 / 39
    shares = np.linspace(0, 1, 1001)  # of the errors that are false alarms
    false_alarms, misses = missed * shares / non_als, missed * (1 - shares) / (1 - non_als)
    assert ((1 - misses) * (1 - false_alarms)).min() > 0.97
    assert claim_named("miao2023.section3.resnet50.auc").value == 0.73
    log = published_table("miao2023_fig12_resnet50_training_log", as_printed=True)
    assert log["accuracy"].iloc[-1] == "0.9925"  # the harmless reading that the verdict names
    assert claim_named("miao2023.fig13.lr0_0001.batch16.accuracy").settled == "conflicts"


def test_m2_grid_means_against_printed_averages():
    printed = {key: claim_named(f"miao2023.section3.{key}.average_accuracy") for key in
               ("vgg16", "resnet50", "mobile_net_v3")}  # fmt: skip
    assert agrees_as_printed(grid_mean("miao2023_fig11_vgg16_grid"), printed["vgg16"].printed)
    assert agrees_as_printed(grid_mean("miao2023_fig13_resnet50_grid"), printed["resnet50"].printed)
    assert grid_mean("miao2023_fig15_mobilenetv3_grid") == pytest.approx(97.33, abs=0.005)
    row = published_table("miao2023_fig15_mobilenetv3_grid").query("batch_size == 32")
    assert agrees_as_printed(100 * row["accuracy"].mean(), printed["mobile_net_v3"].printed)
    assert printed["mobile_net_v3"].settled == "conflicts" and printed["vgg16"].settled == ""


def test_m3_the_conflicting_cells_are_the_six_that_repeat_another_network():
    repeated = [
        claim for claim in claims().values() if claim.id.startswith("miao2023.fig15") and claim.settled
    ]
    assert len(repeated) == 6
    for claim in repeated:
        (other,) = claim.conflicts_with
        assert claim.settled == "conflicts" and claim_named(other).value == claim.value and "fig13" in other


def test_m5_no_small_count_gives_70_34_percent():
    claim = claim_named("miao2023.section4_5.mobile_net_v3.test_accuracy")
    possible = [
        n for n in range(1, 200) for k in range(n + 1) if agrees_as_printed(100 * k / n, claim.printed)
    ]
    assert claim.settled == "conflicts" and min(possible) == 118


def test_m9_the_log_fits_400_images_which_are_25_steps_of_16():
    accuracies = [
        claim.printed
        for claim in claims().values()
        if re.fullmatch(r"miao2023\.fig12\.epoch\d+\.accuracy", claim.id)
    ]
    fits = [n for n in range(1, 800) if all(agrees_as_printed(round(a.value * n) / n, a) for a in accuracies)]
    steps = claim_named("miao2023.fig12.steps_per_epoch")
    assert fits == [400] and math.ceil(400 / 16) == 25 and (steps.value, steps.settled) == (24, "cannot hold")


def test_t1_the_worst_ranking_scores_above_the_printed_auprc():
    worst = np.mean([rank / (36 + rank) for rank in range(1, 183)])  # 36 mimics first, then 182 ALS
    claim = claim_named("turrisi2024.table4.radiomics.auprc")
    assert worst == pytest.approx(0.646, abs=0.001) and claim.value < worst and claim.settled == "cannot hold"


def test_t6_three_shuffled_splits_can_hold_out_20_percent():
    splits = StratifiedShuffleSplit(3, test_size=0.2, random_state=42)
    labels = np.repeat([0, 1], [106, 548])
    assert [len(test) for _, test in splits.split(labels, labels)] == [math.ceil(0.2 * 654)] * 3
    assert claim_named("turrisi2024.section2_4.grid_search.test_share").settled == "not a target"


def test_conflicting_claims_name_each_other_where_neither_is_known_to_be_right():
    recalls = [
        claim for claim in claims().values() if claim.settled == "conflicts" and claim.quantity == "recall"
    ]
    assert sorted(claim.value for claim in recalls) == [0.94, 0.95, 0.96]
    for claim in recalls:
        assert {claim.id, *claim.conflicts_with} == {other.id for other in recalls}


def test_marks_name_findings_and_give_reasons():
    for claim in claims().values():
        assert all(re.fullmatch(r"[XMTPW]\d+", finding) for finding in claim.findings)
        assert bool(claim.settled) == bool(claim.why)
        assert bool(claim.conflicts_with) == (claim.settled == "conflicts")


# --- a broken transcription is refused


@pytest.fixture
def a_copy(tmp_path, monkeypatch):
    folder = tmp_path / "published"
    shutil.copytree(published_folder(), folder)
    monkeypatch.setattr(published, "published_folder", lambda: folder)
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("xia2024_table1_model_cost_accuracy.csv", "DenseNet121,", "ResNet18,", "claimed twice"),
        ("xia2024_table1_model_cost_accuracy.csv", "86.84", "86.8.4", "digits and no claim"),
        ("xia2024_table1_model_cost_accuracy.csv", "86.84", "85.00", "no count of 38"),
        ("xia2024_table1_model_cost_accuracy.csv", "flops_count", "flops", "disagree on columns"),
        ("miao2023_fig10_vgg16_training_log.csv", "2,20,2,301", "2,25,2,301", "should repeat 20"),
        ("xia2024_protocol_statements.csv", "train; validation; test", "train; test", "3 numbers"),
        ("xia2024_protocol_statements.csv", "software version", "old", "unknown reason"),
        ("turrisi2024_cohort.csv", "2.1,printed", "2.1,guess", "unknown needs"),
        ("claim_marks.csv", "xia2024.table1.*.flops", "xia2024.table9.*", "not there"),
        ("claim_kinds.csv", "training,*,reproduced", "training,*,proved", "no word for a value"),
    ],
)
def test_a_broken_transcription_is_refused(a_copy, file, old, new, complaint):
    path = a_copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        published._read.__wrapped__()


def test_tables_keep_their_text_as_printed():
    as_printed = published_table("miao2023_fig10_vgg16_training_log.csv", as_printed=True)
    assert as_printed["loss"][0] == "0.6510"
    assert published_table("miao2023_fig10_vgg16_training_log")["loss"][0] == 0.651


def test_reasons_are_whole_and_carry_the_numbers_of_their_finding():
    for claim in claims().values():
        if claim.issue:
            assert claim.why.endswith(f"(audit finding {claim.issue})") and "{" not in claim.why
            assert claim.why.count('"') % 2 == 0
    reason = claim_named("miao2023.fig13.lr0_0001.batch16.accuracy").why
    assert "at least 0.973, and 0.73 is printed" in reason and '"test set" in the caption' in reason
