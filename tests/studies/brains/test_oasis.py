"""OASIS-1 by its real download path, against a stand-in of its server on the loopback."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nibabel
import numpy as np
import pytest

from als_core.cohorts.volumes import mni_map
from als_core.refusal import RefusedInput
from als_core.studies.brains.oasis import oasis_cohort

SUBJECTS = (1, 2, 3, 4, 5, 6, 7, 9, 10, 11)  # the first of the release; 8 was never released
HEADER = "ID,M/F,Hand,Age,Educ,SES,MMSE,CDR,eTIV,nWBV,ASF,Delay"
RATINGS = ("0", "0.5", "", "0", "1", "", "0", "0.5", "0", "1")  # empty: not rated


@pytest.fixture
def server(tmp_path: Path, monkeypatch) -> Iterator[tuple[str, list[str]]]:
    """The release as nilearn expects it under one address, and the list of what was asked for."""
    files, asked = tmp_path / "server", []
    files.mkdir()
    with tarfile.open(files / "archive_dartel.tgz", "w:gz") as archive:
        for place, subject in enumerate(SUBJECTS):
            for tissue, name in ((1, "grey"), (2, "white")):
                image = mni_map(name, 4)
                voxels = np.asarray(image.dataobj) * np.float32(1 + place / 100)
                content = gzip.compress(nibabel.Nifti1Image(voxels, image.affine).to_bytes(), 1)
                entry = tarfile.TarInfo(
                    f"OAS1_{subject:04d}_MR1/mwrc{tissue}OAS1_{subject:04d}_MR1_mpr_anon_fslswapdim_bet.nii.gz"
                )
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    rows = [
        f"OAS1_{subject:04d}_MR1,{'MF'[place % 2]},R,{60 + place},2,3,29,{rating},1344,0.743,1.306,N/A"
        for place, (subject, rating) in enumerate(zip(SUBJECTS, RATINGS, strict=True))
    ]
    (files / "oasis_cross-sectional.csv").write_text(
        "\n".join([HEADER, *rows, "OAS1_0400_MR1,F,R,30" + "," * 8])
    )
    (files / "data_usage_agreement.txt").write_text("the agreement")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    monkeypatch.setenv("ALS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ALS_DATA", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=files)) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def test_oasis_is_downloaded_once_and_becomes_a_cohort(server, tmp_path):
    url, asked = server
    cohort = oasis_cohort(4, len(SUBJECTS), url=url, cache=tmp_path / "volumes")
    assert any("archive_dartel.tgz" in path for path in asked)
    assert (cohort.name, cohort.kind, cohort.classes) == ("oasis1", "published", ("AD", "CN"))
    assert cohort.samples["label"].tolist() == ["CN", "AD"] * 4
    assert cohort.samples["diagnosis"].tolist() == [f"CDR {rating}" for rating in RATINGS if rating]
    assert cohort.samples["group"].iloc[-1] == "OAS1_0011" and cohort.samples["age"].iloc[-1] == 69
    assert cohort.samples["sex"].tolist() == ["M", "F", "F", "M", "M", "F", "M", "F"]
    assert "2 of 10 sessions have no clinical dementia rating" in cohort.notices[-1]
    assert cohort.volume(3).shape == mni_map("t1", 4).shape
    assert "agreement" in cohort.about["licence"]
    before = len(asked)
    assert oasis_cohort(4, len(SUBJECTS), url=url, cache=tmp_path / "volumes").digest == cohort.digest
    assert len(asked) == before  # nothing is asked for twice


def test_a_download_that_fails_is_refused_with_a_way_on(tmp_path, monkeypatch):
    monkeypatch.setenv("ALS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(RefusedInput, match="Go online and try again"):
        oasis_cohort(4, 2, url="http://127.0.0.1:9")  # nothing listens there
