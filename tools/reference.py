"""Measure rows of the table nbs/studies/results.csv: a model on a set, under a way to split.

    python tools/reference.py cheng FOLDER --resume                         all rows not there yet
    python tools/reference.py cheng FOLDER --model frozen --split patients  one row
    python tools/reference.py lgg FOLDER --model finetuned --fold 0         one fold of the five
    python tools/reference.py cheng FOLDER --model tutorial-default         by name only: downloads

Five folds, seed 0, pooled; FOLDER holds one sub-folder per class. Rows are told apart by set, split
and model. Each is written as soon as it is measured, and the predictions of networks and of three
probes are kept in nbs/studies/predictions. With --resume a row is left alone that is there with the
same fingerprints (of the data, the folds, the groups of the intervals, the settings), and a
training that was stopped goes on from its last epoch.

Intervals are over the most independent unit that is known, whatever the split: patients, or else
near-duplicates. So the rows of a model can be compared.
`seconds`: of the training epochs of a row's networks; of the whole call for a frozen network and
for probes, which are measured together.
"""
import argparse
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder, data_hash
from brain_tumor_nb.evaluation import score
from brain_tumor_nb.learners import FrozenHead, make_learner
from brain_tumor_nb.parallel import train_folds
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.probes import PROBES, run_probes
from brain_tumor_nb.splitting import make_folds
from brain_tumor_nb.training import FEW, Config
from rows import (KEPT, ROOT, commit, fingerprint, folds_hash, keep, keep_groups, kept_file,
                  machine, put, read, values)
from brain_tumor_nb.splitting import SPLITS, find_groups

SETS = {"brain_tumor_dataset": ("random", "near-duplicates"),   # its patients are unknown
        "brain_mri_4class": SPLITS, "cheng": SPLITS,
        "lgg": ("random", "patients")}                          # any other set: all ways to split
METRICS = ("accuracy", "auroc", "sensitivity", "specificity")
KEYS = ("set", "split", "model")
KEPT_PROBES = ("metadata", "masked", "nearest")     # predictions of all would take over 3 MB
SAME = ("data", "folds", "units", "settings")       # where these agree, nothing is measured again
NETWORKS = {"tutorial": ("tutorial's ResNet18, random weights, last epoch",
                         lambda n: Config.tutorial(weights="none", keep="last")),
            "tutorial-default": ("tutorial's ResNet18, ImageNet weights, last epoch",
                                 lambda n: Config.tutorial(weights="default", keep="last")),
            "frozen": ("frozen EfficientNet-Lite0, logistic regression (--freeze)",
                       lambda n: Config.recommended(freeze=True)),
            "finetuned": ("EfficientNet-Lite0, later blocks fine-tuned (--fine-tune)",
                          lambda n: Config.recommended(max(n, FEW))),
            "recommended": ("what btnb train does by default", Config.recommended)}


def settings(config):
    "A fingerprint of what a network is trained with, wherever that is."
    # under the names of the first rows, so that these keep their fingerprint
    names = {"framing": "fit"}
    found = {names.get(k, k): v for k,v in asdict(config).items() if k != "device"}
    if not found["jitter"]:
        del found["jitter"]
    return fingerprint(found)


def jobs(models, slices):
    "`Config` of each network among `models`, without one that repeats another's settings."
    found = {m: NETWORKS[m][1](slices) for m in NETWORKS if m in models}
    for m in [m for m in found if m == "recommended"]:
        for other,(_,choose) in NETWORKS.items():
            if other != m and choose(slices) == found[m]:
                print(f"{m} is {other} on so many slices: measure that")
                found.pop(m, None)
    return found


class Table:
    "The rows of one set: which are there, and how a new one gets in."
    def __init__(self, name, folder, ways, fold, out, kept, work):
        self.name,self.folder,self.fold = name,folder,fold
        self.out,self.kept,self.work = out,kept,work
        self.units = find_groups(folder)
        every = {by: make_folds(folder, find_groups(folder, by), 5) for by in ways}
        self.splits = {by: s if fold is None else s[fold:fold+1] for by,s in every.items()}
        of_set = dict(data=data_hash(folder)[:12], units=fingerprint(self.units.tolist()))
        self.facts = {by: dict(of_set, folds=folds_hash(folder, s)) for by,s in every.items()}
        self.commit = commit()                      # the checkout may change while this runs

    def row(self, by, model, made_with):
        "The beginning of a row, with all that tells whether it is there already."
        asked = "probes" if model in PROBES else model
        one = "" if self.fold is None else f" --fold {self.fold}"
        command = f"python tools/reference.py {self.name} FOLDER --model {asked} --split {by}{one}"
        fold = "all" if self.fold is None else str(self.fold)
        return dict(set=self.name, split=by, model=model, fold=fold, **self.facts[by],
                    settings=made_with, command=command)

    def there(self, by, model, made_with):
        "Whether the table has this row, or the row of all folds in place of one."
        new = self.row(by, model, made_with)
        old = [r for r in read(self.out) if all(r[k] == new[k] for k in (*KEYS, *SAME))]
        return any(r["fold"] in (new["fold"], "all") for r in old)

    def add(self, by, model, made_with, words, pred, seconds):
        "Score predictions, write the row, keep the predictions."
        group_of = dict(zip(self.folder.paths, self.units.tolist()))
        groups = np.array([group_of[p] for p in pred.paths])
        found = score(pred, groups)
        row = self.row(by, model, made_with)
        command = row.pop("command")
        row = dict(row, words=words, kind="probe" if model in PROBES else "network",
                   slices=len(pred), groups=len(set(groups.tolist())),
                   **values({m: found[m] for m in METRICS}), seconds=round(seconds),
                   machine=machine(), commit=self.commit, command=command)
        keep_groups(self.name, self.folder.paths, self.units, self.kept)
        if model in NETWORKS or model in KEPT_PROBES:
            keep(pred, kept_file(self.name, by, model, self.kept))
        put(self.out, row, KEYS)
        scores = f"accuracy {row['accuracy']}  AUROC {row['auroc']}"
        print(f"{by:16} {words:60} {scores}", flush=True)


def numbered(parts, fold=None):
    "Predictions of folds, pooled, under the numbers of their folds."
    first = fold or 0
    return Predictions.concat([replace(p, folds=[first + i]*len(p)) for i,p in enumerate(parts)])


def measure_probes(table, by):
    "All probes under one way to split."
    start = time.perf_counter()
    found = run_probes(table.folder, table.splits[by])
    seconds = time.perf_counter() - start
    for name,pred in found.items():
        pred = replace(pred, folds=[k + (table.fold or 0) for k in pred.folds])
        table.add(by, name, fingerprint([name, *PROBES[name]]), PROBES[name].words, pred, seconds)


def measure_frozen(table, ways, model, config, work):
    "A head on frozen features under several ways to split: the features are computed once."
    start = time.perf_counter()
    splits,made_with = [s for by in ways for s in table.splits[by]],settings(config)
    parts,_ = train_folds(table.folder, splits, config, work)
    seconds = time.perf_counter() - start
    each = len(parts)//len(ways)
    for i,by in enumerate(ways):
        pred = numbered(parts[i*each:(i+1)*each], table.fold)
        table.add(by, model, made_with, NETWORKS[model][0], pred, seconds)


def measure_trained(table, by, model, config, work, resume):
    "A network trained under one way to split."
    made_with = settings(config)
    def say(line):
        print(f"  {by}, {model}: {line}", flush=True)
    parts,histories = train_folds(table.folder, table.splits[by], config, work, resume, say=say)
    seconds = sum(sum(h.column("seconds")) for h in histories)
    table.add(by, model, made_with, NETWORKS[model][0], numbered(parts, table.fold), seconds)


def work_folder(table, ways, model, config, resume):
    "Where a network is trained, emptied unless training goes on."
    facts = [table.facts[by] for by in ways]
    made_with = fingerprint([facts, settings(config), table.fold])
    work = table.work/f"{table.name}-{model}-{made_with}"
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    return work


def measure(table, models, resume):
    "Every row that is asked for and not there yet."
    ways = list(table.splits)
    for by in ways:
        rows = [(name, fingerprint([name, *p])) for name,p in PROBES.items()]
        if "probes" in models and not (resume and all(table.there(by, *r) for r in rows)):
            measure_probes(table, by)
    for model,config in jobs(models, len(table.folder)).items():
        made_with = settings(config)
        missing = [by for by in ways if not (resume and table.there(by, model, made_with))]
        frozen = isinstance(make_learner(config, ()), FrozenHead)
        together = [missing] if frozen and missing else [[by] for by in missing]
        for some in together:
            work = work_folder(table, some, model, config, resume)
            if frozen:
                measure_frozen(table, some, model, config, work)
            else:
                measure_trained(table, some[0], model, config, work, resume)
            shutil.rmtree(work, ignore_errors=True)


def options():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help=f"of the set: {', '.join(SETS)}, or another")
    p.add_argument("folder", type=Path, help="with one sub-folder per class")
    p.add_argument("--model", action="append", choices=["probes", *NETWORKS],
                   help="which; may be repeated  [default: all but tutorial-default]")
    p.add_argument("--split", action="append", choices=SPLITS,
                   help="which; may be repeated  [default: all that the set allows]")
    p.add_argument("--fold", type=int, choices=range(5), help="measure one of the folds alone")
    p.add_argument("--resume", action="store_true",
                   help="leave rows that are there, go on with a training that was stopped")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/studies/results.csv", help="the table")
    p.add_argument("--kept", type=Path, default=KEPT, help="folder for the predictions")
    p.add_argument("--work", type=Path, default=ROOT/"runs/reference",
                   help="folder for networks until their row is written")
    a = p.parse_args()
    wrong = set(a.split or ()) - set(SETS.get(a.name, SPLITS))
    if wrong:
        allowed = ", ".join(SETS[a.name])
        p.error(f"{a.name} is not split by {', '.join(wrong)}: choose from {allowed}")
    return a


def main():
    a = options()
    try:
        ways = a.split or SETS.get(a.name, SPLITS)
        table = Table(a.name, MRIFolder(a.folder), ways, a.fold, a.out, a.kept, a.work)
        every = ["probes", *(m for m in NETWORKS if m != "tutorial-default")]
        measure(table, a.model or every, a.resume)
    except (ValueError, OSError) as e:
        raise SystemExit(f"reference.py: {e}") from None


if __name__ == "__main__":
    main()
