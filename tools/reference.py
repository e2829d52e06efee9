"""Measure rows of the reference table, nbs/results.csv: a model or a probe on a public set, in grouped and in naive folds.

    python tools/reference.py brain_tumor_dataset FOLDER                             every row of this set
    python tools/reference.py brain_mri_4class FOLDER --model frozen --model probes  some of them; the others stay
    python tools/reference.py brain_mri_4class FOLDER --model finetuned --run RUN    from a run that is there: btnb train FOLDER [--folds 5] --out RUN; without folds it is of one part

Grouped folds are those of `make_folds` with seed 0 on the groups of `find_groups`; naive ones treat each slice as independent. Intervals are over the groups in both.
Rows are replaced by set, split and model.
"""
import argparse, json, tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder, data_hash
from brain_tumor_nb.evaluation import Predictions, score
from brain_tumor_nb.parallel import train_folds
from brain_tumor_nb.probes import PROBES, run_probes
from brain_tumor_nb.splitting import find_groups, make_folds
from brain_tumor_nb.training import FEW, Config
from rows import ROOT, commit, folds_hash, put, values

METRICS = ("accuracy", "auroc", "sensitivity", "specificity")
NETWORKS = {"tutorial": ("tutorial's ResNet18, random weights, last epoch", lambda n: Config.tutorial(weights="none", keep="last")),
            "frozen": ("frozen EfficientNet-Lite0, logistic regression (--freeze)", lambda n: Config.recommended(trainable=0)),
            "few": ("frozen EfficientNet-Lite0 at three sizes (recommended for few slices)", lambda n: Config.recommended(1)),
            "finetuned": ("EfficientNet-Lite0, later blocks fine-tuned (--fine-tune)", lambda n: Config.recommended(max(n, FEW)))}


def from_run(run, folder, splits, config):
    "The predictions of a run, if it was made with these settings, of this folder, in these folds or the first of them."
    pred,used = Predictions.load(run/"predictions.csv"),Config.load(run/"config.json"); splits = splits if used.folds > 1 else splits[:1]
    fold_of = {folder.paths[i]: k for k,s in enumerate(splits) for i in s.valid}
    if json.loads((run/"data.json").read_text(encoding="utf-8"))["hash"] != data_hash(folder) or dict(zip(pred.paths, pred.folds)) != fold_of: raise SystemExit(f"{run} is of another folder, or of other folds")
    if replace(used, folds=1, classes=(), stats=None) != config: raise SystemExit(f"{run} was made with other settings")
    return pred


def predictions(folder, splits, models):
    "(kind, words, pooled `Predictions`) of each model."
    if "probes" in models:
        for name,pred in run_probes(folder, splits).items(): yield "probe", PROBES[name].words, pred
    for name,(words,choose) in NETWORKS.items():
        if name not in models: continue
        config = choose(len(folder))
        with tempfile.TemporaryDirectory() as out:
            parts,_ = train_folds(folder, splits, replace(config, classes=tuple(folder.classes), folds=len(splits)), out, say=lambda line: print(f"  {line}", flush=True))
        yield "network", words, Predictions.concat(parts)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the set, such as brain_tumor_dataset")
    p.add_argument("folder", type=Path, help="with one sub-folder a class")
    p.add_argument("--model", action="append", choices=["probes", *NETWORKS], help="which; may be repeated  [default: all]")
    p.add_argument("--split", action="append", choices=["grouped", "naive"], help="which  [default: both]")
    p.add_argument("--run", type=Path, help="read the predictions of the one --model, in grouped folds, from this run folder")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/results.csv")
    a = p.parse_args()
    if a.run and (len(a.model or ()) != 1 or a.model[0] not in NETWORKS or "naive" in (a.split or ())): p.error("--run takes exactly one --model, a network, and grouped folds")
    folder = MRIFolder(a.folder); groups = find_groups(folder); group_of = dict(zip(folder.paths, groups))
    at = commit()
    if a.run: a.split,(words,choose) = ["grouped"],NETWORKS[a.model[0]]
    command = " ".join([*(["btnb train FOLDER" + " --folds 5"*(Config.load(a.run/"config.json").folds == 5) + {"finetuned": " --fine-tune", "frozen": " --freeze"}.get(a.model[0], "") + " --out RUN;"] if a.run else []), "python tools/reference.py", a.name, "FOLDER", *(w for m in a.model or () for w in ("--model", m)), *(w for s in a.split or () for w in ("--split", s)), *["--run RUN"]*bool(a.run)])
    for split in a.split or ("grouped", "naive"):
        splits = make_folds(folder, groups if split == "grouped" else np.arange(len(folder)), 5)
        if a.run: pred = from_run(a.run, folder, splits, choose(len(folder))); made = [("network", words + f", one part of {len(pred)} slices"*(len(pred) < len(folder)), pred)]
        else: made = predictions(folder, splits, a.model or ("probes", *NETWORKS))
        for kind,words,pred in made:
            found = score(pred, np.array([group_of[f] for f in pred.paths]))
            row = dict(set=a.name, split=split, kind=kind, model=words, slices=len(folder), groups=len(set(groups.tolist())), **values({m: found[m] for m in METRICS}), data=data_hash(folder)[:12], folds=folds_hash(folder, splits), commit=at, command=command)
            put(a.out, row, ("set", "split", "model"))
            print(f"{split:8} {words:60} accuracy {row['accuracy']}  AUROC {row['auroc']}", flush=True)


if __name__ == "__main__": main()
