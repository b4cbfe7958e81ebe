"""The house style of every figure, and how a figure becomes files that read well on light and dark pages.

Figures are drawn once, on a transparent ground, in a few named ink colours. The dark version of an
SVG is the same file with those colours exchanged (`DARK`), so the two cannot disagree.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from PIL import Image

INK, MUTED, GRID, GROUND = "#1f2328", "#59636f", "#d3d9e0", "#fffffe"
DARK = {INK: "#e6e9ee", MUTED: "#a3adb8", GRID: "#434b55", GROUND: "#121417"}

# Okabe and Ito's hues, moved to one lightness that stands out from a white and from a near-black page
# (contrast of at least 3 to 1 with both); the first three also differ for the three common kinds of
# colour blindness and in grey.
PALETTE = ("#2477b3", "#d97a1e", "#1a9a7a", "#b65c9e", "#c8473c", "#8a7a28", "#6b7580", "#4aa3c7")

WIDTH = 7.2  # inches; the book's text column at 100 %
SMALLEST_TEXT = 8  # points

FALLBACK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans", "Arial Unicode MS", "Noto Sans Devanagari", "Noto Sans",
)  # fmt: skip
"""Fonts with letters that DejaVu Sans does not have, used where they are installed."""


def installed_fonts() -> list[str]:
    """Return those of `FALLBACK_FONTS` that this machine has."""
    here = {font.name for font in fontManager.ttflist}
    return [name for name in FALLBACK_FONTS if name in here]


def signs_without_font(text: str) -> str:
    """Return the characters of a text that figures on this machine can only show as boxes, each once."""
    files = (findfont(name) for name in ["DejaVu Sans", *installed_fonts()])
    known = set().union(*(get_font(file).get_charmap() for file in files))
    return "".join(dict.fromkeys(sign for sign in text if ord(sign) not in known and not sign.isspace()))


RC = {
    "figure.facecolor": "none",
    "figure.figsize": (WIDTH, 3.2),
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "none",
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.04,
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "font.size": 9,
    # the first ships with matplotlib, so every machine draws the same; the others only have what it lacks
    "font.family": ["DejaVu Sans", *installed_fonts()],
    "text.parse_math": False,  # a label may hold dollar signs
    "lines.linewidth": 1.6,
    "patch.edgecolor": "none",
    "image.cmap": "gray",
    "image.interpolation": "antialiased",
    "svg.fonttype": "path",
    "svg.hashsalt": "als-imaging-companion",  # ids that do not change from run to run
    "savefig.dpi": 200,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw within this block, or decorate a function, in the house style; settings are restored afterwards."""
    with mpl.rc_context(RC):
        yield


def to_svg(figure: Figure, name: str) -> str:
    """Write the figure as SVG text; photographs in it as JPEG, so that a gallery stays small.

    name: makes the ids in the file unique, so that two figures can be on one page.
    """
    with mpl.rc_context(RC | {"svg.hashsalt": name}):
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return _PNG.sub(_smaller_raster, stream.getvalue())


def to_png(figure: Figure) -> bytes:
    """Write the figure as PNG bytes at 200 dots an inch, on white: for slides and papers."""
    stream = io.BytesIO()
    with mpl.rc_context(RC):
        figure.savefig(stream, format="png", facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def to_dark(svg: str) -> str:
    """Exchange the ink colours of an SVG for those of a dark page."""
    return _INKS.sub(lambda found: DARK[found.group().lower()], svg)


_INKS = re.compile("|".join(DARK), re.IGNORECASE)
_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")
_PHOTOGRAPH_BYTES = 6_000  # smaller rasters (colour bars, masks) stay lossless


def _smaller_raster(found: re.Match[str]) -> str:
    """Turn an embedded PNG into JPEG where it is a photograph: opaque, large, and smaller as JPEG."""
    content = base64.b64decode(found.group(1))
    picture = Image.open(io.BytesIO(content))
    if picture.mode == "RGBA" and picture.getextrema()[3][0] == 255:
        picture = picture.convert("RGB")
    if len(content) < _PHOTOGRAPH_BYTES or picture.mode != "RGB":
        return found.group()
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=88, optimize=True)
    if stream.tell() >= len(content):
        return found.group()
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
