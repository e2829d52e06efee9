"""Test a run on another set, near twins of its training slices removed, and write a row of nbs/transfer.csv.

    btnb train TRAIN [--folds 5] --out RUN
    python tools/transfer.py RUN TRAIN TEST --map glioma=yes,meningioma=yes,pituitary=yes,notumor=no

The working point is the threshold at which 95 % of the tumours are found in the run's own predictions of slices that the predicting network did not see. Rows are replaced by model, training and test set.
"""
import argparse, json, tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from brain_tumor_nb.cli import evaluate_run, parse_map
from brain_tumor_nb.data import MRIFolder, data_hash
from brain_tumor_nb.evaluation import Predictions, positive_class
from brain_tumor_nb.splitting import find_groups
from brain_tumor_nb.training import Config
from brain_tumor_nb.transfer import merge_classes, score_at_working_point
from rows import ROOT, commit, put, values



def name(folder):
    "A set's name; that of a published training part is its parent's."
    p = Path(folder).resolve()
    return p.parent.name if p.name == "Training" else p.name


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("run", type=Path, help="of btnb train TRAIN with its default settings")
    p.add_argument("train", type=Path, help="folder it was trained on")
    p.add_argument("test", type=Path, help="folder to test it on")
    p.add_argument("--map", default="", help="class names to common ones")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/transfer.csv")
    a = p.parse_args()
    mapping,train,config = parse_map(a.map),MRIFolder(a.train),Config.load(a.run/"config.json")
    if json.loads((a.run/"data.json").read_text(encoding="utf-8"))["hash"] != data_hash(train): p.error(f"{a.run} was not trained on {a.train}")
    if replace(config, folds=1, classes=(), stats=None) != Config.recommended(len(train)): p.error(f"{a.run} was not made with the default settings, and the row would name a wrong command")
    known = merge_classes(Predictions.load(a.run/"predictions.csv"), mapping); group_of = dict(zip(train.paths, find_groups(train)))
    with tempfile.TemporaryDirectory() as out:
        found = evaluate_run(a.run, a.test, out, mapping, a.train, say=print); tested = Predictions.load(Path(out)/"predictions.csv")
    groups = np.array([group_of[f] for f in known.paths]); own = score_at_working_point(known, groups, [known], groups)["specificity"]
    test = MRIFolder(a.test)
    row = dict(train=name(a.train), test=name(a.test), model=f"{config.arch}, {'head alone' if config.trainable == 0 else 'fine-tuned'}, {config.folds} network{'s'*(config.folds > 1)}", tested=len(tested), positive=int((tested.y == positive_class(tested.classes)).sum()), twins=len(test) - len(tested),
               **values({"specificity": own}, "own_"), **values({m: found[m] for m in ("auroc", "sensitivity", "specificity")}), **values({m: found[f"{m}_at_working_point"] for m in ("sensitivity", "specificity")}, "point_"),
               train_data=data_hash(train)[:12], test_data=data_hash(test)[:12], commit=commit(), command=f"btnb train TRAIN{f' --folds {config.folds}'*(config.folds > 1)} --out RUN; python tools/transfer.py RUN TRAIN TEST --map {a.map}")
    put(a.out, row, ("train", "test", "model"))
    print(row)


if __name__ == "__main__": main()
