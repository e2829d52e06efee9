"""Find the subjects of the four-class set again, and compare them with the table that is committed.

    python tools/subjects.py ../shared/data/brain_mri_4class/Training ../shared/data/cheng

For each slice of the first folder: the most similar slice of the second (Jun Cheng's set, whose
manifest names the subjects), flipped or not. The published table was found in another way, by
correlating thumbnails of 32 × 32 pixels. Ends with status 1 where a subject differs.
"""
import argparse
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.duplicates import near_pairs, thumbnails
from brain_tumor_nb.known import known_rows


def recover(folder, source):
    "Path of each slice that was found -> path of its source, whether it is flipped, similarity."
    near = near_pairs(thumbnails(folder), thumbnails(source))
    best = {}
    for (i, j), mirrored, s in zip(near.pairs, near.mirrored, near.similarity):
        if s > best.get(folder.paths[i], (None, None, 0))[2]:
            best[folder.paths[i]] = source.paths[j], bool(mirrored), float(s)
    return best


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path, help="training part of the four-class set")
    p.add_argument("source", type=Path, help="Jun Cheng's set, with its manifest.csv")
    p.add_argument("--table", default="brain_mri_4class", help="of known sets, to compare with")
    a = p.parse_args()
    source = MRIFolder(a.source)
    found, rows = recover(MRIFolder(a.folder), source), known_rows(a.table)
    listed = {f for f, r in rows.items() if r["subject"]}
    subject = {f: source.manifest[c]["subject"] for f, (c, _, _) in found.items()}
    both = listed & found.keys()
    other = sorted(f for f in both if subject[f] != rows[f]["subject"])
    slices = sum(found[f][0] == rows[f]["cheng_file"] for f in both)
    sides = sum(found[f][1] == (rows[f]["mirrored"] == "1") for f in both)
    print(f"{len(listed)} slices listed, {len(found)} found, {len(both)} in both")
    print(f"of these the same slice {slices}, the same side {sides}, another subject {len(other)}")
    print(f"listed and not found: {len(listed - found.keys())}, found and not listed: "
          f"{len(found.keys() - listed)}")
    print("lowest similarity of those in both: "
          f"{min((found[f][2] for f in both), default=np.nan):.3f}")
    for f in other[:20]:
        print(f"  {f}: {subject[f]}, listed {rows[f]['subject']}")
    raise SystemExit(bool(other))


if __name__ == "__main__":
    main()
