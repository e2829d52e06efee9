"A sweep survives what happens to it, and runs are compared on the same slices only."
import csv
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

import faults
from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.sweep import run_sweep
from inside import btnb, refusal

PLAN = """
[all]
recipe = "plain"
arch = "mobilenet_v3_small"
size = 32
batch_size = 8
folds = 2
epochs = 3

[grid]
lr = [0.001, 0.01]

[cells.few]
share = 0.5
"""


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    "Forty pictures of noise in two classes."
    return faults.noise_folder(tmp_path_factory.mktemp("noise")/"data").root


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    file = tmp_path_factory.mktemp("plan")/"plan.toml"
    file.write_text(PLAN)
    return file


@pytest.fixture(scope="module")
def swept(noise, plan, tmp_path_factory):
    "A sweep that was never stopped."
    out = tmp_path_factory.mktemp("swept")/"out"
    assert btnb("sweep", plan, noise, "--out", out)[0] == 0
    return out


def read(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def kill_after_one_more(*args, out):
    "Starts a sweep and kills it as soon as it has written one more checkpoint or weights."
    def kept():
        return {p for name in ("checkpoint-*.pt", "model.safetensors") for p in out.rglob(name)}
    before = kept()
    process = subprocess.Popen([Path(sysconfig.get_path("scripts"))/"btnb", *map(str, args)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 120
    while kept() <= before and time.time() < deadline and process.poll() is None:
        time.sleep(.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_killed_twice_and_resumed(noise, plan, swept, tmp_path):
    "The table is the same, to the byte, and so are the predictions."
    out = tmp_path/"out"
    args = "sweep", plan, noise, "--out", out
    for _ in range(2):
        kill_after_one_more(*args, out=out)
        assert "left" in {row["status"] for row in read(out/"sweep.csv")}
    assert btnb(*args)[0] == 0
    assert (out/"sweep.csv").read_bytes() == (swept/"sweep.csv").read_bytes()
    for row in read(out/"sweep.csv"):
        file = Path(row["cell"])/"predictions.csv"
        assert row["status"] == "done" and (out/file).read_bytes() == (swept/file).read_bytes()


def test_one_that_fails_does_not_stop_the_rest(noise, plan, swept, tmp_path):
    "It is named in one line and in the table; the others are there, and are not trained again."
    more = tmp_path/"more.toml"
    more.write_text(PLAN + '[cells.none]\narch = "resnet81"\n')
    before = {p: p.stat().st_mtime_ns for p in swept.rglob("model.safetensors")}
    line = refusal("sweep", more, noise, "--out", swept)
    assert "1 of 4 cells failed, none" in line
    rows = read(swept/"sweep.csv")
    assert [row["status"] for row in rows] == ["done"]*3 + ["failed"]
    assert "resnet81" in rows[-1]["error"]
    assert {p: p.stat().st_mtime_ns for p in swept.rglob("model.safetensors")} == before
    assert btnb("sweep", plan, noise, "--out", swept)[0] == 0               # as it was


@pytest.mark.long
def test_cells_as_jobs(noise, plan, swept, tmp_path):
    "In two processes, and on a Dask cluster: the same table."
    distributed, joblib = pytest.importorskip("distributed"), pytest.importorskip("joblib")
    folder = MRIFolder(noise)
    run_sweep(plan, folder, tmp_path/"jobs", jobs=2)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                  processes=True) as cluster, distributed.Client(cluster):
        with joblib.parallel_config(backend="dask"):
            run_sweep(plan, folder, tmp_path/"dask", jobs=2)
    for name in ("jobs", "dask"):
        assert (tmp_path/name/"sweep.csv").read_bytes() == (swept/"sweep.csv").read_bytes()


def test_budget(noise, plan, tmp_path):
    "With no time left nothing is begun, and the command says how to go on."
    status, said = btnb("sweep", plan, noise, "--out", tmp_path/"out", "--budget", 0)
    assert status == 0 and "3 of 3 cells are left: the same command goes on" in said


def test_slips(noise, plan, swept, tmp_path):
    "One line each; another plan's cells are not mixed in under the same names."
    other = tmp_path/"other.toml"
    other.write_text(PLAN.replace("epochs = 3", "epochs = 2"))
    assert "3 of 3 cells failed" in refusal("sweep", other, noise, "--out", swept)
    assert "holds another run" in read(swept/"sweep.csv")[0]["error"]
    assert btnb("sweep", plan, noise, "--out", swept)[0] == 0
    other.write_text("[all\n")
    assert "is no TOML file" in refusal("sweep", other, noise, "--out", tmp_path/"x")
    assert "does not exist" in refusal("sweep", tmp_path/"none.toml", noise)
    assert "is no finished run" in refusal("compare", swept/"few", tmp_path)
    assert "to compare takes two" in refusal("compare", swept/"few")


def test_compare(swept, tmp_path):
    "Every cell of a sweep in one table, every pair tested, and a page with plots."
    assert btnb("compare", swept, "--out", tmp_path/"out", "--no-price")[0] == 0
    models, pairs = read(tmp_path/"out/comparison.csv"), read(tmp_path/"out/pairs.csv")
    assert [m["model"] for m in models] == [row["cell"] for row in read(swept/"sweep.csv")]
    assert len(pairs) == 3 and all(float(p["holm_auroc"]) >= float(p["p_auroc"]) for p in pairs)
    assert all(float(m["seconds"]) > 0 and not m["milliseconds"] for m in models)
    page = (tmp_path/"out/comparison.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 2 and "Nothing here was tested on patients" in page


def test_compare_on_another_folder(swept, tmp_path):
    "Two runs that were scored on slices from elsewhere; what they cost is not known there."
    other = faults.noise_folder(tmp_path/"other").root
    tested = [tmp_path/"a", tmp_path/"b"]
    for cell, out in zip(("lr=0.001", "few"), tested):
        assert btnb("evaluate", swept/cell, other, "--out", out)[0] == 0
    assert btnb("compare", *tested, "--out", tmp_path/"out")[0] == 0
    models = read(tmp_path/"out/comparison.csv")
    assert [m["model"] for m in models] == ["a", "b"] and not models[0]["parameters"]
