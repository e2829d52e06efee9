"""Measure runs with simulated faults, and write the tables of nbs/aims/22_robustness.

    python tools/robustness.py CHENG frozen=RUN finetuned=RUN … --baseline frozen --work DIR

A RUN is the folder of a run on CHENG by patients. Those of the committed tables were made by

    btnb train CHENG --freeze --folds 5 --no-probes --out FROZEN
    btnb train CHENG --fine-tune --folds 5 --no-probes --out FINETUNED

and those of augmentation_faults.csv (--name augmentation_faults --baseline none, with runs called
none, flips and so on) by

    python tools/study.py augmentation cheng CHENG --networks --out OTHER

(networks in runs/study-augmentation; OTHER, because the rows are there already). The slices are
those of nbs/aims/robustness_slices.csv: 600 of cheng, three per subject at most, drawn once by
`pick_slices`; of a run with some of the folds only those that it held out. Writes nbs/aims/NAME.csv
(a row per run, fault and severity), nbs/aims/NAME_mean.csv (errors over those of the baseline, on
the slices that both predicted; with all faults alone) and, where slices have masks and the name is
robustness, nbs/aims/NAME_lesions.csv (errors at low resolution by thirds of the size of the
lesion). In --work the predictions of each run and fault are kept, so that the same command goes on
where it was stopped, and several can share the work.
"""
import argparse
import csv
import hashlib
import io
from dataclasses import replace
from inspect import getsource as source
from pathlib import Path

import numpy as np

from brain_tumor_nb import corruptions
from brain_tumor_nb.core import write_file, write_rows
from brain_tumor_nb.corruptions import CORRUPTIONS, SEVERITIES, SIDE, corrupt, strengths
from brain_tumor_nb.data import PixelStore, data_hash
from brain_tumor_nb.robustness import Trial, effect_rows, mean_corruption_error, pick_slices
from brain_tumor_nb.runs import Run, open_folder
from brain_tumor_nb.splitting import find_groups
from brain_tumor_nb.tumour_types import error_rate, lesion_facts
from rows import ROOT, commit, fingerprint, machine, put

AIMS = ROOT/"nbs/aims"


def news(line):
    "Print at once."
    print(line, flush=True)


def listed(folder, file):
    "The paths of the list; drawn and written where it is not there."
    if not file.exists():
        groups = find_groups(folder, "patients")
        write_rows(file, [dict(path=folder.paths[i]) for i in pick_slices(groups)])
    with file.open(newline="", encoding="utf-8") as f:
        return [row["path"] for row in csv.DictReader(f)]


def text(value):
    "A value of a table: six digits, nothing for None."
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def version(run, fault):
    "A fingerprint of what predictions come from: weights, strengths, the code of the faults."
    weights = [hashlib.sha256((part/"model.safetensors").read_bytes()).hexdigest()
               for part in run.parts]
    return fingerprint([weights, fault != "clean" and strengths(fault), source(corruptions)])


def predict(name, run, folder, paths, faults, work):
    "Predictions of clean slices and of every fault and severity; what lies in `work` is read."
    trial = Trial(run, folder, paths=paths)
    place = {path: i for i,path in enumerate(folder.paths)}
    whole = PixelStore(folder, SIDE, run.config.framing).pixels[[place[p] for p in sorted(paths)]]
    mine = np.isin(sorted(paths), trial.pred.paths)     # all runs see the same draws of a fault
    found = {}
    for fault in ("clean", *faults):
        file = work/f"{name}-{fault}-{version(run, fault)}.npz"
        severities = SEVERITIES if fault != "clean" else (0,)
        if not file.exists():
            probs = [trial.predict((corrupt(whole, fault, s) if s else whole)[mine]).probs
                     for s in severities]
            out = io.BytesIO()
            np.savez(out, paths=trial.pred.paths, probs=np.stack(probs))
            write_file(file, out.getvalue())
            news(f"{name}: {fault}")
        kept = np.load(file)
        if kept["paths"].tolist() != list(trial.pred.paths):
            raise ValueError(f"{file} is of other slices: give another --work")
        found.update({(fault, s): replace(trial.pred, probs=probs)
                      for s,probs in zip(severities, kept["probs"])})
    return found


def by_lesion(found, folder):
    "Errors of clean slices and of those with few pixels, for small, middle and large lesions."
    at = {path: i for i,path in enumerate(folder.paths)}
    clean = found["clean", 0]
    facts = lesion_facts(folder, [at[path] for path in clean.paths])
    areas = np.array([f.area if f else 0 for f in facts])
    if not (areas > 0).any():
        return []
    ends = np.quantile(areas[areas > 0], [1/3, 2/3])
    third = np.digitize(areas, ends)
    rows = []
    for key in (("clean", 0), *(("low_resolution", s) for s in SEVERITIES)):
        wrong = found[key].probs.argmax(1) != clean.y
        for k,size in enumerate(("small", "middle", "large")):
            part = (third == k) & (areas > 0)
            rate = error_rate(wrong[part], clean.groups[part])
            rows.append(dict(severity=key[1], lesion=size, lesions=int(part.sum()), **rate))
    return rows


def some(found, paths):
    "Predictions of some of the slices, in every condition."
    return {k: pred[np.isin(pred.paths, list(paths))] for k,pred in found.items()}


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path, help="cheng")
    p.add_argument("runs", nargs="+", metavar="NAME=RUN")
    p.add_argument("--baseline", help="the NAME whose errors are 100 %%")
    p.add_argument("--fault", action="append", help="only this one  [default: all]")
    p.add_argument("--name", default="robustness", help="of the tables  [default: robustness]")
    p.add_argument("--slices", type=Path, default=AIMS/"robustness_slices.csv", help="the list")
    p.add_argument("--work", type=Path, default=ROOT/"runs/robustness", help="for predictions")
    p.add_argument("--out", type=Path, default=AIMS, help="folder of the tables")
    a = p.parse_args()
    runs = dict(run.split("=", 1) for run in a.runs if "=" in run)
    if len(runs) < len(a.runs) or a.baseline and a.baseline not in runs:
        p.error("give each run as NAME=FOLDER, with another NAME each, and a baseline among them")
    names = tuple(a.fault or CORRUPTIONS)
    try:
        folder = open_folder(a.folder)
        paths = listed(folder, a.slices)
        about = dict(data=data_hash(folder)[:12], machine=machine(), commit=commit(),
                     command="python tools/robustness.py CHENG NAME=RUN")
        found = {}
        for name,run in runs.items():
            found[name] = predict(name, Run(run), folder, paths, names, a.work)
            clean = found[name]["clean", 0]
            of = dict(slices=len(clean), groups=len(set(clean.groups.tolist())))
            for row in effect_rows(found[name]):
                row = {k: text(v) for k,v in row.items()}
                put(a.out/f"{a.name}.csv", dict(model=name, **row, **of, **about),
                    ("model", "corruption", "severity"))
            lesions = a.name == "robustness" and "low_resolution" in names
            for row in by_lesion(found[name], folder) if lesions else ():
                row = {k: text(v) for k,v in row.items()}
                put(a.out/f"{a.name}_lesions.csv", dict(model=name, **row, **about),
                    ("model", "severity", "lesion"))
        every = names == tuple(CORRUPTIONS)             # a mean of some faults is another number
        for name in runs if a.baseline and every else ():
            both = set(found[name]["clean", 0].paths) & set(found[a.baseline]["clean", 0].paths)
            mine,base = some(found[name], both),some(found[a.baseline], both)
            row = {k: text(v) for k,v in mean_corruption_error(mine, base).items()}
            put(a.out/f"{a.name}_mean.csv", dict(model=name, baseline=a.baseline, **row,
                                                  slices=len(both), **about), ("model", "baseline"))
            news(f"{name}: {row}")
    except (ValueError, OSError) as e:
        raise SystemExit(f"robustness.py: {e}") from None


if __name__ == "__main__":
    main()
