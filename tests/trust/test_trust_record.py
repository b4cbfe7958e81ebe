"""The inputs that the page on trust lists are those that the tests try."""

import pandas as pd
from record import TRUST, tried_inputs


def test_the_page_lists_every_input_that_is_tried():
    listed = pd.read_csv(TRUST / "bad_inputs.csv", keep_default_na=False)
    assert set(listed.itertuples(index=False)) == set(tried_inputs().itertuples(index=False)), (
        "run `python tests/trust/record.py`"
    )
