"""Measure the search for near-duplicates on real slices: the rows of nbs/engine/duplicates.csv.

    python tools/duplicates.py ../shared/data

What is joined that should be: planted pairs (a slice of cheng or lgg and a changed copy, which must
find its slice among the whole set), and four-class slices that show one slice of cheng. What is
joined that should not be: slices of different subjects. Each at several least agreements. Subjects
are halved: first, third, … by name served to fit the descriptor and to choose `ALIKE`; the others
report. Half an hour on two cores.
"""
import argparse
import itertools
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.duplicates import near_pairs, thumbnail, thumbnails
from brain_tumor_nb.splitting import connected_groups
from planted import CHANGES
from rows import ROOT, commit, put, read

LEAST = (.80, .84, .85, .86, .87, .88, .89, .90, .92, .95)
PER_SUBJECT = 2
KEYS = ("set", "subjects", "what")


def subjects(folder):
    "The subject of each slice, and whether it is of the half that chose the threshold."
    names = [folder.manifest[f]["subject"] for f in folder.paths]
    chose = set(sorted(set(names))[::2])
    return np.array(names), np.array([n in chose for n in names])


def row(name, who, what, n, counts):
    "One row: how many of `n` pairs are joined at each least agreement."
    return dict(set=name, subjects=who, what=what, pairs=n,
                **{f"at_{t:.2f}": int(c) for t, c in zip(LEAST, counts)}, commit=commit())


def planted(folder, thumbs, chosen, names, rng):
    "How many changed copies find their slice, at each least agreement."
    copies = []
    for i in chosen:
        im = folder.load(i)
        for n in names:
            im = CHANGES[n](im, rng)
        copies.append(thumbnail(im))
    near = near_pairs(np.stack(copies), thumbs, LEAST[0])
    mine = near.similarity[thumbs_equal(thumbs, near.pairs[:, 1],
                                        np.array(chosen)[near.pairs[:, 0]])]
    return [(mine >= t).sum() for t in LEAST]


def thumbs_equal(thumbs, i, j):
    "Whether slices are the same, or exact copies of each other."
    return (thumbs[i] == thumbs[j]).all((1, 2))


def measure_planted(name, folder, thumbs, out):
    names, chose = subjects(folder)
    single = [(c,) for c in CHANGES]
    both = list(itertools.combinations(CHANGES, 2))
    for who, half in (("that chose the threshold", chose), ("that report", ~chose)):
        rng = np.random.default_rng(1)
        chosen = [int(i) for s in np.unique(names[half])
                  for i in rng.choice(np.flatnonzero(names == s), PER_SUBJECT)]
        for title, kinds in (("two changes", both), *((c[0], [c]) for c in single)):
            each = ([chosen[k::len(kinds)] for k in range(len(kinds))] if len(kinds) > 1
                    else [chosen])
            counts = sum(np.array(planted(folder, thumbs, e, k, rng)) for e, k in zip(each, kinds))
            put(out, row(name, who, title, len(chosen), counts), KEYS)
            print(name, who, title, len(chosen), counts, flush=True)


def false_joins(name, who, near, names, out):
    "Pairs of different subjects that are joined."
    i, j = near.pairs.T
    wrong = (names[i] != "") & (names[j] != "") & (names[i] != names[j])
    counts = [(near.similarity[wrong] >= t).sum() for t in LEAST]
    put(out, row(name, who, "two subjects joined", len(names)*(len(names) - 1)//2, counts), KEYS)
    print(name, who, "two subjects joined", counts, flush=True)


def measure_false(name, folder, thumbs, out):
    names, chose = subjects(folder)
    for who, half in (("that chose the threshold", chose), ("that report",
                                                            ~chose), ("all", chose | True)):
        false_joins(name, who, near_pairs(thumbs[half], least=LEAST[0]), names[half], out)


def measure_four(folder, table, out):
    "Slices that show one slice of cheng must be joined; slices of two of its subjects must not."
    rows = {r["file"]: r for r in read(table)}
    at = {f: i for i, f in enumerate(folder.paths)}
    near = near_pairs(thumbnails(folder), least=LEAST[0])
    same = {}
    for f, r in rows.items():
        same.setdefault(r["cheng_file"], []).append(at[f])
    pairs = np.array([p for members in same.values() for p in itertools.combinations(members, 2)])
    groups = [connected_groups(len(folder), near.pairs[near.similarity >= t]) for t in LEAST]
    counts = [(g[pairs[:, 0]] == g[pairs[:, 1]]).sum() for g in groups]
    put(out, row("brain_mri_4class", "all", "one slice of cheng", len(pairs), counts), KEYS)
    print("one slice of cheng", len(pairs), counts, flush=True)
    false_joins("brain_mri_4class", "all", near,
                np.array([rows.get(f, {}).get("subject", "") for f in folder.paths]), out)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path, help="the folder that holds cheng, lgg and brain_mri_4class")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/engine/duplicates.csv")
    a = p.parse_args()
    for name in ("cheng", "lgg"):
        folder = MRIFolder(a.data/name)
        thumbs = thumbnails(folder)
        measure_planted(name, folder, thumbs, a.out)
        measure_false(name, folder, thumbs, a.out)
    measure_four(MRIFolder(a.data/"brain_mri_4class/Training"),
                 a.data/"brain_mri_4class/subjects.csv", a.out)


if __name__ == "__main__":
    main()
