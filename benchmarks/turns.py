"""Time the commands of two checkouts in turns, on one machine; write benchmarks/results/turns.csv.

    git worktree add ../before COMMIT
    python benchmarks/turns.py ../before . --data FOLDER [--only help …] [--repeats 3]

FOLDER holds one sub-folder per class. Each row is a median over the repeats: seconds, and the peak
of resident memory in MB, of either checkout; `ratio` is new to old. What runs beside this adds
noise to both, so read the ratios. Both run with the packages of this environment, one thread.
"""
import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEYS = ("what", "old_s", "new_s", "ratio", "old_mb", "new_mb", "repeats", "old", "new")


def timed(checkout, *args):
    "Seconds and peak memory in MB of `btnb` from a checkout, in a process of its own."
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    env.pop("BRAIN_TUMOR_DATA", None)
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "brain_tumor_nb", *map(str, args)], env=env,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               cwd=tempfile.gettempdir())
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{checkout}: btnb {' '.join(map(str, args))} failed:\n{said[-2000:]}")
    return time.perf_counter() - start, used.ru_maxrss/1024


def many(folder, n, out):
    "A folder of `n` pictures, copies of those of another."
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".png", ".jpg"))
    out.mkdir()
    for i in range(n):
        shutil.copy(files[i % len(files)], out/f"{i:04}{files[i % len(files)].suffix}")
    return out


def jobs(data, home):
    "Name to the words after `btnb`; OUT stands for a new folder, RUN for a trained run."
    thousand,one = many(data, 1000, home/"thousand"),many(data, 1, home/"one")
    return {"help": ["--help"],
            "predict 1": ["predict", "RUN", one],
            "predict 1000": ["predict", "RUN", thousand],
            "audit": ["audit", data],
            "evaluate --against": ["evaluate", "RUN", "sample", "--against", data, "--map",
                                   "glioma=yes,meningioma=yes,pituitary=yes"],
            "train --folds 5": ["train", data, "--folds", 5, "--out", "OUT"]}


def commit(checkout):
    "The commit of a checkout, with `-dirty` where it was changed."
    def git(*words):
        return subprocess.run(["git", "-C", checkout, *words], capture_output=True,
                              text=True).stdout.strip()
    changed = git("status", "--porcelain", "-uno", "--", ".", ":!nbs/studies")     # tables there
    return git("rev-parse", "--short", "HEAD") + "-dirty"*bool(changed)


def measure(what, words, checkouts, runs, home, repeats):
    "A row: both checkouts in turns, the order changing each time."
    found = {c: [] for c in checkouts}
    for r in range(repeats):
        for c in checkouts[::(-1)**r]:
            swap = dict(RUN=runs[c], OUT=home/"out")
            found[c].append(timed(c, *(swap.get(w, w) for w in words)))
            shutil.rmtree(home/"out", ignore_errors=True)
    (old_s,old_mb),(new_s,new_mb) = ([statistics.median(v) for v in zip(*found[c])]
                                     for c in checkouts)
    old,new = map(commit, checkouts)
    return dict(what=what, old_s=f"{old_s:.2f}", new_s=f"{new_s:.2f}", ratio=f"{new_s/old_s:.2f}",
                old_mb=round(old_mb), new_mb=round(new_mb), repeats=repeats, old=old, new=new)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("old", type=Path, help="a checkout")
    p.add_argument("new", type=Path, help="another")
    p.add_argument("--data", type=Path, required=True, help="folder with classes no and yes")
    p.add_argument("--only", action="append", help="measure this row; may be repeated")
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--out", type=Path, default=HERE/"results"/"turns.csv", help="the table")
    a = p.parse_args()
    checkouts,data = [a.old.resolve(), a.new.resolve()],a.data.resolve()
    with tempfile.TemporaryDirectory() as tmp:
        home,rows = Path(tmp),[]
        runs = {c: home/f"run{i}" for i,c in enumerate(checkouts)}
        for c,run in runs.items():
            timed(c, "train", data, "--out", run)
        for what,words in jobs(data, home).items():
            if a.only and what not in a.only:
                continue
            rows.append(measure(what, words, checkouts, runs, home, a.repeats))
            print(rows[-1], flush=True)
        a.out.parent.mkdir(exist_ok=True)
        with open(a.out, "w", newline="", encoding="utf-8") as f:
            table = csv.DictWriter(f, KEYS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


if __name__ == "__main__":
    main()
