"""Time an exported file beside the run it was made of; write benchmarks/results/export.csv.

    python benchmarks/export.py [--repeats 5] [--out FILE]

Trains four small runs on the sample and on simulated slices, exports each, and lets either predict:
the same pictures in one process, `btnb predict` of one picture from start to end. Both on one core,
in turns, the order changing each time; a figure is the least of the repeats, because whatever runs
beside this only adds to it. Read the ratios, torch to file: above 1 the file is faster.
"""
import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from brain_tumor_nb.core import write_rows
from brain_tumor_nb.data import find_data
from brain_tumor_nb.export import export_onnx
from brain_tumor_nb.files import read_ahead
from brain_tumor_nb.learners import Ensemble
from brain_tumor_nb.portable import Portable
from brain_tumor_nb.runs import Run

HERE = Path(__file__).resolve().parent
RUNS = {"frozen, one size, 3 folds": ["sample", "--freeze", "--folds", 3],
        "frozen, three sizes, 3 folds": ["sample", "--folds", 3],
        "fine-tuned, six views, 2 folds": ["phantom", "--epochs", 1, "--size", 64, "--folds", 2],
        "tutorial, 1 fold": ["phantom", "--recipe", "tutorial", "--weights", "none",
                             "--epochs", 1]}


def command(*words):
    "Seconds of `btnb` in a process of its own."
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "brain_tumor_nb", *map(str, words)],
                          capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"btnb {' '.join(map(str, words))} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def seconds(call):
    "Seconds of a call."
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(one, other, repeats):
    "The least of the repeats of either; each gives seconds."
    found = {one: [], other: []}
    for r in range(repeats):
        for call in (one, other)[::(-1)**r]:
            found[call].append(call())
    return min(found[one]), min(found[other])


def megabytes(*files):
    return f"{sum(f.stat().st_size for f in files)/1e6:.1f}"


def measure(what, words, home, pictures, repeats):
    "A row."
    run,file = home/"run",home/"run.onnx"
    command("train", *words, "--no-probes", "--out", run, "--overwrite")
    took = seconds(lambda: export_onnx(run, file, overwrite=True))
    net,portable = Ensemble(Run(run).learners()),Portable(file)
    squares = [im for block in read_ahead(pictures, net) for _,im in block]
    apart = np.abs(net.look(squares)[0] - portable.look(squares)[0]).max()  # both are warm now
    torch_s,onnx_s = in_turns(lambda: seconds(lambda: net.look(squares)),
                              lambda: seconds(lambda: portable.look(squares)), repeats)
    start_t,start_o = in_turns(lambda: command("predict", run, pictures[0]),
                               lambda: command("predict", file, pictures[0]), repeats)
    return {"run": what, "weights_mb": megabytes(*run.rglob("model.safetensors")),
            "file_mb": megabytes(file), "export_s": f"{took:.1f}",
            "torch_ms_per_slice": f"{1000*torch_s/len(squares):.1f}",
            "file_ms_per_slice": f"{1000*onnx_s/len(squares):.1f}",
            "ratio": f"{torch_s/onnx_s:.2f}",
            "torch_command_s": f"{start_t:.2f}", "file_command_s": f"{start_o:.2f}",
            "command_ratio": f"{start_t/start_o:.2f}", "largest_difference": f"{apart:.1e}",
            "slices": len(squares), "repeats": repeats, "machine": machine(),
            "torch": torch.__version__, "onnxruntime": onnxruntime.__version__}


def machine():
    "The processor."
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")] if Path("/proc/cpuinfo").exists() else []
    return f"{names[0] if names else platform.processor()}, one core"


def on_one_core():
    "Start again on one core: either library counts the cores when it is loaded."
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        one = {**os.environ, "OMP_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], one)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--slices", type=int, default=64, help="how many are predicted in one process")
    p.add_argument("--out", type=Path, default=HERE/"results"/"export.csv", help="the table")
    a = p.parse_args()
    on_one_core()
    pictures = sorted(find_data("sample").glob("*/*[0-9].png"))[:a.slices]
    rows = []
    for what,words in RUNS.items():
        with tempfile.TemporaryDirectory() as home:
            rows.append(measure(what, words, Path(home), pictures, a.repeats))
        csv.DictWriter(sys.stdout, list(rows[-1])).writerow(rows[-1])
        sys.stdout.flush()
    write_rows(a.out, rows)


if __name__ == "__main__":
    main()
