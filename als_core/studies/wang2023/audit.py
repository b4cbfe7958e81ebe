"""Recompute the numbers of the audit's findings on the heatmap study (Wang 2023, abstract page)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from als_core.claims.findings import Facts, finding
from als_core.claims.published import claims, published_table

SIDE, REPEATS = 64, 200


@finding("W1")
def values_of_overlap() -> Facts:
    """Count the claims about overlap, those with a value of overlap, and the things the page leaves open."""
    overlap = [claim for claim in claims().values() if claim.id.startswith("wang2023.abstract.overlap")]
    page = published_table("wang2023_methods_findings")
    return {
        "claims": len(overlap),
        "with_a_value": sum(claim.printed.relation == "=" and claim.unit != "rank" for claim in overlap),
        "left_open": int((page["kind"] == "not on page").sum()),
        "studies": next(claim.value for claim in claims().values() if claim.id.endswith("vbm_studies")),
    }


@finding("W2")
def overlap_by_smoothness() -> Facts:
    """Correlate a noisy heatmap with a smooth reference map, as it is and smoothed.

    Simulated: the reference is a smooth random field, the heatmap half that field plus independent noise, the null an
    unrelated field; mean over seeded repeats.
    """
    rng = np.random.default_rng(0)

    def field(width: float) -> np.ndarray:
        smooth = gaussian_filter(rng.standard_normal((SIDE, SIDE)), width)
        return (smooth - smooth.mean()) / smooth.std()

    def agreement(one: np.ndarray, other: np.ndarray) -> float:
        return np.corrcoef(one.ravel(), other.ravel())[0, 1]

    rows = []
    for _ in range(REPEATS):
        reference = field(4)
        heatmap = 0.5 * reference + rng.standard_normal((SIDE, SIDE))
        smoothed = gaussian_filter(heatmap, 2)
        rows.append((agreement(heatmap, reference), agreement(smoothed, reference), abs(agreement(field(4), reference)),
                     abs(agreement(field(0.5), reference))))  # fmt: skip
    plain, smooth, null, null_rough = np.mean(rows, axis=0)
    return {"plain": plain, "smoothed": smooth, "null": null, "null_rough": null_rough}
