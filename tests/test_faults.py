"Things go wrong: processes killed, disks full, files changed or harmful, memory low, two at once."
import io
import json
import os
import random
import resource
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import faults
from brain_tumor_nb import runs
from brain_tumor_nb.checkpoints import checkpoints
from brain_tumor_nb.data import PixelStore, SliceMemory, read_image, resize_image
from brain_tumor_nb.learners import make_learner
from brain_tumor_nb.parallel import train_folds
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.processes import launch
from brain_tumor_nb.splitting import make_folds
from brain_tumor_nb.training import Config
from inside import btnb, refusal

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals, mounts and limits")
QUICK = ("--recipe", "tutorial", "--weights", "none", "--arch", "mobilenet_v3_small", "--size", 32,
         "--batch-size", 8, "--no-probes")
TINY = Config(arch="mobilenet_v3_small", size=32, batch_size=8, epochs=1, lr=1e-3)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    "Forty pictures of noise in two classes."
    return faults.noise_folder(tmp_path_factory.mktemp("noise")/"data")


@posix
def test_killed_at_random_moments(run, request):
    "After a step, in a write, before and after a rename: the resumed run ends with the same bytes."
    times = 20 if request.config.getoption("--all") else 6
    said = run("python", Path(faults.__file__), "killed", times, OMP_NUM_THREADS="1")
    assert said.count("same bytes") == times and "checkpoint-0002" in said and "the start" in said


@posix
def test_full_disk(noise, disk):
    "The disk fills during a checkpoint: one line, older ones are whole; with room the run goes on."
    folder = disk(100_000)
    filler = folder/"filler"
    filler.write_bytes(b"x"*55_000_000)
    line = refusal("train", noise.root, "--out", folder/"run", *QUICK, "--epochs", 4)
    assert "No space left on device" in line and str(folder) in line
    left = checkpoints(folder/"run")
    assert left and not list((folder/"run").glob(".*.tmp"))
    filler.unlink()
    status, said = btnb("train", noise.root, "--out", folder/"run", "--resume")
    assert status == 0 and (folder/"run/report.html").exists(), said


@posix
def test_read_only_disk(noise, disk):
    folder = disk(1000, "ro")
    line = refusal("train", noise.root, "--out", folder/"run", *QUICK)
    assert "Read-only file system" in line


def harm_during(monkeypatch, folder, harm):
    "Do harm to a slice between the opening of its folder and the reading of its pixels."
    real = runs.make_split
    def split_and_harm(*args):
        split = real(*args)
        harm(Path(folder.root)/"no/04.png")
        return split
    monkeypatch.setattr(runs, "make_split", split_and_harm)


def vanish(file):
    file.unlink()


def change(file):
    Image.new("L", (32, 32)).save(file)


@pytest.mark.parametrize("harm, words", [(vanish, "no such file"),
                                         (change, "has changed since the folder was opened")])
def test_data_changed_during_the_run(monkeypatch, tmp_path, harm, words):
    "A slice that is not in memory and vanishes or changes stops the run; nothing is reported."
    folder = faults.noise_folder(tmp_path/"data")
    monkeypatch.setattr(SliceMemory, "room", lambda *a: False)       # as if it were a large folder
    harm_during(monkeypatch, folder, harm)
    line = refusal("train", folder.root, "--out", tmp_path/"run", *QUICK)
    assert "04.png" in line and words in line and not (tmp_path/"run/metrics.json").exists()


def test_data_in_memory_stay_as_they_were(monkeypatch, tmp_path):
    "A slice that is in memory is used as it was when its folder was opened, and hashed so."
    folder = faults.noise_folder(tmp_path/"data")
    assert btnb("train", folder.root, "--out", tmp_path/"before", *QUICK)[0] == 0
    harm_during(monkeypatch, folder, change)
    assert btnb("train", folder.root, "--out", tmp_path/"during", *QUICK)[0] == 0
    for name in ("predictions.csv", "model.safetensors"):
        assert (tmp_path/"before"/name).read_bytes() == (tmp_path/"during"/name).read_bytes()
    before, during = (runs.Run(tmp_path/n).data["hash"] for n in ("before", "during"))
    assert before == during


def test_two_runs_in_one_folder(noise, tmp_path):
    "The second says so, and the first is not disturbed."
    with runs.lock_run(tmp_path/"run"):
        line = refusal("train", noise.root, "--out", tmp_path/"run", *QUICK)
        assert "another process" in line
    assert list((tmp_path/"run").iterdir()) == []           # the lock went with the first


def test_damaged_checkpoint_is_named(noise, tmp_path):
    "The newest checkpoint is damaged: a warning names it, the one before gives the same result."
    args = ("train", noise.root, *QUICK, "--epochs", 3)
    assert btnb(*args, "--out", tmp_path/"whole")[0] == 0 == btnb(*args, "--out",
                                                                  tmp_path/"part")[0]
    newest = checkpoints(tmp_path/"part")[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    for name in ("report.html", "model.safetensors", "history.csv"):
        (tmp_path/"part"/name).unlink()
    status, said = btnb("train", noise.root, "--out", tmp_path/"part", "--resume")
    assert status == 0 and f"btnb: warning: {newest} is damaged" in said
    for name in ("model.safetensors", "history.csv", "predictions.csv"):
        assert (tmp_path/"part"/name).read_bytes() == (tmp_path/"whole"/name).read_bytes()


@posix
def test_out_of_memory(run, noise, tmp_path):
    "A batch that does not fit is one line with the way out."
    code = ("import resource, sys, brain_tumor_nb.judges; from brain_tumor_nb.cli import main; "
            "used = "
            "int(open('/proc/self/statm').read().split()[0])*resource.getpagesize();"
            "resource.setrlimit(resource.RLIMIT_AS, (used + 10**9,)*2); main()")
    said = run("python", "-c", code, "train", noise.root, "--out", tmp_path/"run", "--recipe",
               "tutorial", "--weights", "none", "--size", 1024, "--batch-size", 32, rc=2)
    lines = [l for l in said.splitlines() if l.startswith("btnb: ")]
    assert lines == ["btnb: out of memory with batches of 32 slices of 1024 pixels: lower "
                     "batch_size or size"], said


def test_odd_batches(noise):
    "A last batch of one joins the one before; for one slice, batch normalisation says what to do."
    store = PixelStore(noise, 32)
    split = make_folds(noise, np.arange(len(noise)), 5)[0]
    split.train = split.train[:17]
    learner = make_learner(Config(arch="resnet18", size=32, batch_size=8, epochs=1), ("no", "yes"))
    history = learner.train(store, split)
    assert np.isfinite(history.rows[0]["train_loss"])
    split.train = split.train[:1]
    with pytest.raises(ValueError, match="raise batch_size or size"):
        learner.train(store, split)
    split.valid = []
    with pytest.raises(ValueError, match="part of the split is empty"):
        learner.train(store, split)


def test_not_a_number(noise, tmp_path):
    line = refusal("train", noise.root, "--out", tmp_path/"run", *QUICK, "--lr", 900)
    assert "lower it (lr)" in line


# --- pictures made to harm

def mutate(rng, content):
    "A picture with bytes changed, cut out, repeated or put in, or with a size it does not have."
    content = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at, kind = rng.randrange(len(content)), rng.randrange(6)
        if kind == 0:
            content[at] = rng.randrange(256)
        elif kind == 1:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del content[at:at + rng.randint(1, 200)]
        elif kind == 3:
            content[at:at] = rng.randbytes(rng.randint(1, 50))
        elif kind == 4:
            content[at:at] = content[at:at + 300]
        else:
            content[16:24] = rng.randbytes(8)  # where a PNG keeps its width and height
        if len(content) < 30:
            break
    return bytes(content)


@posix
def test_two_thousand_bad_pictures(run, tmp_path):
    "Mutated JPEG, PNG, TIFF: read or refused by name; none crashes, hangs or takes over 500 MB."
    said = run("python", Path(__file__), tmp_path)
    # among what libtiff complains of
    report = json.loads(next(l for l in said.splitlines() if l.startswith("{")))
    assert report["read"] + report["refused"] == 2000
    assert report["refused"] > 200
    assert report["read"] > 200
    assert report["megabytes"] < 500 and report["slowest"] < 10, report


def fuzz(folder):
    "Read 2000 mutated pictures as a folder's; say how many could be, the longest time, the memory."
    rng, grey = random.Random(0), Image.fromarray(np.add.outer(np.arange(120),
                                                               np.arange(100)).astype(np.uint8))
    seeds = []
    for name, options in (("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}),
                          ("TIFF", {"compression": "tiff_lzw"}), ("PNG", {"optimize": True})):
        (grey if len(seeds) < 4 else grey.convert("P")).save(buffer := io.BytesIO(), name,
                                                             **options)
        seeds.append(buffer.getvalue())
    def rss(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1000
    before, counts, slowest = rss(), {True: 0, False: 0}, 0.
    for i in range(2000):
        path = Path(folder)/f"{i}.png"
        path.write_bytes(mutate(rng, seeds[i % len(seeds)]))
        start = time.perf_counter()
        try:
            assert resize_image(read_image(path), 64).size == (64, 64)
            good = True
        except ValueError as e:
            assert str(path) in str(e)
            good = False
        counts[good] += 1
        slowest = max(slowest, time.perf_counter() - start)
        path.unlink()
    print(json.dumps({"read": counts[True], "refused": counts[False], "slowest": round(slowest, 2),
                      "megabytes": round(rss() - before)}))


# --- more than one process

def test_two_processes_are_as_one(noise):
    "The same split, statistics and, but for rounding, predictions; each slice once an epoch."
    one = faults.shared_fit(faults.plain_net, noise.root)
    two = launch(faults.shared_fit, faults.plain_net, noise.root, processes=2)
    assert two["stats"] == one["stats"]
    assert len(two["seen"]) in (3*15, 3*16)
    assert set(two["seen"]) <= set(one["seen"])
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-5)
    np.testing.assert_allclose(two["valid"], one["valid"], rtol=1e-5)
    assert np.abs(one["logits"]).max() < 5  # not so sure that nothing could differ
    np.testing.assert_allclose(two["logits"], one["logits"], atol=1e-5)
    # with batch normalisation a difference, and equal statistics everywhere
    one, two = faults.shared_fit(faults.normal_net, noise.root), launch(faults.shared_fit,
                                                                        faults.normal_net,
                                                                        noise.root, processes=2)
    difference = np.abs(np.array(two["logits"]) - one["logits"]).max()
    assert 1e-4 < difference < 1, difference


@pytest.mark.long
def test_torchrun(run, noise, tmp_path):
    "`btnb train` under torchrun: one voice, one writer, the files of a run."
    said = run("torchrun", "--nproc-per-node", 2, "--standalone", "--no-python", "btnb", "train",
               noise.root, "--out", tmp_path/"run", *QUICK, "--epochs", 1, OMP_NUM_THREADS="1",
               PATH=sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"])
    assert said.count("report: ") == 1
    assert len(Predictions.load(tmp_path/"run/predictions.csv")) == 8
    assert "holds this very run" in btnb("train", noise.root, "--out", tmp_path/"run", *QUICK,
                                         "--epochs", 1)[1]


def test_folds_on_a_dask_cluster(noise, tmp_path):
    "The same predictions from the processes of a Dask cluster as from this one."
    distributed, joblib = pytest.importorskip("distributed"), pytest.importorskip("joblib")
    splits, config = make_folds(noise, np.arange(len(noise)),
                                2), TINY
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here, _ = train_folds(noise, splits, config, tmp_path/"here")
        with distributed.Client(n_workers=1, threads_per_worker=1, processes=True,
                                dashboard_address=None), joblib.parallel_config(backend="dask"):
            there, _ = train_folds(noise, splits, config, tmp_path/"there", jobs=os.cpu_count())
    finally:
        torch.set_num_threads(threads)
    for a, b in zip(here, there):
        np.testing.assert_array_equal(a.probs, b.probs)


if __name__ == "__main__":
    fuzz(sys.argv[1])
