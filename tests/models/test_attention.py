"""SE and CBAM against plain loops over the formulas of their papers, and their parameter counts."""

import math

import pytest
import torch

from als_core.models.attention import CBAM, ChannelGate, SpatialGate, SqueezeExcitation


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def two_layers(vector, first, second):
    """W2 relu(W1 z), one number at a time."""
    hidden = [max(0.0, sum(w * z for w, z in zip(row, vector, strict=True))) for row in first]
    return [sum(w * h for w, h in zip(row, hidden, strict=True)) for row in second]


@pytest.fixture
def maps():
    # maps of both signs, so that a gate of negated or absolute values would not pass
    return torch.randn(2, 32, 5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def plain_se(image, first, second):
    """Hu et al. 2018: z_c = mean of u_c; s = sigmoid(W2 relu(W1 z)); s_c u_c."""
    means = [sum(map(sum, channel)) / 20 for channel in image]
    gates = [sigmoid(score) for score in two_layers(means, first, second)]
    return [[[gate * u for u in row] for row in channel] for gate, channel in zip(gates, image, strict=True)]


def plain_cbam(image, first, second, kernel):
    """Woo et al. 2018: F' = M_c(F) F and F'' = M_s(F') F'."""
    means = [sum(map(sum, channel)) / 20 for channel in image]
    maxima = [max(map(max, channel)) for channel in image]
    scores = zip(two_layers(means, first, second), two_layers(maxima, first, second), strict=True)
    gates = [sigmoid(of_mean + of_maximum) for of_mean, of_maximum in scores]
    gated = [[[gate * u for u in row] for row in channel] for gate, channel in zip(gates, image, strict=True)]
    places = [(i, j) for i in range(5) for j in range(4)]
    mean_map = {(i, j): sum(channel[i][j] for channel in gated) / 32 for i, j in places}
    maximum_map = {(i, j): max(channel[i][j] for channel in gated) for i, j in places}
    for i, j in places:
        score = 0.0
        for di in range(7):
            for dj in range(7):
                place = (i + di - 3, j + dj - 3)  # a margin of 3 zeros keeps the size
                score += kernel[0][di][dj] * mean_map.get(place, 0.0)
                score += kernel[1][di][dj] * maximum_map.get(place, 0.0)
        for channel in gated:
            channel[i][j] *= sigmoid(score)
    return gated


def test_se_is_the_plain_formula(maps):
    torch.manual_seed(0)
    se = SqueezeExcitation(32).double()
    first, second = se.gate.squeeze.weight.tolist(), se.gate.excite.weight.tolist()
    expected = [plain_se(image.tolist(), first, second) for image in maps]
    torch.testing.assert_close(se(maps), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-13)


def test_cbam_is_the_plain_formula(maps):
    torch.manual_seed(0)
    cbam = CBAM(32).double()
    shared = cbam.channel.shared
    kernel = cbam.spatial.convolution.weight[0].tolist()
    expected = [
        plain_cbam(image.tolist(), shared.squeeze.weight.tolist(), shared.excite.weight.tolist(), kernel)
        for image in maps
    ]
    torch.testing.assert_close(cbam(maps), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("module", [SqueezeExcitation(32), CBAM(32), ChannelGate(32), SpatialGate()])
def test_gradients_are_those_of_finite_differences(module, maps):
    small = maps[:1, :, :3, :3].clone().requires_grad_()
    assert torch.autograd.gradcheck(module.double(), (small,))


@pytest.mark.parametrize("channels", [64, 256])
def test_parameters_are_two_bias_free_maps(channels):
    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(SqueezeExcitation(channels)) == 2 * channels * channels // 16
    assert count(CBAM(channels)) == 2 * channels * channels // 16 + 2 * 7 * 7


def test_too_few_channels_are_refused():
    with pytest.raises(ValueError, match="8 channels reduced 16-fold"):
        SqueezeExcitation(8)
