"Faults, other sources and unfamiliar pictures: the command, and the tools that make the tables."
import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor_nb.data import MRIFolder, find_data
from brain_tumor_nb.phantom import phantom_folder
from brain_tumor_nb.runs import train_run
from brain_tumor_nb.training import Config
from inside import btnb, refusal

TYPES = ("glioma", "meningioma", "pituitary")


def read(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def some_of_sample(out, paths, columns=("file", "subject", "plane", "mask")):
    "A folder with slices of the sample, their masks and their manifest."
    folder = MRIFolder(find_data("sample"))
    for path in [f for p in paths for f in (p, folder.manifest[p]["mask"])]:
        (out/path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(folder.root)/path, out/path)
    with open(out/"manifest.csv", "w", newline="", encoding="utf-8") as f:
        table = csv.DictWriter(f, columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows({"file": p, **folder.manifest[p]} for p in paths)
    return out


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    "Ninety slices of the sample, thirty per type."
    paths = MRIFolder(find_data("sample")).paths
    few = [p for name in TYPES for p in [q for q in paths if q.startswith(name)][::2][:30]]
    return some_of_sample(tmp_path_factory.mktemp("data")/"cheng", few)


@pytest.fixture(scope="module")
def trained(slices, tmp_path_factory):
    "A run on them, the head alone, two folds."
    out = tmp_path_factory.mktemp("runs")/"frozen"
    config = Config.recommended(freeze=True, size=48, scales=(1,), views=1, folds=2)
    train_run(slices, out, config, judges=())
    return out


def test_command(trained, slices, tmp_path):
    "A row per fault and severity, paired with clean slices; a page; a baseline is 100 % of itself."
    status,said = btnb("robustness", trained, slices, "--out", tmp_path/"out", "--slices", 40,
                       "--fault", "jpeg", "--fault", "shift", "--baseline", trained)
    assert status == 0 and "40 slices, 2 faults in 5 severities" in said
    table = read(tmp_path/"out/robustness.csv")
    assert len(table) == 11 and table[0]["corruption"] == "clean"
    assert float(table[0]["auroc_change"]) == 0
    assert all(float(r["auroc_low"]) <= float(r["auroc_change"]) <= float(r["auroc_high"])
               for r in table)
    page = (tmp_path/"out/robustness.html").read_text(encoding="utf-8")
    assert "100 % of the baseline" in page and "SIMULATED" in page and "http:" not in page


def test_slices_from_elsewhere(trained, tmp_path):
    "All networks predict slices that none was trained on."
    other = phantom_folder(classes=TYPES, subjects=4, slices=2, seed=5)
    status,said = btnb("robustness", trained, other, "--fault", "contrast")
    assert status == 0 and "24 slices" in said, said


def test_slips(trained, slices, tmp_path):
    "One line each, before anything is predicted."
    assert "no corruption is called fog: choose from" in refusal("robustness", trained, slices,
                                                                 "--fault", "fog")
    assert "is no finished run" in refusal("robustness", tmp_path, slices)
    (tmp_path/"file").touch()
    assert "is a file" in refusal("robustness", trained, slices, "--out", tmp_path/"file")
    assert "is no finished run" in refusal("robustness", trained, slices, "--baseline", tmp_path)
    other = tmp_path/"other"
    train_run(slices, other, Config.recommended(freeze=True, size=32, scales=(1,), views=1,
                                                folds=1), judges=())
    assert "did not predict all slices" in refusal("robustness", trained, slices, "--baseline",
                                                   other)


def test_unfamiliar_is_marked(trained, slices, tmp_path, capsys):
    "A photograph is, and a run from before the mark says nothing."
    import skimage.data
    photo = Path(skimage.data.__file__).parent/"astronaut.png"
    old = tmp_path/"old"
    shutil.copytree(trained, old)
    for file in old.rglob("familiar.safetensors"):
        file.unlink()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path/"black.png")
    from click.testing import CliRunner
    from brain_tumor_nb.cli import cli
    def last(run):
        args = ["predict", str(run), str(photo), str(tmp_path/"black.png")]
        lines = CliRunner().invoke(cli, args).stdout.splitlines()
        return [line.split(",")[-1] for line in lines]
    assert last(trained)[:2] == ["unfamiliar", "yes"] and last(old) == ["unfamiliar", "", ""]


@pytest.mark.long
def test_tool_robustness(tool, trained, slices, tmp_path):
    "A row per run, fault and severity, on a list that is drawn once."
    out = tmp_path/"tables"
    out.mkdir()
    args = ("robustness", slices, f"a={trained}", f"b={trained}", "--baseline", "a", "--fault",
            "low_resolution", "--slices", out/"list.csv", "--out", out, "--work", tmp_path/"work")
    assert tool(*args) == 0
    assert len(read(out/"robustness_lesions.csv")) == 36      # 2 runs, clean and 5, 3 sizes
    assert len(read(out/"robustness.csv")) == 12 and len(read(out/"list.csv")) <= 90
    assert not (out/"robustness_mean.csv").exists()                # of some faults there is none


@pytest.mark.long
def test_tool_sources(tool, slices, tmp_path):
    "A plane left out; meningiomas from elsewhere that are no near-duplicates of known slices."
    table = tmp_path/"sources.csv"
    assert tool("sources", "planes", slices, "--size", 48, "--out", table) == 0
    paths = MRIFolder(find_data("sample")).paths
    rest = [p for name in TYPES for p in [q for q in paths if q.startswith(name)][1::2][:10]]
    four = some_of_sample(tmp_path/"four", [*rest, MRIFolder(slices).paths[0]])
    (four/"subjects.csv").write_text("file,subject,cheng_file,mirrored,correlation\n")
    assert tool("sources", "elsewhere", slices, four, "--size", 48, "--out", table) == 0
    found = read(table)
    assert {r["left_out"] for r in found} == {"axial", "coronal", "sagittal", "meningioma"}
    assert all(0 <= float(r["error_without"]) <= 1 for r in found)
    before = table.read_bytes()
    assert tool("sources", "planes", slices, "--size", 48, "--out", table) == 0
    assert table.read_bytes() == before


@pytest.mark.long
def test_tool_unfamiliar(tool, trained, slices, tmp_path):
    "False alarms on patients who set no limit, and alarms on everything else."
    data = tmp_path/"data"
    shutil.copytree(slices, data/"cheng")
    for name in ("ixi/no_tumor", "lgg/no", "brain_tumor_dataset/no"):
        (data/name).mkdir(parents=True)
        shutil.copy(slices/MRIFolder(slices).paths[0], data/name/"a.png")
    table = tmp_path/"unfamiliar.csv"
    assert tool("unfamiliar", data, trained, "--model", "small", "--out", table) == 0
    found = {row["shown"]: float(row["value"]) for row in read(table)}
    assert found["photographs"] > found["cheng: new patients"] and len(found) == 10
