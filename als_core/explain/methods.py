"""Every heatmap method of the book, as data. A method that is added here is tested and put on trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from als_core.explain.grad_cam import grad_cam, guided_grad_cam
from als_core.explain.gradients import guided_backpropagation, integrated_gradients, sensitivity
from als_core.explain.lrp import lrp
from als_core.explain.occlusion import area_occlusion, occlusion


@dataclass(frozen=True)
class Method:
    """A heatmap method and what to know before reading its maps.

    function: `function(model, images, target, **settings)`, see `als_core.explain.contract`; settings:
    those that make it this method. sign and unit: of the values it returns. needs: "gradient" (a
    differentiable model), "relu", "rules" (operations known to LRP), and settings the caller must
    give ("layer", "patch", "areas") or may want to ("stride", "fill", "baseline", "steps").
    sums_to_score: whether the heatmap is meant to share out the score. sign_is_evidence: whether
    negative means against the target; a slope's sign only says whether brighter or darker would help.
    reference: its source.
    """

    name: str
    title: str
    function: Callable[..., Tensor]
    sign: Literal["signed", "non-negative"]
    unit: str
    needs: tuple[str, ...]
    reference: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sums_to_score: bool = False
    sign_is_evidence: bool = True

    def bound(self, **offered: Any) -> Callable[[nn.Module, Tensor, int | Tensor], Tensor]:
        """`(model, images, target) -> heatmap` with those of the `offered` settings that this method needs.

        So one set of settings (layer, patch, areas, fill, baseline) serves every method of a table.
        """
        taken = {name: value for name, value in offered.items() if name in self.needs}
        return partial(self.function, **self.settings, **taken)

    def importance(self, **offered: Any) -> Callable[[nn.Module, Tensor, int | Tensor], Tensor]:
        """As `bound`, with high values for what matters: the absolute value where sign is no evidence.

        This is what overlap and sanity checks compare.
        """
        explain = self.bound(**offered)
        if self.sign_is_evidence:
            return explain
        return lambda model, images, target: explain(model, images, target).abs()


_SIMONYAN = "Simonyan et al. 2014, arXiv 1312.6034"
_BACH = "Bach et al. 2015, doi 10.1371/journal.pone.0130140"
_SELVARAJU = "Selvaraju et al. 2017, arXiv 1610.02391"
_SLOPE = "score per unit of intensity"
_SCORE = "score"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("sensitivity", "Sensitivity", sensitivity, "non-negative", _SLOPE, ("gradient",), _SIMONYAN),
        Method(
            "guided_backpropagation",
            "Guided backpropagation",
            guided_backpropagation,
            "signed",
            _SLOPE,
            ("gradient", "relu"),
            "Springenberg et al. 2015, arXiv 1412.6806",
            sign_is_evidence=False,
        ),
        Method("grad_cam", "Grad-CAM", grad_cam, "non-negative", _SCORE, ("gradient", "layer"), _SELVARAJU),
        Method(
            "guided_grad_cam",
            "Guided Grad-CAM",
            guided_grad_cam,
            "signed",
            "score squared per unit of intensity",
            ("gradient", "relu", "layer"),
            _SELVARAJU,
            sign_is_evidence=False,
        ),
        Method(
            "integrated_gradients",
            "Integrated gradients",
            integrated_gradients,
            "signed",
            _SCORE,
            ("gradient", "baseline", "steps"),
            "Sundararajan et al. 2017, arXiv 1703.01365",
            sums_to_score=True,
        ),
        Method(
            "lrp_epsilon",
            "LRP, epsilon",
            lrp,
            "signed",
            _SCORE,
            ("rules",),
            _BACH,
            settings={"rules": "epsilon"},
            sums_to_score=True,
        ),
        Method(
            "lrp_zplus",
            "LRP, z+",
            lrp,
            "signed",
            _SCORE,
            ("rules",),
            "Montavon et al. 2017, doi 10.1016/j.patcog.2016.11.008",
            settings={"rules": "z+"},
            sums_to_score=True,
        ),
        Method(
            "lrp_alpha2beta1",
            "LRP, alpha 2 beta 1",
            lrp,
            "signed",
            _SCORE,
            ("rules",),
            _BACH,
            settings={"rules": "alpha2beta1"},
            sums_to_score=True,
        ),
        Method(
            "occlusion",
            "Occlusion",
            occlusion,
            "signed",
            _SCORE,
            ("patch", "stride", "fill"),
            "Zeiler and Fergus 2014, doi 10.1007/978-3-319-10590-1_53",
        ),
        Method(
            "area_occlusion",
            "Brain area occlusion",
            area_occlusion,
            "signed",
            _SCORE,
            ("areas", "fill"),
            "Rieke et al. 2018, doi 10.1007/978-3-030-02628-8_3",
        ),
    )
}
