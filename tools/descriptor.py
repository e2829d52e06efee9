"""Fit the 64 patterns that near-duplicate search describes a slice by.

    python tools/descriptor.py ../shared/data/cheng

Writes brain_tumor_nb/known/descriptor.npz, by linear discriminant analysis of thumbnails at
16 × 16 pixels: each of 1,200 slices is a class, whose members are the slice and seven changed
versions of it; mirror images count as other slices. Only every other subject (first, third, … by
name) is used: the others test the search.
"""
import argparse
from pathlib import Path

import numpy as np
from scipy.linalg import eigh

from brain_tumor_nb.core import write_file
from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.duplicates import coarse, thumbnail
from planted import crop, gamma, jpeg
from PIL import Image
import io

KNOWN = Path(__file__).resolve().parent.parent/"brain_tumor_nb/known"
SLICES, VERSIONS, PATTERNS = 1200, 8, 64


def vary(im, rng):
    "A slice with some of the changes that must not count."
    if rng.random() < .8:
        im = crop(im, rng, rng.uniform(.02, .15))
    if rng.random() < .5:
        im = im.rotate(rng.uniform(-4, 4), Image.Resampling.BILINEAR)
    if rng.random() < .5:
        im = gamma(im, rng)
    if rng.random() < .3:
        im = jpeg(im, rng)
    return im


def fit(classes):
    "Mean [256] and patterns [256,64] of float [classes, versions, 256]."
    mean, middle = classes.mean((0, 1)), classes.mean(1)
    inner = (classes - middle[:, None]).reshape(-1, classes.shape[2])
    within = inner.T @ inner/len(inner)*VERSIONS/(VERSIONS - 1)
    ridge = .01*np.trace(within)/len(within)*np.eye(len(within))
    vectors = eigh(np.cov(middle.T), within + ridge)[1]
    return mean, vectors[:, ::-1][:, :PATTERNS]


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path, help="Jun Cheng's set, with its manifest.csv")
    p.add_argument("--out", type=Path, default=KNOWN/"descriptor.npz")
    p.add_argument("--slices", type=int, default=SLICES)
    a = p.parse_args()
    folder, rng = MRIFolder(a.folder), np.random.default_rng(0)
    subject = [folder.manifest[f]["subject"] for f in folder.paths]
    mine = set(sorted(set(subject))[::2])
    chosen = rng.permutation([i for i, s in enumerate(subject) if s in mine])[:a.slices]
    rows = []
    for i in chosen:
        im = folder.load(i)
        rows.append(coarse(np.stack([thumbnail(v)
                                     for v in [im,
                                               *(vary(im, rng) for _ in range(VERSIONS - 1))]])))
    rows = np.array(rows)
    flipped = rows.reshape(*rows.shape[:2], 16, 16)[..., ::-1].reshape(rows.shape)
    mean, patterns = fit(np.concatenate([rows, flipped]))
    file = io.BytesIO()
    np.savez(file, mean=mean.astype(np.float16), patterns=patterns.astype(np.float16))
    write_file(a.out, file.getvalue())
    print(f"{a.out.name}: {len(chosen)} slices of {len(mine)} subjects, {a.out.stat().st_size} "
          "bytes")


if __name__ == "__main__":
    main()
