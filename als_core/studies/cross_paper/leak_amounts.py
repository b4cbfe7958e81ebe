"""How much of the replay of leaks a profile computes (its section `leaks`), and the banks of those sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from als_core.studies.cross_paper.leak_pools import Bank, brain_bank, crop_bank, table_bank, tissue_bank

# Sizes of the disease effect beside none, chosen so that the weak one takes more donors than the studies have.
EFFECTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"tissue": (0.7, 2.0), "crops": (0.5, 1.5), "brains": (2.0, 5.0), "feature tables": (1.0, 2.5)}
)
SIGNALS = ("no signal", "weak signal", "strong signal")


@dataclass(frozen=True)
class KindAmounts:
    """Donors of one kind of material: in the bank, in a null cohort, and at each point of the curves."""

    bank: int
    null_cohort: int
    curve: tuple[int, ...]


@dataclass(frozen=True)
class LeakAmounts:
    """fields: of a donor's tissue. visits: scans of a patient. side: of tissue and crops, in pixels.

    null_cohorts, curve_cohorts: of each kind, and behind each point of a curve. checks: cohorts of the convolutional
    cross-check. draws: of the labels of the book's own cohort. jobs: processes.
    """

    tissue: KindAmounts = KindAmounts(140, 15, (9, 15, 30, 60, 120))
    crops: KindAmounts = KindAmounts(140, 26, (13, 26, 60, 120))
    brains: KindAmounts = KindAmounts(140, 20, (8, 20, 60, 120))
    tables: KindAmounts = KindAmounts(760, 120, (60, 120, 300, 654))
    fields: int = 10
    visits: int = 3
    side: int = 96
    null_cohorts: int = 200
    curve_cohorts: int = 60
    checks: int = 40
    draws: int = 100
    jobs: int = 8

    def of(self, kind: str) -> KindAmounts:
        """The amounts of one kind of material, by its name."""
        return {"tissue": self.tissue, "crops": self.crops, "brains": self.brains}.get(kind, self.tables)


def banks(amounts: LeakAmounts, seed: int = 0) -> list[Bank]:
    """A bank of each kind of material, with every size of effect."""
    sizes = {kind: (amounts.of(kind).bank, EFFECTS[kind]) for kind in EFFECTS}
    (tissue, its), (crops, theirs), (brains, more), (tables, most) = sizes.values()
    return [
        tissue_bank(tissue, amounts.fields, its, amounts.side, seed, amounts.jobs),
        crop_bank(crops, theirs, amounts.side, seed, amounts.jobs),
        brain_bank(brains, amounts.visits, more, seed, amounts.jobs),
        table_bank(tables, most, seed),
    ]
