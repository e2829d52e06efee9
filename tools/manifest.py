"""Make the table of a public set, brain_tumor_nb/known/NAME_slices.csv, from a copy of the set.

    python tools/manifest.py brain_tumor_dataset FOLDER
    python tools/manifest.py brain_mri_4class FOLDER --subjects subjects.csv
    python tools/manifest.py brain_mri_4class_testing CHENG --subjects subjects_testing.csv

Columns: file,sha256,phash,subject,cheng_file,mirrored,group,fold. `group` is that of the split by
patients, `fold` says in which of five folds (seed 0) a slice is held out. The subjects
(file,subject,cheng_file,mirrored) were found by comparing slices with Jun Cheng's set; see
tools/subjects.py. For brain_mri_4class no published file was at hand: every `sha256` is that of a
224 × 224 copy. Of its test part no picture was at hand: FOLDER is Jun Cheng's set, and `phash` that
of the slice that a file shows, flipped where the file is.
"""
import argparse
from pathlib import Path

from PIL import ImageOps

from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.known import COMPLETE, image_hash, image_hashes
from brain_tumor_nb.splitting import find_groups, make_folds
from rows import ROOT, read, write

COLUMNS = ("file", "sha256", "phash", "subject", "cheng_file", "mirrored", "group", "fold")


def listed(folder, subjects):
    "A row per slice of a folder."
    of = {r["file"]: r for r in subjects}
    names = [of.get(p, {}).get("subject") for p in folder.paths]
    groups = find_groups(folder, subjects=names if any(names) else None)
    fold = {i: k for k, s in enumerate(make_folds(folder, groups)) for i in s.valid}
    for i, (p, bits) in enumerate(zip(folder.paths, image_hashes(folder))):
        known = {k: of.get(p, {}).get(k, "") for k in ("subject", "cheng_file", "mirrored")}
        yield dict(file=p, sha256=folder.digests[i], phash=f"{bits:016x}", **known,
                   group=int(groups[i]), fold=fold[i])


def shown(cheng, subjects):
    "A row per file that shows a slice of cheng, and is not at hand itself."
    at = {p: i for i, p in enumerate(cheng.paths)}
    for r in subjects:
        im = cheng.load(at[r["cheng_file"]])
        bits = image_hash(ImageOps.mirror(im) if r["mirrored"] == "1" else im)
        known = {k: r[k] for k in ("subject", "cheng_file", "mirrored")}
        yield dict(file=r["file"], sha256="", phash=f"{bits:016x}", **known, group="", fold="")


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=sorted(COMPLETE))
    p.add_argument("folder", type=Path,
                   help="the set, with one sub-folder per class directly below")
    p.add_argument("--subjects", type=Path,
                   help="CSV with the columns file,subject,cheng_file,mirrored")
    p.add_argument("--out", type=Path, help="the table to write; default: in the package")
    a = p.parse_args()
    if a.name.endswith("_testing") and not a.subjects:
        p.error(f"{a.name} is made from --subjects alone")
    folder, subjects = MRIFolder(a.folder, strict=True), read(a.subjects) if a.subjects else []
    rows = list((shown if a.name.endswith("_testing") else listed)(folder, subjects))
    out = a.out or ROOT/f"brain_tumor_nb/known/{a.name}_slices.csv"
    write(out, rows)
    print(f"{out.name}: {len(rows)} files, {len({r['subject'] for r in rows} - {''})} subjects")


if __name__ == "__main__":
    main()
