"""What the trust page shows is what the tests are: the same tests, the same inputs."""

from __future__ import annotations

import ast

import pandas as pd
import record
from test_hostile_inputs import CASES

from als_core.storage import repository


def test_the_recorded_tests_are_those_named_and_they_exist():
    told = pd.read_csv(record.TRUST / "tests.csv")
    assert told["Shown"].tolist() == [shown for shown, _, _ in record.SHOWN], "run tests/trust/record.py"
    assert told["Test"].tolist() == [f"{file} {test}" for _, file, test in record.SHOWN]
    assert (told["Cases passed"] > 0).all()
    for _, file, test in record.SHOWN:
        tree = ast.parse((repository() / "tests" / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


def test_the_recorded_inputs_are_those_that_are_tried():
    told = pd.read_csv(record.TRUST / "bad_inputs.csv", keep_default_na=False)
    assert told.equals(record.bad_inputs()), "run tests/trust/record.py"
    counted = pd.read_csv(record.TRUST / "tests.csv").set_index("Test")["Cases passed"]
    name = "test_a_bad_input_is_refused_with_its_name_or_read_rightly"
    assert counted[f"trust/test_hostile_inputs.py {name}"] == len(CASES) >= 60
