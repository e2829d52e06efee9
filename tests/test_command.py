"""The installed command `btnb`, as a user types it.

It has a process of its own where that may matter: the first run, the same bytes from another
process, signals, the demo, a traceback. Elsewhere `said` spares the start of another.
"""
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.phantom import make_phantom, phantom_folder
from inside import refusal, said

QUICK = ("--recipe", "tutorial", "--weights", "none", "--arch", "mobilenet_v3_small", "--size", 32,
         "--batch-size", 16, "--no-probes")


@pytest.fixture(scope="session")
def slices(tmp_path_factory):
    "A small simulated folder."
    return make_phantom(tmp_path_factory.mktemp("slices")/"phantom", subjects=8, slices=2)


@pytest.fixture(scope="session")
def trained(run, slices, tmp_path_factory):
    "A run folder on it."
    out = tmp_path_factory.mktemp("runs")/"a"
    run("btnb", "train", slices, "--out", out, *QUICK, "--epochs", 2)
    return out


def one_line(out):
    "The last line of an error, which must be the only one of ours, and no traceback."
    lines = [l for l in out.splitlines() if l.startswith("btnb: ")]
    assert len(lines) == 1 and "Traceback" not in out, out
    return lines[0]


def test_run_folder(trained, slices):
    "Everything other tools read is there, in the promised form."
    names = {p.name for p in trained.iterdir()}
    assert {"config.json", "split.json", "history.csv", "predictions.csv", "metrics.json",
            "model.safetensors", "timing.csv", "figures", "report.html"} <= names
    with open(trained/"predictions.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == ["path", "label", "fold", "group", "prob_no", "prob_yes"]
    assert [r["path"] for r in rows] == sorted(r["path"] for r in rows)
    assert all((slices/r["path"]).is_file() for r in rows)
    assert all(abs(float(r["prob_no"]) + float(r["prob_yes"]) - 1) < 1e-5 for r in rows)
    metrics = json.loads((trained/"metrics.json").read_text(encoding="utf-8"))
    right = np.mean([(float(r["prob_yes"]) > .5) == (r["label"] == "yes") for r in rows])
    assert abs(metrics["accuracy"]["value"] - right) < 1e-5
    assert metrics["accuracy"]["low"] <= right <= metrics["accuracy"]["high"]
    config = json.loads((trained/"config.json").read_text(encoding="utf-8"))
    assert config["classes"] == ["no", "yes"]
    with open(trained/"history.csv", newline="", encoding="utf-8") as f:
        header = next(csv.reader(f))
    assert header == "epoch,train_loss,valid_loss,valid_accuracy,lr".split(",")
    page = (trained/"report.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page and "Not a medical device" in page


def test_twice_the_same_bytes(run, slices, trained, tmp_path):
    "Two processes with one seed write the same predictions; another seed does not."
    train = ("train", slices, *QUICK, "--epochs", 2)
    run("btnb", *train, "--out", tmp_path/"b", "--seed", 0)
    said(*train, "--out", tmp_path/"c", "--seed", 1)
    first = (trained/"predictions.csv").read_bytes()
    same, other = ((tmp_path/name/"predictions.csv").read_bytes() for name in "bc")
    assert same == first != other


def test_a_second_run_destroys_nothing(slices, trained):
    "The same run again does nothing; another is refused; resuming a finished one changes nothing."
    before = {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()}
    train = ("train", slices, "--out", trained)
    assert "nothing to do" in said(*train, *QUICK, "--epochs", 2)
    assert "--overwrite" in one_line(said(*train, *QUICK, "--epochs", 3, rc=2))
    said(*train, "--resume")
    assert {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()} == before


def stopped(args, out, how, log):
    "The status of a training that gets a signal as soon as it has written one more checkpoint."
    def kept():
        return {path.name for path in out.glob("checkpoint-*.pt")}
    before = kept()
    # a background job ignores Ctrl-C, and so would its children
    process = subprocess.Popen([Path(sysconfig.get_path("scripts"))/"btnb", *args, "--out", out],
                               stdout=log, stderr=log,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    deadline = time.time() + 120
    while kept() <= before and time.time() < deadline and process.poll() is None:
        time.sleep(.01)
    process.send_signal(how)
    return process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("how, processes", [
    ((signal.SIGKILL, signal.SIGINT), 1),
    pytest.param((signal.SIGINT,), 2, marks=pytest.mark.long)])
def test_stopped_and_resumed(run, slices, tmp_path, how, processes):
    "Killed after an epoch, interrupted after another, a run ends with the bytes of a whole one."
    several = ["--processes", str(processes)]
    args = [str(a) for a in ("train", slices, *QUICK, "--epochs", 6, *several)]
    said(*args, "--out", tmp_path/"whole")
    resumed = ["train", str(slices), *several, "--resume"]
    with open(tmp_path/"log", "w", encoding="utf-8") as log:
        for n,signal_ in enumerate(how):
            ended = stopped(resumed if n else args, tmp_path/"part", signal_, log)
            wanted = -signal_ if signal_ == signal.SIGKILL else 130
            assert ended == wanted, (tmp_path/"log").read_text()
    assert not (tmp_path/"part/report.html").exists()
    run("btnb", *resumed, "--out", tmp_path/"part")
    for name in ("predictions.csv", "history.csv", "model.safetensors"):
        assert (tmp_path/"part"/name).read_bytes() == (tmp_path/"whole"/name).read_bytes()


def test_split_where_no_patient_is_known(tmp_path):
    "Then nothing says that it was by patients, which is what was asked for."
    folder = shutil.copytree(phantom_folder(subjects=4, slices=2, seed=8), tmp_path/"bare")
    (folder/"manifest.csv").unlink()
    out = said("train", folder, "--out", tmp_path/"r", *QUICK, "--epochs", 1)
    page = (tmp_path/"r/report.html").read_text(encoding="utf-8")
    assert "No subject is known" in out and "split by near-duplicates: " in out
    assert "split by near-duplicates" in page and "split by patients" not in out + page


def test_folds_and_four_classes(tmp_path):
    "Cross-validation on the four simulated classes: every slice once, and a metric for each class."
    slices = phantom_folder(classes=("glioma", "meningioma", "notumor", "pituitary"), subjects=4,
                            slices=2, seed=7)
    said("train", slices, "--out", tmp_path/"r", *QUICK, "--epochs", 1, "--folds", 2)
    with open(tmp_path/"r/predictions.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 32
    assert {r["fold"] for r in rows} == {"0", "1"}
    assert "prob_pituitary" in rows[0]
    assert "auroc_glioma" in json.loads((tmp_path/"r/metrics.json").read_text(encoding="utf-8"))
    assert (tmp_path/"r/history.csv").exists() and (tmp_path/"r/fold_1/model.safetensors").exists()
    table = said("predict", tmp_path/"r", phantom_folder(subjects=4, slices=2, seed=8)/"no")
    header = "path,prediction,prob_glioma,prob_meningioma,prob_notumor,prob_pituitary,unfamiliar"
    assert table.splitlines()[0] == header
    assert len(table.splitlines()) == 9


def test_awkward_files(trained, tmp_path):
    "Each file of the folder nobody wants is read right or reported by name, one by one."
    ramp = np.add.outer(np.arange(80), np.arange(96)).astype(np.uint8)
    grey = Image.fromarray(ramp)
    no = tmp_path/"no"
    no.mkdir()
    (tmp_path/"yes").mkdir()
    grey.save(tmp_path/"yes/plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    grey.save(no/"UPPER.PNG")
    grey.save(no/"png_inside.jpg", format="PNG")
    grey.convert("P").save(no/"palette.png")
    grey.convert("RGBA").save(no/"alpha.png")
    grey.convert("LA").save(no/"grey_alpha.png")
    grey.convert("CMYK").save(no/"print.jpg", quality=95)
    Image.fromarray(ramp.astype(np.uint16)*257).save(no/"sixteen.png")
    Image.fromarray(ramp.astype(np.uint16)*16).save(no/"twelve.png")
    Image.fromarray(ramp.astype(np.uint16)*257).save(no/"sixteen.tif")
    grey.rotate(90, expand=True).save(no/"turned.jpg", exif=exif, quality=95)
    good = {p.name for p in no.iterdir()}
    (no/"empty.png").touch()
    (no/"text.jpg").write_text("no picture")
    (no/"note.txt").write_text("no picture")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 96),
                                                      dtype=np.uint8)).save(no/"truncated.png")
    (no/"truncated.png").write_bytes((no/"truncated.png").read_bytes()[:4000])
    Image.new("1", (12000, 12000)).save(no/"huge.png")
    for name in (".DS_Store", "Thumbs.db", ".ipynb_checkpoints/UPPER-checkpoint.PNG"):
        (no/name).parent.mkdir(exist_ok=True)
        (no/name).write_bytes(b"?")
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (tmp_path/name).mkdir()
        grey.save(tmp_path/name/"x.png")
    folder = MRIFolder(tmp_path)
    assert folder.classes == ["no", "yes"]
    assert {p.split("/")[1] for p in folder.paths if p.startswith("no/")} == good
    for i, path in enumerate(folder.paths):
        assert np.abs(np.asarray(folder[i][0]).astype(int) - ramp).mean() < 3, path
    reasons = {p.split("/")[1]: r for p, r in folder.bad}
    assert set(reasons) == {"empty.png", "text.jpg", "note.txt", "truncated.png", "huge.png"}
    for name, reason in {"empty.png": "empty", "text.jpg": "not an image", "note.txt": "extension",
                         "truncated.png": "damaged", "huge.png": "larger"}.items():
        assert reason in reasons[name]
    out = said("predict", trained, no/"sixteen.png", no/"truncated.png", no/"UPPER.PNG", rc=2)
    assert "truncated.png: damaged" in out and out.count(",no,") + out.count(",yes,") == 2


@pytest.mark.parametrize("args, words", [
    (("train", "nowhere", "--out", "x"), "nowhere does not exist"),
    (("train", "phantom", "--out", "x", "--arch", "resnet81"), "did you mean"),
    (("train", "phantom", "--out", "x", "--epochs", "0"), "epochs=0"),
    (("train", "phantom", "--out", "x", "--epochs", "many"), "--epochs"),
    (("train", "phantom", "--out", "x", "--device", "tpu"), "device 'tpu'"),
    (("train", "phantom", "--out", "x", "--resume"), "no run to resume"),
    (("train", "phantom", "--out", "x", "--weights", "missing.pth"), "missing.pth"),
    (("predict", "nowhere", "a.png"), "nowhere is no run folder"),
    (("evaluate", "nowhere", "phantom"), "nowhere is no run folder"),
    (("download", "nothing"), "brain_tumor_dataset"),
    (("tarin",), "tarin"),
])
def test_slips(monkeypatch, tmp_path, args, words):
    "A user's slip is one line with the way out, status 2, and nothing is written."
    monkeypatch.chdir(tmp_path)
    assert words in refusal(*args)
    assert not (tmp_path/"x").exists()


@pytest.mark.skipif(sys.platform == "win32" or getattr(os, "geteuid", lambda: 1)() == 0,
                    reason="needs a user whom the file system can refuse")
def test_read_only_folder(run, slices, tmp_path):
    "Where nothing may be written, one line says so."
    tmp_path.chmod(0o500)
    try:
        assert str(tmp_path) in one_line(run("btnb", "train", slices, "--out", tmp_path/"r", *QUICK,
                                             rc=2))
    finally:
        tmp_path.chmod(0o700)


def test_debug_shows_the_traceback(run, tmp_path):
    assert "Traceback" in run("btnb", "--debug", "predict", "nowhere", "a.png", cwd=tmp_path, rc=1)


def test_environment_variable(slices, tmp_path, monkeypatch):
    "DATA left out is BRAIN_TUMOR_DATA."
    monkeypatch.setenv("BRAIN_TUMOR_DATA", str(slices))
    out = said("train", "--out", tmp_path/"r", *QUICK, "--epochs", 1)
    assert "32 SIMULATED slices" in out
    assert "epoch 1 of 1: training loss" in out          # no terminal: a line per epoch


@pytest.mark.long
def test_real_slices_twice(run, real_data, tmp_path):
    "The tutorial's recipe on its slices (two of its ten epochs), twice: the same bytes, no leak."
    for name in "ab":
        run("btnb", "train", real_data, "--recipe", "tutorial", "--weights", "none", "--epochs", 2,
            "--out", tmp_path/name)
    a, b = (tmp_path/name/"predictions.csv" for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    split = json.loads((tmp_path/"a/split.json").read_text(encoding="utf-8"))
    side = lambda part: {split["groups"][i] for i in split[part]}
    assert not side("train") & side("valid") and len(split["paths"]) == 253


@pytest.fixture(scope="session")
def predicted(slices, tmp_path_factory):
    "Good predictions for the simulated folder, made elsewhere: the rows of their table."
    folder = MRIFolder(slices)
    rows = [["path", "label", "fold", "prob_no", "prob_yes"]]
    for path, target in zip(folder.paths, folder.targets):
        rows.append([path, folder.classes[target], 0,
                     *(("0.2", "0.8") if target else ("0.8", "0.2"))])
    return rows


def write_rows(path, rows):
    "A CSV file of these rows."
    with open(path, "w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows(rows)
    return path


def first_row(rows, **cells):
    "The rows with some cells of the first slice changed, by column."
    changed = [cells.get(name, old) for name, old in zip(rows[0], rows[1])]
    return [rows[0], changed, *rows[2:]]


@pytest.mark.parametrize("slip, words", [
    (lambda rows: first_row(rows, prob_no="1.2", prob_yes="-0.2"), "a probability is from 0 to 1"),
    (lambda rows: first_row(rows, prob_no="0.3", prob_yes="0.9"), "add up to 1.2, not 1"),
    (lambda rows: [rows[0], rows[2], *rows[2:]], "has 2 rows: give one row per slice"),
    (lambda rows: [*rows, rows[1]], "has 2 rows: give one row per slice"),
    (lambda rows: first_row(rows, path=rows[1][0].replace("/", "\\")), "and / in all paths"),
    (lambda rows: first_row(rows, label="No"), "label 'No' has no column prob_No"),
    (lambda rows: first_row(rows, label="yes"), "and lies in no: correct the label"),
    (lambda rows: rows[:-1], "have no prediction, such as"),
    (lambda rows: [[*rows[0][:3], "prob_none", "prob_yes"], *rows[1:]],
     "label 'no' has no column prob_no"),
    (lambda rows: [rows[0], *([*r[:2], i % 2, *r[3:]] for i, r in enumerate(rows[1:]))],
     "one group"),
])
def test_predictions_made_elsewhere(slices, predicted, tmp_path, slip, words):
    "A table that is wrong is refused in one line with the way out, and nothing is written."
    table = write_rows(tmp_path/"table.csv", slip(predicted))
    assert words in refusal("evaluate", "--predictions", table, slices, "--out", tmp_path/"out")
    assert not (tmp_path/"out").exists()


def test_exchanged_columns(slices, predicted, tmp_path):
    "Names of columns in the wrong order are warned of in one line; the right order is not."
    good = said("evaluate", "--predictions", write_rows(tmp_path/"a.csv", predicted), slices)
    assert "exchanged" not in good and re.search(r"AUROC +1.000", good)
    rows = [[*predicted[0][:3], "prob_yes", "prob_no"], *predicted[1:]]
    out = said("evaluate", "--predictions", write_rows(tmp_path/"b.csv", rows), slices)
    warned = [l for l in out.splitlines() if "exchanged" in l]
    assert len(warned) == 1 and "prob_no, prob_yes exchanged?" in warned[0]


def test_chosen_on_these_slices(slices, trained):
    "The terminal says below the score what the report says: the epoch was chosen on these slices."
    out = said("train", slices, "--out", trained, *QUICK, "--epochs", 2)
    sentence = ("The epoch was chosen by validation accuracy, "
                "so these figures are a little too good.")
    assert out.index("specificity") < out.index(sentence) < out.index("report: ")
    assert sentence in (trained/"report.html").read_text(encoding="utf-8")


def test_probes_above_the_score(slices, tmp_path):
    "Probes stand above the score, one per line, with what a look for near-duplicates found."
    quick = [*QUICK[:-1], "--epochs", 1, "--folds", 2]
    out = said("train", slices, "--out", tmp_path/"r", *quick)
    lines = out[out.index("Before the score"):].splitlines()
    assert re.match(r"  the majority class +0.500  –", lines[2])
    assert "None of 32 validation slices is nearly identical" in lines[9]
    assert lines.index("Score") > 9 and "The epoch was chosen" not in out
    section = json.loads((tmp_path/"r/sections/probes.json").read_text(encoding="utf-8"))
    found = section["facts"]
    assert found["near_duplicates"]["slices"] == 0 and found["near_duplicates"]["of"] == 32
