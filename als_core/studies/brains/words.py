"""What the disease of the synthetic brains does to an average patient, in words."""

from __future__ import annotations

from als_core.figures.drawn import listed, percent
from als_core.studies.brains.cohorts import PATIENTS
from als_core.studies.brains.synthetic import DISEASES


def drawn_effect(effect: float, label: str = PATIENTS) -> str:
    """Say what an effect of this size (1: as DISEASES states) does to an average patient at the first visit."""
    if not effect:
        return "none drawn"
    disease = DISEASES[label]
    place, share = disease.shrinks
    parts = [f"up to {percent(min(effect * share, 1))} of the {place} grey matter is lost"]
    if disease.widening:
        parts.append(f"the border of the ventricles moves {effect * disease.widening:g} mm outwards")
    if disease.darkens:
        place, share = disease.darkens
        parts.append(f"the {place} white matter loses up to {percent(min(effect * share, 1))} of its signal")
    return f"drawn: in an average patient {listed(parts)}"
