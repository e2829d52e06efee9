# %% [markdown]
# # Solutions: trust
# > Audit, probes, intervals, calibration, transfer, results
#
# For the teacher: solutions of the exercises of these six notebooks, each under the link to its
# notebook. All cells run offline, on one core in less than four minutes. They use simulated slices,
# made-up predictions, and the tables of scores and predictions that come with the book. Numbers in
# the answers are those that the cell above them prints; each `assert` holds the range in which they
# must lie.

# %%
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from brain_tumor_nb.data import MRIFolder, PixelStore, find_data
from brain_tumor_nb.evaluation import delong, score
from brain_tumor_nb.predictions import Predictions, merge_classes
from brain_tumor_nb.splitting import find_groups, make_folds

heads = Path(find_data("phantom"))                      # simulated slices, made once and kept

# %% [markdown]
# ## [Audit](../../../nbs/trust/11_audit.ipynb)
#
# The folder of the notebook: slices of sixteen simulated subjects, with copies among them.

# %%
from brain_tumor_nb.audit import audit

def take(root, numbers):
    "Copy one slice of each of these simulated subjects, of both classes."
    for c in ("no", "yes"):
        (root/c).mkdir(parents=True)
        for n in numbers:
            shutil.copy(heads/c/f"{c}{n:03d}_1.png", root/c)
    shutil.copy(heads/"README.txt", root)

place = Path(tempfile.mkdtemp())
take(place/"flipped", range(8))
take(place/"copies", range(8))
copies = place/"copies"
Image.open(copies/"no/no000_1.png").resize((160, 160)).save(copies/"no/small.jpg", quality=60)
shutil.copy(copies/"no/no001_1.png", copies/"no/copy.png")
Image.open(copies/"yes/yes001_1.png").save(copies/"yes/pixels.bmp")
Image.open(copies/"yes/yes002_1.png").resize((200, 200)).save(copies/"no/other class.png")

# %% [markdown]
# > 1. Flip a slice left to right and save it under another name. Does the audit find it?

# %%
flipped = place/"flipped"
ImageOps.mirror(Image.open(flipped/"no/no003_1.png")).save(flipped/"no/mirror image.png")
facts = audit(MRIFolder(flipped))
found = {kind: facts[kind]["members"] for kind in ("bytes", "pixels", "near")}
assert found == {"bytes": [], "pixels": [],
                 "near": [["no/mirror image.png", "no/no003_1.png"]]}
found

# %% [markdown]
# Yes, as near-duplicates. The two files have different bytes and different pixels, so both hashes
# miss the pair. Thumbnails are compared flipped as well, and then the two agree. A usual mistake is
# to look only for equal bytes: flipping a picture is enough to escape that check, and in the public
# sets many copies are flipped. Flipping a slice in its own folder cannot show whether left and right
# are right: an audit does not know which side is which.

# %% [markdown]
# > 2. A classifier knows only whether a file has EXIF. For how many slices of your folder is it
# > right? Use the cross table.
#
# Your folder will give other numbers. Here seven of eight `yes` slices get a note of a scanner, and
# one of the `no` slices.

# %%
from brain_tumor_nb.audit import cross_table, scan_files

take(place/"noted", range(8))
note = Image.Exif()
note[0x0110] = "a scanner"
for name in ("no000", *(f"yes{n:03d}" for n in range(7))):
    file = place/f"noted/{name[:-3]}/{name}_1.png"
    Image.open(file).save(file, exif=note)
noted = MRIFolder(place/"noted")
table = cross_table(scan_files(noted).exif, noted)
right = sum(max(of_class.values()) for of_class in table.values())
assert right == 14 and len(noted) == 16
print(table)
print(f"right for {right} of {len(noted)} slices")
print(f"the majority class is right for {max(noted.counts().values())}")

# %% [markdown]
# It is right for 14 of 16 slices: for each value it predicts the class that has this value most
# often, so the largest number of each row is added up. The majority class alone is right for 8, and
# that is the number to compare with, not 0. Where no file has EXIF, the table has one row, and the
# classifier is as good as the majority class. Two things usually go wrong. Some add up the column
# instead of the row. Others forget that the classes were chosen by looking at the same slices: with
# many values (such as sizes) this is too good, and only a probe in folds gives an honest number.

# %% [markdown]
# > 3. Keep one file of each group, remove the others, and audit again. How has the class balance
# > changed?

# %%
from brain_tumor_nb.duplicates import ALIKE, near_pairs
from brain_tumor_nb.audit import sweep_groups

def keep_one(order):
    "Audit a copy of the folder that has of each group the first file in this order."
    folder = MRIFolder(copies)
    thumbs = scan_files(folder).thumbs
    groups = sweep_groups(near_pairs(thumbs), len(folder), (ALIKE,))[ALIKE]
    kept = {}
    for path, group in sorted(zip(folder.paths, groups), key=lambda p: p[0], reverse=order == "Z"):
        kept.setdefault(group, path)
    out = place/f"one of each, {order}"
    for path in kept.values():
        (out/path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copies/path, out/path)
    return audit(MRIFolder(out))

before, first, last = audit(MRIFolder(copies)), keep_one("A"), keep_one("Z")
assert before["counts"] == {"no": 11, "yes": 9} and before["near"]["mixed"] == 1
assert first["counts"] == {"no": 9, "yes": 7} and last["counts"] == {"no": 8, "yes": 8}
assert first["near"]["repeated"] == last["near"]["repeated"] == 0
for words, facts in (("before", before), ("first file kept", first), ("last file kept", last)):
    print(f"{words:16}", facts["counts"], "repeated groups:", facts["near"]["repeated"])

# %% [markdown]
# Before, there are 11 `no` and 9 `yes`. Afterwards there are 9 and 7 if the first file of each group
# in the order of names is kept, 8 and 8 if it is the last. The two differ by the group that mixes
# classes: which file is kept decides which label stays, and the order of names is no reason for a
# label. So a person must look at mixed groups first. Copies were more frequent in `no`, which is
# usual: classes are rarely copied in equal shares, so the share of the largest class, to which every
# accuracy is compared, changes too. The second audit finds no repeated group.

# %% [markdown]
# > 4. Two groups mix classes. In one, a file was copied into the wrong folder; in the other, two
# > readers disagreed about a tumour. What would you do with each before training?
#
# The copy in the wrong folder is an error of a file. Find out which label is right (in the source,
# or by a reader), keep that file, leave the other out, and write down both. The disagreement is no
# error of a file: the label is uncertain. Do not choose the answer that you like better, and do not
# choose it by looking at what a model says. Ask a third reader, or a better reference (pathology,
# another sequence, a later examination). If there is none, leave the slice out of training and
# validation and report how many were left out, or keep both readings and report the score against
# each. Keeping both files with both labels is what students usually do; the group then counts as
# one right and one wrong, whatever the model predicts. Leaving out all difficult slices without a
# word is the other mistake: the score is then of easy slices only.
