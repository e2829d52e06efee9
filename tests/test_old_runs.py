"""Run folders that an earlier commit made still load, predict and resume.

`old_runs.tar.xz` was made at commit 7eb6f16, from the committed sample: a fine-tuned run that was
stopped after its first of two epochs, with what it came to when it was not stopped (`finished/`),
and a frozen head in two folds. Frozen weights are left out of the latter: they come from pip. The
body of the former has few different weights, so that it packs well.
"""
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from brain_tumor_nb.data import find_data
from brain_tumor_nb.model import create_model
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.runs import Run, evaluate_run
from inside import said


@pytest.fixture
def old(tmp_path, monkeypatch):
    "The unpacked runs, in the working folder: a run names its file of weights from there."
    monkeypatch.chdir(tmp_path)
    with tarfile.open(Path(__file__).with_name("old_runs.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    for part in (tmp_path/"frozen").glob("fold_*"):
        config = json.loads((part/"config.json").read_text())
        network = create_model(config["arch"], config["classes"], "offline", config["size"])
        tensors = {**network.state_dict(), **load_file(part/"head.safetensors")}
        save_file({k: v.contiguous() for k,v in tensors.items()}, part/"model.safetensors")
    return tmp_path


def predict_all(out, sample):
    "What `btnb predict` says of all slices of the sample: class probabilities by path."
    folders = [sample/name for name in ("glioma", "meningioma", "pituitary")]
    printed = said("predict", out, *folders)
    rows = [line.split(",") for line in printed.splitlines() if ".png," in line]
    return {Path(r[0]).relative_to(sample).as_posix(): np.array(r[2:5], float) for r in rows}


def test_resumes(old, run):
    "A stopped run goes on and ends as the one that was not stopped."
    out = old/"finetuned"
    settings, written = Run(out).config, json.loads((out/"config.json").read_text())
    assert settings.framing == written["fit"] == "pad" and settings.momentum == written["momentum"]
    run("btnb", "train", "sample", "--out", out, "--resume", cwd=old)
    wanted = Predictions.load(old/"finished/predictions.csv")
    found = Predictions.load(out/"predictions.csv")
    assert found.paths == wanted.paths and found.groups.tolist() == wanted.groups.tolist()
    assert np.abs(found.probs - wanted.probs).max() < 1e-3          # exact on the same machine
    assert Run(out).config == settings
    assert "nothing to do" in said("train", "sample", "--out", out, "--resume")
    again = predict_all(out, find_data("sample"))
    assert np.abs(np.stack([again[p] for p in found.paths]) - found.probs).max() < 1e-3


def test_frozen_head_predicts(old):
    "A frozen head in two folds loads, and each of its networks predicts what it predicted."
    trained = Run(old/"frozen")
    wanted = trained.predictions
    assert "head alone" in trained.text()
    each = evaluate_run(trained.path, "sample").each
    assert len(each) == 2 and each[0].paths == wanted.paths
    of_fold = np.stack([each[fold].probs[row] for row,fold in enumerate(wanted.folds)])
    assert np.abs(of_fold - wanted.probs).max() < 1e-3
    together = predict_all(trained.path, find_data("sample"))
    mean = np.mean([e.probs for e in each], 0)
    assert np.abs(np.stack([together[p] for p in wanted.paths]) - mean).max() < 1e-5
