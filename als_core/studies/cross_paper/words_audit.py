"""The computed sentences of the pages on printed numbers and on numbers of donors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from als_core.claims.findings import CATEGORIES, Finding

IN_PLAIN_WORDS = dict(
    zip(
        CATEGORIES,
        (
            "are about numbers that cannot hold as labelled",
            "about statements that disagree",
            "about ways of testing that make good results likely",
            "about information that is missing",
        ),
        strict=True,
    )
)
Answer = dict[str, str]  # question, found, how_sure, not_shown: the arguments of `Page.answer`


def answer_on_findings(findings: Sequence[Finding], checks: pd.DataFrame) -> Answer:
    """Answer whether the printed numbers fit together. checks: from `audit.check_all`."""
    kinds = Counter(finding.category for finding in findings)
    counts = [f"{kinds[name]} {words}" for name, words in IN_PLAIN_WORDS.items()]
    critical = sum(finding.severity == "critical" for finding in findings)
    return {
        "question": "Do the numbers that five papers print about themselves fit together?",
        "found": f"Not everywhere. Of {len(findings)} findings, {', '.join(counts[:-1])} and {counts[-1]}; {critical} "
        "of all findings touch a main result, and several are ordinary slips.",
        "how_sure": f"{_agreement(checks)} Most follow from the printed numbers by arithmetic, a few from released code, "
        "rebuilt networks or a simulation; the code is beside each finding.",
        "not_shown": "How the numbers came to be, or whether a result would hold on new patients. Where a harmless "
        "reading was found, it is named. Authors who read this: corrections are welcome.",
    }


def _agreement(checks: pd.DataFrame) -> str:
    """Say whether every entry of the findings agrees with the one recomputed on this page."""
    off = checks.loc[~checks["agrees"], "finding"].unique()
    if len(off):
        return (
            f"Of {len(checks)} entries of the findings (numbers and quoted words), those of {', '.join(off)} do not agree "
            "with this page."
        )
    return f"All {len(checks)} entries of the findings (numbers and quoted words) agree with this page."


def images_caption(images: pd.DataFrame) -> str:
    """Caption the table of public images by class. images: the public list."""
    copies = int(images["sha256"].duplicated().sum())
    repeated = (
        "Two of the files are byte-for-byte the same."
        if copies == 1
        else f"{copies} of the files repeat another one byte for byte."
    )
    return f"Donors, slides and images in the public list of Xia 2024, by class. {repeated}"


def outliers_caption(images: int) -> str:
    """Caption the table of outliers among the public images."""
    return (
        f"Outliers of four quality measures among the {images} public images, by the fences of Tukey (1.5 quartile "
        "ranges beyond the quartiles)."
    )


def answer_on_donors(
    marks: pd.DataFrame, needed: pd.DataFrame, covered: pd.DataFrame, accuracy: float
) -> Answer:
    """Answer how many donors an accuracy needs.

    marks: as for `figures_audit.width_by_donors`. needed: columns within, images, correlation, donors, at `accuracy`. covered: as
    for `figures_audit.coverage_by_correlation`, the interval that takes images as independent first.
    """
    tissue = marks.set_index("paper").loc["xia2024"]
    narrow = needed[needed["within"] == 0.05]
    naive, known = (part["coverage"] for _, part in covered.groupby("interval", sort=False))
    return {
        "question": "How many donors does it take to know an accuracy?",
        "found": f"An accuracy of {tissue['accuracy']:.2f} measured on {tissue['images']} images of at most "
        f"{tissue['donors']} donors is known to within ± {100 * tissue['low']:.0f} percentage points if all images are "
        f"independent, and to ± {100 * tissue['high']:.0f} or more if each donor counts once. To know one of {accuracy} within ± 5 points "
        f"takes {narrow['donors'].min()} to {narrow['donors'].max()} donors, depending on how many images each "
        "gives and how alike these are.",
        "how_sure": f"In simulated cohorts the interval contains the true accuracy in {100 * known.min():.0f} to "
        f"{100 * known.max():.0f} % of cases when the correlation within donors is known, and in as few as "
        f"{100 * naive.min():.0f} % when every image is taken as independent.",
        "not_shown": "How alike the images of a donor were in the papers: the correlation is assumed here. Nor does the "
        "page say that a printed accuracy is too high; it says how precisely it is known.",
    }


def images_for_donors(ten: int, thousand: int) -> str:
    """Say that images cannot replace donors. ten, thousand: donors needed with so many images each."""
    return (
        f"More images cannot replace donors: at a correlation of 0.5, ± 5 points take {ten} donors with ten images "
        f"each, and still {thousand} donors with a thousand images each."
    )
