"""Run the tests behind the book's page on trust and write its tables: `python tests/trust/record.py`.

`data/trust/tests.csv` is the list of statements and tests; running it updates how many cases passed. All hostile inputs, and
those of readers' ordinary mess, go to `data/trust/bad_inputs.csv`. Nothing is written where a test fails, is skipped or does not exist.
(`data/trust/interruptions*.csv` are written by `tests/interruptions.py --record`.)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pandas as pd
from test_hostile_inputs import CASES, READ

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "tests" / "cohorts"))

from test_own_data import CASES as OWN_DATA  # noqa: E402

TRUST = REPOSITORY / "data" / "trust"
KINDS = {
    "images": "tissue cohort",
    "crops": "crops",
    "volumes": "brain volumes",
    "features": "feature table",
    "adni": "ADNI table",
    "checkpoint": "checkpoint",
}


def passed(reports: Path) -> Counter[str]:
    """Count the cases of each test by `file function`. Exits where a case did not pass."""
    counts: Counter[str] = Counter()
    for case in ElementTree.parse(reports).getroot().iter("testcase"):
        if any(list(case.iter(kind)) for kind in ("failure", "error", "skipped")):
            raise SystemExit(f"{case.get('name')} did not pass: nothing is recorded")
        file = case.get("classname").removeprefix("tests.").replace(".", "/")
        counts[f"{file}.py {case.get('name').split('[')[0]}"] += 1
    return counts


def tried_inputs() -> pd.DataFrame:
    """List every input that the tests try, and whether it is read or refused."""
    rows = [
        (KINDS[case.kind], case.name.split(": ", 1)[-1], "read" if case.told is READ else "refused")
        for case in CASES
    ]
    rows += [("own data", name, "refused" if case.refused else "read") for name, case in OWN_DATA.items()]
    return pd.DataFrame(rows, columns=["Brought as", "Input", "Outcome"])


def main() -> None:
    """Run the tests, then write both tables."""
    table = pd.read_csv(TRUST / "tests.csv")
    with tempfile.TemporaryDirectory() as folder:
        reports = Path(folder) / "reports.xml"
        tests = [f"tests/{test.replace(' ', '::')}" for test in table["Test"]]
        command = [sys.executable, "-m", "pytest", *tests, f"--junitxml={reports}", "-n", "2"]
        if code := subprocess.run(command, cwd=REPOSITORY, check=False).returncode:
            raise SystemExit(code)
        counts = passed(reports)
    table["Cases passed"] = [counts[test] for test in table["Test"]]
    table.to_csv(TRUST / "tests.csv", index=False, lineterminator="\n")
    tried_inputs().to_csv(TRUST / "bad_inputs.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
