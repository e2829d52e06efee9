"""Measure why a score falls when patients are kept together: rows of nbs/studies/exhibits.csv.

    python tools/exhibits.py cheng FOLDER
    python tools/exhibits.py brain_mri_4class FOLDER --seeds 1

FOLDER holds one sub-folder per class, and its patients are known (see `read_subjects`). Five folds
at random. The same validation slices are predicted by models that differ in their training set:

all            all slices of the other folds, so also other slices of the same patient;
patient        without the slices of the patient;
other slices   without as many slices of other patients, class by class, chosen at random;
other patients without the slices of a tenth of all patients, to which the patient does not belong.

So that this is feasible, the patients are dealt into ten parts, and one model per part is trained
without the patients of that part: it predicts the slices of the part's patients ("patient"), and
all other slices ("other patients"; the mean over nine models). The last two training sets are
controls: they are as small as that of "patient", but the patient's other slices are in them.

Rows are told apart by set, model, measure and training set; "A less B" is a difference. `measure`
is the accuracy or the sensitivity for one class; only slices of known patients are counted.
Values are means over seeds (of the folds, the parts and the choice at random), their 95 % intervals
are from a bootstrap over patients. `training`: slices in a training set, on average.
"""
import argparse
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder, PixelStore, data_hash
from brain_tumor_nb.evaluation import bootstrap_weights
from brain_tumor_nb.learners import make_learner
from brain_tumor_nb.probes import probe_features, probe_model
from brain_tumor_nb.splitting import find_groups, make_folds, read_subjects
from brain_tumor_nb.training import Config
from rows import ROOT, commit, machine, put

PARTS = 10                                              # of the patients
KEYS = ("set", "model", "measure", "training_set")
SETS = ("all", "patient", "other slices", "other patients")
PAIRS = (("all", "patient"), ("all", "other slices"), ("all", "other patients"),
         ("other slices", "patient"), ("other patients", "patient"))
MODELS = {"frozen": "linear", "nearest": "nearest"}     # name to kind, see `probe_model`


def features(folder):
    "What each model is given of every slice: frozen features (one view), a thumbnail."
    config = Config.recommended(freeze=True, views=1, device="cpu")
    pixels = PixelStore(folder, config.size, config.framing).pixels
    frozen = make_learner(config, folder.classes).prepare(pixels)[:, 0].double().numpy()
    return dict(frozen=frozen, nearest=probe_features(folder)["thumbnail"])


def without_others(y, train, mine, rng):
    "A training set without as many other slices of each class as `mine` (bool, of all slices) has."
    out = []
    for c in np.unique(y[train[mine[train]]]):
        pool = train[(y[train] == c) & ~mine[train]]
        n = min(len(pool), int((mine[train] & (y[train] == c)).sum()))
        out.append(rng.choice(pool, n, replace=False))
    return train[~np.isin(train, np.concatenate(out))] if out else train


def predict_fold(fit, y, train, valid, part, rng):
    "For one fold: is each validation slice right, by training set; and the sizes of those sets."
    own = part[valid]
    right = {name: np.zeros(len(valid)) for name in SETS}
    sizes = {name: [] for name in SETS}

    def ask(name, some):
        sizes[name].append(len(some))
        return fit(some)(valid) == y[valid]
    right["all"] += ask("all", train)
    for p in range(PARTS):
        mine = part == p
        found = ask("patient", train[~mine[train]])
        sizes["other patients"].append(sizes["patient"][-1])
        right["patient"][own == p] = found[own == p]
        right["other patients"][own != p] += found[own != p]/(PARTS - 1)
        found = ask("other slices", without_others(y, train, mine, rng))
        right["other slices"][own == p] = found[own == p]
    return right, sizes


def fitter(x, y, kind):
    "A function from a training set to a function that predicts slices."
    def fit(train):
        model = probe_model(kind).fit(x[train], y[train])
        return lambda some: model.predict(x[some])
    return fit


def measure(folder, groups, fit, seeds):
    "How often each slice is right (0 to 1, over seeds), and the size of the training sets."
    y = np.array(folder.targets)
    right = {name: np.zeros(len(y)) for name in SETS}
    sizes = {name: [] for name in SETS}
    for seed in range(seeds):
        part = np.zeros(len(y), int)
        for p,s in enumerate(make_folds(folder, groups, PARTS, seed)):
            part[s.valid] = p
        rng = np.random.default_rng(seed)
        for s in make_folds(folder, np.arange(len(y)), 5, seed):
            train,valid = np.array(s.train),np.array(s.valid)
            found,n = predict_fold(fit, y, train, valid, part, rng)
            for name in SETS:
                right[name][valid] += found[name]/seeds
                sizes[name] += n[name]
    return right, {name: round(np.mean(n)) for name,n in sizes.items()}


def interval(numbers, groups):
    "Mean of one number per slice, with its 95 % interval over patients."
    w = bootstrap_weights(groups, 2000)
    low,high = np.quantile(w @ numbers/w.sum(1), [.025, .975])
    return dict(value=numbers.mean(), low=low, high=high)


def results(right, sizes, y, classes, groups):
    "Rows of one model, without what they share."
    numbers = {**right, **{f"{a} less {b}": right[a] - right[b] for a,b in PAIRS}}
    parts = {"accuracy": np.ones(len(y), bool)}
    parts.update({f"sensitivity, {name}": y == c for c,name in enumerate(classes)})
    for what,some in parts.items():
        if not some.any():                              # a class of which no patient is known
            continue
        count = dict(slices=int(some.sum()), patients=len(set(groups[some].tolist())))
        for name,v in numbers.items():
            found = {k: f"{n:.6f}" for k,n in interval(v[some], groups[some]).items()}
            yield dict(measure=what, training_set=name, **found, **count,
                       training=sizes.get(name, ""))


def options():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the set")
    p.add_argument("folder", type=Path, help="with one sub-folder per class")
    p.add_argument("--seeds", type=int, default=3, help="how many, from 0  [default: 3]")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/studies/exhibits.csv", help="the table")
    a = p.parse_args()
    if a.seeds < 1:
        p.error(f"--seeds must be 1 or more, not {a.seeds}")
    return a


def main():
    a = options()
    try:
        start,folder = commit(),MRIFolder(a.folder)     # the checkout may change while this runs
        subjects = read_subjects(folder)
        if not subjects:
            raise ValueError(f"no patient of {a.folder} is known: give a set whose patients are")
        groups,y = find_groups(folder),np.array(folder.targets)
        known = np.array([s is not None for s in subjects])
        command = f"python tools/exhibits.py {a.name} FOLDER --seeds {a.seeds}"
        end = dict(seeds=a.seeds, data=data_hash(folder)[:12], machine=machine(), commit=start,
                   command=command)
        for model,x in features(folder).items():
            right,sizes = measure(folder, groups, fitter(x, y, MODELS[model]), a.seeds)
            right = {name: r[known] for name,r in right.items()}
            for row in results(right, sizes, y[known], folder.classes, groups[known]):
                put(a.out, dict(set=a.name, model=model, **row, **end), KEYS)
                if row["measure"] == "accuracy":
                    print(f"{model:8} {row['training_set']:30} {row['value']}", flush=True)
    except (ValueError, OSError) as e:
        raise SystemExit(f"exhibits.py: {e}") from None


if __name__ == "__main__":
    main()
