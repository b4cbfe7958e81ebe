"""Figures, sentences and tables of the T1w pages: whole words, every mark, and numbers that are computed."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import jupytext
import numpy as np
import pandas as pd
import pytest
from drawn_words import assert_words, words

from als_core.book.page import Page
from als_core.book.prose import Data, fit_text
from als_core.claims.published import claims as published_claims
from als_core.claims.published import published_table
from als_core.models.cost import describe
from als_core.statistics.groups import kolmogorov_smirnov
from als_core.statistics.paired import permutation_p_value
from als_core.storage import repository
from als_core.studies.brains.networks import turrisi_network
from als_core.studies.turrisi2024 import figures, words_features, words_leaks
from als_core.studies.turrisi2024 import study as patients_of
from als_core.studies.turrisi2024 import words as say
from als_core.studies.turrisi2024.audit import (
    ALS,
    MIMICS,
    f1_of_always_answering_als,
    tables_of_counts_behind_table_4,
    tables_of_the_best_model,
)
from als_core.studies.turrisi2024.classifiers import METHODS
from als_core.studies.turrisi2024.leaks import check_leaks, null_labels, replay
from als_core.studies.turrisi2024.nested_cv import (
    PROTOCOLS,
    always_positive,
    fold_metrics,
    mean_and_sd,
    study,
)
from als_core.studies.turrisi2024.study import OF_TABLE, TurrisiAmounts, group_differences

SVM, NETWORK = "SVM (P)", "DNNv"


@pytest.fixture(scope="module")
def features() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    columns = {
        "Radiomics": ["firstorder_Mean", "shape_A", "glcm_MCC"],
        "DL7": ["DL7_000", "DL7_001"],
        "DL8": ["DL8_000", "DL8_002"],
    }
    return {
        name: pd.DataFrame(rng.normal(size=(48, len(names))), columns=names)
        for name, names in columns.items()
    }


@pytest.fixture(scope="module")
def positive() -> np.ndarray:
    return np.arange(48) >= 16


@pytest.fixture(scope="module")
def predictions(features, positive) -> pd.DataFrame:
    methods = [replace(METHODS[SVM], grid={"C": (0.1, 10), "d": (2, 3)}), METHODS["Knn"]]
    results = study(features, positive, methods, PROTOCOLS)
    trivial = always_positive(positive).assign(
        protocol="nested", representation="no image", method="always ALS"
    )
    return pd.concat([trivial, results.predictions], ignore_index=True)


@pytest.fixture(scope="module")
def summary(predictions) -> pd.DataFrame:
    return mean_and_sd(fold_metrics(predictions))


# --- figures


def test_quantile_plots_offer_every_patient_and_name_drawn_ages():
    table = pd.DataFrame(
        {
            "label": ["ALS", "ALS", "ALS", "CSM", "CSM", "CSM"],
            "normal": np.arange(6.0),
            "age": [1, 2, 9, 3, 4, 5.0],
        }
    )
    drawn = figures.quantile_plots(table, synthetic=True)
    assert_words(drawn)
    assert drawn.data is table and "drawn to the printed summaries" in drawn.caption
    assert "ALS 1.63" in drawn.alt and "(a) ALS, n = 3" in words(drawn.figure)
    assert "drawn" not in figures.quantile_plots(table, synthetic=False).caption


def test_mean_histograms_count_volumes_and_state_the_median():
    edges = np.linspace(0, 10, 6)
    parts = [
        say.mean_histogram(label, edges, np.arange(15).reshape(3, 5) + n)
        for n, label in enumerate(("ALS", "CSM"))
    ]
    drawn = figures.mean_histograms(pd.concat(parts), median=72.4)
    assert_words(drawn)
    assert "6 volumes" in drawn.caption and "below 72" in drawn.alt
    assert drawn.data["mean"].tolist() == [5, 6, 7, 8, 9, 6, 7, 8, 9, 10] and drawn.data["sd"].eq(5).all()


def test_the_extractor_is_drawn_from_its_module():
    network = turrisi_network()
    shape = (1, 1, *network.shape)
    drawn = figures.extractor_drawing(
        describe(network, shape), shape, {"block7": "DL7", "block8": "DL8"}, "random weights"
    )
    assert_words(drawn)
    assert drawn.alt.startswith("8 boxes") and "DL7 after block 7 and DL8 after block 8" in drawn.alt
    assert {"DL7", "DL8", "pool 4", "8 maps\n18×24×24"} <= set(words(drawn.figure))


def test_separation_offers_a_dot_per_feature_and_counts_those_beyond_two_errors(features, positive):
    effects = group_differences(features, positive)
    drawn = figures.separation(effects, chance=effects["d"].abs().max() / 3, constant=2)
    assert_words(drawn)
    assert (
        len(drawn.data) == len(effects)
        and "first order" in words(drawn.figure)
        and "GLCM" in words(drawn.figure)
    )
    beyond = (effects["d"].abs() > 2 * effects["d"].abs().max() / 3)[
        effects["representation"] == "Radiomics"
    ].mean()
    assert f"Radiomics {100 * beyond:.0f} %" in drawn.alt and "(2)" in drawn.caption


def test_correlations_offer_every_cell_of_the_upper_triangle(features):
    drawn = figures.correlations(features, dict.fromkeys(features, 1))
    assert_words(drawn)
    cells = drawn.data.set_index(["representation", "row", "column"])["correlation"]
    assert len(cells) == 3 + 1 + 1
    expected = np.corrcoef(features["Radiomics"].to_numpy(), rowvar=False)[0, 2]
    assert cells["Radiomics", 0, 2] == pytest.approx(expected, abs=5e-4)


def test_f1_dots_show_both_protocols_beside_the_printed_mean(summary):
    comparison = say.f1_comparison(summary, published_table("turrisi2024_table3_f1"))
    drawn = figures.f1_dots(comparison, always=70.0, always_printed=f1_of_always_answering_als()["baseline"])
    assert_words(drawn)
    assert len(drawn.data) == 2 * 2 * 3 and set(drawn.data["protocol"]) == set(PROTOCOLS)
    above = (comparison.query("protocol == 'nested'")["mean"] > 70).sum()
    assert f"{above} of 6 means here (nested)" in drawn.alt
    cell = comparison.query("protocol == 'nested' and method == 'Knn' and representation == 'DL8'")
    assert cell["mean"].item() == pytest.approx(100 * summary.loc[("nested", "DL8", "Knn"), ("f1", "mean")])


def test_confusion_panels_offer_every_cell():
    drawn = figures.confusion_panels({"DL7, SVM (P)": np.array([[3, 1], [2, 6]])}, ("CSM", "ALS"))
    assert_words(drawn)
    assert "3 of 4 CSM and 6 of 8 ALS answers right" in drawn.alt
    assert drawn.data["count"].tolist() == [3, 1, 2, 6]


def test_null_dots_offer_every_cohort_with_both_labels(features, positive):
    labels = null_labels(48, 2, 5, 0)
    null = replay({"DL7": features["DL7"].to_numpy()}, labels, [METHODS["Knn"]], leaks={})
    drawn = figures.null_dots(null, words_leaks.null_caption("Knn", 2, 48))
    assert_words(drawn)
    assert len(drawn.data) == 4 and "2 null cohorts of 48 drawn brains" in drawn.caption
    mean = null.loc[null["protocol"] == "nested", "auc"].mean()
    assert f"DL7 {mean:.3f}" in drawn.alt


# --- sentences


def test_the_answer_counts_the_classifiers_that_lose_to_naming_everyone_als():
    answer = say.against_always_als(synthetic=True)
    printed = published_table("turrisi2024_table3_f1")["f1_mean_percent"]
    lose = int((printed < f1_of_always_answering_als()["baseline"]).sum())
    assert (
        f"{lose} of the paper's {len(printed)} pairs of classifier and features" in answer["found"]
        and "91.18 %" in answer["found"]
    )
    assert answer["found"].startswith("Somewhat, by the printed numbers") and "AUC 0.69" in answer["found"]
    assert (
        "balanced accuracy of 62 % to 66 %" in answer["found"]
        and f"{len(printed)} pairs" in answer["how_sure"]
    )
    assert (
        "drawn" in answer["not_shown"] and "drawn" not in say.against_always_als(synthetic=False)["not_shown"]
    )


def test_referrals_are_the_printed_model_scaled_to_100_patients():
    tables = tables_of_the_best_model()
    als = round(100 * ALS / (ALS + MIMICS))
    spared = {round((100 - als) * found / MIMICS) for found in tables[:, 0, 0]}
    missed = {round(als * lost / ALS) for lost in tables[:, 1, 0]}
    text = say.referrals()
    assert f"{als} have ALS and {100 - als} a mimic" in text
    assert (
        f"recognises {min(spared)} or {max(spared)} of the {100 - als}" in text
        and f"takes {min(missed)} to {max(missed)} of" in text
    )


def test_tests_of_sex_and_age_are_said_with_the_rounding_of_what_is_printed():
    answer = say.als_against_mimics()
    assert "p values from 0.057 to 0.28" in answer["found"] and "none below 0.05" in answer["found"]
    assert (
        "4 years apart (64 ± 12 and 60 ± 15); Welch's p is 0.011, between 0.001 and 0.063" in answer["found"]
    )
    assert "from 0.18 to 0.28" in answer["how_sure"]


def test_the_control_answers_or_does_not_by_its_p_value():
    by_protocol = pd.DataFrame({"nested": [[0.9, 0.8]], "labels permuted": [[0.5] * 30]}, index=["DL7"])
    control = words_features.control_summary(by_protocol, permutation_p_value)
    assert control.to_dict("records") == [
        {
            "representation": "DL7",
            "auc": pytest.approx(0.85),
            "permuted": 0.5,
            "p": pytest.approx(1 / 31),
            "permutations": 30,
        }
    ]
    yes = words_features.features_and_control(
        (619, 498), {"Radiomics": 0.36, "DL7": 0.74}, control, 3, random_weights=False, drawn=True
    )
    assert (
        "The public extractor separates drawn brains with and without atrophy: AUC" in yes["found"]
        and "For DL7 in the control, p 0.032, the smallest that 30 permutations allow." in yes["how_sure"]
        and "498 differ between patients. With the drawn disease of the table below, 36 % of the radiomic "
        "features and 74 % of the DL7 features differ between the groups"
        in yes["found"]
    )
    no = words_features.features_and_control(
        (619, 498), {"DL7": 0.0}, control.assign(p=0.4), 3, random_weights=True
    )
    assert "an untrained network of the same shape does not measurably separate drawn brains" in no["found"]
    assert "p 0.40, against 30 permutations" in no["how_sure"]
    assert no["not_shown"].startswith("The paper's trained network: the untrained one shows only")
    assert (
        "drawn brains" in yes["found"] and "up to 90 % of the medial temporal grey matter" in yes["not_shown"]
    )
    real = words_features.features_and_control((619, 498), {"DL7": 0.0}, control, None, random_weights=False)
    assert "drawn" not in real["found"] + real["not_shown"]
    sick = np.array([True] * 6 + [False] * 9)
    assert "15 drawn brains" in words_features.control_caption(
        sick, 20, 3
    ) and "*Synthetic" in words_features.control_caption(sick, 20, 3)
    caption = words_features.control_caption(sick, 20, None)
    assert "in 15 people" in caption and "6 of them are patients" in caption and "ynthetic" not in caption
    assert list(words_features.control_table(control))[:4] == ["Features", "AUC", "AUC, labels permuted", "p"]


def test_substitutions_name_what_was_drawn_and_leave_out_what_agrees():
    sized = type("Cohort", (SimpleNamespace,), {"__len__": lambda self: 86})
    cohort = sized(settings=SimpleNamespace(resolution=4), kind="synthetic")
    rows = say.substitutions(cohort, replace(TurrisiAmounts(), effect=10), "public weights, trained ...")
    shown = {name for name, (here, paper) in rows.items() if here != paper}
    assert shown == {"Patients", "Disease", "Voxel side"}
    assert rows["Patients"] == ("86, drawn by a program", "654, scanned") and rows["Disease"][0] == (
        "drawn: in an average patient up to 100 % of the precentral grey matter is lost and the corticospinal white matter "
        "loses up to 80 % of its signal"
    )
    cohort.kind = "own"
    assert "Patients" not in say.substitutions(cohort, TurrisiAmounts())


def test_the_difference_of_the_protocols_is_computed_from_their_cells(summary):
    tuned = summary.drop(index="no image", level="representation")
    means = 100 * tuned["balanced_accuracy", "mean"].unstack("protocol")
    shift = means["tuned once"] - means["nested"]
    text = say.protocol_difference(tuned)
    assert f"{int((shift > 0).sum())} of them upwards" in text and "6 tuned cells" in text
    assert f"{means['nested'].max():.1f} % nested." in text and "nothing to find" not in text
    null = pd.Series({"shift": -0.021, "error": 0.01, "method": SVM})
    assert "moves SVM (P) by −2.1 points (standard error 1.0)" in say.protocol_difference(tuned, null)
    best = say.best_cells(tuned)
    assert best["Difference (points)"].tolist() == pytest.approx(
        (best["Score (%)"] - best["Other protocol (%)"]).tolist(), abs=0.011
    )


def test_the_floor_of_auprc_is_compared_with_the_printed_value():
    assert "cannot be one of ALS" in say.auprc_floor("0.36", 0.65) and "can be one of ALS" in say.auprc_floor(
        "0.70", 0.65
    )
    assert (
        f"{tables_of_counts_behind_table_4()['spared_least']:.0f} to {tables_of_counts_behind_table_4()['spared_most']:.0f} of 106 mimics"
        in say.printed_model(f1_of_always_answering_als(), tables_of_counts_behind_table_4())
    )


# --- tables


def test_table_4_has_a_row_per_protocol_and_one_for_what_is_not_tuned(predictions, summary):
    cells = say.rows_of([("DL7", SVM), ("DL7", NETWORK)], PROTOCOLS)
    assert cells == [("tuned once", "DL7", SVM), ("nested", "DL7", SVM), ("nested", "DL7", NETWORK)]
    wanted = [("nested", "no image", "always ALS"), *cells[:2]]
    with_intervals, others = say.metric_tables(predictions, summary, wanted, 20, 0)
    assert with_intervals["Protocol"].tolist() == ["both", "tuned once", "nested"]
    assert with_intervals["Balanced accuracy"][0] == "0.50\u00a0(0.50–0.50)"
    assert others["Recall"][0] == 1.0 and np.isnan(others["MCC"][0])
    text = say.best_here(with_intervals, np.arange(48) >= 16, "CSM", drawn=True)
    bound = with_intervals.assign(value=0.6, low=0.502, high=0.7)
    assert "no interval is above 0.50" in say.best_here(bound, np.arange(48) >= 16, "CSM")  # it prints 0.50
    assert text.startswith("On the 48 drawn brains of this page, best balanced accuracy")
    assert (
        f"DL7 {with_intervals['value'][2]:.2f} (SVM (P))" in text
        and "16 CSM subjects" in text
        and "3.1 points" in text
    )


def test_f1_cells_keep_the_order_of_table_3_and_end_with_what_needs_no_image(summary):
    comparison = say.f1_comparison(summary, published_table("turrisi2024_table3_f1"))
    without_image = summary["f1"].xs(("nested", "no image"), level=("protocol", "representation"))
    table = say.f1_cells(comparison, without_image)
    assert table["Method"].tolist() == [SVM, "Knn", "always ALS"]
    assert [name.split(",")[0] for name in table.columns[1:]].count("DL7") == 2
    assert table.iloc[-1, 1:].nunique() == 1 and " ± " in table.iloc[0, 1]


def test_a_readers_own_features_have_no_printed_cell_beside_them(summary):
    own = summary.rename(index={"DL7": OF_TABLE}, level="representation")
    own = own[own.index.get_level_values("representation").isin([OF_TABLE, "no image"])]
    comparison = say.f1_comparison(own, published_table("turrisi2024_table3_f1"))
    assert set(comparison["representation"]) == {OF_TABLE} and comparison["printed"].isna().all()
    assert set(say.table3_claims(comparison)) == {"turrisi2024.section4.all_configurations.f1_median"}
    assert say.table4_claims(own, ["SVM (P)"]) == {} == dict(say.reported_cells(["SVM (P)"], [OF_TABLE]))
    drawn = figures.f1_dots(comparison, 60.0, None, patients="F_D")
    assert_words(drawn)
    assert r"F1 of F\_D" in drawn.caption and "always answering F_D at 60.0 percent" in drawn.alt
    said = " ".join([drawn.caption, drawn.alt, *words(drawn.figure)])
    assert "printed" not in said and "ALS" not in said


def test_a_readers_scans_are_not_shown_beside_printed_scores(summary):
    comparison = say.f1_comparison(summary, published_table("turrisi2024_table3_f1"), own=True)
    assert comparison[["printed", "printed_sd"]].isna().all(axis=None) and len(comparison)


def test_the_boxes_of_own_data_ask_with_their_labels():
    answer = say.own_answer("Best 0.6.", "F_D", "<con>", "mine.csv")
    assert answer["question"] == r"Can classifiers tell F\_D from \<con\> in mine.csv?"
    assert answer["found"] == "Best 0.6." and "ALS" not in "".join(answer.values())
    people = pd.DataFrame({"label": ["F_D"] * 3 + ["<con>"] * 5})
    test = kolmogorov_smirnov(np.arange(3), np.arange(5) + 1)
    for age in (None, test):
        answer = say.own_groups(people, "F_D", "mine", age)
        assert answer["question"].startswith(r"Do F\_D and \<con\> in mine differ")
        assert r"3 people have the label F\_D and 5 the label \<con\>" in answer["found"]
        assert not re.search("ALS|mimic", " ".join(answer.values()))
    assert f"{test.distance:.2f} apart (p {test.p_exact:.2f})" in answer["found"]


@pytest.mark.parametrize("name", ["02_features", "03_classifiers"])
def test_no_prose_on_readers_data_names_the_papers_groups(name):
    cells = jupytext.read(repository() / "notebooks" / "turrisi2024" / f"{name}.py").cells
    prose = [fit_text(cell.source, Data(own=True)) for cell in cells if cell.cell_type == "markdown"]
    assert re.findall(r"\bALS\b|\bmimics?\b", "\n\n".join(prose)) == []


def test_optima_stand_beside_the_printed_ones():
    optima = pd.DataFrame(
        [(p, "DL7", SVM, f, "C", v) for p, values in {"tuned once": (1, 1, 1), "nested": (1, 10, 0.1)}.items() for f, v in enumerate(values)],
        columns=["protocol", "representation", "method", "fold", "parameter", "value"],
    )  # fmt: skip
    printed = pd.DataFrame(
        {"representation": ["DL7"], "method": [SVM], "parameter": ["C"], "printed": ["0.1"]}
    )
    (row,) = say.optima_table(optima, printed).to_dict("records")
    assert (row["printed"], row["tuned once"], row["nested"]) == ("0.1", 1, "1, 10, 0.1")


def test_the_leak_table_has_words_for_columns_and_no_empty_row(features, positive):
    svm = replace(METHODS[SVM], grid={"C": (0.1, 10), "d": (2, 3)})
    checked = check_leaks(
        replay({"Radiomics": features["Radiomics"].to_numpy()}, null_labels(48, 2, 5, 0), [svm])
    )
    table = words_leaks.leak_table(checked)
    assert table.notna().all(axis=None) and "network trained on across folds" not in set(table["Leak"])
    assert all(" " in name or name.istitle() for name in table) and set(table["As expected"]) == {
        "yes",
        "too few to say",
    }
    assert "Within three standard errors" in words_leaks.null_table(checked)
    assert (
        words_leaks.leaks_seen(checked) == "No leak was replayed on the 5 null cohorts that a verdict needs."
    )
    enough = checked.assign(cohorts=5, holds=True)
    rising = int((enough["declared"] == "up").sum())
    assert words_leaks.leaks_seen(enough).startswith(
        f"{rising} of {rising} leaks that should raise a score are seen to do so, on at least 5 null cohorts. A rise"
    )
    broken = enough.assign(holds=enough["procedure"] != "labels permuted")
    assert "A shift is there where none should be: *labels permuted* with SVM (P)." in words_leaks.leaks_seen(
        broken
    )
    missed = enough.assign(holds=enough["procedure"] != "tuned once")
    assert (
        f"{rising - 1} of {rising} leaks that should raise a score are seen to do so, on at least 5 null cohorts. Not detected here: *tuned once* with SVM (P) ("
        in words_leaks.leaks_seen(missed)
    )
    assert set(words_leaks.leak_table(missed)["As expected"]) == {"yes", "no"}


def test_claims_of_the_tables_come_from_the_protocol_that_tunes_once(summary):
    comparison = say.f1_comparison(summary, published_table("turrisi2024_table3_f1"))
    claims = say.table3_claims(comparison)
    assert claims["turrisi2024.table3.knn.dl7.f1_mean"] == pytest.approx(
        100 * summary.loc[("tuned once", "DL7", "Knn"), ("f1", "mean")]
    )
    order = claims["turrisi2024.section4.dl7_minus_dl8.knn.f1"]
    assert order == pytest.approx(
        claims["turrisi2024.table3.knn.dl7.f1_mean"] - claims["turrisi2024.table3.knn.dl8.f1_mean"]
    )
    means = {name: value for name, value in claims.items() if name.endswith("f1_mean")}
    deep, engineered = (
        max(value for name, value in means.items() if (".radiomics." in name) == radiomic)
        for radiomic in (False, True)
    )
    lead = claims["turrisi2024.section4.best_deep_minus_best_radiomics.f1"]
    assert lead == pytest.approx(deep - engineered)
    table4 = say.table4_claims(summary, [SVM])
    cell = summary.loc[("tuned once", "DL7", SVM)]
    assert table4["turrisi2024.abstract.best.f1"] == table4["turrisi2024.table4.dl7.f1"] == cell["f1", "mean"]
    assert {*claims, *table4} <= set(published_claims())


def test_claims_of_the_patients_cover_what_was_planned():
    patients = pd.DataFrame(
        {"label": ["ALS"] * 3 + ["CSM"] * 2, "age": [50.0, 65, 80, 40, 70], "sex": list("FMMFM")}
    )
    claims = patients_of.demographic_claims(patients)
    assert (
        claims["turrisi2024.section3_1_1.als.mean_age"] == 65
        and claims["turrisi2024.section2_1.als.subjects"] == 3
    )
    assert (
        claims["turrisi2024.table1b.age.over_75.als.n"] == 1
        and claims["turrisi2024.table1b.sex.f.mimicking.n"] == 1
    )
    printed = published_table("turrisi2024_table1b_demographics")
    assert {f"{say.patients_claim(row)}.n" for row in printed.itertuples()} <= set(claims)


def test_predictions_can_be_downloaded_without_being_shown(monkeypatch):
    shown = []
    monkeypatch.setattr("als_core.book.page.publish_display_data", lambda bundle: shown.append(bundle))
    Page("turrisi2024/03_classifiers", "paper").download(
        pd.DataFrame({"score": [0.5, 0.25]}), "turrisi-predictions", "A row per case"
    )
    block = shown[-1]["application/vnd.als.block+json"]
    assert "2 rows" in block["myst"] and set(block["files"]) == {"turrisi-predictions.csv"}
