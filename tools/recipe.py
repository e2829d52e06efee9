"""Choose a recipe by inner folds, and measure what that choice gives: rows of nbs/recipe.csv.

    python tools/recipe.py cheng FOLDER
    python tools/recipe.py brain_tumor_dataset FOLDER --seeds 20
    python tools/recipe.py cheng FOLDER --only "later blocks"    one candidate, inner folds alone

Five folds that keep patients together, or near-duplicates where no patient is known. To choose
for a fold k, each candidate is trained without the folds k and j and predicts j: the best AUROC,
pooled over the j, is chosen. Trained without k alone, it predicts k; "chosen" pools these
predictions, for which no slice had a say in the choice. This figure is the one to quote. Those of
single candidates are not, once the best of them has been picked.

A network trained without k and j serves the choices for k and for j. Below 1,000 slices j is
each of the other four folds; above, one or two neighbours of k, and a candidate is trained on
whole training sets only where it is chosen. With several seeds the folds are dealt several
times: figures are means over the seeds, and so are the ends of the intervals.
What was trained is kept in runs/recipe, and a second call goes on from there.
"""
import argparse
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder, data_hash
from brain_tumor_nb.evaluation import Predictions, all_metrics, score
from brain_tumor_nb.parallel import train_folds
from brain_tumor_nb.splitting import find_groups, make_folds
from brain_tumor_nb.training import FEW, Config
from reference import settings
from rows import ROOT, commit, fingerprint, folds_hash, machine, put, values

FOLDS = 5
HEAD = Config.recommended(trainable=0)
HEADS = replace(HEAD, size=288, scales=(1, 7/9, 5/9))          # 288, 224 and 160 pixels
BLOCKS = Config.recommended(FEW, trainable=.4, jitter=0, epochs=10)
CANDIDATES_FEW = {
    "head alone, 224 pixels": HEAD,
    "head alone, three sizes": HEADS,
    "head alone, three sizes, widened": replace(HEADS, fit="widen"),
    "head alone, three sizes, squashed": replace(HEADS, fit="squash"),
    "head alone, three sizes, Lite1": replace(HEADS, arch="efficientnet_lite1"),
    "head alone, three sizes, Lite2": replace(HEADS, arch="efficientnet_lite2"),
    "head alone, three sizes, widened, Lite2": replace(HEADS, arch="efficientnet_lite2",
                                                       fit="widen")}
CANDIDATES_MANY = {
    "later blocks": BLOCKS,
    "later blocks, jitter": replace(BLOCKS, jitter=1)}


def without(folds, pairs):
    "Splits that train without two folds and predict both."
    def one(k, j):
        out = {*folds[k].valid, *folds[j].valid}
        train = [i for i in range(len(folds[k].paths)) if i not in out]
        return replace(folds[k], train=train, valid=sorted(out))
    return [one(k, j) for k,j in pairs]


class Choice:
    "Candidates, the folds they are measured in, and where what was measured is kept."
    def __init__(self, folder, seeds, work, jobs):
        self.folder,self.work,self.jobs = folder,work,jobs
        self.few = len(folder) < FEW
        self.candidates = CANDIDATES_FEW if self.few else CANDIDATES_MANY
        self.groups = find_groups(folder)
        self.seeds = [make_folds(folder, self.groups, FOLDS, s) for s in range(seeds)]
        self.pairs = (list(combinations(range(FOLDS), 2)) if self.few
                      else [(0, 1), (2, 3), (4, 0)])
        self.facts = data_hash(folder), [folds_hash(folder, f) for f in self.seeds], self.pairs

    def predictions(self, name, what, splits):
        "Of one candidate in some splits, which number the rows; trained where they are not kept."
        config = replace(self.candidates[name], classes=tuple(self.folder.classes))
        made_with = fingerprint([self.facts, settings(config), what])
        file = self.work/f"{made_with}.csv"
        if not file.exists():
            networks = self.work/made_with
            parts,_ = train_folds(self.folder, splits, config, networks, True, self.jobs,
                                  say=lambda line: print(f"  {name}, {what}: {line}", flush=True))
            numbered = [replace(p, folds=[i]*len(p)) for i,p in enumerate(parts)]
            Predictions.concat(numbered).save(file)
        return Predictions.load(file)

    def inner(self, name):
        "AUROC in the inner folds of each outer fold, [seeds,folds]."
        splits = sum((without(folds, self.pairs) for folds in self.seeds), [])
        found = self.predictions(name, "inner", splits)
        return np.array([[self._inner(found, s, k) for k in range(FOLDS)]
                         for s in range(len(self.seeds))])

    def _inner(self, found, seed, k):
        parts = []
        for at,pair in enumerate(self.pairs):
            if k in pair:
                j = sum(pair) - k
                held = {self.folder.paths[i] for i in self.seeds[seed][j].valid}
                rows = np.array(found.folds) == seed*len(self.pairs) + at
                parts.append(found[rows & np.array([p in held for p in found.paths])])
        return all_metrics(Predictions.concat(parts))["auroc"][0]

    def outer(self, name, folds=range(FOLDS)):
        "Predictions in some of the outer folds, one for each seed; rows are numbered by fold."
        splits = [every[k] for every in self.seeds for k in folds]
        found = self.predictions(name, f"outer {list(folds)}", splits)
        number,n = np.array(found.folds),len(folds)
        found = replace(found, folds=np.array(folds)[number % n].tolist())
        return [found[number//n == s] for s in range(len(self.seeds))]

    def scores(self, preds):
        "Metrics with intervals over groups, means over the seeds."
        group_of = dict(zip(self.folder.paths, self.groups.tolist()))
        every = [score(p, np.array([group_of[f] for f in p.paths])) for p in preds]
        return {m: {end: np.mean([found[m][end] for found in every])
                    for end in ("value", "low", "high")} for m in ("accuracy", "auroc")}


def pick(outer, best):
    "Predictions of the chosen candidate in each outer fold: `best` holds a name per fold."
    parts = []
    for k,name in enumerate(best):
        parts.append(outer[name][np.array(outer[name].folds) == k])
    return Predictions.concat(parts)


def measure(name, choice, out, command):
    "Choose in every outer fold, and write a row for each candidate and one for the choice."
    at = commit()                                   # the checkout may change while this runs
    inner = {c: choice.inner(c) for c in choice.candidates}
    for c,found in inner.items():
        print(f"{c:42} AUROC in the inner folds {found.mean():.4f}", flush=True)
    names = list(inner)
    best = np.array(names)[np.array([inner[c] for c in names]).argmax(0)]       # [seeds,folds]
    measured = [c for c in names if choice.few or c in best]
    where = {c: [k for k in range(FOLDS) if choice.few or c in best[:,k]] for c in measured}
    outer = {c: choice.outer(c, where[c]) for c in measured}
    outer["chosen"] = [pick({c: outer[c][s] for c in measured}, best[s])
                       for s in range(len(choice.seeds))]
    outer = {c: found for c,found in outer.items() if c == "chosen" or len(where[c]) == FOLDS}
    inner["chosen"] = np.max([inner[c] for c in names], axis=0)
    for c in [*names, "chosen"]:
        scores = choice.scores(outer[c]) if c in outer else {"accuracy": {}, "auroc": {}}
        row = dict(set=name, candidate=c, seeds=len(choice.seeds), slices=len(choice.folder),
                   groups=len(set(choice.groups.tolist())), **columns(scores),
                   inner_auroc=f"{inner[c].mean():.6f}", chosen_in=int((best == c).sum()),
                   data=choice.facts[0][:12], folds=choice.facts[1][0], machine=machine(),
                   commit=at, command=command)
        put(out, row, ("set", "candidate"))
        print(f"{c:42} accuracy {row['accuracy']}  AUROC {row['auroc']}  "
              f"chosen in {row['chosen_in']}", flush=True)


def columns(scores):
    "Columns of two metrics, empty where they were not measured."
    empty = dict(value=None, low=None, high=None)
    return values({m: scores[m] or empty for m in ("accuracy", "auroc")})


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the set")
    p.add_argument("folder", type=Path, help="with one sub-folder per class")
    p.add_argument("--seeds", type=int, default=1, help="how often the folds are dealt")
    p.add_argument("--only", help="this candidate's inner folds alone, no rows")
    p.add_argument("--jobs", type=int, default=1, help="networks to train at the same time")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/recipe.csv", help="the table")
    p.add_argument("--work", type=Path, default=ROOT/"runs/recipe", help="folder for networks")
    a = p.parse_args()
    seeds = f" --seeds {a.seeds}"*(a.seeds > 1)
    try:
        choice = Choice(MRIFolder(a.folder), a.seeds, a.work, a.jobs)
        if a.only and a.only not in choice.candidates:
            p.error(f"no candidate {a.only!r}: choose from {', '.join(choice.candidates)}")
        if a.only:
            print(f"{a.only}: AUROC in the inner folds {choice.inner(a.only).mean():.4f}")
        else:
            measure(a.name, choice, a.out, f"python tools/recipe.py {a.name} FOLDER{seeds}")
    except (ValueError, OSError) as e:
        raise SystemExit(f"recipe.py: {e}") from None


if __name__ == "__main__":
    main()
