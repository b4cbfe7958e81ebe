"""Generator and discriminator: shapes, the untrained generator as bicubic, gradients, refusals."""

import numpy as np
import pytest
import torch

from als_core.refusal import RefusedInput
from als_core.studies.miao2023.filters import enlarge
from als_core.studies.miao2023.generator import as_images, bicubic, build_discriminator, build_generator


@pytest.fixture
def low():
    return torch.rand(2, 1, 12, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [2, 4])
def test_an_untrained_generator_enlarges_as_bicubic(factor, low):
    generator = build_generator(factor, channels=4, blocks=2, seed=0)
    with torch.inference_mode():
        made = generator(low)
    assert made.shape == (2, 1, 12 * factor, 10 * factor)
    assert torch.equal(made, bicubic(low, factor))


def test_bicubic_is_that_of_the_comparison():
    image = np.random.default_rng(0).integers(60, 200, (16, 16), dtype=np.uint8)
    ours = as_images(bicubic(torch.from_numpy(image)[None, None].float() / 255, 2))[0].numpy()
    assert np.abs(ours.astype(int) - enlarge(image, 2, "bicubic")).max() <= 1


def test_a_generator_can_change_every_pixel_and_gradient_reaches_every_weight(low):
    generator = build_generator(2, channels=4, blocks=2, seed=0)
    torch.nn.init.normal_(generator.exit.weight, generator=torch.Generator().manual_seed(0))
    made = generator(low)
    assert (made != bicubic(low, 2)).all()
    made.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in generator.parameters())


def test_the_output_follows_a_shift_of_the_input():
    """Only convolutions and pixel-shuffle: a shift by a pixel is one by `factor`, away from the border."""
    generator = build_generator(2, channels=4, blocks=1, seed=0)
    torch.nn.init.normal_(generator.exit.weight, generator=torch.Generator().manual_seed(0))
    image = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        here, there = generator(image), generator(image.roll(1, 3))
    torch.testing.assert_close(there[..., 18:-16], here[..., 16:-18])


def test_a_discriminator_gives_one_score_an_image_of_any_size(low):
    discriminator = build_discriminator(channels=4, seed=0)
    assert discriminator(low).shape == (2,)
    assert discriminator(torch.rand(3, 1, 33, 48)).shape == (3,)
    discriminator(low).sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters())


def test_initial_values_come_from_the_seed_alone(low):
    before = torch.get_rng_state()
    first, again = (build_generator(2, channels=4, blocks=1, seed=3).state_dict() for _ in range(2))
    other = build_generator(2, channels=4, blocks=1, seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["entry.0.weight"], other["entry.0.weight"])


def test_wrong_images_and_orders_are_refused(low):
    for network in (
        build_generator(2, channels=4, blocks=1, seed=0),
        build_discriminator(channels=4, seed=0),
    ):
        with pytest.raises(RefusedInput) as refusal:
            network(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
        assert len(refusal.value.problems) == 2
    with pytest.raises(RefusedInput) as refusal:
        build_generator(3, channels=0, blocks=0, seed=0)
    assert [p.where for p in refusal.value.problems] == ["factor", "channels", "blocks"]
    with pytest.raises(RefusedInput, match="channels"):
        build_discriminator(channels=0, seed=0)


def test_values_become_images_clipped_and_rounded():
    values = torch.tensor([[[[-0.1, 0.5], [1.2, 100.4 / 255]]]])
    assert as_images(values).tolist() == [[[0, 128], [255, 100]]]
