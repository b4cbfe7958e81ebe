"""Writes what the book's trust page shows, by running the tests that show it: `python tests/trust/record.py`.

`data/trust/tests.csv`: what is claimed, how many cases passed, which test shows it. `data/trust/bad_inputs.csv`: each
hostile or ordinary input and what becomes of it. (`data/trust/interruptions.csv` is written by `tests/interruptions.py --record`.)
Nothing is written where a test fails.
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

from test_own_data import CASES as ORDINARY  # noqa: E402

TRUST = REPOSITORY / "data" / "trust"
# What the page says, and the test that shows it: its file under tests/, and its function.
SHOWN = (
    ("A page killed while it is made: made again, same bytes, nothing left behind",
     "trust/test_interruptions.py", "test_a_killed_page_is_made_again_with_the_same_bytes"),
    ("A training killed between two runs: finished runs kept, same bytes at the end",
     "trust/test_interruptions.py", "test_a_killed_training_keeps_finished_runs_and_ends_with_the_same_bytes"),
    ("A training killed within a run: goes on from its last saved epoch, same bytes",
     "training/test_runs.py", "test_kill_9_in_the_middle_then_rerun_gives_the_same_bytes"),
    ("The making of a synthetic cohort killed: what it left is removed",
     "trust/test_interruptions.py", "test_what_a_killed_making_of_a_synthetic_cohort_left_is_removed"),
    ("A download killed: goes on where it was, every file checked",
     "trust/test_turns.py", "test_a_killed_download_goes_on_where_it_was"),
    ("Bad inputs: refused with name and remedy, or read rightly; none run, none writes",
     "trust/test_hostile_inputs.py", "test_a_bad_input_is_refused_with_its_name_or_read_rightly"),
    ("Ordinary mess in a reader's data: read and named, or refused once with the remedy",
     "cohorts/test_own_data.py", "test_ordinary_mess_is_read_named_or_refused_once"),
    ("Any bytes as a table: read or refused (60 drawn)",
     "trust/test_hostile_properties.py", "test_any_bytes_are_a_table_or_refused"),
    ("Any path in a manifest: none leads out of its folder (60 drawn)",
     "trust/test_hostile_properties.py", "test_no_path_leaves_the_folder"),
    ("Images damaged at random, six formats, as they are and converted: read or refused (60 drawn each)",
     "trust/test_hostile_properties.py", "test_damaged_images_are_read_or_refused"),
    ("Volumes damaged at random: read or refused (60 drawn)",
     "trust/test_hostile_properties.py", "test_damaged_volumes_are_read_or_refused"),
    ("Checkpoints damaged at random, two formats: read or refused (60 drawn each)",
     "trust/test_hostile_properties.py", "test_damaged_checkpoints_are_read_or_refused"),
    ("A changed input makes a page again, an unrelated one does not",
     "book/test_execute.py", "test_a_stamp_follows_contents_and_only_what_the_page_uses"),
    ("From a checkout to a site: only what changed is made again, and a failed page says so",
     "book/test_book.py", "test_the_way_from_a_checkout_to_a_site_and_what_is_made_again"),
    ("A changed figure is listed with its cause: data, code, profile or library",
     "trust/test_changes.py", "test_a_changed_figure_is_listed_with_its_cause"),
    ("Two books at once: the second waits and says for whom",
     "trust/test_turns.py", "test_the_second_book_waits_says_for_whom_and_a_kill_frees_it"),
    ("Two checkouts, one cache: each file fetched once",
     "trust/test_turns.py", "test_two_checkouts_fill_one_cache_once"),
    ("A full disk: told, and the previous file or book stays",
     "trust/test_turns.py", "test_a_full_disk_is_told_and_the_old_file_stays"),
    ("A read-only cache: told",
     "trust/test_turns.py", "test_a_read_only_cache_is_told"),
    ("Training that diverges, in its last step too: stopped with recipe, seed and epoch",
     "trust/test_numbers.py", "test_a_last_step_that_ruins_the_weights_stops_the_run_with_recipe_seed_and_epoch"),
    ("What a page or training failed of stands on the page that is not made",
     "trust/test_turns.py", "test_what_a_job_failed_of_stands_on_the_page_that_is_not_made"),
    ("A class missing from a part: no sensitivity, and no mean that hides it",
     "trust/test_numbers.py", "test_a_class_that_is_missing_from_a_part_has_no_sensitivity_and_no_mean_hides_it"),
)  # fmt: skip
KINDS = {
    "images": "tissue cohort",
    "crops": "crops",
    "volumes": "brain volumes",
    "features": "feature table",
    "adni": "ADNI table",
    "checkpoint": "checkpoint",
}


def bad_inputs() -> pd.DataFrame:
    """Every hostile and ordinary input: what it is brought as, what it is, and what becomes of it."""
    rows = [
        (KINDS[case.kind], case.name.split(": ", 1)[-1], "read" if case.told is READ else "refused")
        for case in CASES
    ]
    rows += [("own data", name, "refused" if case.refused else "read") for name, case in ORDINARY.items()]
    return pd.DataFrame(rows, columns=["Brought as", "Input", "Outcome"])


def passed(reports: Path) -> Counter[tuple[str, str]]:
    """How many cases of each test passed, by file under tests/ and function. Exits where one did not."""
    counts: Counter[tuple[str, str]] = Counter()
    for case in ElementTree.parse(reports).getroot().iter("testcase"):
        if list(case.iter("failure")) or list(case.iter("error")) or list(case.iter("skipped")):
            raise SystemExit(f"{case.get('name')} did not pass: nothing is recorded")
        file = case.get("classname").removeprefix("tests.").replace(".", "/") + ".py"
        counts[file, case.get("name").split("[")[0]] += 1
    return counts


def main() -> None:
    """Run the tests, then write both tables."""
    with tempfile.TemporaryDirectory() as room:
        reports = Path(room) / "reports.xml"
        tests = [f"tests/{file}::{test}" for _, file, test in SHOWN]
        command = [sys.executable, "-m", "pytest", *tests, f"--junitxml={reports}", "-n", "2"]
        if code := subprocess.run(command, cwd=REPOSITORY, check=False).returncode:
            raise SystemExit(code)
        counts = passed(reports)
    rows = [(told, counts[file, test], f"{file} {test}") for told, file, test in SHOWN]
    TRUST.mkdir(exist_ok=True)
    table = pd.DataFrame(rows, columns=["Shown", "Cases passed", "Test"])
    table.to_csv(TRUST / "tests.csv", index=False, lineterminator="\n")
    bad_inputs().to_csv(TRUST / "bad_inputs.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
