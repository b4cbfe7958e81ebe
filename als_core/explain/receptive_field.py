"""Occluded scores without repeating what a covered region cannot reach.

Covering a patch changes, in each early layer, only the outputs whose window meets it. Where a network
is a plain sequence of layers, the activations of the whole image are kept, and for each region the
changed box alone is computed from layer to layer until it fills half of a map; from there on the
network runs as usual. Equal to covering the image and running all of it, up to rounding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from als_core.explain.interception import count_hooks

Box = tuple[slice, ...]  # one slice per spatial axis
Region = tuple[slice | Tensor, ...]  # a box, or one mask for all axes

CONVOLUTIONS = {nn.Conv2d: F.conv2d, nn.Conv3d: F.conv3d}
POOLS = {nn.MaxPool2d: F.max_pool2d, nn.MaxPool3d: F.max_pool3d}
VOXELWISE = (nn.BatchNorm2d, nn.BatchNorm3d, nn.ReLU, nn.LeakyReLU, nn.Dropout, nn.Dropout3d, nn.Identity)
LARGEST_SHARE = 0.5  # of a map; beyond, cutting out boxes costs more than it saves


@dataclass(frozen=True)
class Window:
    """A layer whose output o sees the inputs o * stride - padding + dilation * (0 .. kernel - 1), per axis.

    whole: the layer, and what follows it voxel by voxel. run: the same on a box that is padded already,
    with pad_value.
    """

    geometry: tuple[tuple[int, int, int, int], ...]  # kernel, stride, padding, dilation of each axis
    pad_value: float
    whole: Callable[[Tensor], Tensor]
    run: Callable[[Tensor], Tensor]

    def changed(self, box: Box, size: Sequence[int]) -> Box:
        """The outputs, in a map of `size`, that see any of the input box."""
        return tuple(
            slice(max(0, -((d * (k - 1) - p - part.start) // s)), min(n, (part.stop - 1 + p) // s + 1))
            for part, n, (k, s, p, d) in zip(box, size, self.geometry, strict=True)
        )

    def seen(self, box: Box) -> Box:
        """The inputs that the output box sees; those below 0 or beyond the map are padding."""
        return tuple(
            slice(part.start * s - p, (part.stop - 1) * s - p + d * (k - 1) + 1)
            for part, (k, s, p, d) in zip(box, self.geometry, strict=True)
        )


@dataclass(frozen=True)
class Step:
    """One window over one changed box: where to cut (absolute), and what to do with the cut (relative)."""

    cut: Box  # inputs of the box's outputs, within the map
    take: Box  # the part of the changed values that is seen
    put: Box  # where that part lies in the cut
    padding: tuple[int, ...]  # as torch.nn.functional.pad wants it

    @property
    def pattern(self) -> tuple:
        """All but the absolute place: boxes of one pattern are computed in one batch."""
        sides = tuple(part.stop - part.start for part in self.cut)
        return sides, *((part.start, part.stop) for part in (*self.take, *self.put)), self.padding


@dataclass(frozen=True)
class Sequenced:
    """A network as windows one after the other, and the rest of it."""

    windows: tuple[Window, ...]
    rest: nn.Sequential

    def activations(self, images: Tensor) -> list[Tensor]:
        """The images, and what each window makes of them."""
        maps = [images]
        for window in self.windows:
            maps.append(window.whole(maps[-1]))
        return maps

    def finish(self, maps: Tensor, depth: int) -> Tensor:
        """Scores from the activations after `depth` windows."""
        for window in self.windows[depth:]:
            maps = window.whole(maps)
        return self.rest(maps)


def as_sequence(model: nn.Module, image: Tensor) -> Sequenced | None:
    """The model as windows and a rest, or None where it cannot be taken apart without changing it.

    It can if it is an nn.Sequential, or holds one as `stages`, that begins with a convolution, has no
    hooks, and gives the model's own scores of `image` (1, C, *spatial).
    """
    sequence = getattr(model, "stages", model)
    if type(sequence) is not nn.Sequential or count_hooks(model):
        return None
    layers, windows = list(_flattened(sequence)), []
    while layers and (type(layers[0]) in CONVOLUTIONS or type(layers[0]) in POOLS):
        after = 1
        while after < len(layers) and type(layers[after]) in VOXELWISE:
            after += 1
        window = _window(layers[0], nn.Sequential(*layers[1:after]), image.ndim - 2)
        if window is None:
            break
        windows.append(window)
        del layers[:after]
    found = Sequenced(tuple(windows), nn.Sequential(*layers))
    with torch.no_grad():
        same = windows and torch.allclose(found.finish(image, 0), model(image), rtol=1e-4, atol=1e-6)
    return found if same else None


def _flattened(sequence: nn.Sequential) -> Iterator[nn.Module]:
    for layer in sequence:
        if type(layer) is nn.Sequential:
            yield from _flattened(layer)
        else:
            yield layer


def _window(layer: nn.Module, after: nn.Sequential, axes: int) -> Window | None:
    def per_axis(value: int | tuple[int, ...]) -> tuple[int, ...]:
        return (value,) * axes if isinstance(value, int) else tuple(value)

    if isinstance(layer.padding, str) or getattr(layer, "padding_mode", "zeros") != "zeros":
        return None
    if getattr(layer, "ceil_mode", False) or getattr(layer, "return_indices", False):
        return None
    kernel, stride, dilation = map(per_axis, (layer.kernel_size, layer.stride, layer.dilation))
    geometry = tuple(zip(kernel, stride, per_axis(layer.padding), dilation, strict=True))
    if type(layer) in POOLS:
        pool = POOLS[type(layer)]
        run, pad_value = (lambda x: pool(x, kernel, stride, 0, dilation)), -torch.inf
    else:
        function, groups = CONVOLUTIONS[type(layer)], layer.groups
        run, pad_value = (lambda x: function(x, layer.weight, layer.bias, stride, 0, dilation, groups)), 0.0
    return Window(geometry, pad_value, lambda x: after(layer(x)), lambda x: after(run(x)))


def bounding_box(region: Region) -> Box:
    """The smallest box that holds the region."""
    if isinstance(region[0], slice):
        return region
    places = region[0].nonzero()
    ends = zip(places.amin(0).tolist(), places.amax(0).tolist(), strict=True)
    return tuple(slice(low, high + 1) for low, high in ends)


def plan(
    windows: Sequence[Window], box: Box, sizes: Sequence[Sequence[int]]
) -> tuple[list[Step], Box] | None:
    """The steps worth taking for one box, and the box they end in; None where nothing changes.

    sizes: of the map before the first window and after each.
    """
    steps: list[Step] = []
    for window, before, after in zip(windows, sizes, sizes[1:], strict=False):
        changed = window.changed(box, after)
        if any(part.stop <= part.start for part in changed):
            return None
        if prod(part.stop - part.start for part in changed) > LARGEST_SHARE * prod(after):
            break
        steps.append(_step(box, window.seen(changed), before))
        box = changed
    return steps, box


def _step(box: Box, seen: Box, size: Sequence[int]) -> Step:
    cut = tuple(slice(max(0, s.start), min(n, s.stop)) for s, n in zip(seen, size, strict=True))
    met = [
        slice(max(b.start, c.start), min(b.stop, c.stop)) for b, c in zip(box, cut, strict=True)
    ]  # a stride can leave the edge of the box unseen
    padding = [
        edge
        for s, c in zip(reversed(seen), reversed(cut), strict=True)
        for edge in (c.start - s.start, s.stop - c.stop)
    ]
    return Step(
        cut,
        tuple(slice(m.start - b.start, m.stop - b.start) for m, b in zip(met, box, strict=True)),
        tuple(slice(m.start - c.start, m.stop - c.start) for m, c in zip(met, cut, strict=True)),
        tuple(padding),
    )


def occluded_scores(
    network: Sequenced, images: Tensor, regions: Sequence[Region], cover: Tensor, batch: int
) -> Tensor:
    """Scores (N, regions, classes) of `images` with each region covered by `cover` (C, *spatial).

    batch: covered images in a pass. A region is covered in all images at once, so N is at most that.
    """
    maps = network.activations(images)
    sizes, count = [level.shape[2:] for level in maps], max(1, batch // len(images))
    # stands where nothing changes; a copy, as the rest may begin in place
    scores = network.rest(maps[-1].clone())[:, None].repeat(1, len(regions), 1)
    alike = defaultdict(list)
    for number, region in enumerate(regions):
        box = bounding_box(region)
        planned = plan(network.windows, box, sizes)
        if planned is not None:
            sides = tuple(part.stop - part.start for part in box)
            alike[sides, *(step.pattern for step in planned[0])].append((number, region, box, *planned))
    waiting = defaultdict(list)

    def finish(depth: int) -> None:
        numbers, boxes, values = zip(*waiting.pop(depth), strict=True)
        whole = maps[depth].expand(len(numbers), *maps[depth].shape).clone()
        for row, box, value in zip(whole, boxes, values, strict=True):
            row[:, :, *box] = value
        found = network.finish(whole.flatten(0, 1), depth)
        scores[:, list(numbers)] = found.unflatten(0, whole.shape[:2]).transpose(0, 1)

    for members in alike.values():
        alike_steps = members[0][3]
        for start in range(0, len(members), count):
            part = members[start : start + count]
            values = torch.cat([_covered(images, region, box, cover) for _, region, box, _, _ in part])
            for level, step in enumerate(alike_steps):
                cuts = torch.cat([maps[level][:, :, *steps[level].cut] for *_, steps, _ in part])
                cuts[:, :, *step.put] = values[:, :, *step.take]
                window = network.windows[level]
                values = window.run(F.pad(cuts, step.padding, value=window.pad_value))
            for (number, *_, box), value in zip(part, values.split(len(images)), strict=True):
                waiting[len(alike_steps)].append((number, box, value))
                if len(waiting[len(alike_steps)]) == count:
                    finish(len(alike_steps))
    for depth in list(waiting):
        finish(depth)
    return scores


def _covered(images: Tensor, region: Region, box: Box, cover: Tensor) -> Tensor:
    """The box of each image as it is covered, (N, C, *box)."""
    seen = cover[:, *box].expand(len(images), *cover[:, *box].shape)
    return seen if isinstance(region[0], slice) else torch.where(region[0][box], seen, images[:, :, *box])
