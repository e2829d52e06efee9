"""Choose a recipe by inner validation, and measure each candidate and the choice on the outer folds: nbs/recipe.csv.

    python tools/recipe.py FOLDER

Each of five grouped outer folds asks three grouped inner folds, made of its training part alone, which candidate has the best pooled AUROC; that candidate, trained on the whole
training part, predicts the outer fold. "chosen" pools those predictions: what one gets who chooses that way. The other rows pool one candidate's, so the best of them is a little optimistic.
"""
import argparse, tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from brain_tumor_nb import data
from brain_tumor_nb.data import MRIFolder, data_hash
from brain_tumor_nb.evaluation import Predictions, all_metrics, score
from brain_tumor_nb.parallel import train_folds
from brain_tumor_nb.splitting import find_groups, make_folds
from brain_tumor_nb.training import Config
from rows import ROOT, commit, folds_hash, values, write

OUTER,INNER = 5,3
ONE,THREE = Config.recommended(trainable=0),Config.recommended(253)
WIDER = {"head alone, 288, 224 and 160 pixels, widened by 1.2": 1.2, "head alone, 288, 224 and 160 pixels, widened by 1.3": 1.3}      # in place of `resize_image`'s own factor
CANDIDATES = {"head alone, 224 pixels": ONE, "head alone, 160 pixels": replace(ONE, size=160), "head alone, 288 pixels": replace(ONE, size=288),
              "head alone, 224 pixels, squashed to a square": replace(ONE, fit="squash"), "head alone, 224 pixels, cropped to a square": replace(ONE, fit="crop"),
              "head alone, 224 pixels, widened by 1.1": replace(ONE, fit="widen"),
              "head alone, 224 pixels, one view": replace(ONE, views=1), "head alone, 224 pixels, six views": replace(ONE, views=6),
              "head alone, 288, 224 and 160 pixels": replace(THREE, fit="pad"), "head alone, 288, 224 and 160 pixels, squashed to a square": replace(THREE, fit="squash"),
              "head alone, 288, 224 and 160 pixels, cropped to a square": replace(THREE, fit="crop"),
              "head alone, 288, 224 and 160 pixels, widened by 1.1": THREE, **dict.fromkeys(WIDER, THREE), "fine-tuned, 224 pixels": Config.recommended()}
MEANS = {"mean of fine-tuned and head alone at three sizes": ("fine-tuned, 224 pixels", "head alone, 288, 224 and 160 pixels"),
         "mean of fine-tuned and widened head alone at three sizes": ("fine-tuned, 224 pixels", "head alone, 288, 224 and 160 pixels, widened by 1.1"),
         "mean of padded and squashed, heads alone at three sizes": ("head alone, 288, 224 and 160 pixels", "head alone, 288, 224 and 160 pixels, squashed to a square"),
         "mean of padded, squashed and cropped, heads alone at three sizes": ("head alone, 288, 224 and 160 pixels", "head alone, 288, 224 and 160 pixels, squashed to a square", "head alone, 288, 224 and 160 pixels, cropped to a square")}


def inner_folds(split, targets):
    "`INNER` grouped folds of the training part of a split."
    t = np.array(split.train)
    folds = StratifiedGroupKFold(INNER, shuffle=True, random_state=split.seed).split(t, np.array(targets)[t], np.array(split.groups)[t])
    return [replace(split, train=t[a].tolist(), valid=t[b].tolist()) for a,b in folds]


def mean(preds):
    "Predictions whose probabilities are the mean of several, row by row."
    return replace(preds[0], probs=np.mean([p.probs for p in preds], 0))


def auroc(pred):
    "Pooled AUROC, 0 to 1."
    return all_metrics(pred)["auroc"][0]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path, help="with one sub-folder a class")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/recipe.csv")
    a = p.parse_args()
    folder = MRIFolder(a.folder); groups = find_groups(folder); group_of = dict(zip(folder.paths, groups))
    outer = make_folds(folder, groups, OUTER); inner = [inner_folds(s, folder.targets) for s in outer]
    splits = [*outer, *sum(inner, [])]
    found,at = {},commit()                                 # at the start: the checkout may change while this runs
    own = data._WIDER
    for name,config in CANDIDATES.items():
        data._WIDER = WIDER.get(name, own)
        with tempfile.TemporaryDirectory() as out: found[name],_ = train_folds(folder, splits, replace(config, classes=tuple(folder.classes)), out)
        print(f"{name:60} AUROC {auroc(Predictions.concat(found[name][:OUTER])):.4f}", flush=True)
    for name,of in MEANS.items():
        found[name] = [mean(parts) for parts in zip(*(found[o] for o in of))]
    def inside(name, k): return auroc(Predictions.concat(found[name][OUTER+k*INNER:OUTER+(k+1)*INNER]))
    scores = {name: [inside(name, k) for k in range(OUTER)] for name in found}
    best = [max(scores, key=lambda name: scores[name][k]) for k in range(OUTER)]
    found["chosen"] = [found[name][k] for k,name in enumerate(best)]; scores["chosen"] = [scores[name][k] for k,name in enumerate(best)]
    rows = []
    for name,parts in found.items():
        pred = Predictions.concat(parts[:OUTER]); m = score(pred, np.array([group_of[f] for f in pred.paths]))
        rows.append(dict(candidate=name, **values({k: m[k] for k in ("accuracy", "auroc")}),
                         inner_auroc=f"{np.mean(scores[name]):.6f}", chosen_in=best.count(name), data=data_hash(folder)[:12], folds=folds_hash(folder, outer), commit=at, command="python tools/recipe.py FOLDER"))
        print(f"{name:60} inner {rows[-1]['inner_auroc']}  outer {rows[-1]['auroc']}  accuracy {rows[-1]['accuracy']}  chosen in {rows[-1]['chosen_in']}", flush=True)
    write(a.out, rows)


if __name__ == "__main__": main()
