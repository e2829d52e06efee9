"""Make a dataset's committed list, brain_tumor_nb/known/NAME.csv (file,sha256), from a copy of the set.

    python tools/hashes.py brain_tumor_dataset FOLDER             names and hashes of the published files
    python tools/hashes.py brain_mri_4class FOLDER --names-only   names alone: FOLDER holds resized copies

A hash belongs in the list only where FOLDER holds the files as published, byte for byte.
"""
import argparse
from pathlib import Path

from brain_tumor_nb.cli import DATASETS, hash_files, list_files


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=sorted(DATASETS))
    p.add_argument("folder", type=Path, help="the set, with its top folders directly below")
    p.add_argument("--names-only", action="store_true", help="leave the hashes out")
    p.add_argument("--out", type=Path, help="the list to write; default: in the package")
    a = p.parse_args()
    names = list_files(a.folder, DATASETS[a.name].folders)
    if not names: p.error(f"{a.folder} holds no files in {', '.join(DATASETS[a.name].folders)}")
    if any("," in n or '"' in n or "\n" in n for n in names): p.error("a file name would need quoting in the list")
    hashes = dict.fromkeys(names, "") if a.names_only else hash_files(a.folder, names)
    out = a.out or Path(__file__).resolve().parent.parent/"brain_tumor_nb"/"known"/f"{a.name}.csv"
    out.parent.mkdir(exist_ok=True)
    out.write_text("file,sha256\n" + "".join(f"{n},{hashes[n]}\n" for n in names), encoding="utf-8", newline="\n")
    print(f"{out.name}: {len(names)} files, {sum(map(bool, hashes.values()))} hashes")


if __name__ == "__main__": main()
