"""Make the package's sample of real slices, brain_tumor_nb/sample, from a copy of Jun Cheng's set.

    python tools/sample.py ../shared/data/cheng

The folder holds the classes, manifest.csv (file,subject,patient_id,plane,mask,source_file) and the
lesion masks that the manifest names. Chance alone decides which subjects and slices are taken,
within the quotas below: neither their looks nor the size of a lesion nor any score. The same
source gives the same choice and the same pixels; the bytes of a PNG file also depend on Pillow.
"""
import argparse
import csv
import random
import shutil
from collections import Counter, defaultdict
from pathlib import Path

from PIL import Image

OUT = Path(__file__).resolve().parent.parent/"brain_tumor_nb"/"sample"
CLASSES = ("glioma", "meningioma", "pituitary")
PLANES = ("axial", "coronal", "sagittal")
SLICES = 80     # per class
SUBJECTS = 55   # per class: 25 of them give two slices, 30 give one
SIDE = 192      # of the slices written, pixels
SEED = 0
COLUMNS = ("file", "subject", "patient_id", "plane", "mask", "source_file")
README = """Real brain MRI slices: {slices} T1-weighted, contrast-enhanced slices of {subjects}
patients with a glioma, a meningioma or a pituitary tumour. For teaching. Not a medical device.

source       Jun Cheng: brain tumor dataset. figshare. doi:10.6084/m9.figshare.1512427
to be cited  Cheng J, Huang W, Cao S, Yang R, Yang W, Yun Z, Wang Z, Feng Q: Enhanced Performance
             of Brain Tumor Classification via Tumor Region Augmentation and Partition.
             PLoS ONE 10(10): e0140381, 2015. doi:10.1371/journal.pone.0140381
licence      Creative Commons Attribution 4.0 International (CC BY 4.0): see LICENSE, and
             https://creativecommons.org/licenses/by/4.0/
changed      {slices} of 3,064 slices were chosen. Each was scaled from its own minimum and
             maximum to 0..255, reduced from 512 to 256 pixels by means of 2 x 2 where it had
             512, then to {side} pixels by means over areas, and saved as 8-bit PNG; the masks
             by nearest neighbour, 1 bit. The planes are ours: labelled by eye with a
             classifier's help, those of oblique slices may be disputed.
chosen       By chance (seed {seed}): {per_class} slices of {each} subjects in each class, one or
             two of a subject, the three planes in equal shares. Nothing else was looked at:
             lesions of all sizes and slices of poor quality are among them.

<class>/<number>.png         a slice; the number is that of the source's file
.masks/<class>/<number>.png  its lesion, white
manifest.csv                 one row per slice: file, subject (patient_id without the letter at
                             its end, if it has one), patient_id, plane, mask, source_file

The class is the type of the tumour, not its grade. There is no slice without a tumour, and the
shares of classes and planes are not those of any clinic.
"""


def shuffled(items, rng):
    "The items in random order; from `rng.random` alone, which no version of Python changes."
    return sorted(items, key=lambda item: rng.random())


def draw(rows,  # of one class: a dict per slice, see COLUMNS
         quota, # plane to the number of slices wanted
         rng    # `random.Random`
        ):      # the rows chosen; None where chance ran into a dead end
    "One attempt: subjects, then a plane for each of their places, then a slice of that plane."
    at = defaultdict(lambda: defaultdict(list))
    for row in rows:
        at[row["subject"]][row["plane"]].append(row)
    subjects = shuffled(sorted(at), rng)[:SUBJECTS]
    twice = subjects[:SLICES - SUBJECTS]
    left = dict(quota)
    chosen = []
    for subject in sorted(subjects + twice, key=lambda s: len(at[s])):  # few planes: first
        planes = [p for p in PLANES if at[subject][p] and left[p]]
        if not planes:
            return None
        plane = rng.choices(planes, [left[p] for p in planes])[0]
        left[plane] -= 1
        chosen.append(at[subject][plane].pop(int(rng.random()*len(at[subject][plane]))))
    return chosen


def choose(rows): # of the source's manifest
    "The rows of the sample, in the order of their files."
    chosen = []
    for i, name in enumerate(CLASSES):
        rng = random.Random(f"{SEED} {name}")
        mine = [row for row in rows if row["file"].startswith(f"{name}/")]
        quota = {p: SLICES//3 + (j != i and SLICES % 3 > 0) for j, p in enumerate(PLANES)}
        found = None
        while not found:
            found = draw(mine, quota, rng)
        chosen += found
    return sorted(chosen, key=lambda row: row["file"])


def reduced(image, # grey, 256 x 256
            side   # pixels; a divisor of 768
           ):      # grey, side x side
    "Mean over areas: each pixel tripled, then blocks averaged."
    if image.mode != "L" or image.size != (256, 256):
        raise SystemExit(f"a slice is {image.mode} {image.size}, wanted is grey of 256 x 256")
    return image.resize((768, 768), Image.Resampling.NEAREST).reduce(768//side)


def write(source, # the set's folder, with manifest.csv
          rows,   # of its manifest
          out     # the sample's folder; its LICENSE stays
         ):
    "Slices, masks, manifest and README."
    for name in (*CLASSES, ".masks"):
        shutil.rmtree(out/name, ignore_errors=True)
    for row in rows:
        mask = f".masks/{row['file']}"
        for file in (row["file"], mask):
            (out/file).parent.mkdir(parents=True, exist_ok=True)
        reduced(Image.open(source/row["file"]), SIDE).save(out/row["file"], optimize=True)
        lesion = Image.open(source/row["mask"]).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        lesion.convert("1").save(out/mask, optimize=True)
        row["mask"] = mask
    with open(out/"manifest.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    subjects = len({row["subject"] for row in rows})
    words = README.format(slices=len(rows), subjects=subjects, side=SIDE, seed=SEED,
                          per_class=SLICES, each=SUBJECTS)
    (out/"README.txt").write_text(words, encoding="utf-8", newline="\n")


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("source", type=Path, help="the set: classes, manifest.csv, masks it names")
    p.add_argument("--out", type=Path, default=OUT, help="default: in the package")
    a = p.parse_args()
    if not (a.source/"manifest.csv").is_file():
        p.error(f"{a.source} has no manifest.csv: give a folder like ../shared/data/cheng")
    with open(a.source/"manifest.csv", newline="", encoding="utf-8") as file:
        rows = choose(list(csv.DictReader(file)))
    write(a.source, rows, a.out)
    for name in CLASSES:
        mine = [row for row in rows if row["file"].startswith(f"{name}/")]
        planes = Counter(row["plane"] for row in mine)
        print(f"{name}: {len(mine)} slices, {len({row['subject'] for row in mine})} subjects, "
              + ", ".join(f"{planes[p]} {p}" for p in PLANES))
    print(f"{sum(f.stat().st_size for f in a.out.rglob('*') if f.is_file())/1e6:.2f} MB")


if __name__ == "__main__":
    main()
