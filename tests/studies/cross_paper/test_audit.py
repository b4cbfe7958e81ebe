"""Every number of every finding recomputed; its words checked; some computations done by a second route."""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from als_core.claims import findings as findings_module
from als_core.claims.claims import record
from als_core.claims.findings import computation_of, findings
from als_core.claims.published import claim_named, claims, published_table
from als_core.claims.verdicts import Circumstances, judge
from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.cross_paper.audit import check, claims_of, recomputed_claims
from als_core.studies.cross_paper.headlines import headlines, with_intervals
from als_core.studies.miao2023.audit import cases_in_a_split_by_crop
from als_core.studies.panagiotaras.audit import sizes_of_the_printed_layers
from als_core.studies.turrisi2024.audit import (
    auprc_of_the_worst_ranking,
    f1_of_always_answering_als,
    folds,
    optima_of_a_nested_search,
    table2_readings,
)
from als_core.studies.xia2024 import audit as xia2024

AUDIT = repository() / "data" / "audit"


BUILD_NETWORKS = {"X9", "X13", "X18", "M11"}


@pytest.mark.parametrize(
    "finding_id",
    [pytest.param(each, marks=pytest.mark.slow if each in BUILD_NETWORKS else ()) for each in findings()],
)
def test_a_finding_states_the_numbers_that_its_function_computes(finding_id):
    numbers = check(finding_id)
    off = numbers[~numbers["agrees"]]
    assert len(numbers) and off.empty, off[["name", "stated", "computed"]].to_string()


def test_a_number_that_is_off_by_one_digit_does_not_agree(a_copy):
    path = a_copy / "numbers.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("X7,miniset_densesenet_low,75.2%", "X7,miniset_densesenet_low,75.3%"), encoding="utf-8")  # fmt: skip
    numbers = check("X7").set_index("name")["agrees"]
    assert not numbers["miniset_densesenet_low"] and numbers.drop("miniset_densesenet_low").all()


def test_findings_and_claims_name_each_other():
    named = {finding for claim in claims().values() for finding in claim.findings}
    assert named <= set(findings())
    for finding_id in named:
        papers = {claim_id.split(".")[0] for claim_id in claims_of(finding_id)}
        assert papers == {findings()[finding_id].paper}


BLAME = re.compile(
    r"\b(intent\w*|intend\w*|deliberate\w*|fraud\w*|dishonest\w*|mislead\w*|careless\w*|sloppy|neglig\w*|manipulat\w*|"
    r"fabricat\w*|fake\w*|conceal\w*|cheat\w*|suspicious\w*|cherry\w*|hide|hid|hidden|ignor\w*|overclaim\w*|"
    r"fail(?:ed|s)?|wrong\w*|claims? to|pretend\w*|obviously|clearly|simply)\b",
    re.IGNORECASE,
)


def test_no_finding_blames_anybody_or_speaks_of_intent():
    for finding in findings().values():
        for words in (finding.title, finding.computed, finding.follows, finding.instead):
            assert not BLAME.search(words), (finding.id, BLAME.search(words))
    for claim in claims().values():
        assert not BLAME.search(claim.why), (claim.id, BLAME.search(claim.why))


def test_the_words_of_a_finding_are_sentences_with_every_number_filled_in():
    for finding in findings().values():
        for words in (finding.computed, finding.follows, finding.instead):
            assert words.endswith(".") and "{" not in words, finding.id
        assert not finding.title.endswith("."), finding.id


def test_a_title_is_a_statement_that_no_other_finding_has():
    titles = [finding.title for finding in findings().values()]
    assert len(set(titles)) == len(titles) and all(len(title.split()) > 4 for title in titles)


def test_recomputed_claims_add_up_or_are_settled():
    rows = [record(claim, value, Circumstances(), page="p") for claim, value in recomputed_claims().items()]
    verdicts = Counter(row["verdict"] for row in rows)
    assert set(verdicts) == {"adds up", "conflicts", "cannot hold"} and verdicts["adds up"] == 5


def test_t9_the_printed_p_of_sex_is_a_reading_and_that_of_age_is_not():
    claims_by_reading = table2_readings()
    kinds = {
        claim: judge(claim_named(claim), readings, Circumstances())
        for claim, readings in claims_by_reading.items()
    }
    sex, age = kinds["turrisi2024.table2.sex.p_value"], kinds["turrisi2024.table2.age.p_value"]
    assert sex.kind == "adds up" and "Yates" in sex.reason
    assert age.kind == "differs" and "D = 0.105" in age.reason
    assert kinds["turrisi2024.table2.sex.statistic"].kind == "differs"


def test_rankings_are_recorded_as_differences_of_the_networks_that_are_there():
    accuracy = {"basic_cnn": 60.0, "resnet18": 80.0, "densenet121": 70.0}
    found = xia2024.ranking_claims(accuracy, {"densenet121": 71.0, "basic_cnn": 72.0})
    assert found == {
        "xia2024.section2_2.resnet18_minus_basic_cnn.accuracy": 20.0,
        "xia2024.section2_2.densenet121_minus_basic_cnn.accuracy": 10.0,
        "xia2024.section3.resnet18_minus_densenet121.accuracy": 10.0,
        "xia2024.fig2.densenet121_minus_basic_cnn.convergence": -1.0,
    }
    everything = {model: float(place) for place, model in enumerate(xia2024.MODELS)}
    found = xia2024.ranking_claims(everything, everything)
    assert set(found) == {claim for claim in claims() if claim.startswith("xia2024.") and "_minus_" in claim}
    assert found["xia2024.section2_2.resnet18_minus_resnet18_cbam.accuracy"] == -3.0


# --- the same numbers by a second route


def test_t1_and_t3_equal_scikit_learn():
    assert folds() == [(183, 35), (183, 35), (182, 36)]
    f1, worst = [], []
    for als, mimics in folds():
        truth = np.repeat([1, 0], [als, mimics])
        f1.append(100 * sk.f1_score(truth, np.ones_like(truth)))
        worst.append(sk.average_precision_score(truth, np.arange(len(truth))))  # every mimic first
    assert f1_of_always_answering_als()["baseline"] == pytest.approx(np.mean(f1))
    assert auprc_of_the_worst_ranking()["least"] == pytest.approx(min(worst))


def test_t6_error_of_f1_equals_a_bootstrap():
    hits, wrong, n = 520, 96, 654  # of a table of counts that agrees with Table 4
    drawn = np.random.default_rng(0).multinomial(n, [hits / n, wrong / n, (n - hits - wrong) / n], 20_000)
    f1 = 200 * drawn[:, 0] / (2 * drawn[:, 0] + drawn[:, 1])
    assert optima_of_a_nested_search()["f1_error"] == pytest.approx(f1.std(), rel=0.03)


def test_m7_equals_simulated_splits():
    listed = published_table("miao2023_fig6_samples")["case_id_sd_plus_second_field"].to_numpy()
    rng, torn, seen = np.random.default_rng(0), [], []
    for _ in range(2000):
        order = rng.permutation(len(listed))
        test, train = listed[order[:12]], listed[order[12:]]
        torn.append(len(set(test) & set(train)))
        seen.append(np.isin(test, train).mean())
    assert cases_in_a_split_by_crop()["torn"] == pytest.approx(np.mean(torn), abs=0.1)
    assert cases_in_a_split_by_crop()["seen_percent"] == pytest.approx(100 * np.mean(seen), abs=1.5)


def test_x5_correlations_bound_those_of_scikit_learn():
    rng, seen = np.random.default_rng(0), []
    for _ in range(300):
        truth = np.repeat([0, 1, 2], xia2024.CLASS_SIZES)
        answer = truth.copy()
        rows = rng.choice(len(truth), 4, replace=False)
        answer[rows] = (truth[rows] + rng.integers(1, 3, 4)) % 3
        seen.append(sk.matthews_corrcoef(truth, answer))
    least, most = (
        xia2024.accuracy_that_class_averages_leave()["mcc_least"],
        xia2024.accuracy_that_class_averages_leave()["mcc_most"],
    )
    assert least - 1e-9 <= min(seen) < least + 0.005 and most - 0.005 < max(seen) <= most + 1e-9


def test_x8_counts_the_public_list():
    images = xia2024.public_manifest()
    assert (
        xia2024.donors_and_slides_in_a_split_by_image()["donors"] == len(set(images["group"])) == 15
        and xia2024.donors_and_slides_in_a_split_by_image()["slides"] == len(set(images["slide"])) == 19
    )
    assert sorted(images.groupby("label")["group"].nunique()) == [5, 5, 5]


def test_x14_equals_enumeration():
    from itertools import permutations

    table = published_table("xia2024_table1_model_cost_accuracy")
    flops, accuracy = table["flops_count"].to_numpy(), table["avg_accuracy_percent"].to_numpy()
    observed = stats.spearmanr(flops, accuracy).statistic
    null = [stats.spearmanr(flops[list(order)], accuracy).statistic for order in permutations(range(6))]
    assert xia2024.correlation_of_flops_and_accuracy()["p"] == pytest.approx(
        np.mean(np.array(null) >= observed - 1e-9)
    )


@pytest.mark.slow
def test_p5_parameters_are_those_of_the_printed_layers_when_built():
    import torch
    from torch import nn

    layers, values = [], 1
    for maps, pool in zip((8, 16, 32, 64), (2, 3, 2, 3), strict=True):
        layers += [nn.Conv3d(values, maps, 3), nn.BatchNorm3d(maps), nn.ReLU(), nn.MaxPool3d(pool)]
        values = maps
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(5120, 128), nn.Linear(128, 64), nn.Linear(64, 2)).to("meta")  # fmt: skip
    assert network(torch.empty(1, 1, 193, 229, 193, device="meta")).shape == (1, 2)
    assert sum(each.numel() for each in network.parameters()) == sizes_of_the_printed_layers()["parameters"]


def test_headlines_have_intervals_that_widen_from_images_to_donors():
    table = with_intervals(headlines())
    assert set(table["paper"]) == {"xia2024", "miao2023", "turrisi2024", "panagiotaras"}
    assert (table["donor_low"] <= table["low"] + 1e-9).all() and (
        table["high"] <= table["donor_high"] + 1e-9
    ).all()
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()
    assert (table["donors"] <= table["images"]).all()


# --- a broken file is refused


@pytest.fixture
def a_copy(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "audit"
    shutil.copytree(AUDIT, folder)
    monkeypatch.setattr(findings_module, "repository", lambda: tmp_path)
    findings_module._read.cache_clear()
    yield folder
    findings_module._read.cache_clear()


@pytest.mark.parametrize(("file", "old", "new", "complaint"), [
    ("findings.csv", ",arithmetically impossible,", ",impossible,", "category 'impossible'"),
    ("findings.csv", ",critical,", ",grave,", "severity 'grave'"),
    ("findings.csv", "X1,xia2024", "X1,xia", "paper 'xia'"),
    ("numbers.csv", "X1,least,35", "X1,fewest,35", "names fewest, least"),
    ("numbers.csv", "X1,least,35", "X99,least,35", "numbers of X99"),
    ("numbers.csv", "X1,best,37", "X1,least,37", "stated twice"),
])  # fmt: skip
def test_a_broken_file_is_refused_with_its_line(a_copy, file, old, new, complaint):
    path = a_copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RefusedInput, match=complaint):
        findings()


def test_an_unknown_finding_is_refused():
    with pytest.raises(RefusedInput, match="X99"):
        computation_of("X99")


# --- where every figure and table of the papers is regenerated


def figure_pages() -> list[dict[str, str]]:
    with (AUDIT / "figure_pages.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_each_of_the_60_figures_and_tables_has_one_row():
    listed = published_table("figures", as_printed=True)
    wanted = Counter(zip(listed["paper"], listed["label"], strict=True))
    assert Counter((row["paper"], row["label"]) for row in figure_pages()) == wanted
    assert len(figure_pages()) == 60 and set(wanted.values()) == {1}


def test_each_row_names_pages_of_the_book_or_says_why_there_is_none():
    for row in figure_pages():
        pages = row["page"].split()
        assert pages or row["reason"], row
        for page in pages:
            assert page.startswith(f"{row['paper']}/"), row
            assert (repository() / "notebooks" / f"{page}.py").is_file(), page
