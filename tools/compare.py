"""Test pairs of rows of the reference table on their kept predictions: nbs/studies/paired.csv.

    python tools/compare.py cheng                                     the standing questions
    python tools/compare.py cheng patients/finetuned patients/frozen  one pair: SPLIT/MODEL

The slices themselves are not needed. Both rows are of the same slices, so the tests are paired:
DeLong for AUROC (the mean over more than two classes), McNemar for accuracy, both over the groups
of the intervals (see reference.py). Where a row is of one fold, only its slices are compared.
Training anew is not in the intervals.
"""
import argparse
from pathlib import Path

import numpy as np

from brain_tumor_nb.evaluation import all_metrics
from brain_tumor_nb.intervals import compare_auroc, mcnemar
from rows import KEPT, ROOT, commit, fingerprint, kept_file, load_groups, load_kept, put

KEYS = ("set", "a", "b")
NETWORKS = ("tutorial", "frozen", "recommended", "finetuned")
BESIDE = (("tutorial", "masked"), ("frozen", "masked"), ("frozen", "tutorial"),
          ("recommended", "frozen"), ("finetuned", "frozen"))


def standing(name, kept=KEPT):
    "The questions asked of every set, as far as predictions are there: pairs of SPLIT/MODEL."
    there = {f.name.removesuffix(".csv.gz") for f in (Path(kept)/name).glob("*-*.csv.gz")}
    strict = "patients" if any(f.startswith("patients-") for f in there) else "near-duplicates"
    pairs = [(("random", m), (strict, m)) for m in ("nearest", *NETWORKS)]
    pairs += [((strict, a), (strict, b)) for a,b in BESIDE]
    kept_both = [pair for pair in pairs if all("-".join(row) in there for row in pair)]
    return [tuple("/".join(row) for row in pair) for pair in kept_both]


def part(pred, paths):
    "The rows of some slices."
    return pred[np.isin(pred.paths, list(paths))]


def compare(name, a, b, kept=KEPT):
    "The columns of one pair, see the module's text; `ValueError` where predictions are missing."
    files = [kept_file(name, *row.split("/"), kept) for row in (a, b)]
    for row,file in zip((a, b), files):
        if not file.exists():
            raise ValueError(f"no predictions are kept of {name} {row}: "
                             "measure that row with tools/reference.py")
    pa,pb = map(load_kept, files)
    both = set(pa.paths) & set(pb.paths)
    if not both:
        raise ValueError(f"{a} and {b} are of different folds and share no slice: "
                         "measure all five folds of one")
    pa,pb,group_of = part(pa, both),part(pb, both),load_groups(name, kept)
    groups = np.array([group_of[p] for p in pa.paths])
    auroc,right = compare_auroc(pa, pb, groups),mcnemar(pa, pb, groups)
    accuracy = [f"{all_metrics(p)['accuracy'][0]:.6f}" for p in (pa, pb)]
    return dict(set=name, a=a, b=b, slices=len(both), groups=len(set(groups.tolist())),
                accuracy_a=accuracy[0], accuracy_b=accuracy[1],
                only_a=right["only_a"], only_b=right["only_b"], p_accuracy=f"{right['p']:.2g}",
                auroc_difference=f"{auroc['difference']:.6f}",
                low=f"{auroc['low']:.6f}", high=f"{auroc['high']:.6f}", p_auroc=f"{auroc['p']:.2g}",
                predictions=fingerprint([f.read_bytes().hex() for f in files]))


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the set")
    p.add_argument("rows", nargs="*", metavar="SPLIT/MODEL",
                   help="two rows  [default: the standing questions]")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/studies/paired.csv", help="the table")
    p.add_argument("--kept", type=Path, default=KEPT, help="folder of the predictions")
    a = p.parse_args()
    if len(a.rows) not in (0, 2) or any(r.count("/") != 1 for r in a.rows):
        p.error("give two rows, as in: patients/finetuned patients/frozen")
    pairs,at = [tuple(a.rows)] if a.rows else standing(a.name, a.kept),commit()
    try:
        for pair in pairs:
            row = compare(a.name, *pair, a.kept)
            command = f"python tools/compare.py {a.name} {' '.join(pair)}"
            put(a.out, dict(row, commit=at, command=command), KEYS)
            print(f"{pair[0]:26} {pair[1]:26} accuracy {row['accuracy_a']} {row['accuracy_b']}, "
                  f"p {row['p_accuracy']}; AUROC {row['auroc_difference']} "
                  f"({row['low']} to {row['high']}), p {row['p_auroc']}", flush=True)
    except ValueError as e:
        p.error(str(e))


if __name__ == "__main__":
    main()
