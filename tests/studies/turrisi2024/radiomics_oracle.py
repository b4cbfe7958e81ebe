"""The fixed volumes on which PyRadiomics 3.0.1 was run, and how: `python tests/studies/turrisi2024/radiomics_oracle.py`.

It needs Python 3.11 and `pip install --no-build-isolation pyradiomics==3.0.1` in an environment of its own that
has NumPy, setuptools and a C compiler; it rewrites radiomics_oracle.csv beside it.
"""

import csv
from pathlib import Path

import numpy as np

SPACING = (2.0, 1.5, 1.0)
TABLE = Path(__file__).with_suffix(".csv")


def oracle_volume(mask_kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A textured volume (20, 24, 22) with one far outlier, and an ellipsoid mask, whole or with 7 % holes."""
    noise = np.random.default_rng(7).standard_normal((2, 20, 24, 22))
    z, y, x = np.indices((20, 24, 22))
    volume = 200 + 60 * np.sin(z / 3) * np.cos(y / 4 + x / 5) + 15 * noise[0]
    volume[10, 12, 11] = 420  # leaves grey levels empty below it
    mask = ((z - 9.5) / 8) ** 2 + ((y - 11.5) / 10) ** 2 + ((x - 10.5) / 8.4) ** 2 < 1
    if mask_kind == "ragged":
        mask &= noise[1] < 1.5
    return volume.round(3), mask


def main() -> None:
    import SimpleITK as sitk
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    runs = {
        "smooth": ("smooth", {}),
        "normalised": ("smooth", {"normalize": True, "normalizeScale": 100}),
        "ragged": ("ragged", {}),
    }
    columns = {}
    for name, (mask_kind, settings) in runs.items():
        images = [sitk.GetImageFromArray(array.astype(float)) for array in oracle_volume(mask_kind)]
        for image in images:
            image.SetSpacing(SPACING[::-1])
        images[1] = sitk.Cast(images[1], sitk.sitkUInt8)
        found = RadiomicsFeatureExtractor(binWidth=25, **settings).execute(*images)
        columns[name] = {key[9:]: float(value) for key, value in found.items() if key.startswith("original_")}
    with TABLE.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["feature", *columns])
        for feature in columns["smooth"]:
            writer.writerow([feature, *(repr(values[feature]) for values in columns.values())])


if __name__ == "__main__":
    main()
