"""Rows that pages record, and the account of every claim that is made from them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from als_core.claims.claims import COLUMNS, every_claim, record
from als_core.claims.published import claims
from als_core.claims.verdicts import Circumstances
from als_core.refusal import RefusedInput

PARAMS = "xia2024.table1.resnet18.params"
COUNT = "xia2024.section4_1.control.images"


def row(claim_id=PARAMS, value=11_178_051, cohort=None, page="xia2024/03_models"):
    return record(claim_id, value, Circumstances(cohort), page=page, profile="quick")


def test_a_row_is_complete_in_json():
    where = {"page": "xia2024/01_cohort", "cohort": "xia2024", "profile": "quick"}
    made = record(COUNT, np.int64(70), Circumstances("published"), **where)
    assert json.loads(json.dumps(made)) == made == {
        "id": COUNT,
        "paper": "xia2024",
        "location": "Section 4.1 and Fig. 4, control",
        "quantity": "images",
        "published": "70",
        "regenerated": 70,
        "shown": "70",
        "verdict": "as released",
        "reason": "70 against the printed 70",
        **where,
    }  # fmt: skip
    assert tuple(made) == COLUMNS


def test_a_published_cohort_is_the_data_of_its_own_paper_only():
    kinds = {
        cohort: record(COUNT, 70, Circumstances("published"), page="p", cohort=cohort)["verdict"]
        for cohort in ("xia2024", "oasis", "")
    }
    assert kinds == {"xia2024": "as released", "oasis": "stand-in", "": "stand-in"}


def test_a_value_is_shown_in_the_printed_form_and_kept_whole():
    made = row()
    assert (made["published"], made["shown"], made["regenerated"]) == ("11.2M", "11.2M", 11_178_051)
    empty = row(value=math.nan)
    assert (empty["shown"], empty["regenerated"], empty["verdict"]) == ("", None, "not yet run")


def test_a_sensitivity_below_a_printed_1_is_not_shown_as_1():
    made = row("xia2024.abstract.headline.sensitivity", 0.8, "published")
    assert (made["published"], made["shown"]) == ("1", "0.80")


def test_an_unknown_claim_is_refused():
    with pytest.raises(RefusedInput, match=r"xia2024\.table1\.resnet18\.params"):
        row("xia2024.table1.resnet18.param")


def test_every_claim_appears_once_in_order_whether_recorded_or_not():
    rows = every_claim([row()], profile="quick")
    assert [made["id"] for made in rows] == list(claims())
    for made in rows:
        claim = claims()[made["id"]]
        if made["id"] == PARAMS:
            assert made["verdict"] == "as built"
        else:
            assert made["verdict"] == (claim.settled or "not yet run") and made["regenerated"] is None
    assert json.loads(json.dumps(rows)) == rows


def test_pages_that_agree_are_joined_and_an_absence_gives_way():
    rows = [row(page="b"), row(page="a"), row(page="0", value=None)]
    assert {made["id"]: made for made in every_claim(rows)}[PARAMS] == row(page="a")


def test_pages_that_disagree_are_refused_by_name():
    rows = [
        row(page="a/one"),
        row(page="b/two", value=12e6),
        row(COUNT, 70, "own"),
        row(COUNT, 70, "synthetic"),
    ]
    with pytest.raises(RefusedInput) as refused:
        every_claim(rows)
    assert len(refused.value.problems) == 2
    assert "'as built' by a/one and 'differs' by b/two" in str(refused.value)


def test_stale_unknown_and_broken_rows_are_refused_together():
    rows = [
        row() | {"published": "11.7M"},
        row() | {"id": "xia2024.table1.resnet18.weight"},
        row() | {"verdict": "good"},
    ]
    with pytest.raises(RefusedInput) as refused:
        every_claim(rows)
    assert len(refused.value.problems) == 3 and "11.7M" in str(refused.value)


def test_the_reading_that_is_judged_is_the_value_of_the_row():
    made = row(
        "turrisi2024.table2.sex.p_value", {"without correction": 0.057, "with Yates' correction": 0.073}
    )
    assert (made["regenerated"], made["shown"], made["verdict"]) == (0.073, "0.07", "adds up")
