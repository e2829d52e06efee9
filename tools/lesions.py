"""Where the lesion of each slice of a set lies: nbs/studies/predictions/SET/lesions.csv.gz.

    python tools/lesions.py cheng FOLDER
    python tools/lesions.py lgg FOLDER

FOLDER needs a manifest.csv with the column mask. The table holds facts, no pixel: path, plane
(empty where it is not known), area of the lesion as a share of the head's rectangle, its centre.
"""
import argparse
from pathlib import Path

import numpy as np

from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.tumour_types import lesion_facts
from rows import KEPT, pack


def line(path, lesion):
    "A row of the table."
    places = ["" if np.isnan(v) else f"{v:.4f}" for v in (lesion.x, lesion.y)]
    return ",".join([path, lesion.plane, f"{lesion.area:.5f}", *places]) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the set")
    p.add_argument("folder", type=Path, help="with one sub-folder per class and manifest.csv")
    p.add_argument("--kept", type=Path, default=KEPT, help="folder of the tables")
    a = p.parse_args()
    try:
        folder = MRIFolder(a.folder)
        facts = lesion_facts(folder)
    except (ValueError, OSError) as e:
        raise SystemExit(f"lesions.py: {e}") from None
    known = [(path, f) for path,f in zip(folder.paths, facts) if f is not None]
    if not known:
        p.error(f"{a.folder} names no masks: its manifest.csv needs the column mask")
    text = "path,plane,area,x,y\n" + "".join(line(*each) for each in known)
    pack(a.kept/a.name/"lesions.csv.gz", text)
    print(f"{len(known)} of {len(folder)} slices")


if __name__ == "__main__":
    main()
