"""What may make the slices of a set hard: nbs/aims/clinical_SET.csv.gz.

    python tools/clinical.py cheng FOLDER
    python tools/clinical.py lgg FOLDER

The table holds facts, no pixel: path, plane (empty where it is not known), contrast of the lesion
(empty without one) and noise, both as shares of the standard deviation within the head.
"""
import argparse
from pathlib import Path

import numpy as np

from brain_tumor_nb.clinical import look_table
from brain_tumor_nb.data import MRIFolder
from rows import ROOT, pack


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the set")
    p.add_argument("folder", type=Path, help="with one sub-folder per class and manifest.csv")
    p.add_argument("--out", type=Path, default=ROOT/"nbs/aims", help="folder of the table")
    a = p.parse_args()
    try:
        folder = MRIFolder(a.folder)
        looks = look_table(folder)
    except (ValueError, OSError) as e:
        raise SystemExit(f"clinical.py: {e}") from None
    text = "path,plane,contrast,noise\n"
    for path,look in zip(folder.paths, looks):
        contrast = "" if np.isnan(look["contrast"]) else f"{look['contrast']:.4f}"
        text += f"{path},{look['plane']},{contrast},{look['noise']:.4f}\n"
    pack(a.out/f"clinical_{a.name}.csv.gz", text)
    print(f"{len(folder)} slices")


if __name__ == "__main__":
    main()
