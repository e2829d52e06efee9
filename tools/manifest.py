"""Make a dataset's committed manifest, brain_tumor_nb/known/NAME_folds.csv (file,sha256,phash,group,fold), from a copy of the set.

    python tools/manifest.py brain_tumor_dataset FOLDER              the set as published
    python tools/manifest.py brain_mri_4class FOLDER/Training        224 × 224 copies of its training part

FOLDER holds one sub-folder a class; files are named relative to it. `group` is that of near duplicates (perceptual hashes within 6 bits),
`fold` says in which of five folds (seed 0) a slice is held out.

For brain_mri_4class no published file was at hand, so that every `sha256` is that of a 224 × 224 copy, and 5,708 of the published training
slices are listed. Compare published files by name and by `phash`, as `known_set` does: it allows 6 bits. `group` and `fold` hold for both.
"""
import argparse
from pathlib import Path

from brain_tumor_nb.audit import COMPLETE, write_manifest
from brain_tumor_nb.data import MRIFolder


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=sorted(COMPLETE))
    p.add_argument("folder", type=Path, help="the set, with one sub-folder a class directly below")
    p.add_argument("--out", type=Path, help="the manifest to write; default: in the package")
    a = p.parse_args()
    folder = MRIFolder(a.folder, strict=True)
    out = a.out or Path(__file__).resolve().parent.parent/"brain_tumor_nb"/"known"/f"{a.name}_folds.csv"
    write_manifest(folder, out)
    print(f"{out.name}: {len(folder)} files")


if __name__ == "__main__": main()
