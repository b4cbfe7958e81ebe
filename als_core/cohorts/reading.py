"""Read image files as 8-bit RGB: what a file's own tags settle is applied, what would be a guess is refused.

| in the file | read | with `--convert` |
|---|---|---|
| 8-bit RGB; opaque alpha; EXIF orientation | as it is; alpha dropped; upright | the same |
| grey, black and white, palette, CMYK | refused | the three channels equal; looked up; no colour profile |
| partly transparent | refused | laid on white |
| 16 bits a channel | refused | divided by 2^(bits - 8), bits of the largest value of the cohort |
| floating point, 32 bits, Lab, several frames | refused | refused |

Pillow decodes; the bit depth comes from the file's own tags (Pillow would drop the lower half of 16-bit colours
without a word), and 16-bit files are decoded by tifffile or OpenCV.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

LARGEST_SIDE = 20_000  # pixels; a larger image is a whole slide, to be cut into fields first
SMALLEST_SIDE = 16  # pixels; below, the networks' pooling leaves nothing
# Of the many that Pillow opens, those that hold nothing but pixels; PostScript, for one, is a program.
FORMATS = ("PNG", "TIFF", "JPEG", "BMP", "WEBP", "GIF")
SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras record; 10 to 14 come in files of 16
ORIENTATION = 274  # the tag's number in EXIF and TIFF
OPENING = Lock()
GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
Fit = Literal["crop", "pad", "stretch"]

MODES = {
    "L": "greyscale", "P": "palette", "RGBA": "with alpha", "CMYK": "print colours", "1": "black and white",
    "LA": "grey with alpha", "F": "floating point", "I": "32-bit", **dict.fromkeys(GREY_16, "16-bit greyscale"),
}  # fmt: skip
CONVERTED = {
    "1": "black and white as 0 and 255 in three channels",
    "L": "grey repeated in three channels",
    "P": "palette colours looked up",
    "CMYK": "CMYK converted without a colour profile",
}


class Unreadable(ValueError):
    """An image file that is refused. check: number of the check. found, expected, remedy: as in a Problem."""

    def __init__(self, check: str, found: str, expected: str, remedy: str):
        super().__init__(found)
        self.check, self.found, self.expected, self.remedy = check, found, expected, remedy


@dataclass(frozen=True)
class Conversion:
    """What a reader asked for. convert: other kinds of pixels to 8-bit RGB. resize: side in pixels, or None.

    fit: scale the shorter side and keep the central square ("crop"), scale the longer side and fill up with
    black ("pad"), or ignore the proportions ("stretch"). bits: of the largest 16-bit value of the cohort.
    """

    convert: bool = False
    resize: int | None = None
    fit: Fit = "crop"
    bits: int = 16


class ReadImage(NamedTuple):
    """pixels: uint8 (H, W, 3). kind: file format as Pillow names it. stored: (height, width) before resizing.

    notes: what was done to it, in words.
    """

    pixels: np.ndarray
    kind: str
    stored: tuple[int, int]
    notes: tuple[str, ...]


def read_image(path: Path | str, conversion: Conversion = Conversion()) -> np.ndarray:
    """An image file as uint8 (H, W, 3), RGB. Raises Unreadable, and OSError where there is no file."""
    return decode(Path(path).read_bytes(), conversion).pixels


def decode(content: bytes, conversion: Conversion = Conversion()) -> ReadImage:
    """The bytes of an image file as 8-bit RGB. Raises Unreadable naming the reason and the remedy."""
    try:
        with _opened(content) as picture:
            _check_header(picture, content)
            if (bits := bits_per_channel(picture, content)) > 8:
                _require(conversion.convert and bits == 16, picture, bits)
                shift = conversion.bits - 8
                values = turned(_decode_deep(content), picture.getexif().get(ORIENTATION, 1))
                pixels = Image.fromarray(np.minimum(values >> shift, 255).astype(np.uint8))
                notes = [f"16-bit values divided by {2**shift}"]
            else:
                picture.load()
                pixels, notes = _as_rgb(ImageOps.exif_transpose(picture), conversion.convert)
            kind = picture.format
    except Unreadable:
        raise
    except UnidentifiedImageError as error:
        found = "bytes that are no image" if content else "an empty file"
        raise Unreadable("ALS007", found, "an image file", "Export it again, or drop it.") from error
    except Exception as error:  # on damaged files Pillow raises nearly every kind there is
        found = f"a damaged file ({error})"
        raise Unreadable(
            "ALS007", found, "an image that decodes to its end", "Copy or export it again."
        ) from error
    stored = pixels.size[::-1]
    if conversion.resize:
        if pixels.size != (conversion.resize,) * 2:
            notes.append(f"resized to {conversion.resize} pixels ({_FITS[conversion.fit]})")
        pixels = resized_to(pixels, conversion.resize, conversion.fit)
    return ReadImage(np.asarray(pixels), kind, stored, tuple(notes))


_FITS = {
    "crop": "shorter side scaled, central square kept",
    "pad": "longer side scaled, filled up with black",
    "stretch": "without regard to proportions",
}


def resized_to(picture: Image.Image, side: int, fit: Fit) -> Image.Image:
    """A picture as a square of `side` pixels, by Lanczos resampling."""
    method = Image.Resampling.LANCZOS
    if fit == "crop":
        return ImageOps.fit(picture, (side, side), method)
    if fit == "pad":
        return ImageOps.pad(picture, (side, side), method, color="black")
    return picture.resize((side, side), method)


def largest_deep_value(content: bytes) -> int:
    """The largest value of a file with 16 bits a channel; 0 for every other file, and for one that is damaged."""
    try:
        with _opened(content) as picture:
            _check_header(picture, content)
            return int(_decode_deep(content).max()) if bits_per_channel(picture, content) == 16 else 0
    except Exception:  # it is refused, with its reason, where it is read
        return 0


def depth_of(largest: int) -> int:
    """The smallest of `DEPTHS` that holds a value."""
    return next(bits for bits in DEPTHS if largest < 2**bits)


def _opened(content: bytes) -> Image.Image:
    """Open the bytes of an image file without Pillow's limit of pixels, which is below `LARGEST_SIDE` squared."""
    with OPENING:  # the limit is Pillow's own, for all threads: it is back before another one opens a file
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(content), formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def bits_per_channel(picture: Image.Image, content: bytes) -> int:
    """Bits a channel as the file's own header says, not as Pillow's decoder gives them."""
    if picture.format == "TIFF":
        return max(picture.tag_v2.get(258, (1,)))  # BitsPerSample
    if picture.format == "PNG":
        return content[24]
    return 8


def _check_header(picture: Image.Image, content: bytes) -> None:
    width, height = picture.size
    if max(width, height) > LARGEST_SIDE or min(width, height) < SMALLEST_SIDE:
        sides = f"{SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side"
        raise Unreadable("ALS011", f"{width} x {height} pixels", sides, "Cut it into fields, or drop it.")
    if (frames := getattr(picture, "n_frames", 1)) > 1:
        raise Unreadable("ALS008", f"{frames} frames", "one image in the file", "Save the one that is meant.")


def _require(allowed: bool, picture: Image.Image, bits: int = 8, transparent: bool = False) -> None:
    """Refuse a kind of pixels that is not allowed; `--convert` is offered where it would help."""
    if allowed:
        return
    mode = picture.mode
    if bits > 8 and mode not in (*GREY_16, "F", "I"):
        found = f"{bits} bits a colour"
    elif transparent:
        found = f"mode {mode} (with alpha that is not opaque)"
    else:
        found = f"mode {mode}" + (f" ({MODES[mode]})" if mode in MODES else "")
    convertible = transparent or bits == 16 or mode in (*CONVERTED, "LA", "PA")
    remedy = "Convert it to 8-bit RGB" + (", or add --convert (see ALS009)." if convertible else ".")
    raise Unreadable("ALS009", found, "8-bit RGB", remedy)


def _as_rgb(picture: Image.Image, convert: bool) -> tuple[Image.Image, list[str]]:
    if picture.mode == "RGB":
        return picture, []
    alpha = picture.mode in ("RGBA", "LA", "PA")
    opaque = not alpha or picture.getchannel("A").getextrema()[0] == 255
    base = picture.mode[0] if picture.mode in ("LA", "PA") else picture.mode
    allowed = (convert and base in (*CONVERTED, "RGBA")) or (base == "RGBA" and opaque)
    _require(allowed, picture, transparent=not opaque)
    if picture.mode == "P" and "transparency" in picture.info:
        return _as_rgb(picture.convert("RGBA"), convert)
    if not opaque:
        white = Image.new("RGBA", picture.size, "white")
        laid = Image.alpha_composite(white, picture.convert("RGBA"))
        return laid.convert("RGB"), ["transparent images laid on white"]
    notes = ["an alpha channel that is opaque everywhere dropped"] if alpha else []
    if base in CONVERTED:
        notes.append(CONVERTED[base])
    return picture.convert("RGB"), notes


def orientation_of(path: Path) -> int:
    """Return the EXIF orientation of an image file that OpenCV decodes as stored; 1, upright, where there is none.

    OpenCV turns TIFF upright itself.
    """
    try:
        with _opened(path.read_bytes()) as picture:
            return 1 if picture.format == "TIFF" else picture.getexif().get(ORIENTATION, 1)
    except Exception:  # what Pillow cannot read holds no orientation that is known
        return 1


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W) or (H, W, C) upright, from the EXIF orientation they were stored in."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    vertical, horizontal = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return values[:: -1 if vertical else 1, :: -1 if horizontal else 1]


def _decode_deep(content: bytes) -> np.ndarray:
    """The pixels of a file with 16 bits a channel: uint16 (H, W, 3), grey repeated. Raises Unreadable."""
    values = None
    if content[:2] in (b"II", b"MM"):
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page = file.pages.first
            with suppress(ValueError):  # a compression that needs imagecodecs; OpenCV may have it
                values = page.asarray()
                if values.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                    values = np.moveaxis(values, 0, 2)
                if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
                    values = ~values
    if values is None:
        values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is not None and values.ndim == 3:
            values = values[..., [2, 1, 0, *range(3, values.shape[2])]]  # OpenCV has blue first
    channels = 0 if values is None else 1 if values.ndim == 2 else values.shape[2]
    if channels in (2, 4) and (values[..., -1] == 65535).all():
        channels, values = channels - 1, values[..., :-1]
    if channels not in (1, 3) or values.dtype != np.uint16:
        found = f"{channels} channels of {values.dtype}" if channels else "16 bits in an unknown compression"
        raise Unreadable("ALS009", found, "8-bit RGB", "Save it as 8-bit RGB.")
    return np.broadcast_to(values.reshape(*values.shape[:2], channels), (*values.shape[:2], 3))


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an image as OpenCV has it: uint8 (H, W), or (H, W, 3) with blue first. Raises OSError."""
    if not cv2.imwrite(str(path), image):
        raise OSError(f"{path} could not be written")
