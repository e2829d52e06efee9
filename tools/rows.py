"What the tools that measure rows share: machine, fingerprints, tables, kept predictions."
import csv
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from brain_tumor_nb.core import write_file
from brain_tumor_nb.predictions import Predictions

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT/"nbs/studies/predictions"     # SET/SPLIT-MODEL.csv.gz, and SET/groups.csv.gz
TABLES = ("nbs/aims/*.csv", "nbs/aims/predictions", "nbs/studies/results.csv",
          "nbs/studies/recipe.csv", "nbs/studies/transfer.csv",
          "nbs/studies/paired.csv", "nbs/studies/exhibits.csv", "nbs/studies/mistakes_real.csv",
          "nbs/studies/predictions")


def commit():
    "The commit measured at, with `-dirty` where anything but the tables differs from it."
    def git(*words):
        done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
        return done.stdout.strip()
    changed = git("status", "--porcelain", "--", ".", *(f":!{t}" for t in TABLES))
    return git("rev-parse", "--short", "HEAD") + "-dirty"*bool(changed)


def processor():
    "The processor's name as the system gives it."
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine():
    "The machine measured on: processor or GPU, cores, threads, version of torch."
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    cores,threads = os.cpu_count(),torch.get_num_threads()
    return f"{processor()}, {cores} cores, {threads} threads, torch {torch.__version__}"


def fingerprint(thing):
    "Twelve hexadecimal digits of anything that JSON can hold."
    return hashlib.sha256(json.dumps(thing).encode()).hexdigest()[:12]


def folds_hash(folder, splits):
    "A fingerprint of the validation sets of some splits."
    return fingerprint([[folder.paths[i] for i in s.valid] for s in splits])


def values(found, prefix=""):
    "Columns of some metrics, see `score`, with their intervals; empty where there is none."
    def text(v):
        return "" if v is None or np.isnan(v) else f"{v:.6f}"
    ends = (("value", ""), ("low", "_low"), ("high", "_high"))
    return {f"{prefix}{m}{end}": text(v.get(key)) for m,v in found.items() for key,end in ends}


def read(file):
    "The rows of a table; none where there is no file."
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def write(file, rows):
    "Write a table anew, whole or not at all."
    out = io.StringIO()
    w = csv.DictWriter(out, list(rows[-1]), restval="", lineterminator="\n")
    w.writeheader()
    w.writerows(rows)
    write_file(file, out.getvalue())


def put(file, row, keys):
    "Put a row at the end of a table, in place of the one with the same values of `keys`."
    lock = Path(tempfile.gettempdir())/f"btnb-{fingerprint(str(file.resolve()))}.lock"
    with FileLock(lock):                                  # two tools may measure at the same time
        others = [r for r in read(file) if any(r[k] != str(row[k]) for k in keys)]
        write(file, [*others, {k: str(v) for k,v in row.items()}])


def kept_file(name, split, model, kept=KEPT):
    "Where the predictions of a row are kept."
    return Path(kept)/name/f"{split}-{model}.csv.gz"


def pack(file, text):
    "Write text compressed: the same bytes for the same text."
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, out, mtime=0) as f:
        f.write(text.encode())
    write_file(file, out.getvalue())


def rounded(probs):
    "Probabilities with four decimals, and the same class on top."
    top,found = probs.argmax(1),probs.round(4)
    found[np.arange(len(probs)), top] += 1e-4*(found.argmax(1) != top)
    return found


def keep(pred, file):
    "Keep pooled predictions with four decimals."
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder)/"predictions.csv"
        replace(pred, probs=rounded(pred.probs), groups=None).save(table)
        pack(file, table.read_text(encoding="utf-8"))


def load_kept(file):
    "Predictions that were kept."
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder)/"predictions.csv"
        table.write_bytes(gzip.decompress(file.read_bytes()))
        return Predictions.load(table)


def keep_groups(name, paths, groups, kept=KEPT):
    "Keep which slices of a set belong together, for intervals and tests."
    rows = "".join(f"{p},{g}\n" for p,g in zip(paths, groups))
    pack(Path(kept)/name/"groups.csv.gz", "path,group\n" + rows)


def load_groups(name, kept=KEPT):
    "Path to group, as `keep_groups` left it."
    text = gzip.decompress((Path(kept)/name/"groups.csv.gz").read_bytes()).decode()
    return {path: int(group) for path,group in list(csv.reader(io.StringIO(text)))[1:]}
