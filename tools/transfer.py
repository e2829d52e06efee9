"""Test a run on another set, and write a row of nbs/studies/transfer.csv.

    btnb train TRAIN [--freeze] [--folds 5] --out RUN
    python tools/transfer.py RUN TRAIN TEST --map glioma=yes,meningioma=yes,pituitary=yes,notumor=no
    python tools/transfer.py RUN TRAIN IXI --map no_tumor=no,glioma=yes,…

Slices are left out that are near-duplicates of training slices, flipped or not. The operating
point is the threshold at which 95 % of the tumours are found in the run's own predictions of slices
that the predicting network did not see. TEST may hold one class alone, without tumours: every slice
that is called a tumour is then a false alarm, and specificity is all there is to measure.
Rows are told apart by training set, test set and model.
"""
import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from brain_tumor_nb.cli import parse_map
from brain_tumor_nb.data import MRIFolder, PixelStore, data_hash
from brain_tumor_nb.evaluation import bootstrap_weights, positive_class, wilson
from brain_tumor_nb.learners import make_learner, predict_each
from brain_tumor_nb.predictions import Predictions, merge_classes
from brain_tumor_nb.runs import Run, evaluate_run, judge_score
from brain_tumor_nb.splitting import find_groups, unseen_slices
from brain_tumor_nb.training import Config
from brain_tumor_nb.transfer import (at_operating_point, judge_transfer,
                                     score_at_operating_point)
from rows import ROOT, commit, fingerprint, machine, put, values

KEYS = ("train", "test", "model")


def set_name(folder):
    "A set's name; that of a published training part is its parent's."
    p = Path(folder).resolve()
    return p.parent.name if p.name == "Training" else p.name


def share(right, groups):
    "Share of right slices, with a 95 % interval over groups: bootstrap, or Wilson's if all agree."
    w = bootstrap_weights(groups)
    found = w @ right/w.sum(1)
    n = len(set(groups.tolist()))
    alike = found.min() == found.max()
    low,high = wilson(int(right.all())*n, n) if alike else np.quantile(found, [.025, .975])
    return dict(value=float(right.mean()), low=float(low), high=float(high))


def with_another_class(test, train, out):
    "A copy of a folder of one class beside one training slice: a data set needs two classes."
    shutil.copytree(test, out, dirs_exist_ok=True)
    other = Path(out)/"another"
    other.mkdir()
    first = Path(train.samples[0][0])
    shutil.copy(first, other/first.name)
    return MRIFolder(out)


def false_alarms(run, train, test, mapping, known):
    "Columns of a test set without tumours: specificity at one half and at the operating point."
    with tempfile.TemporaryDirectory() as copy:
        folder = with_another_class(test, train, copy)
        learners = Run(run).learners()
        config = learners[0].config
        ours = np.array([not p.startswith("another/") for p in folder.paths])
        new = unseen_slices(train, folder) & ours
        groups = find_groups(folder)[new]
        pixels = PixelStore(folder, config.size, config.framing).pixels[new]
        paths = [folder.paths[i] for i in np.nonzero(new)[0]]
        names = tuple(mapping.get(c, c) for c in {p.split("/")[0] for p in paths})
        n = len(paths)
        tables = [Predictions(paths, [names[0]]*n, learners[0].classes, probs, [0]*n)
                  for probs in predict_each(learners, pixels)]
    each = [merge_classes(p, mapping) for p in tables]
    mean = replace(each[0], probs=np.mean([p.probs for p in each], 0))
    c = positive_class(mean.classes)
    point = at_operating_point(known, each)
    half,point = [share(p.probs.argmax(1) != c, groups) for p in (mean, point)]
    none = dict(value=None)
    return dict(tested=len(paths), positive=0, left_out=int(ours.sum()) - len(paths),
                groups=len(set(groups.tolist())),
                **values(dict(auroc=none, sensitivity=none, specificity=half)),
                **values(dict(sensitivity=none, specificity=point), "point_"),
                test_data=fingerprint([d for d,o in zip(folder.digests, ours) if o]))


def both_classes(run, train, test, mapping):
    "Columns of a test set with and without tumours."
    judges = [judge_score, judge_transfer]
    found = evaluate_run(run, test, None, mapping, train.root, print, judges)
    tested,metrics,folder = found.predictions,found.metrics,MRIFolder(test)
    point = found.section("operating_point").facts
    positive = int((tested.y == positive_class(tested.classes)).sum())
    return dict(tested=len(tested), positive=positive, left_out=len(folder) - len(tested),
                groups=len(set(tested.groups.tolist())),
                **values({m: metrics[m] for m in ("auroc", "sensitivity", "specificity")}),
                **values(point, "point_"),
                test_data=data_hash(folder)[:12])


def options_of(config, slices):
    "The option of `btnb train` that makes such networks, but for the folds; None if there is none."
    for way,freeze in (("", False), (" --freeze", True)):
        if replace(config, folds=1) == Config.recommended(slices, freeze):
            return way
    return None


def options():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("run", type=Path, help="of btnb train TRAIN, with no other options than these")
    p.add_argument("train", type=Path, help="folder it was trained on")
    p.add_argument("test", type=Path, help="folder to test it on; of one class: count false alarms")
    p.add_argument("--map", default="", help="class names to common ones")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/studies/transfer.csv", help="the table")
    return p, p.parse_args()


def main():
    p,a = options()
    mapping,train,config = parse_map(a.map),MRIFolder(a.train),Config.load(a.run/"config.json")
    facts = json.loads((a.run/"data.json").read_text(encoding="utf-8"))
    if facts["hash"] != data_hash(train):
        p.error(f"{a.run} was not trained on {a.train}: give the folder it was trained on")
    way = options_of(config, len(train))
    if way is None:
        p.error(f"{a.run} was made with other settings than those of btnb train or --freeze, and "
                "the row would name a wrong command: train it anew without other options")
    known = merge_classes(Predictions.load(a.run/"predictions.csv"), mapping)
    group_of = dict(zip(train.paths, find_groups(train)))
    groups = np.array([group_of[f] for f in known.paths])
    own = score_at_operating_point(known, groups, [known], groups)["specificity"]
    alone = sum(e.is_dir() for e in a.test.iterdir()) == 1
    found = (false_alarms(a.run, train, a.test, mapping, known) if alone else
             both_classes(a.run, train, a.test, mapping))
    kind = make_learner(config, ()).kind
    networks = f"{config.folds} network{'s'*(config.folds > 1)}"
    folds = f" --folds {config.folds}"*(config.folds > 1)
    renamed = f" --map {a.map}"*bool(a.map)
    row = dict(train=set_name(a.train), test=set_name(a.test),
               model=f"{config.arch}, {kind}, {networks}",
               **{k: v for k,v in found.items() if k != "test_data"},
               **values({"specificity": own}, "own_"),
               train_data=data_hash(train)[:12], test_data=found["test_data"],
               machine=machine(), commit=commit(),
               command=f"btnb train TRAIN{way}{folds} --out RUN; "
                       f"python tools/transfer.py RUN TRAIN TEST{renamed}")
    put(a.out, row, KEYS)
    print("\n".join(f"{k:24} {v}" for k,v in row.items()))


if __name__ == "__main__":
    main()
