"""Choose a recipe by inner folds, and measure what that gives: rows of nbs/studies/recipe.csv.

    python tools/recipe.py cheng FOLDER
    python tools/recipe.py brain_tumor_dataset FOLDER --seeds 20
    python tools/recipe.py cheng FOLDER --only "later blocks"    one candidate's inner folds alone

Five folds that keep patients together, or near-duplicates where no patient is known. To choose
for a fold k, each candidate is trained without the folds k and j and predicts j: the best AUROC,
pooled over the j, is chosen. Then it is trained without k alone and predicts k. "chosen" pools
these predictions: no slice of a fold was used to choose the recipe that predicts this fold. This
figure is the one to quote. Those of single candidates are not, once the best has been picked.

A network trained without k and j serves the choices for k and for j. Below 1,000 slices j is
each of the other four folds; above, one or two neighbours of k, and a candidate is trained on
whole training sets only where it is chosen. With several seeds the slices are divided into folds
several times: figures are means over the divisions, and so are the ends of their intervals; the
columns _sd hold the standard deviation over the divisions.

What was trained is kept in runs/recipe, and a second call with the same --seeds goes on from
there. Nothing is printed of the scores in single folds: whoever reads them has seen the outer
folds. The predictions of "chosen" are kept in nbs/studies/predictions/SET/nested.csv.gz, with the
folds of the division d numbered from 5 d.
"""
import argparse
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder, data_hash
from brain_tumor_nb.evaluation import all_metrics, score
from brain_tumor_nb.parallel import train_folds
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.splitting import find_groups, make_folds
from brain_tumor_nb.training import FEW, Config
from reference import SETS, settings
from rows import KEPT, ROOT, commit, fingerprint, folds_hash, keep, machine, read, values, write

FOLDS = 5
METRICS = ("accuracy", "auroc")
HEAD = Config.recommended(freeze=True)
HEADS = replace(HEAD, size=288, scales=(1, 7/9, 5/9))          # 288, 224 and 160 pixels
BLOCKS = Config.recommended(FEW, jitter=0)
CANDIDATES_FEW = {
    "head alone, 224 pixels": HEAD,
    "head alone, three sizes": HEADS,
    "head alone, three sizes, widened": replace(HEADS, framing="widen"),
    "head alone, three sizes, squashed": replace(HEADS, framing="squash"),
    "head alone, three sizes, Lite1": replace(HEADS, arch="efficientnet_lite1"),
    "head alone, three sizes, Lite2": replace(HEADS, arch="efficientnet_lite2"),
    "head alone, three sizes, widened, Lite2": replace(HEADS, arch="efficientnet_lite2",
                                                       framing="widen")}
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


def check_candidates(candidates):
    "`ValueError` if one would look at the slices it predicts while it is trained."
    for name,config in candidates.items():
        if config.keep != "last" or config.patience:
            raise ValueError(f"{name}: keep={config.keep!r} and patience={config.patience} look at "
                             "the fold to be predicted; use keep='last' and patience=0")


class Study:
    "A set, divided into folds, and what its candidates predict in them."
    def __init__(self, folder, seeds, work, jobs):
        self.folder,self.work,self.jobs = folder,work,jobs
        few = len(folder) < FEW
        self.candidates = CANDIDATES_FEW if few else CANDIDATES_MANY
        check_candidates(self.candidates)
        self.groups = find_groups(folder)
        self.divisions = [make_folds(folder, self.groups, FOLDS, s) for s in range(seeds)]
        self.pairs = list(combinations(range(FOLDS), 2)) if few else [(0, 1), (2, 3), (4, 0)]
        self.everywhere = few                      # train every candidate on whole training sets
        self.data = data_hash(folder)
        self.hashes = [folds_hash(folder, folds) for folds in self.divisions]

    def predictions(self, name, what, splits):
        "Of one candidate in some splits, which number the rows; trained where they are not kept."
        config = self.candidates[name]
        facts = self.data, self.hashes, self.pairs
        made_with = fingerprint([facts, settings(config), what])
        file = self.work/f"{made_with}.csv"
        if not file.exists():
            def say(line):
                print(f"  {name}, {what}: {line.split(':')[0]} done", flush=True)
            at,networks = commit(),self.work/made_with
            parts,_ = train_folds(self.folder, splits, config, networks, True, self.jobs, say=say)
            numbered = [replace(p, folds=[i]*len(p)) for i,p in enumerate(parts)]
            Predictions.concat(numbered).save(file)
            file.with_suffix(".commit").write_text(at, encoding="utf-8")
        return Predictions.load(file)

    def commits(self):
        "The commits at which what is kept was trained."
        return sorted({f.read_text(encoding="utf-8") for f in self.work.glob("*.commit")})

    def inner_aurocs(self, name):
        "AUROC in the inner folds of each fold, [divisions,folds]."
        splits = sum((without(folds, self.pairs) for folds in self.divisions), [])
        found = self.predictions(name, "inner", splits)
        return np.array([[self.inner_auroc(found, d, k) for k in range(FOLDS)]
                         for d in range(len(self.divisions))])

    def inner_auroc(self, found, d, k):
        "AUROC of networks trained without fold k, on the other fold that each did not see."
        parts = []
        for at,pair in enumerate(self.pairs):
            if k in pair:
                j = sum(pair) - k
                held = [self.folder.paths[i] for i in self.divisions[d][j].valid]
                rows = np.array(found.folds) == d*len(self.pairs) + at
                parts.append(found[rows & np.isin(found.paths, held)])
        return all_metrics(Predictions.concat(parts))["auroc"][0]

    def outer(self, name, folds):
        "Predictions of some folds, one table for each division; rows are numbered by fold."
        splits = [every[k] for every in self.divisions for k in folds]
        found = self.predictions(name, f"outer {list(folds)}", splits)
        number,n = np.array(found.folds),len(folds)
        found = replace(found, folds=np.array(folds)[number % n].tolist())
        return [found[number//n == d] for d in range(len(self.divisions))]

    def scores(self, tables):
        "Means of metrics and of the ends of their intervals over the divisions."
        group_of = dict(zip(self.folder.paths, self.groups.tolist()))
        every = [score(p, np.array([group_of[f] for f in p.paths])) for p in tables]
        def of_all(m, end): return [found[m][end] for found in every]
        return {m: dict({end: np.mean(of_all(m, end)) for end in ("value", "low", "high")},
                        sd=np.std(of_all(m, "value"))) for m in METRICS}


def choose(study):
    "Inner AUROC by candidate, and the best candidates; [divisions,folds] each."
    inner = {name: study.inner_aurocs(name) for name in study.candidates}
    return inner, np.array(list(inner))[np.array(list(inner.values())).argmax(0)]


def predict(study, best):
    "Predictions of the chosen candidates by division, and of candidates measured in all folds."
    folds_of = {c: [k for k in range(FOLDS) if study.everywhere or c in best[:,k]]
                for c in study.candidates}
    outer = {c: study.outer(c, folds) for c,folds in folds_of.items() if folds}
    chosen = [pick({c: tables[d] for c,tables in outer.items()}, names)
              for d,names in enumerate(best)]
    return chosen, {c: tables for c,tables in outer.items() if len(folds_of[c]) == FOLDS}


def pick(tables, names):
    "Of each fold k the predictions of the candidate names[k]."
    return Predictions.concat([tables[name][np.array(tables[name].folds) == k]
                               for k,name in enumerate(names)])


def measure(name, study, out, kept, command):
    "Choose for every fold, keep the predictions, and write the rows of this set anew."
    inner,best = choose(study)
    chosen,outer = predict(study, best)
    numbered = [replace(p, folds=[FOLDS*d + k for k in p.folds]) for d,p in enumerate(chosen)]
    keep(Predictions.concat(numbered), kept/name/"nested.csv.gz")
    folds = study.hashes[0] if len(study.hashes) == 1 else fingerprint(study.hashes)
    end = dict(data=study.data[:12], folds=folds, machine=machine(),
               commit=" ".join(study.commits()), command=command)

    def row(candidate, inner_auroc, chosen_in, tables):
        unknown = dict.fromkeys(("value", "low", "high", "sd"))
        scores = study.scores(tables) if tables else dict.fromkeys(METRICS, unknown)
        spread = {f"{m}_sd": "" if v["sd"] is None else f"{v['sd']:.6f}" for m,v in scores.items()}
        found = dict(set=name, candidate=candidate, seeds=len(study.divisions),
                     slices=len(study.folder), groups=len(set(study.groups.tolist())),
                     **values(scores), **spread,
                     inner_auroc=inner_auroc, chosen_in=chosen_in, **end)
        print(f"{candidate:42} inner {inner_auroc:9} accuracy {found['accuracy']:9} "
              f"AUROC {found['auroc']:9} chosen in {chosen_in}", flush=True)
        return found
    rows = [row(c, f"{inner[c].mean():.6f}", int((best == c).sum()), outer.get(c)) for c in inner]
    rows.append(row("chosen", "", "", chosen))
    write(out, [*(r for r in read(out) if r["set"] != name), *rows])


def options():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=SETS, help="of the set")
    p.add_argument("folder", type=Path, help="with one sub-folder per class")
    p.add_argument("--seeds", type=int, default=1, help="how often the slices are divided")
    p.add_argument("--only", choices=[*CANDIDATES_FEW, *CANDIDATES_MANY], metavar="CANDIDATE",
                   help="train this one for the inner folds, and stop")
    p.add_argument("--jobs", type=int, default=1, help="networks to train at the same time")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/studies/recipe.csv", help="the table")
    p.add_argument("--kept", type=Path, default=KEPT, help="folder for the predictions")
    p.add_argument("--work", type=Path, default=ROOT/"runs/recipe", help="folder for networks")
    a = p.parse_args()
    if a.seeds < 1 or a.jobs < 1:
        p.error(f"--seeds {a.seeds} and --jobs {a.jobs} must be 1 or more")
    return p, a


def main():
    p,a = options()
    seeds = f" --seeds {a.seeds}"*(a.seeds > 1)
    try:
        study = Study(MRIFolder(a.folder), a.seeds, a.work/a.name, a.jobs)
        if a.only and a.only not in study.candidates:
            p.error(f"{a.only!r} is for another number of slices: {', '.join(study.candidates)}")
        if a.only:
            study.inner_aurocs(a.only)
        else:
            command = f"python tools/recipe.py {a.name} FOLDER{seeds}"
            measure(a.name, study, a.out, a.kept, command)
    except (ValueError, OSError) as e:
        raise SystemExit(f"recipe.py: {e}") from None


if __name__ == "__main__":
    main()
