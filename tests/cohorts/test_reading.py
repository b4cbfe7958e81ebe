"""Reading image files: Pillow's limit of pixels is not ours, and a file without permission is named."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from PIL import Image

from als_core.book.failures import exit_with_message
from als_core.cohorts.reading import largest_deep_value, read_image


def test_pillows_limit_of_pixels_does_not_make_a_large_image_damaged(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 200).save(tmp_path / "deep.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # 40 x 30 is more than twice as many: Pillow refuses
    with pytest.raises(Image.DecompressionBombError):
        Image.open(tmp_path / "large.png")
    np.testing.assert_array_equal(read_image(tmp_path / "large.png"), pixels)
    assert largest_deep_value((tmp_path / "deep.png").read_bytes()) == 200 * int(pixels[..., 0].max())
    assert Image.MAX_IMAGE_PIXELS == 100, "the limit of other code is left as it was"


def test_a_file_without_permission_is_said_to_be_unreadable_or_unwritable():
    with pytest.raises(SystemExit, match=r"image\.png: it may not be read or written"), exit_with_message():
        raise PermissionError(errno.EACCES, "Permission denied", "image.png")
