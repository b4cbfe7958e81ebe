"""The page on speed says what was measured, by precision, and nothing of what was not."""

from __future__ import annotations

import pandas as pd

from als_core.studies.cross_paper import figures_speed as figures

COLUMNS = ["part", "subject", "way", "name", "target"]
COMPARED = pd.DataFrame(
    [
        ("heads", "a", "fp32", "A", 1000),
        ("steps", "b", "fp32", "B", None),
        ("steps", "b", "bf16", "B", None),
        ("steps", "b", "bf16 compiled", "B", 4.5),
        ("occlusion", "volume", "receptive field", "C", 5),
    ],
    columns=COLUMNS,
)


def found(*ratios: float | None) -> dict:
    rows = [
        {"part": part, "subject": subject, "way": way, "ratio": ratio, "rounds": 2, "measured": "2026-11-29"}
        for (part, subject, way), ratio in zip(
            COMPARED[["part", "subject", "way"]].itertuples(index=False, name=None), ratios, strict=True
        )
        if ratio
    ]
    return {"rows": rows, "device": "a machine", "book": None}


def test_single_precision_and_bfloat16_are_kept_apart():
    results = found(None, 1.6, 3.4, 4.0, 12.8)
    answer = figures.speed_answer(figures.compare(COMPARED, results), results)
    assert "1.6× for a training step in single precision (that of the script)" in answer["found"]
    assert "3.4× to 4.0× for one in bfloat16 and 12.8× for occlusion (receptive field)" in answer["found"]
    assert "head" not in answer["found"] and "Rows not measured yet: 1 of 5." in answer["how_sure"]
    assert answer["how_sure"].startswith(
        "Last measured on 2026-11-29, on one machine (a machine), with 2 rounds"
    )
    measured = found(1200, 1.6, 3.4, 4.0, 12.8)
    said = figures.found_sentence(figures.compare(COMPARED, measured))
    assert "companion's processor time: 1,200× for five runs of a head from a cold start, 1.6×" in said


def test_the_time_of_a_book_is_left_to_the_guide_where_none_was_recorded():
    assert "</book/run_it_yourself>` says how long to expect" in figures.book_sentence(None)
