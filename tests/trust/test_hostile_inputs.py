"""Hostile and broken inputs: each is refused with its name and a remedy, or read rightly; none is run, none writes.

One table (`CASES`) over everything a reader can bring: manifests, images, crops, volumes, checkpoints, feature
tables, ADNI exports, `cohort.yml`. Nothing in this project reads an archive, so none is unpacked.
"""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import Preprocessing, read_volume
from als_core.models.stages import StagedNetwork
from als_core.models.weights import load_weights
from als_core.refusal import RefusedInput
from als_core.studies.brains.adni import read_adni_table
from als_core.studies.miao2023.cohort import prepare_own_crops
from als_core.studies.turrisi2024.feature_table import load_feature_table

READ = None
"""In place of the words of a refusal: this input is right, and is read."""


class Case(NamedTuple):
    """One input: what it is, which sound input it starts from, how that is spoilt, and words of the refusal."""

    name: str
    kind: str
    spoil: Callable[[Path], Any]
    told: str | None


# ------------------------------------------------------------------------------- sound inputs, and how each is opened


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def _manifest(folder: Path, names: list[str], first: str = "ALS") -> Path:
    labels = [first] * (len(names) // 2) + ["control"] * (len(names) - len(names) // 2)
    groups = [f"donor {number % (len(names) // 2)} {label}" for number, label in enumerate(labels)]
    pd.DataFrame({"path": names, "label": labels, "group": groups}).to_csv(
        folder / "manifest.csv", index=False
    )
    return folder


def _images(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    names = [f"images/{number}.png" for number in range(8)]
    for number, name in enumerate(names):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)).save(
            folder / name
        )
    return _manifest(folder, names)


def _volumes(folder: Path) -> Path:
    folder.mkdir()
    names = [f"{number}.nii.gz" for number in range(8)]
    for number, name in enumerate(names):
        voxels = np.random.default_rng(number).normal(size=(16, 16, 16)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 2, 2, 1])), folder / name)
    return _manifest(folder, names)


def _features(folder: Path) -> Path:
    folder.mkdir()
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
    table.insert(0, "subject", [f"S{number}" for number in range(60)])
    table.insert(1, "label", ["ALS", "mimicking"] * 30)
    table.insert(2, "age", 60)
    table.insert(3, "sex", ["F", "M", "M"] * 20)
    table.to_csv(folder / "features.csv", index=False)
    return folder


def _adni(folder: Path) -> Path:
    folder.mkdir()
    rows = ["PTID,Exam Date,Image ID,Visit,Month,Diagnosis", "011_S_0003,2005-09-12,32237,Screening,0,AD",
            "011_S_0005,2005-09-07,32246,Screening,0,NC"]  # fmt: skip
    (folder / "adni.csv").write_text("\n".join(rows) + "\n")
    return folder


def _network() -> StagedNetwork:
    torch.manual_seed(0)
    stages = OrderedDict(body=nn.Linear(3, 2), head=nn.Linear(2, 2))
    return StagedNetwork(stages, side=32, smallest_side=None)


def _checkpoint(folder: Path) -> Path:
    folder.mkdir()
    torch.save(_network().state_dict(), folder / "weights.pt")
    return folder


def _load_checkpoint(folder: Path) -> None:
    network = _network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    (file,) = sorted(folder.glob("weights.*"))
    try:
        load_weights(network, str(file))
    except RefusedInput:
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        raise


OPENED = {
    "images": (_images, Cohort.load),
    "crops": (_images, lambda folder: prepare_own_crops(folder, folder.parent / "results")),
    "volumes": (_volumes, lambda folder: VolumeCohort.load(folder, Preprocessing(4, "already"))),
    "features": (_features, lambda folder: load_feature_table(folder / "features.csv")),
    "adni": (_adni, lambda folder: read_adni_table(folder / "adni.csv")),
    "checkpoint": (_checkpoint, _load_checkpoint),
}

# ------------------------------------------------------------------------------------------------ ways to spoil them


def cell(column: str, value: str, row: int = 0, file: str = "manifest.csv") -> Callable[[Path], None]:
    """One cell of a table is this."""

    def spoil(folder: Path) -> None:
        table = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
        if column not in table:
            table[column] = ""
        table.loc[row, column] = value
        table.to_csv(folder / file, index=False)

    return spoil


def content(change: Callable[[bytes], bytes], file: str = "manifest.csv") -> Callable[[Path], None]:
    """The bytes of a file are changed so."""
    return lambda folder: (folder / file).write_bytes(change((folder / file).read_bytes()))


def swap(old: str, new: str, file: str = "manifest.csv") -> Callable[[Path], None]:
    return content(lambda b: b.replace(old.encode(), new.encode()), file)


def instead(make: Callable[[Path], Any], file: str = "images/0.png") -> Callable[[Path], None]:
    """A file is replaced by what `make` puts at its path."""

    def spoil(folder: Path) -> None:
        (folder / file).unlink()
        make(folder / file)

    return spoil


def named(name: str, make: Callable[[Path], Any]) -> Callable[[Path], None]:
    """The first sample is this file, made by `make`."""

    def spoil(folder: Path) -> None:
        make(folder / name)
        cell("path", name)(folder)

    return spoil


def picture(mode: str, **options: Any) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(_random(32, 32, 3)).convert(mode).save(path, **options)


def frames(kind: str) -> Callable[[Path], None]:
    first, second = (Image.fromarray(_random(32, 32, 3 * n)[:, :, :3].copy()) for n in (1, 2))
    return lambda path: first.save(path, format=kind, save_all=True, append_images=[second])


def png(
    width: int, height: int, depth: int = 8, colour: int = 2, data: bytes | None = None, extra: bytes = b""
) -> bytes:
    """A PNG by hand, so that its header may say what it likes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = b"\0" + b"\x7f" * (width * 3 * depth // 8) if data is None else b""
    body = zlib.compress(row * height) if data is None else data
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    body = b"Comment\0\0" + zlib.compress(b"\0" * 80_000_000)
    return struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))


def written(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data)


def grey(dtype: str, kind: str = "TIFF") -> Callable[[Path], None]:
    return lambda path: Image.fromarray(_random(32, 32).astype(dtype)).save(path, format=kind)


def tiff_that_loops(path: Path) -> None:
    """A TIFF whose directory names itself as the next one."""
    stream = io.BytesIO()
    Image.fromarray(_random(32, 32, 3)).save(stream, format="TIFF")
    data = bytearray(stream.getvalue())
    start = struct.unpack("<I", data[4:8])[0]
    entries = struct.unpack("<H", data[start : start + 2])[0]
    data[start + 2 + 12 * entries : start + 6 + 12 * entries] = struct.pack("<I", start)
    path.write_bytes(bytes(data))


def linked(target: Callable[[Path], Path | str]) -> Callable[[Path], None]:
    return instead(lambda path: path.symlink_to(target(path)))


def outside(path: Path) -> Path:
    """A sound image beside the folder."""
    place = path.parents[2] / "outside.png"
    Image.fromarray(_random(32, 32, 3)).save(place)
    return place


def header(**fields: Any) -> Callable[[Path], None]:
    """Fields of the first volume's header, as no library would write them."""

    def spoil(folder: Path) -> None:
        path = folder / "0.nii.gz"
        data = bytearray(gzip.decompress(path.read_bytes()))
        view = np.frombuffer(data, dtype=nibabel.nifti1.header_dtype, count=1)
        for name, value in fields.items():
            view[name][0] = value
        path.write_bytes(gzip.compress(bytes(data)))

    return spoil


def volume(voxels: np.ndarray, affine: np.ndarray | None = None, **options: Any) -> Callable[[Path], None]:
    affine = np.diag([2.0, 2, 2, 1]) if affine is None else affine
    return instead(
        lambda path: nibabel.save(nibabel.Nifti1Image(voxels, affine, **options), path), "0.nii.gz"
    )


def affine(row: int, column: int, value: float) -> np.ndarray:
    matrix = np.diag([2.0, 2, 2, 1])
    matrix[row, column] = value
    return matrix


NOISE = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
PROOF = "pickle-was-run"


class Payload:
    """What a hostile checkpoint holds: unpickled, it would leave a file behind."""

    def __reduce__(self):
        return (exec, (f"open({PROOF!r}, 'w').close()",))


def saved(what: Callable[[], Any], **options: Any) -> Callable[[Path], None]:
    return lambda folder: torch.save(what(), folder / "weights.pt", **options)


def state(**changes: Any) -> dict[str, Any]:
    """A state that fits but for these; None leaves a key out."""
    whole = {**_network().state_dict(), **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: value for name, value in whole.items() if value is not None}


def safetensors(data: bytes | None = None, **changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / "weights.pt").unlink()
        if data is None:
            save_file(state(**changes), folder / "weights.safetensors")
        else:
            (folder / "weights.safetensors").write_bytes(data)

    return spoil


def archive_with_traversal(folder: Path) -> None:
    with zipfile.ZipFile(folder / "weights.pt", "w") as archive:
        archive.writestr("../../../escaped.txt", "out")
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}))


def folder_in_place_of(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


PATHS = {
    "upwards": ("../outside.png", "leaves the folder"),
    "upwards in the middle": ("images/../../outside.png", "leaves the folder"),
    "absolute": ("/etc/hostname", "leaves the folder"),
    "home": ("~/secret.png", "no such file"),
    "backslashes": ("images\\0.png", "Write / in place of"),
    "address": ("https://example.org/0.png", "no such file"),
    "file address": ("file:///etc/passwd", "no such file"),
    "a folder": ("images", "no such file"),
    "the folder itself": (".", "no such file"),
    "longer than a name may be": ("a" * 5000, "no such file"),
    "newline": ("images/0\n.png", "images/0\\n.png"),
    "escape sequence": ("images/\x1b[2J.png", "x1b"),
    "the same file by a detour": ("images/../images/1.png", "again"),
    "the same file with a dot": ("./images/1.png", "again"),
    "formula": ("=cmd|' /C calc'!A0", "=cmd"),
    "invisible direction mark": ("images/\u202egnp.exe", "u202e"),
    "wildcard": ("images/*.png", "no such file"),
}
CELLS = {
    "empty label": ("label", "", "empty cell"),
    "label of spaces": ("label", "   ", "empty cell"),
    "label with a space before it": ("label", " ALS", "' ALS'"),
    "label =": ("label", '=HYPERLINK("http://x")', "HYPERLINK"),
    "label +": ("label", "+1+1", "+1+1"),
    "label -": ("label", "-1", "'-1'"),
    "label @": ("label", "@SUM(A1)", "@SUM"),
    "label with a tab before it": ("label", "\t=1", "=1"),
    "label with a newline": ("label", "ALS\ncontrol", "ALS\\ncontrol"),
    "label with a line separator": ("label", "ALS\u2028x", "u2028"),
    "label with a zero-width space": ("label", "AL\u200bS", "u200b"),
    "label in decomposed letters": ("label", "Contro\u0301l", "composed"),
    "label in other case": ("label", "als", "differ only in case"),
    "group formula": ("group", "=1", "=1"),
    "empty group": ("group", "", "empty cell"),
    "wrong digest": ("sha256", "0" * 64, "where the manifest says 000000000000"),
}
BYTES = {
    "empty manifest": (lambda b: b"", "manifest.csv"),
    "a mark of byte order alone": (lambda b: b"\xef\xbb\xbf", "manifest.csv"),
    "UTF-16": (lambda b: b.decode().encode("utf-16"), "manifest.csv"),
    "Latin-1": (lambda b: b.replace(b"ALS", b"SL\xc4"), "manifest.csv"),
    "NUL bytes": (lambda b: b.replace(b"ALS", b"A\0S"), "manifest.csv"),
    "a picture": (lambda b: png(32, 32), "manifest.csv"),
    "open quotation": (lambda b: b.replace(b"images/2", b'"images/2'), "manifest.csv"),
    "a cell too many in one line": (lambda b: b.replace(b"ALS,", b"ALS,x,", 1), "manifest.csv"),
    "a cell too many in every line": (lambda b: re.sub(rb"(ALS|control),", rb"\1,x,", b), "manifest.csv"),
    "a cell too few in one line": (lambda b: re.sub(rb",ALS,[^\n]*", b"", b, count=1), "manifest.csv"),
    "a column twice": (lambda b: b.replace(b"path,label,group", b"path,label,label"), "label"),
    "semicolons": (lambda b: b.replace(b",", b";"), READ),
    "no label column": (lambda b: b.replace(b"label", b"labels"), "label"),
    "only a header": (lambda b: b.split(b"\n")[0] + b"\n", "no rows"),
    "one label": (lambda b: b.replace(b",control,", b",ALS,"), "two or more"),
}
PICTURES = {
    "no byte": (written(b""), "an empty file"),
    "text": (written(b"not a picture"), "no image"),
    "PNG with a wrong checksum": (written(png(32, 32)[:29] + b"\0\0\0\0" + png(32, 32)[33:]), "0.png"),
    "greyscale": (picture("L"), "greyscale"),
    "palette": (picture("P"), "palette"),
    "opaque alpha": (picture("RGBA"), READ),
    "transparent alpha": (lambda path: Image.fromarray(_random(32, 32, 4)).save(path), "alpha"),
    "grey with alpha": (picture("LA"), "mode LA"),
    "black and white": (picture("1"), "black and white"),
    "CMYK": (picture("CMYK", format="JPEG"), "print colours"),
    "Lab": (picture("LAB", format="TIFF"), "mode LAB"),
    "16-bit grey": (grey("uint16"), "16-bit"),
    "16-bit colour": (written(png(32, 32, depth=16)), "16 bit"),
    "floating point": (grey("float32"), "mode F"),
    "32-bit": (grey("int32"), "mode I"),
    "animated GIF": (frames("GIF"), "2 frames"),
    "animated PNG": (frames("PNG"), "2 frames"),
    "animated WebP": (frames("WEBP"), "2 frames"),
    "pages of a TIFF": (frames("TIFF"), "2 frames"),
    "TIFF whose pages never end": (tiff_that_loops, READ),
    "PNG of no width": (written(png(0, 32, data=b"")), "0.png"),
    "decompression bomb": (written(png(20_000, 20_000, data=zlib.compress(b"\0" * 9_000_000))), "0.png"),
    "header of two thousand million pixels a side": (written(png(2**31 - 1, 2**31 - 1, data=b"")), "0.png"),
    "long and thin": (written(png(30_000, 16, data=b"")), "30000 x 16"),
    "text chunk that is a bomb": (written(png(32, 32, extra=text_bomb())), "0.png"),
    "PostScript": (
        written(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n(x) run\n"),
        "no image",
    ),
    "SVG": (written(b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'), "no image"),
    "other size": (written(png(40, 32)), "40 x 32"),
    "JPEG called PNG": (picture("RGB", format="JPEG"), READ),
    "BMP called PNG": (picture("RGB", format="BMP"), READ),
}
PLACES = {
    "image: cut PNG": (content(lambda b: b[:-200], "images/0.png"), "damaged"),
    "link out of the folder": (linked(outside), "leaves the folder"),
    "link to itself": (linked(lambda path: path.name), "0.png"),
    "link to nothing": (linked(lambda path: "none.png"), "no such file"),
}
RIGHT = {
    "label NA": ("label", "NA"),
    "label of another script": ("label", "肌萎缩侧索硬化"),
    "label with quotation and comma": ("label", 'a "b", c'),
    "label that is HTML": ("label", "<script>alert(1)</script>"),
}
VOLUMES = {
    "no byte": (instead(written(b""), "0.nii.gz"), "damaged"),
    "text": (instead(written(b"not a volume" * 100), "0.nii.gz"), "damaged"),
    "cut in two": (content(lambda b: b[: len(b) // 2], "0.nii.gz"), "damaged"),
    "not compressed": (content(gzip.decompress, "0.nii.gz"), "damaged"),
    "voxels cut off": (content(lambda b: gzip.compress(gzip.decompress(b)[:2000]), "0.nii.gz"), "damaged"),
    "header alone": (content(lambda b: gzip.compress(gzip.decompress(b)[:348]), "0.nii.gz"), "damaged"),
    "wrong magic": (header(magic=b"xyz"), "0.nii.gz"),
    "4-D": (volume(np.stack([NOISE, NOISE], -1)), "4-D"),
    "a slice": (volume(NOISE[:, :, :1]), "16 x 16 x 1"),
    "constant": (volume(np.ones((16, 16, 16))), "the same value"),
    "NaN": (volume(np.where(NOISE > 2, np.nan, NOISE)), "not finite"),
    "infinite": (volume(np.where(NOISE > 2, np.inf, NOISE)), "not finite"),
    "complex": (volume(NOISE.astype(np.complex64)), "complex"),
    "colours": (volume(np.zeros((16, 16, 16), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])), "0.nii.gz"),
    "sheared": (volume(NOISE, affine(0, 1, 1.0)), "sheared"),
    "singular": (header(srow_y=[0, 0, 0, 0]), "singular"),
    "affine of NaN": (header(srow_x=[np.nan, 0, 0, 0]), "singular"),
    "in metres": (volume(NOISE, np.diag([0.002, 0.002, 0.002, 1])), "mm"),
    "more dimensions than there are": (header(dim=[9, 16, 16, 16, 1, 1, 1, 1]), "0.nii.gz"),
    "negative side": (header(dim=[3, -16, 16, 16, 1, 1, 1, 1]), "0.nii.gz"),
    "a header that promises 35 million million voxels": (
        header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]),
        "voxels",
    ),
    "unknown data type": (header(datatype=4096), "0.nii.gz"),
    "voxels that begin behind the end": (header(vox_offset=1e9), "damaged"),
    "voxels that begin before the file": (header(vox_offset=-400), "0.nii.gz"),
    "voxels that begin nowhere": (header(vox_offset=np.nan), "0.nii.gz"),
    "scaled to infinity": (header(scl_slope=3e38, scl_inter=3e38), "not finite"),
    "ANALYZE": (named("scan.img", written(b"x" * 400)), "another file type"),
    "DICOM": (named("scan.dcm", written(b"x" * 400)), "dcm2niix"),
    "upwards": (cell("path", "../0.nii.gz"), "leaves the folder"),
    "link to itself": (
        linked(lambda path: path.name) and instead(lambda p: p.symlink_to(p.name), "0.nii.gz"),
        "0.nii.gz",
    ),
    "mask upwards": (cell("mask", "../0.nii.gz"), "leaves the folder"),
    "mask absolute": (cell("mask", "/etc/hostname"), "leaves the folder"),
    "age of a text": (cell("age", "=60"), "'=60'"),
    "age not a number": (cell("age", "nan"), "'nan'"),
    "a field of 300 tesla": (cell("field_strength", "300"), "tesla"),
    "a visit in letters of another script": (cell("visit", "²"), "'²'"),
}
CHECKPOINTS = {
    "pickle that runs": (saved(Payload), "as tensors"),
    "pickle that runs, among weights": (saved(lambda: state(head__bias=Payload())), "as tensors"),
    "pickle that runs, in the old format": (
        saved(Payload, _use_new_zipfile_serialization=False),
        "as tensors",
    ),
    "pickle alone": (content(lambda b: pickle.dumps(Payload()), "weights.pt"), "as tensors"),
    "archive with traversal": (archive_with_traversal, "as tensors"),
    "no byte": (content(lambda b: b"", "weights.pt"), "as tensors"),
    "cut in two": (content(lambda b: b[: len(b) // 2], "weights.pt"), "as tensors"),
    "text": (content(lambda b: b"weights", "weights.pt"), "as tensors"),
    "a key missing": (saved(lambda: state(stages__head__bias=None)), "stages.head.bias"),
    "a key too many": (saved(lambda: state(stages__extra=torch.zeros(1))), "stages.extra"),
    "another shape": (saved(lambda: state(stages__head__bias=torch.zeros(7))), "shape (7,)"),
    "keys that are numbers": (saved(lambda: {1: torch.zeros(2)}), "named tensors"),
    "a dictionary around it": (saved(lambda: {"state_dict": state(), "epoch": 3}), "a dictionary around it"),
    "a list": (saved(lambda: [torch.zeros(2)]), "a dictionary around it"),
    "weights that are no numbers": (
        saved(lambda: state(stages__head__bias=torch.full((2,), torch.nan))),
        "stages.head.bias",
    ),
    "complex weights": (
        saved(lambda: state(stages__head__bias=torch.zeros(2, dtype=torch.complex64))),
        "complex",
    ),
    "sparse weights": (
        saved(lambda: state(stages__head__bias=torch.zeros(2).to_sparse())),
        "stages.head.bias",
    ),
    "safetensors of text": (safetensors(b"not that"), "as tensors"),
    "safetensors with an endless header": (safetensors(b"\xff" * 8 + b"{}"), "as tensors"),
    "safetensors that overlap": (
        safetensors(
            struct.pack("<Q", 100)
            + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99999999]}}'.ljust(100)
        ),
        "as tensors",
    ),
    "safetensors with another shape": (safetensors(stages__head__bias=torch.zeros(7)), "shape (7,)"),
    "a folder": (folder_in_place_of("weights.pt"), "no such file"),
    "sound": (lambda folder: None, READ),
    "sound safetensors": (safetensors(), READ),
}
FEATURES = {
    "empty": (content(lambda b: b"", "features.csv"), "features.csv"),
    "a picture": (content(lambda b: png(32, 32), "features.csv"), "features.csv"),
    "UTF-16": (content(lambda b: b.decode().encode("utf-16"), "features.csv"), "features.csv"),
    "missing": (lambda folder: (folder / "features.csv").unlink(), "features.csv"),
    "a folder": (folder_in_place_of("features.csv"), "features.csv"),
    "a cell too many in every line": (swap(",60,", ",60,x,", "features.csv"), "features.csv"),
    "open quotation": (swap("S30,", '"S30,', "features.csv"), "features.csv"),
    "a subject twice": (cell("subject", "S1", file="features.csv"), "S1 again"),
    "no subject": (cell("subject", "", file="features.csv"), "subject"),
    "subject formula": (cell("subject", "=1", file="features.csv"), "=1"),
    "a third label": (cell("label", "=ALS", file="features.csv"), "=ALS"),
    "text among features": (cell("a", "n/a", file="features.csv"), "column a"),
    "infinite": (cell("a", "inf", file="features.csv"), "column a"),
    "age of 600": (cell("age", "600", file="features.csv"), "600"),
    "a third sex": (cell("sex", "?", file="features.csv"), "F or M"),
    "a column twice": (content(lambda b: b.replace(b"a,b,c", b"a,b,a"), "features.csv"), "a"),
    "no features": (lambda f: pd.read_csv(f / "features.csv")[["subject", "label"]].to_csv(f / "features.csv", index=False), "no feature column"),
}  # fmt: skip
ADNI = {
    "empty": (content(lambda b: b"", "adni.csv"), "adni.csv"),
    "a picture": (content(lambda b: png(32, 32), "adni.csv"), "adni.csv"),
    "NUL bytes": (swap("AD", "A\0D", "adni.csv"), "adni.csv"),
    "one column": (content(lambda b: b"PTID\n011_S_0003\n", "adni.csv"), "adni.csv"),
    "a patient upwards": (cell("PTID", "../../011_S_0003", file="adni.csv"), "PTID"),
    "a patient of two lines": (cell("PTID", "011_S_0003\n", file="adni.csv"), READ),
    "an image number without end": (cell("Image ID", "9" * 400, file="adni.csv"), "Image ID"),
    "an image number in other digits": (cell("Image ID", "٣٢", file="adni.csv"), "Image ID"),
    "a month without end": (cell("Month", "1e999", file="adni.csv"), "Month"),
    "a date that is none": (cell("Exam Date", "2005-02-30", file="adni.csv"), "Exam Date"),
    "a diagnosis that is a formula": (cell("Diagnosis", "=AD", file="adni.csv"), "Diagnosis"),
    "missing": (lambda folder: (folder / "adni.csv").unlink(), "adni.csv"),
}
CROPS = {
    "no byte": (instead(written(b"")), "0.png"),
    "text": (instead(written(b"not a picture")), "0.png"),
    "cut in two": (content(lambda b: b[: len(b) // 2], "images/0.png"), "0.png"),
    "decompression bomb": (instead(written(png(60_000, 60_000, data=zlib.compress(b"\0" * 100)))), "0.png"),
    "constant": (instead(written(png(32, 32))), "every pixel"),
    "floating point": (named("0.tif", grey("float32")), "16-bit TIFF"),
    "pages that differ": (named("0.tif", frames("TIFF")), "channels that differ"),
    "half transparent": (
        instead(lambda p: Image.fromarray(_random(32, 32, 4)).save(p)),
        "channels that differ",
    ),
    "upwards": (cell("path", "../outside.png"), "leaves the folder"),
    "link out of the folder": (linked(outside), "leaves the folder"),
    "link to itself": (linked(lambda path: path.name), "0.png"),
    "empty manifest": (content(lambda b: b""), "manifest.csv"),
    "a label too many": (cell("label", "other"), "one other label"),
    "a name longer than a name may be": (cell("path", "a" * 5000), "no such file"),
}
ABOUTS = {
    "unknown key": (b"titel: x\n", "titel"),
    "no mapping": (b"- a\n- b\n", "cohort.yml"),
    "not YAML": (b"title: [", "cohort.yml"),
    "an object that would run": (b"title: !!python/object/apply:os.system ['touch pickle-was-run']\n", "cohort.yml"),
    "aliases that multiply": (
        b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\ntitle: [*c,*c,*c,*c]\n", "title"),
    "not UTF-8": (b"title: \xff\xfe\n", "cohort.yml"),
}  # fmt: skip


def _grey_crops(spoil: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Crops are sound when grey; the folder of images holds colours."""

    def prepared(folder: Path) -> None:
        for path in (folder / "images").glob("*.png"):
            Image.open(path).convert("L").save(path)
        spoil(folder)

    return prepared


CASES = [
    *(Case(f"path: {name}", "images", cell("path", value), told) for name, (value, told) in PATHS.items()),
    *(Case(name, "images", cell(column, value), told) for name, (column, value, told) in CELLS.items()),
    *(Case(f"manifest: {name}", "images", content(change), told) for name, (change, told) in BYTES.items()),
    *(Case(f"image: {name}", "images", instead(make), told) for name, (make, told) in PICTURES.items()),
    *(Case(name, "images", make, told) for name, (make, told) in PLACES.items()),
    *(
        Case(name, "images", lambda f, c=c, v=v: [cell(c, v, row)(f) for row in range(4)], READ)
        for name, (c, v) in RIGHT.items()
    ),
    *(
        Case(f"cohort.yml: {name}", "images", lambda f, b=b: (f / "cohort.yml").write_bytes(b), told)
        for name, (b, told) in ABOUTS.items()
    ),
    *(Case(f"crop: {name}", "crops", _grey_crops(spoil), told) for name, (spoil, told) in CROPS.items()),
    *(Case(f"volume: {name}", "volumes", spoil, told) for name, (spoil, told) in VOLUMES.items()),
    *(Case(f"checkpoint: {name}", "checkpoint", spoil, told) for name, (spoil, told) in CHECKPOINTS.items()),
    *(Case(f"features: {name}", "features", spoil, told) for name, (spoil, told) in FEATURES.items()),
    *(Case(f"ADNI table: {name}", "adni", spoil, told) for name, (spoil, told) in ADNI.items()),
]


def _tree(root: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(root).as_posix(): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
    }


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_bad_input_is_refused_with_its_name_or_read_rightly(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build, open_ = OPENED[case.kind]
    folder = build(tmp_path / "given")
    case.spoil(folder)
    before = _tree(tmp_path)
    if case.told is READ:
        open_(folder)
    else:
        with pytest.raises(RefusedInput) as caught:
            open_(folder)
        problems = caught.value.problems
        assert any(case.told in str(problem) for problem in problems), str(caught.value)
        assert all(problem.where and problem.remedy and "\n" not in str(problem) for problem in problems)
        assert _tree(tmp_path) == before
    assert not list(tmp_path.rglob(PROOF)) and not list(tmp_path.rglob("escaped.txt"))


@pytest.mark.parametrize("kind", OPENED)
def test_what_they_start_from_is_sound(kind, tmp_path):
    """Else a refusal would show nothing."""
    build, open_ = OPENED[kind]
    folder = build(tmp_path / "given")
    if kind == "crops":
        _grey_crops(lambda _: None)(folder)
    open_(folder)


def test_the_payload_would_have_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Payload()))
    assert (tmp_path / PROOF).exists()


def test_a_volume_alone_says_the_same(tmp_path):
    (tmp_path / "scan.nii").mkdir()
    with pytest.raises(RefusedInput, match="no such file"):
        read_volume(tmp_path / "scan.nii")
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(RefusedInput, match="no such file"):
        read_volume(tmp_path / "pipe.nii")
