"""Measure what mistakes cost on a set of slices: rows of nbs/studies/mistakes_real.csv.

    python tools/mistakes.py brain_tumor_dataset FOLDER
    python tools/mistakes.py sample sample

Rows are told apart by set, mistake and figure. `mistake` is its number in the original tutorial, 1
to 15; "A less B" is a difference; a row named "(control)" is the same experiment without it.
Intervals of 95 % are from a bootstrap over groups (patients, or near-duplicates where no patient is
known), or over seeds where a row is of many seeds. Networks are ResNet18 from random weights, 64
pixels, ten epochs, five folds by groups; the last epoch is kept, so no score was chosen. Mistakes
10 and 15 are measured where a set has near-duplicates, and where it has two classes.
"""
import argparse
from collections import namedtuple
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torchvision.transforms.v2 import functional as tvf

from brain_tumor_nb.data import MRIFolder, PixelStore, data_hash, find_data, make_loader
from brain_tumor_nb.device import seeded
from brain_tumor_nb.evaluation import bootstrap_weights, class_parts, positive_class, score, wilson
from brain_tumor_nb.learners import make_learner, predict_split
from brain_tumor_nb.normalization import (channel_stats, check_normalized, counts_stats,
                                          grey_counts, train_transform, valid_transform)
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.probes import PROBES, code_facts, permute_groups, run_probe
from brain_tumor_nb.splitting import find_groups, make_folds, make_split
from brain_tumor_nb.training import Config
from exhibits import features, interval
from rows import ROOT, commit, machine, put

KEYS = ("set", "mistake", "figure")
# low and high: the 95 % interval; None where the value is no statistic
Row = namedtuple("Row", "mistake figure value low high n")
# parts: (split, learner, history) of each fold
Runs = namedtuple("Runs", "folder store groups parts")


def over(values, groups):
    "Mean of one number per slice, and its interval over groups."
    return tuple(map(float, interval(values, groups).values()))


def over_seeds(values, statistic, n=2000):
    "A statistic of one number per seed, and its interval from a bootstrap over seeds."
    v = np.asarray(values, float)
    some = v[np.random.default_rng(0).integers(len(v), size=(n, len(v)))]
    return float(statistic(v)), *np.quantile([statistic(s) for s in some], [.025, .975]).tolist()


def train_networks(folder, k=5, size=64, epochs=10):
    "A ResNet18 per fold, from random weights."
    groups,store = find_groups(folder),PixelStore(folder, size)
    config = Config(size=size, epochs=epochs, batch_size=16, optimizer="adamw", lr=1e-3,
                    schedule="one-cycle", keep="last", seed=0, device="cpu")
    parts = []
    for split in make_folds(folder, groups, k, 0):
        learner = make_learner(config, folder.classes)
        parts.append((split, learner, learner.train(store, split)))
    return Runs(folder, store, groups, parts)


@torch.no_grad()
def right(net, x, y, tfm):
    "Which slices a network gets right, through a transform."
    return (net.eval()(tfm(x)).argmax(1) == y).float().numpy()


def rotated_validation(runs, repeats=20):
    "1: the score through the training transform, against the one through the validation transform."
    change,scores,still = np.zeros(len(runs.store)),[],[]
    for s,learner,_ in runs.parts:
        x,y,_ = runs.store[s.valid]
        net,stats = learner.model,learner.stats
        with seeded(0):
            moved = np.stack([right(net, x, y, train_transform(stats)) for _ in range(repeats)])
        fixed = np.stack([right(net, x, y, valid_transform(stats)) for _ in range(2)])
        change[s.valid] = moved.mean(0) - fixed.mean(0)
        scores.append(moved.mean(1))
        still.append(fixed.mean(1))
    # [repeats, folds]; chance of each rank to be the best of ten
    scores,last = np.stack(scores, 1),np.diff(np.linspace(0, 1, repeats+1)**10)[:,None]

    def deviation(some):
        return np.sqrt(scores[some.astype(int)].var(0, ddof=1).mean())

    def luck(some):
        drawn = scores[some.astype(int)]
        return ((np.sort(drawn, 0)*last).sum(0) - drawn.mean(0)).mean()
    every = np.arange(repeats)
    return [Row(1, "accuracy: through random transforms less without", *over(change, runs.groups),
                len(change)),
            Row(1, "standard deviation of the accuracy over validations",
                *over_seeds(every, deviation), repeats),
            Row(1, "accuracy: best of ten validations less their mean", *over_seeds(every, luck),
                repeats),
            Row(1, "standard deviation without random transforms (control)",
                float(np.std(still, 1).max()), None, None, 2)]


def thumbnails(folder):
    "What the nearest neighbour is given: 16 pixels wide."
    return PixelStore(folder, 16, "squash").pixels.flatten(1).double().numpy()


def split_seeds(folder, repeats=100):
    "4: the accuracy of one model without randomness, by the seed of the split."
    x,y,groups = thumbnails(folder),np.array(folder.targets),find_groups(folder)

    def accuracy(seed):
        p = run_probe(x, y, folder.classes, [make_split(folder, groups, seed=seed)], "nearest")
        return (p.probs.argmax(1) == p.y).mean()
    found = [accuracy(seed) for seed in range(repeats)]
    return [Row(4, "standard deviation of the accuracy over seeds of the split",
                *over_seeds(found, lambda v: v.std(ddof=1)), repeats),
            Row(4, "accuracy: highest less lowest over seeds", float(np.ptp(found)), None, None,
                repeats),
            Row(4, "accuracy: same seed twice, difference (control)", accuracy(0) - found[0], None,
                None, 2)]


def large_stats(folder):
    "Statistics at the original's other size and crop: shorter side 255, middle 225."
    def count(im):
        crop = tvf.center_crop(tvf.resize(im, 255), 225)
        return grey_counts(tvf.pil_to_tensor(crop)[None])
    return counts_stats(sum(folder.map(count)), 225)


def regression(store, split, stats):
    "Whether a logistic regression on normalised pixels is right, for each validation slice."
    x,y = valid_transform(stats)(store.pixels)[:,0].flatten(1).double().numpy(),store.labels.numpy()
    model = LogisticRegression(C=.01, max_iter=2000).fit(x[split.train], y[split.train])
    return (model.predict(x[split.valid]) == y[split.valid]).astype(int)


def statistics_leak(folder, repeats=10):
    "5 and 6: shift of the input; accuracy less that with statistics of the training set."
    store,groups,rng = PixelStore(folder, 16),find_groups(folder),np.random.default_rng(0)

    def stats(some):
        return channel_stats(make_loader(store, some, 256))
    every,large,shift = stats(range(len(folder))),large_stats(folder),[]
    gain = {k: np.zeros(len(folder)) for k in ("all", "random", "size")}
    for split in [s for r in range(repeats) for s in make_folds(folder, groups, 5, r)]:
        own = stats(split.train)
        base = regression(store, split, own)
        shift.append(abs(every.mean[0] - own.mean[0])/own.std[0])
        others = every,stats(rng.permutation(len(folder))[:len(split.train)]),large
        for k,s in zip(gain, others):
            gain[k][split.valid] += (regression(store, split, s) - base)/repeats
    names = {"all": "statistics of all slices less of the training set",
             "random": "statistics of a random set less of the training set (control)",
             "size": "statistics at another size less of the training set"}
    return [Row(5, "shift of the mean by the validation set, in standard deviations",
                *over_seeds(shift, np.mean), len(shift)),
            *(Row(5 + (k == "size"), f"accuracy: {name}", *over(gain[k], groups), len(folder))
              for k,name in names.items())]


def choice_leak(folder, repeats=20, keep=10):
    "5: random labels, features chosen on all slices or on the training set."
    pixels,groups = PixelStore(folder, 32).pixels[:,0].double(),find_groups(folder)
    across,down = pixels.diff(dim=1)[:,::2],pixels.diff(dim=2)[:,:,::2]
    x = torch.cat([across.flatten(1), down.flatten(1)], 1).numpy()
    x = (x - x.mean(0))/(x.std(0) + 1)
    found = {"all": np.zeros(len(folder)), "train": np.zeros(len(folder))}
    for r in range(repeats):
        folds = make_folds(folder, groups, 5, r)
        y = permute_groups(folder.targets, groups, folds, r)
        for s in folds:
            for k,some in (("all", np.arange(len(y))), ("train", np.array(s.train))):
                t = (y[some] == y.max()) - (y[some] == y.max()).mean()
                best = np.argsort(-abs(x[some].T @ t), kind="stable")[:keep]
                p = run_probe(x[:,best], y, folder.classes, [s], "linear")
                found[k][s.valid] += (p.probs.argmax(1) == p.y)/repeats
    return [Row(5, "accuracy, random labels: features chosen on all slices",
                *over(found["all"], groups), len(folder)),
            Row(5, "accuracy, random labels: features chosen on the training set (control)",
                *over(found["train"], groups), len(folder)),
            Row(5, "accuracy, random labels: chosen on all slices less on the training set",
                *over(found["all"] - found["train"], groups), len(folder))]


def other_size(folder, size=64):
    "6: mean of what the network sees, by statistics of another size, and of its own."
    store = PixelStore(folder, size)

    def batches():
        return make_loader(store, range(len(store)), 64)
    own,large = channel_stats(batches()),large_stats(folder)
    found = check_normalized(valid_transform(own)(x) for x,_,_ in batches())
    return [Row(6, "mean after normalising with statistics of another size and crop",
                (own.mean[0] - large.mean[0])/large.std[0], None, None, len(folder)),
            Row(6, "mean with statistics of the same size and crop (control)",
                round(found[0][0], 6), None, None, len(folder))]


def one_batch(folder, n=8):
    "7: megabytes of tensors to hold all slices in one batch, and to count their grey values."
    def decode(i):
        im = tvf.center_crop(tvf.resize(folder.load(i).convert("RGB"), 255), 225)
        return tvf.to_dtype(tvf.pil_to_tensor(im), torch.float32, scale=True)

    def megabytes(tensors):
        return sum(t.nbytes for t in tensors)/1e6
    some = [decode(i) for i in range(n)]
    batch = torch.stack(some)
    counts = grey_counts((255*batch[:,:1]).round().byte())
    return [Row(7, "MB of tensors, all slices in one batch",
                megabytes([*some, batch])/n*len(folder), None, None, len(folder)),
            Row(7, "MB of tensors, counting grey values (control)",
                megabytes([counts, batch[:1,:1].byte()]), None, None, len(folder))]


@torch.no_grad()
def slice_losses(runs):
    "Cross-entropy of every slice when it was held out."
    losses = []
    for s,learner,_ in runs.parts:
        out = learner.model.eval()(valid_transform(learner.stats)(runs.store.pixels[s.valid]))
        losses.append(F.cross_entropy(out, runs.store.labels[s.valid], reduction="none"))
    return torch.cat(losses).double().numpy()


def batch_means(runs, orders=1000):
    "8: how far the mean of batch means is from the mean over slices, in per cent of it."
    losses,rng,rows = slice_losses(runs),np.random.default_rng(0),[]
    for n,b in ((203, 4), (50, 4), (33, 32), (48, 4)):
        if n > len(losses):
            continue
        some = [rng.permutation(losses)[:n] for _ in range(orders)]
        off = [100*(np.mean([part.mean() for part in np.split(v, range(b, n, b))])/v.mean() - 1)
               for v in some]
        control = " (control)"*(n % b == 0)
        rows.append(Row(8, f"epoch loss, error in %: {n} slices in batches of {b}{control}",
                        *over_seeds(off, np.std, 500), orders))
    return rows


def records(values):
    "The epochs that set a new highest value, the first apart."
    return [e for e in range(1, len(values)) if values[e] > max(values[:e])]


def false_lines(histories):
    "9: of the epochs with a new best accuracy, the share without a new lowest loss."
    lines = [e in records([-v for v in h.column("valid_loss")]) for h in histories
             for e in records(h.column("valid_accuracy"))]
    k,n = lines.count(False),len(lines)
    if not n:                       # no epoch after the first was better
        return []
    return [Row(9, "share of lines 'loss improved' that are false", k/n, *wilson(k, n), n)]


def mean_right(folder, x, groups, model, seeds):
    "How often each slice is right when it is held out, over seeds of the folds."
    y,found = np.array(folder.targets),np.zeros(len(folder))
    at = {path: i for i,path in enumerate(folder.paths)}
    for seed in range(seeds):
        p = run_probe(x, y, folder.classes, make_folds(folder, groups, 5, seed), model)
        found[[at[path] for path in p.paths]] += (p.probs.argmax(1) == p.y)/seeds
    return found


def copies_leak(folder, x, model, name, seeds):
    "10: accuracy in folds at random, by near-duplicates, and by groups of the same sizes."
    groups,y = find_groups(folder, "near-duplicates"),np.array(folder.targets)
    shuffled,rng = groups.copy(),np.random.default_rng(0)
    for c in set(y):
        shuffled[y == c] = rng.permutation(groups[y == c])
    loose,kept,mixed = (mean_right(folder, x, g, model, seeds)
                        for g in (np.arange(len(y)), groups, shuffled))
    copied = np.bincount(groups)[groups] > 1
    found = {"accuracy in folds by near-duplicates": (kept, y >= 0),
             "accuracy: random less near-duplicates": (loose - kept, y >= 0),
             "accuracy, slices with a copy: random less near-duplicates": (loose - kept, copied),
             "accuracy, slices without a copy: random less near-duplicates":
                 (loose - kept, ~copied),
             "accuracy: shuffled groups less near-duplicates": (mixed - kept, y >= 0),
             "accuracy: random less shuffled groups (control)": (loose - mixed, y >= 0)}
    return [Row(10, f"{name}, {what}", *over(values[some], groups[some]), int(some.sum()))
            for what,(values,some) in found.items() if some.any()]


def one_number(runs):
    "14: accuracy of one fold and of all; how far sensitivity and specificity lie apart."
    pred = Predictions.concat([predict_split(learner, runs.store, s, fold=f)
                               for f,(s, learner, _) in enumerate(runs.parts)])
    at = dict(zip(runs.folder.paths, runs.groups))
    groups = np.array([at[p] for p in pred.paths])
    first,ok = np.array(pred.folds) == 0,pred.probs.argmax(1) == pred.y
    k,n = int(ok[first].sum()),int(first.sum())
    rows = [Row(14, "accuracy, one fold", k/n, *wilson(k, n), n),
            Row(14, "accuracy, all folds", *score(pred, groups)["accuracy"].values(), len(ok))]
    if len(pred.classes) > 2:
        return rows
    yes = pred.y == positive_class(pred.classes)
    w = np.vstack([np.ones(len(ok)), bootstrap_weights(groups, 2000, 0)])
    gap = (w @ (ok & yes))/(w @ yes) - (w @ (ok & ~yes))/(w @ ~yes)
    return [*rows, Row(14, "sensitivity less specificity, all folds", float(gap[0]),
                       *np.quantile(gap[1:], [.025, .975]).tolist(), len(ok))]


def file_facts(folder, deals=20):
    "15: AUROC of a model of file facts in grouped folds; its mean over random labels."
    x,y,groups = code_facts(folder.facts),np.array(folder.targets),find_groups(folder)
    folds = make_folds(folder, groups, 5, 0)
    g = groups[[i for s in folds for i in s.valid]]

    def probe(y):
        return run_probe(x, y, folder.classes, folds, PROBES["metadata"].model, 0)
    dealt = [class_parts(probe(permute_groups(y, groups, folds, d)))[0] for d in range(deals)]
    return [Row(15, "AUROC of file facts alone", *score(probe(y), g)["auroc"].values(), len(y)),
            Row(15, "AUROC of file facts alone, random labels (control)",
                *over_seeds(dealt, np.mean), deals)]


def measure(folder, quick=False):
    "The rows of one set, experiment after experiment; quick: fewer seeds, smaller networks."
    few = (lambda n: 2) if quick else (lambda n: n)
    yield from split_seeds(folder, few(100))
    yield from statistics_leak(folder, few(10))
    yield from choice_leak(folder, few(20))
    yield from other_size(folder)
    yield from one_batch(folder)
    if len(set(find_groups(folder, "near-duplicates"))) < len(folder):
        yield from copies_leak(folder, thumbnails(folder), "nearest", "nearest neighbour", few(20))
        yield from copies_leak(folder, features(folder)["frozen"], "linear", "frozen network",
                               few(5))
    if len(folder.classes) == 2:
        yield from file_facts(folder, few(20))
    runs = train_networks(folder, **(dict(k=2, size=32, epochs=2) if quick else {}))
    yield from rotated_validation(runs, few(20))
    yield from batch_means(runs, few(1000))
    yield from false_lines([h for *_,h in runs.parts])
    yield from one_number(runs)


def options():
    "The command line."
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the set")
    p.add_argument("folder", help="with one sub-folder per class; or `sample`")
    p.add_argument("--quick", action="store_true", help="fewer seeds and smaller networks: a trial")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/studies/mistakes_real.csv",
                   help="the table")
    return p.parse_args()


def main():
    a = options()
    try:
        start,folder = commit(),MRIFolder(find_data(a.folder))
        place = "sample" if a.folder == "sample" else "FOLDER"
        end = dict(data=data_hash(folder)[:12], machine=machine(), commit=start,
                   command=f"python tools/mistakes.py {a.name} {place}" + " --quick"*a.quick)
        for row in measure(folder, a.quick):
            found = {k: "" if v is None else f"{v:.6f}"
                     for k,v in zip(("value", "low", "high"), row[2:5])}
            put(a.out, dict(set=a.name, mistake=row.mistake, figure=row.figure, **found, n=row.n,
                            **end), KEYS)
            print(f"{row.mistake:2} {row.figure:75} {found['value']}", flush=True)
    except (ValueError, OSError) as e:
        raise SystemExit(f"mistakes.py: {e}") from None


if __name__ == "__main__":
    main()
