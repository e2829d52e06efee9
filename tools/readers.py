"""Coverage and power of reading studies, on simulated readers: nbs/aims/readers_coverage.csv.

    python tools/readers.py

Each row is one kind of study, drawn `studies` times from readers and patients whose truth is known.
`coverage` is the share of 95 % intervals that hold the true difference or kappa (`low` to `high` is
Wilson's interval of that share), `significant` the share that call it other than 0: the error of
the first kind where `truth` is 0, power elsewhere; `width` is the mean width of the intervals.
"""
import argparse
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import norm

from brain_tumor_nb.core import write_rows
from brain_tumor_nb.desk import answer_probs
from brain_tumor_nb.evaluation import auroc_parts, wilson
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.readers import (kappa, mean_over_readers, part_covariance, share_difference,
                                    simulated_readers, true_auroc)

OUT = Path(__file__).resolve().parent.parent/"nbs/aims/readers_coverage.csv"
ALONE, HELPED = 1.5, 1.9            # gaps between the two kinds of cases
RIGHT = .8, .7                      # how often two readers are right


def summary(what, interval, readers, slices, truth, found):
    "A row: how often intervals (low, high, significant) hold the truth."
    low, high, significant = np.array(found).T
    held = int(((low <= truth) & (truth <= high)).sum())
    ends = wilson(held, len(found))
    shares = dict(coverage=held/len(found), low=ends[0], high=ends[1],
                  significant=significant.mean(), width=(high - low).mean())
    return dict(what=what, interval=interval, readers=readers, slices=slices,
                truth=f"{truth:.6f}", studies=len(found),
                **{k: f"{v:.4f}" for k, v in shares.items()})


def aurocs(readers, slices, gap, studies):
    "Readers with and without help: two rows, readers as drawn from more and as given."
    y = np.arange(slices) % 2 == 1
    found = {"random": [], "fixed": []}
    for rng in np.random.default_rng(0).spawn(studies):
        scores = simulated_readers(y, readers, (gap, ALONE), rng).reshape(2*readers, slices)
        values, parts = (np.array(v) for v in zip(*(auroc_parts(y, s) for s in scores)))
        d, of_d = values[:readers] - values[readers:], parts[:readers] - parts[readers:]
        cov = part_covariance(of_d)
        for name in found:
            m = mean_over_readers(d, cov, fixed=name == "fixed")
            found[name].append((m["low"], m["high"], m["p"] < .05))
    truth = true_auroc(gap) - true_auroc(ALONE)
    return [summary("AUROC", k, readers, slices, truth, v) for k, v in found.items()]


def answers_of(rng, y, right):
    "What a reader of three classes says."
    wrong = (y + rng.integers(1, 3, len(y))) % 3
    return np.where(rng.random(len(y)) < right, y, wrong)


def kappas(slices, right, studies):
    "Two readers of three classes, whose errors are independent."
    y = np.arange(slices) % 3
    found = []
    for rng in np.random.default_rng(1).spawn(studies):
        m = kappa(*(answers_of(rng, y, share) for share in right))
        found.append((m["low"], m["high"], m["low"] > 0 or m["high"] < 0))
    a, b = right
    truth = (a*b + (1 - a)*(1 - b)/2 - 1/3)/(1 - 1/3)
    return summary("kappa", "", 2, slices, truth, found)


def accuracies(slices, shares, studies):
    "Two sessions on the same slices, right on `shares` of them; easy slices are easy for both."
    names, labels = [f"{i:04}" for i in range(slices)], ["yes"]*slices
    found = []
    for rng in np.random.default_rng(2).spawn(studies):
        ease = rng.normal(size=slices)
        latent = (ease + rng.normal(size=(2, slices)))/2**.5
        tables = []
        for row, share in zip(latent, shares):
            called = (row < norm.ppf(share)).astype(int)
            probs = answer_probs(called, np.full(slices, 4), 2)
            tables.append(Predictions(names, labels, ("no", "yes"), probs, [0]*slices))
        m = share_difference(*tables)
        found.append((m["low"], m["high"], m["p"] < .05))
    return summary("accuracy", "", 2, slices, shares[0] - shares[1], found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--studies", type=int, default=2000, help="per row")
    args = parser.parse_args()
    rows = []
    for gap, slices, readers in product((ALONE, HELPED), (60, 240), (3, 5, 10)):
        rows += aurocs(readers, slices, gap, args.studies)
    for right, slices in product(((1/3, 1/3), RIGHT), (21, 40, 80, 160)):
        rows.append(kappas(slices, right, args.studies))
    for shares, slices in product(((.8, .8), (.9, .8)), (21, 40, 80, 160)):
        rows.append(accuracies(slices, shares, args.studies))
    write_rows(args.out, rows)
    print(f"{len(rows)} rows in {args.out}")


if __name__ == "__main__":
    main()
