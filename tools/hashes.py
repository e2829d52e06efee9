"""Make a data set's committed list, brain_tumor_nb/known/NAME.csv, from a copy of the set.

    python tools/hashes.py brain_tumor_dataset FOLDER            file,sha256 of the published files
    python tools/hashes.py brain_mri_4class FOLDER --names-only  names alone, of resized copies
    python tools/hashes.py cheng FOLDER                          file,subject,patient_id,plane,phash

A hash of bytes belongs in the list only where FOLDER holds the files as published, byte for byte.
Of cheng, FOLDER holds PNG made from the published files, of any size, and a manifest.csv that names
patients and planes: the list holds what that says, and perceptual hashes, which sizes hardly
change.
"""
import argparse
from pathlib import Path

from imagehash import phash

from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.download import dataset_files, hash_files, write_table
from brain_tumor_nb.known import DATASETS

KNOWN = Path(__file__).resolve().parent.parent/"brain_tumor_nb"/"known"
COLUMNS = ("file", "subject", "patient_id", "plane")    # of cheng's manifest


def by_bytes(dataset, folder, names_only):
    "Rows of a list of hashes of bytes."
    names = dataset_files(dataset, folder)
    hashes = dict.fromkeys(names, "") if names_only else hash_files(folder, names)
    return [{"file": name, "sha256": hashes[name]} for name in names]


def by_picture(folder):
    "Rows of a list of patients, planes and perceptual hashes, in the order of the manifest."
    slices = MRIFolder(folder, strict=True)
    hashes = dict(zip(slices.paths, map(str, slices.map(phash))))
    return [{**{c: row[c] for c in COLUMNS}, "phash": hashes[file]}
            for file, row in slices.manifest.items()]


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=sorted(DATASETS))
    p.add_argument("folder", type=Path, help="the set, with its top folders directly below")
    p.add_argument("--names-only", action="store_true", help="leave the hashes out")
    p.add_argument("--out", type=Path, help="the list to write; default: in the package")
    a = p.parse_args()
    dataset, out = DATASETS[a.name], a.out or KNOWN/f"{a.name}.csv"
    if dataset.format == "MATLAB":
        rows = by_picture(a.folder)
    else:
        rows = by_bytes(dataset, a.folder, a.names_only)
    if not rows:
        p.error(f"{a.folder} holds no files in {', '.join(dataset.folders)}")
    write_table(out, rows)
    print(f"{out.name}: {len(rows)} files, {sum(bool(list(r.values())[-1]) for r in rows)} hashes")


if __name__ == "__main__":
    main()
