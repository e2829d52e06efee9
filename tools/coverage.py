"""How often the intervals of `score` hold the truth, on simulated scores: nbs/trust/coverage.csv.

    python tools/coverage.py

Each row is one kind of data: `groups` patients with one to five slices each, whose scores resemble
each other. Some `sets` of it are drawn, and `coverage` is the share of their 95 % intervals that
hold the truth (`coverage_low` to `coverage_high` is Wilson's interval of that share); `too_high` is
the share that lies above the truth altogether, `width` the mean width of the intervals.
"""
import argparse
import csv
from pathlib import Path

import numpy as np
from scipy.stats import norm

from brain_tumor_nb.evaluation import (all_metrics, bootstrap_weights, delong, ranking_metrics,
                                       score, wilson)
from brain_tumor_nb.predictions import Predictions

ROOT = Path(__file__).resolve().parent.parent
GROUP, SLICE = 1., .7     # standard deviation of the scores between groups, and within one
SPREAD = (GROUP**2 + SLICE**2)**.5
RESAMPLES = 1000


def table(y, probs, classes, folds=None):
    "Predictions of slices whose names do not matter."
    names = [str(i) for i in range(len(y))]
    folds = [0]*len(y) if folds is None else folds.tolist()
    return Predictions(names, [classes[k] for k in y], classes, probs, folds)


def two_classes(rng, groups, auroc, share=.6, both=False, folds=1):
    "Predictions of two classes, and the group of each slice; `both`: a group holds both labels."
    of = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
    y = rng.random(len(of)) < share if both else (rng.random(groups) < share)[of]
    gap = norm.ppf(auroc)*SPREAD*2**.5
    s = gap*(y - .5) + rng.normal(0, GROUP, groups)[of] + rng.normal(0, SLICE, len(of))
    fold = of % folds
    s = (s + rng.normal(0, 1.5, folds)[fold]*(folds > 1))/(1 + fold)    # networks of other scales
    p = 1/(1 + np.exp(-s))
    return table(y.astype(int), np.stack([1 - p, p], 1), ("no", "yes"), fold), of


def four_classes(rng, groups, gap):
    "Predictions of four classes, and the group of each slice."
    of = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
    y = (rng.permutation(groups) % 4)[of]                               # equally many of each
    logit = gap*np.eye(4)[y] + rng.normal(0, GROUP, (groups, 4))[of]
    e = np.exp(logit + rng.normal(0, SLICE, (len(of), 4)))
    return table(y, e/e.sum(1, keepdims=True), tuple("abcd"), None), of


def by_delong(pred, of, seed):
    "What `score` gives for the AUROC."
    return delong(pred, of)


def by_bootstrap(pred, of, seed):
    "The percentile bootstrap, which `score` does not use for the AUROC."
    w = bootstrap_weights(of, RESAMPLES, seed)
    if len(pred.classes) == 2:
        drawn = ranking_metrics(pred.y == 1, pred.probs[:,1], w)[0]
    else:
        drawn = all_metrics(pred, w)["auroc"]
    low, high = np.nanquantile(drawn, [.025, .975])
    return dict(low=low, high=high)


def by_score(name):
    "The interval of a metric in `score`."
    return lambda pred, of, seed: score(pred, of, RESAMPLES, seed)[name]


def measure(draw, truth, interval, sets):
    "Coverage of an interval over some sets, as a row's columns."
    held, above, widths = 0, 0, []
    for k, rng in enumerate(np.random.default_rng(0).spawn(sets)):
        m = interval(*draw(rng), k)
        if m["low"] is None:
            raise ValueError(f"set {k} has no interval: draw more groups")
        held += m["low"] <= truth <= m["high"]
        above += m["low"] > truth
        widths.append(m["high"] - m["low"])
    low, high = wilson(held, sets)
    found = dict(coverage=held/sets, coverage_low=low, coverage_high=high, too_high=above/sets,
                 width=np.mean(widths))
    return dict(truth=f"{truth:.4f}", sets=sets, **{k: f"{v:.4f}" for k, v in found.items()})


def settings():
    "Each kind of data: words, number of groups, metric, its truth, how to draw a set."
    kinds = dict([("one label per group", dict()),
                  ("both labels in a group", dict(both=True)),
                  ("one label per group, 15 % positive", dict(share=.15))])
    for words, options in kinds.items():
        for groups in (200, 40) if options.get("share") is None else (200,):
            for auroc in (.84, .94, .98):
                def draw(rng, groups=groups, auroc=auroc, options=options):
                    return two_classes(rng, groups, auroc, **options)
                yield words, groups, "auroc", auroc, draw
    gap = 2.3
    truth = all_metrics(four_classes(np.random.default_rng(0), 50_000, gap)[0])
    for groups in (200, 40):
        yield ("four classes", groups, "auroc", truth["auroc"][0],
               lambda rng, g=groups: four_classes(rng, g, gap))
    for groups in (200, 40):
        for auroc in (.84, .98):
            right = norm.cdf(norm.ppf(auroc)/2**.5)
            yield ("one label per group", groups, "accuracy", right,
                   lambda rng, g=groups, a=auroc: two_classes(rng, g, a))
    for metric in ("auroc_fold_mean", "auroc"):
        yield ("five folds of other scales", 200, metric, .94,
               lambda rng: two_classes(rng, 200, .94, folds=5))


def rows(sets, slow_sets):
    "Rows of the table, one by one; `slow_sets` of what needs a bootstrap."
    for words, groups, metric, truth, draw in settings():
        ways = dict(DeLong=(by_delong, sets), bootstrap=(by_bootstrap, slow_sets))
        if metric == "accuracy":
            ways = dict(bootstrap=(by_score(metric), slow_sets))
        if "folds" in words:
            ways = dict(DeLong=(by_score(metric), slow_sets))
        for way, (interval, times) in ways.items():
            yield dict(data=words, groups=groups, metric=metric, interval=way,
                       **measure(draw, truth, interval, times))


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=ROOT/"nbs/trust/coverage.csv")
    p.add_argument("--sets", type=int, default=4000, help="sets per row")
    p.add_argument("--slow-sets", type=int, default=1000, help="sets per row of a bootstrap")
    a = p.parse_args()
    found = []
    for row in rows(a.sets, a.slow_sets):
        print(*row.values(), flush=True)
        found.append(row)
    with a.out.open("w", encoding="utf-8", newline="") as f:
        w = csv.DictWriter(f, list(found[0]), lineterminator="\n")
        w.writeheader()
        w.writerows(found)


if __name__ == "__main__":
    main()
