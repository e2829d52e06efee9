"The tools that make the tables in the package run, here on the sample in place of whole sets."
import csv
import gzip
import re
import runpy
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image, ImageOps

from brain_tumor_nb.data import MRIFolder, find_data

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = find_data("sample")


def rows(file):
    with open(file, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def write_rows(path, table):
    with open(path, "w", newline="", encoding="utf-8") as f:
        out = csv.DictWriter(f, list(table[0]), lineterminator="\n")
        out.writeheader()
        out.writerows(table)


def subjects_file(path):
    "Every slice of the sample as if it were a mirrored copy of itself, with its subject."
    folder = MRIFolder(SAMPLE)
    table = [dict(file=f"Testing/{i}.jpg", subject=row["subject"], cheng_file=file, mirrored=i % 2)
             for i,(file,row) in enumerate(folder.manifest.items())]
    write_rows(path, table)
    return table


def test_manifest(tool, tmp_path):
    "A row per slice with its group and fold; of files that are not at hand, what they show."
    out = tmp_path/"slices.csv"
    assert tool("manifest", "brain_tumor_dataset", SAMPLE, "--out", out) == 0
    made, folder = rows(out), MRIFolder(SAMPLE)
    assert [r["file"] for r in made] == folder.paths
    assert [r["sha256"] for r in made] == folder.digests
    assert {r["fold"] for r in made} == set("01234")
    subjects = subjects_file(tmp_path/"subjects.csv")
    assert tool("manifest", "brain_mri_4class_testing", SAMPLE, "--subjects",
                tmp_path/"subjects.csv", "--out", out) == 0
    shown = rows(out)
    assert [r["subject"] for r in shown] == [s["subject"] for s in subjects]
    plain = {r["file"]: r["phash"] for r in made}
    same = [plain[r["cheng_file"]] == r["phash"] for r in shown]
    assert all(same[::2]) and not any(same[1::2])               # every other one is mirrored


def test_descriptor(tool, tmp_path):
    "A mean and 64 patterns."
    assert tool("descriptor", SAMPLE, "--slices", 40, "--out", tmp_path/"d.npz") == 0
    with np.load(tmp_path/"d.npz") as table:
        assert table["mean"].shape == (256,) and table["patterns"].shape == (256, 64)
        assert np.isfinite(table["patterns"]).all()


def test_subjects(tool, capsys):
    "Each slice of a folder is found in itself; none of them is of the four-class set."
    assert tool("subjects", SAMPLE, SAMPLE) == 0
    assert "240 found, 0 in both" in capsys.readouterr().out


def part_of_sample(out, step):
    "Every few slices of the sample, with their rows of its manifest."
    kept = rows(SAMPLE/"manifest.csv")[::step]
    for row in kept:
        (out/row["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLE/row["file"], out/row["file"])
    write_rows(out/"manifest.csv", [{**row, "mask": ""} for row in kept])
    return kept


def test_duplicates(tool, tmp_path):
    "Planted copies find their slice, and no two subjects are joined at the level that is used."
    for name in ("cheng", "lgg"):
        part_of_sample(tmp_path/name, 8)
    four = tmp_path/"brain_mri_4class"
    kept = part_of_sample(four/"Training", 8)
    subjects = [dict(file=r["file"], subject=r["subject"], cheng_file=r["file"]) for r in kept]
    for row in subjects[:5]:                                # two files that show one slice
        copy = str(Path(row["file"]).with_stem("copy-" + Path(row["file"]).stem).as_posix())
        with Image.open(four/"Training"/row["file"]) as im:
            ImageOps.mirror(im).save(four/"Training"/copy)
        subjects.append({**row, "file": copy})
    write_rows(four/"subjects.csv", subjects)
    assert tool("duplicates", tmp_path, "--out", tmp_path/"table.csv") == 0
    found = {(r["set"], r["subjects"], r["what"]): r for r in rows(tmp_path/"table.csv")}
    mirrored = found["cheng", "that report", "mirrored"]
    assert int(mirrored["at_0.90"]) == int(mirrored["pairs"]) > 20
    assert found["cheng", "all", "two subjects joined"]["at_0.90"] == "0"
    assert found["brain_mri_4class", "all", "one slice of cheng"]["at_0.90"] == "5"


@pytest.mark.long
def test_study(tool, tmp_path):
    "Cell by cell; what is there is left alone; the pairs are those of the kept predictions."
    plan, out = tmp_path/"few.toml", tmp_path/"out"
    plan.write_text("[all]\nfolds = 3\nfreeze = true\n[cells]\nsmall = {size = 32}\n"
                    "hog = {probe = \"hog\"}\nnearest = {probe = \"nearest\"}\n")
    args = "study", plan, "sample", SAMPLE, "--out", out, "--work", tmp_path/"work"
    assert tool(*args, "--cell", "hog") == 0 and not (out/"few_pairs.csv").exists()
    first = rows(out/"few.csv")
    assert tool(*args) == 0
    made = rows(out/"few.csv")
    assert made[0] == first[0] and [r["model"] for r in made] == ["hog", "small", "nearest"]
    assert made[1]["parameters"] and not made[0]["parameters"]
    pairs = {(p["a"], p["b"]) for p in rows(out/"few_pairs.csv")}
    assert pairs == {("small", "hog"), ("small", "nearest"), ("hog", "nearest")}
    assert tool(*args, "--prices") == 0
    priced = rows(out/"few.csv")
    assert [r["model"] for r in priced] == [r["model"] for r in made]
    assert priced[1]["priced_on"] and priced[1]["milliseconds"] and not priced[0]["priced_on"]
    assert all(priced[1][k] == made[1][k] for k in ("auroc", "seconds", "parameters"))
    assert tool(*args, "--cell", "nose") == 2


def test_clinical(tool, tmp_path):
    "Facts about each slice, no pixel; the same bytes again."
    assert tool("clinical", "sample", SAMPLE, "--out", tmp_path) == 0
    first = (tmp_path/"clinical_sample.csv.gz").read_bytes()
    table = list(csv.DictReader(gzip.decompress(first).decode().splitlines()))
    assert [r["path"] for r in table] == MRIFolder(SAMPLE).paths
    assert all(float(r["contrast"]) >= 0 and 0 < float(r["noise"]) < 1 for r in table)
    assert tool("clinical", "sample", SAMPLE, "--out", tmp_path) == 0
    assert (tmp_path/"clinical_sample.csv.gz").read_bytes() == first


def test_figures(tool, tmp_path):
    "Every stored figure of the notebooks is on the page."
    out = tmp_path/"figures.html"
    assert tool("figures", out) == 0
    stored = sum(text.count('"image/png":') for text in
                 (p.read_text(encoding="utf-8") for p in (ROOT/"nbs").rglob("*.ipynb")))
    page = out.read_text(encoding="utf-8")
    assert page.count("<img ") == stored
    page = re.sub("base64,[A-Za-z0-9+/=]+", "", page)
    assert "nbs/" not in page and "<h2>01_data.ipynb</h2>" in page


def test_fold():
    "Hidden cells are folded, others unfolded."
    cells = [nbformat.v4.new_code_cell(source) for source in ("#| hide\nx = 1", "#| hide_input\nx")]
    cells[1].metadata["jupyter"] = {"source_hidden": True}
    nb = nbformat.v4.new_notebook(cells=cells)
    runpy.run_path(str(ROOT/"tools/fold.py"))["fold"](nb)
    assert [cell.metadata.get("jupyter") for cell in nb.cells] == [{"source_hidden": True}, None]


def test_report_picture(tool, tmp_path):
    "The upper part of a page as a picture; a missing page is named in one line."
    page,out = tmp_path/"report.html",tmp_path/"report.png"
    assert str(page) in tool("report_picture", page, "--out", out)
    if not any(map(shutil.which, ["google-chrome", "chromium", "chromium-browser"])):
        pytest.skip("no browser")
    page.write_text("<body style='background: rgb(200, 0, 0)'>", encoding="utf-8")
    assert tool("report_picture", page, "--out", out) == 0
    with Image.open(out) as im:
        assert im.size == (880, 1390) and im.convert("RGB").getpixel((5, 5)) == (200, 0, 0)
