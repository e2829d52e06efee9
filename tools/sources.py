"""Leave a source out of training, and write the rows of nbs/aims/sources.csv.

    python tools/sources.py centres LGG [--model finetuned] [--left-out CS]
    python tools/sources.py planes CHENG
    python tools/sources.py elsewhere CHENG FOUR

Each row tests the same slices twice: by networks that saw their source in training (other patients
of it) and by networks that did not. `centres`: the five centres of lgg. `planes`: the three planes
of cheng. Both within the folds, so that no patient is on both sides. `elsewhere`: heads trained on
cheng, on the meningiomas of the four-class set that are not cheng's (subjects.csv, and no
near-duplicate), beside cheng's own meningiomas. A model that sees a source less has fewer slices to
learn from, so a third column trains on all sources with so many patients left out, by chance, that
the number of slices is about the same. `low` and `high` are of the difference of AUROC, in
`elsewhere` of the share of meningiomas called something else. A row that is there with the same
fingerprint is left alone.
"""
import argparse
import csv
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder, PixelStore, data_hash
from brain_tumor_nb.evaluation import class_parts
from brain_tumor_nb.intervals import compare_auroc
from brain_tumor_nb.learners import make_learner, predict_each, predict_split
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.splitting import Split, find_groups, make_folds, unseen_slices
from brain_tumor_nb.training import Config
from rows import ROOT, commit, machine, put, read
from transfer import share

TABLE = ROOT/"nbs/aims/sources.csv"
COLUMNS = dict(centres="centre", planes="plane")
KEYS = ("study", "left_out", "model", "data")


def news(line):
    "Print at once."
    print(line, flush=True)


class Set:
    "A folder, its pixels, its groups, and what a learner prepares once."
    def __init__(self, folder, model, table, size=None):
        self.folder,self.table = MRIFolder(folder),table
        sizes = dict(size=size, scales=(1,)) if size else {}
        self.config = Config.recommended(len(self.folder), freeze=model == "frozen", **sizes)
        self.store = PixelStore(self.folder, self.config.size, self.config.framing)
        self.groups = find_groups(self.folder, "patients")
        self.prepared = self.learner().once(self.store)
        self.hash = data_hash(self.folder)

    def learner(self):
        return make_learner(self.config, self.folder.classes)

    def column(self, name):
        "A column of the manifest, a value per slice."
        return np.array([self.folder.manifest[p][name] for p in self.folder.paths])

    def split(self, train, valid):
        "A `Split` of indices."
        return Split(sorted(train), sorted(valid), self.folder.paths, self.groups.tolist(),
                     self.config.seed, self.hash)

    def predict(self, train, valid, fold=0):
        "`Predictions` for `valid` by a learner trained on `train`."
        split,learner = self.split(train, valid),self.learner()
        learner.train(self.store, split, self.prepared, say=news)
        return predict_split(learner, self.store, split, self.prepared, fold)

    def thin(self, rows, n, seed=0):
        "About `n` of some slices: whole patients, by chance."
        order = np.random.default_rng(seed).permutation(np.unique(self.groups[rows]))
        sizes = np.array([(self.groups[rows] == g).sum() for g in order])
        kept = order[:max(1, np.searchsorted(sizes.cumsum(), n, side="right"))]
        return [i for i in rows if self.groups[i] in set(kept.tolist())]


VALUES = (*(f"{m}_{n}" for m in ("auroc", "error") for n in ("with", "same_size", "without")),
          *(f"{k}{end}" for end in ("", "_same") for k in ("difference", "low", "high", "p")))


def row(study, left_out, model, data, slices, groups, **found):
    "A row; what is not known is empty."
    known = dict(study=study, left_out=left_out, model=model, data=data.hash[:12], slices=slices,
                 groups=groups, **dict.fromkeys(VALUES, ""))
    return known | {k: v if isinstance(v, str) else f"{v:.6f}" for k,v in found.items()}


def tested(a, b, end=""):
    "Difference of AUROC of two models, with its interval; nothing where there are too few groups."
    try:
        found = compare_auroc(a, b)
    except ValueError:
        return {}
    return {f"{k}{end}": v if k != "p" else f"{v:.2g}" for k,v in found.items()}


def compared(study, left_out, model, data, pred, known, same):
    "The row of a source: `pred` without it in training, `known` with it, `same` of the same size."
    three = dict(zip(("with", "same_size", "without"), (known, same, pred)))
    aurocs = {f"auroc_{n}": class_parts(p)[0] for n,p in three.items()}
    errors = {f"error_{n}": float((p.probs.argmax(1) != p.y).mean()) for n,p in three.items()}
    return row(study, left_out, model, data, len(pred), len(set(pred.groups.tolist())), **aurocs,
               **errors, **tested(pred, known), **tested(pred, same, "_same"))


def there(study, left_out, model, data):
    "Whether the table has the row."
    new = dict(study=study, left_out=left_out, model=model, data=data.hash[:12])
    return any(all(r[k] == v for k,v in new.items()) for r in read(data.table))


def record(data, found, command):
    "Write a row, and say it."
    put(data.table, dict(found, machine=machine(), commit=commit(), command=command), KEYS)
    news(" ".join(f"{k} {found[k]}" for k in ("left_out", "auroc_with", "auroc_same_size",
                                              "auroc_without", "low", "high") if k in found))


def sorted_by_path(preds):
    "Several tables as one, sorted."
    pred = Predictions.concat(preds)
    return pred[np.argsort(pred.paths, kind="stable")]


def left_out(data, study, column, model, only=None):
    "Each value of a column of the manifest left out, fold by fold."
    of = data.column(column)
    folds = make_folds(data.folder, data.groups, 5, data.config.seed)
    for value in np.unique(of).tolist():
        if only and value not in only or there(study, value, model, data):
            continue
        found = dict(without=[], known=[], same=[])
        for k,s in enumerate(folds):
            valid = [i for i in s.valid if of[i] == value]
            others = [i for i in s.train if of[i] != value]
            if valid:
                found["without"].append(data.predict(others, valid, k))
                found["known"].append(data.predict(s.train, valid, k))
                found["same"].append(data.predict(data.thin(s.train, len(others)), valid, k))
        pred,known,same = [sorted_by_path(found[k]) for k in ("without", "known", "same")]
        command = f"python tools/sources.py {study} FOLDER --model {model} --left-out {value}"
        record(data, compared(study, value, model, data, pred, known, same), command)


def elsewhere(data, four):
    "Heads of cheng on the meningiomas of the four-class set that are not cheng's."
    if there("elsewhere", "meningioma", "frozen", data):
        return
    folds = make_folds(data.folder, data.groups, 5, data.config.seed)
    learners,own = [],[]
    for k,s in enumerate(folds):
        learner = data.learner()
        learner.train(data.store, s, data.prepared)
        learners.append(learner)
        own.append(predict_split(learner, data.store, s, data.prepared, k))
    own = sorted_by_path(own)
    own = own[np.array(own.labels) == "meningioma"]
    other = MRIFolder(four)
    table = next((f for f in (Path(four)/"subjects.csv", Path(four).parent/"subjects.csv")
                  if f.exists()), None)
    if table is None:
        raise ValueError(f"{four} has no subjects.csv beside it: which slices are cheng's?")
    with table.open(newline="", encoding="utf-8") as f:
        matched = {Path(r["file"]).name for r in csv.DictReader(f) if r["cheng_file"]}
    new = unseen_slices(data.folder, other, "near-duplicates")
    rows = [i for i,path in enumerate(other.paths) if path.startswith("meningioma/")
            and Path(path).name not in matched and new[i]]
    groups = find_groups(other, "near-duplicates")[rows]
    store = PixelStore(other, data.config.size, data.config.framing)
    probs = predict_each(learners, store.pixels[rows]).mean(0)
    c = data.folder.classes.index("meningioma")
    right = probs.argmax(1) == c
    there_,here = share(right, groups),share(own.probs.argmax(1) == own.y, own.groups)
    found = row("elsewhere", "meningioma", "frozen", data, len(rows), len(set(groups.tolist())),
                error_with=1 - here["value"], error_without=1 - there_["value"],
                low=1 - there_["high"], high=1 - there_["low"])
    record(data, found, "python tools/sources.py elsewhere CHENG FOUR")
    called = [data.folder.classes[k] for k in probs.argmax(1)]
    news({name: called.count(name) for name in data.folder.classes})


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("study", choices=("centres", "planes", "elsewhere"))
    p.add_argument("folder", type=Path)
    p.add_argument("four", type=Path, nargs="?", help="the four-class set, for elsewhere")
    p.add_argument("--model", choices=("frozen", "finetuned"), default="frozen")
    p.add_argument("--size", type=int, help="pixels, one scale  [default: the recipe's]")
    p.add_argument("--out", type=Path, default=TABLE, help="the table")
    p.add_argument("--left-out", action="append", help="which centre or plane  [default: each]")
    a = p.parse_args()
    if a.study == "elsewhere" and (a.four is None or a.model != "frozen"):
        p.error("elsewhere needs two folders, CHENG FOUR, and knows the frozen model alone")
    if a.size and a.out == TABLE:
        p.error("--size is a trial: give it another --out")
    try:
        data = Set(a.folder, a.model, a.out, a.size)
        if a.study == "elsewhere":
            elsewhere(data, a.four)
        else:
            left_out(data, a.study, COLUMNS[a.study], a.model, a.left_out)
    except (ValueError, OSError) as e:
        raise SystemExit(f"sources.py: {e}") from None


if __name__ == "__main__":
    main()
