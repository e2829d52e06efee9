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
from brain_tumor_nb.evaluation import delong
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

held = tempfile.TemporaryDirectory()
place = Path(held.name)
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
# sets many copies are flipped. Which of the two files is the original, the audit cannot know.

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
# classifier is as good as the majority class. The usual mistake is to forget that the classes were
# chosen by looking at the same slices: with many values (such as sizes) the result is too good, and
# only a probe in folds gives an honest number.

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
# Before, there are 11 `no` and 9 `yes`; afterwards 9 and 7 if the first file of each group in the
# order of names is kept, 8 and 8 if it is the last. The second audit finds no repeated group. The
# two results differ by the group that mixes classes: which of its files is kept decides which label
# stays, and the order of names is no reason for a label, so a person must look at mixed groups
# first. Students often forget that the share of the largest class changes, to which every accuracy
# is compared: classes are rarely copied in equal shares.

# %% [markdown]
# > 4. Two groups mix classes. In one, a file was copied into the wrong folder; in the other, two
# > readers disagreed about a tumour. What would you do with each before training?
#
# The copy in the wrong folder is an error of a file: find out which label is right, keep that file,
# leave the other out, and write down both. The disagreement is no error of a file: the label is
# uncertain. Ask a third reader, or a better reference (pathology, another sequence, a later
# examination); never choose by what a model says. If there is none, leave the slice out of training
# and validation and report how many were left out, or report the score against each reading. The
# usual mistake is to keep both files with both labels: whatever the model predicts, one is then
# right and one wrong. Leaving out all difficult slices without a word is the other one: the score
# is then of easy slices.

# %% [markdown]
# ## [Probes](../../../nbs/trust/12_probes.ipynb)
#
# As in the notebook, two of the four slices of each simulated subject, changed or not.

# %%
from brain_tumor_nb import probes
from brain_tumor_nb.features import blind_masks, crop_to_head, probe_features
from brain_tumor_nb.phantom import plant_shortcut

phantom = MRIFolder(heads)
half_groups = find_groups(phantom)[::2]

def changed(change):
    "A folder of every second slice, each as `change(class, image, random numbers)` makes it."
    root = Path(tempfile.mkdtemp())
    shutil.copy(heads/"README.txt", root)
    for i in range(0, len(phantom), 2):
        (root/phantom.paths[i]).parent.mkdir(exist_ok=True)
        image = change(phantom.paths[i].split("/")[0], phantom.load(i), np.random.default_rng(i))
        image.save(root/phantom.paths[i])
    return MRIFolder(root)

def probe(folder, features=None):
    "AUROC and interval of every probe, in five folds."
    folds = make_folds(folder, half_groups)
    return probes.probe_table(probes.run_probes(folder, folds, features=features))

def show(*tables):
    "One line per probe, one column per table."
    for name in tables[0]:
        cells = [t[name]["auroc"] for t in tables]
        print(f"{name:10}", *(f"{c['value']:.2f} ({c['low'] or 0:.2f} to {c['high'] or 0:.2f})"
                              for c in cells))

same = changed(lambda c, image, rng: image)
plain = probe(same)

# %% [markdown]
# > 1. Plant `"border"`, a grey frame of three pixels. Which probes see it? Why do even the metadata
# > change?

# %%
def frame(c, image, rng):
    "The slice, with a grey frame in class `yes`."
    return Image.fromarray(plant_shortcut(np.asarray(image), "border" if c == "yes" else None, rng))

framed = changed(frame)
with_frame = probe(framed)
assert min(with_frame[n]["auroc"]["value"] for n in ("border", "masked", "hog")) > .95
assert with_frame["metadata"]["auroc"]["value"] > plain["metadata"]["auroc"]["value"] + .1
show(plain, with_frame)
yes = np.array(same.targets) == 1
sizes = [np.array([f.bytes for f in of.facts])[yes].mean() for of in (same, framed)]
assert sizes[1] < sizes[0]
print(f"mean size of a yes file: {sizes[0]:.0f} bytes, with the frame {sizes[1]:.0f}")

# %% [markdown]
# The border, the slice with its centre masked, and the two that see the whole slice: each has an
# AUROC of 1.00, about 0.5 before. The metadata rise from 0.54 to 0.71. They get no pixel, but they
# get the number of bytes: PNG compresses a uniform frame better than the noise that was there, so a
# `yes` file becomes smaller (23,665 bytes on average, 24,285 before). HOG and the nearest neighbour
# know no more of tumours than before: to call their 1.00 a success is the usual mistake. The
# permuted labels stay at chance; they are no test for a shortcut.

# %% [markdown]
# > 2. Give each slice of class `yes` a black margin of 20 pixels. Then crop every slice to the head
# > (`crop_to_head`) before probing. Which probes lose the shortcut, and which may now see the
# > tumour?

# %%
def margin(c, image, rng):
    "The slice, with a black margin of 20 pixels in class `yes`."
    return ImageOps.expand(image, 20) if c == "yes" else image

def mark(c, image, rng):
    "The slice, with a bright mark in its corner in class `yes`."
    return Image.fromarray(plant_shortcut(np.asarray(image), "mark" if c == "yes" else None, rng))

with_margin = probe(changed(margin))
cropped = probe(changed(lambda *slice_: crop_to_head(margin(*slice_))))
marked = probe(changed(lambda *slice_: crop_to_head(mark(*slice_))))
for name in ("metadata", "border", "masked"):
    assert with_margin[name]["auroc"]["value"] > .95
    assert cropped[name]["auroc"]["value"] < .8
assert marked["border"]["auroc"]["value"] > .95
print("with a margin; with a margin, cropped; with a mark, cropped")
show(with_margin, cropped, marked)

# %%
def head_box(image):
    "Left, top, right and bottom of the head, as `crop_to_head` finds them."
    bright = np.asarray(image) > np.asarray(image).max()/10
    rows, columns = [np.flatnonzero(bright.mean(axis) > .02) for axis in (1, 0)]
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1

def reaching(crop):
    "Share of the tumours that reach into the border, and out of the disc."
    reach = []
    for file in sorted((heads/".masks").rglob("*.png")):
        image, tumour = (Image.open(f).convert("L") for f in (heads/"yes"/file.name, file))
        tumour = tumour.crop(head_box(image)) if crop else tumour
        seen = np.asarray(tumour.resize((64, 64))) > 127
        reach.append([(seen & part).any() for part in blind_masks(64)])
    return np.mean(reach, 0)

whole, tight = reaching(False), reaching(True)
assert whole[0] < .05 and tight[0] > .3 and tight[1] > whole[1] + .2
for words, shares in (("whole slices", whole), ("cropped to the head", tight)):
    print(f"{words:20} tumours that reach into the border {shares[0]:.0%}, "
          f"out of the disc {shares[1]:.0%}")

# %% [markdown]
# All three source probes see the margin (AUROC 1.00 each): the metadata by the width, the other two
# by the black frame. After the crop this shortcut is gone (0.56, 0.36 and 0.67). But now the head
# fills the picture: 51 % of the tumours reach into the border, 1 % before; 64 % reach out of the
# disc, 16 % before. So the border and the masked slice may now see the tumour, and if one of them
# is above chance (the masked slice is, 0.52 to 0.79), that is no longer a sign of a shortcut. The
# usual mistake is to take the crop for a cure of every shortcut: a bright mark in the corner is
# kept as if it were a part of the head, and even the metadata see it then (0.78), because it
# decides how large the cropped picture is.

# %% [markdown]
# > 3. Add a probe to `PROBES`: the mean and standard deviation of all grey values. Is it a probe of
# > the source or of the tumour?

# %%
def grey(folder):
    "Mean and standard deviation of each slice, float [N,2]."
    return folder.of_all(lambda image: np.array([np.mean(image), np.std(image)]))

def brighter(c, image, rng):
    "The slice, half as bright again in class `yes`, as from another window."
    return image.point(lambda v: min(255, round(1.5*v))) if c == "yes" else image

probes.PROBES["grey"] = probes.Probe("grey", "linear", "slice", "mean and deviation of grey")
other = changed(brighter)
tables = [probe(f, {**probe_features(f), "grey": grey(f)}) for f in (same, other)]
del probes.PROBES["grey"]
found = [t["grey"]["auroc"] for t in tables]
assert found[0]["low"] < .5 < .6 < found[1]["value"]
for words, m in zip(("as simulated", "yes brighter"), found):
    print(f"{words}: AUROC {m['value']:.2f} ({m['low']:.2f} to {m['high']:.2f})")

# %% [markdown]
# Of both, so it says nothing about either: in `PROBES` it must be called one that sees the slice.
# The mean and the deviation contain the pixels of the tumour, and also the brightness of the
# window, the size of the head and the margin, which belong to the source. As simulated, the probe
# is at chance (0.54, 0.36 to 0.70): it does not notice the tumours. If all `yes` slices are half as
# bright again, as from another window, it reaches 0.87 (0.72 to 0.95), although no tumour has
# changed. The usual mistake is to call it a probe of the source because it is simple: what counts
# is which pixels it gets. Computed in the border alone, it would be one.

# %% [markdown]
# > 4. A network has AUROC 0.94 where the metadata have 0.84. Does that mean that 0.10 is about the
# > tumour? Design an experiment that would tell.
#
# No, scores do not add up: the network sees the source in the pixels too, so all 0.94 may come from
# the source; or none of it, since a network that looks at tumours only can have 0.94 as well. Three
# experiments would tell, each with an interval over patients. Take slices of both classes from one
# source, where all source probes are at chance: what the network reaches there is not the source.
# Test it on an external set, in which the source cannot help. Hide the tumours, and the same places
# in `no` slices, then train and score again: what is left is not the tumour. Students usually
# subtract the two numbers, or believe a heat map of one slice.

# %% [markdown]
# ## [Intervals](../../../nbs/trust/13_intervals.ipynb)

# %%
from scipy.stats import mannwhitneyu

from brain_tumor_nb.delong import auroc_parts, ranking_metrics, wilson
from brain_tumor_nb.evaluation import bootstrap_weights
from brain_tumor_nb.intervals import holm, images_needed, mcnemar

def made_up(y, score):
    "Predictions of two classes."
    names = [f"{k:03}.png" for k in range(len(y))]
    labels = [("no", "yes")[int(v)] for v in y]
    return Predictions(names, labels, ("no", "yes"), np.stack([1 - score, score], 1), [0]*len(y))

# %% [markdown]
# > 1. A paper reports 94 % against 92 % on 300 slices of 60 patients, without an interval. Which
# > function of this notebook would you ask its authors to run, and what do you expect?

# %%
def right_at(wrong):
    "Predictions of 300 slices, all of class `yes`, that are wrong at these."
    s = np.full(300, .9)
    s[wrong] = .1
    return made_up(np.ones(300), s)

def spread(only_a, only_b):
    "Two models of 94 % and 92 % that differ on so many slices, spread over all slices."
    both = 18 - only_b
    rows = np.random.default_rng(0).permutation(300)
    shared, a_wrong, b_wrong = np.split(rows[:both + only_b + only_a], [both, both + only_b])
    return right_at([*shared, *a_wrong]), right_at([*shared, *b_wrong])

patient = np.arange(300)//5
ps = {}
for only_a, only_b in ((6, 0), (15, 9), (24, 18)):
    a, b = spread(only_a, only_b)
    ps[only_a] = mcnemar(a, b, patient)["p"]
    print(f"only A right {only_a}, only B right {only_b}: p {ps[only_a]:.2f} over patients")
a, b = right_at(range(18)), right_at([*range(18), *range(20, 26)])
together = mcnemar(a, b)["p"], mcnemar(a, b, patient)["p"]
print(f"six slices of two patients: p {together[0]:.2f} as if independent, "
      f"{together[1]:.2f} over patients")
needed = [images_needed(.94, .92, share) for share in (.08, None)]
assert ps[6] < .05 < .2 < min(ps[15], ps[24]) and together[1] == .5 and min(needed) > 1500
print(f"slices needed: {needed[0]:,} if the two disagree on 8 %, {needed[1]:,} if independent")

# %% [markdown]
# `mcnemar` with the patients as groups, since both models predicted the same slices; for that the
# authors need both tables of predictions, not two accuracies. The difference is six slices, so
# expect that chance explains it: if only A is right on 15 slices and only B on 9 (the two disagree
# on 8 %), p is 0.26. Only if B is never right where A is wrong, and the six slices are of six
# patients, p is 0.03; if they are of two patients, it is 0.50, where a test of independent slices
# says 0.03. To notice this difference, about 1,600 slices are needed where the two disagree on 8 %,
# more with several per patient. Students usually look whether two intervals overlap, or ask for
# `compare_auroc`, which tests another question.

# %% [markdown]
# > 2. Make the subjects of `draw` all alike (standard deviation 0 instead of 1). Which of the five
# > coverages changes, and why?

# %%
def draw(rng, subjects, deviation):
    "Simulated scores: (labels, scores, subject of each slice)."
    of = np.repeat(np.arange(subjects), rng.integers(1, 6, subjects))
    label = rng.random(subjects) < .6
    level = 1.2*label + rng.normal(0, 1, subjects)*deviation
    return label[of], 1/(1 + np.exp(-(level[of] + rng.normal(0, .7, len(of)) - .5))), of

def coverages(deviation, times=400, slow=150, truth=None):
    "True values, and the share of 95 % intervals that contain them, of five kinds."
    y, s, _ = draw(np.random.default_rng(1), 40_000, deviation if truth is None else truth)
    auroc, accuracy = auroc_parts(y, s)[0], ((s > .5) == y).mean()
    hits = {}
    for k, rng in enumerate(np.random.default_rng(2).spawn(times)):
        y, s, of = draw(rng, 40, deviation)
        p, right = made_up(y, s), int(((s > .5) == y).sum())
        alone, grouped = delong(p), delong(p, of)
        known = {"accuracy, Wilson as if independent": (*wilson(right, len(y)), accuracy),
                 "AUROC, DeLong as if independent": (alone["low"], alone["high"], auroc),
                 "AUROC, DeLong over groups": (grouped["low"], grouped["high"], auroc)}
        if k < slow:
            w = bootstrap_weights(of, 300)
            drawn = ranking_metrics(y, s, w)[0]
            shares = w @ ((s > .5) == y)/w.sum(1)
            known["accuracy, bootstrap over groups"] = *np.quantile(shares, [.025, .975]), accuracy
            known["AUROC, bootstrap over groups"] = *np.quantile(drawn, [.025, .975]), auroc
        for name, (low, high, true_value) in known.items():
            hits.setdefault(name, []).append(low <= true_value <= high)
    return auroc, accuracy, {name: np.mean(v) for name, v in hits.items()}

differ, alike = coverages(1), coverages(0)
for name, share in differ[2].items():
    assert (share < .88) if "independent" in name else (share > .88), (name, share)
old = coverages(0, slow=0, truth=1)[2]["AUROC, DeLong over groups"]
assert min(alike[2].values()) > .9 > .5 > old
for words, (auroc, accuracy, _) in (("subjects differ", differ), ("subjects alike", alike)):
    print(f"{words:16} true AUROC {auroc:.3f}, true accuracy {accuracy:.3f}")
for name, share in differ[2].items():
    print(f"{name:36} subjects differ {share:.0%}, subjects alike {alike[2][name]:.0%}")
print(f"AUROC, DeLong over groups, subjects alike, against the old true value: {old:.0%}")

# %% [markdown]
# The two that treat slices as independent: they rise from 84 % to 96 % (Wilson) and from 80 % to 97
# % (DeLong). The three over groups stay at 93 to 98 %, as far as 150 to 400 sets can tell. If
# subjects differ, the slices of a subject are right and wrong together, and there is less
# information than the number of slices says. If they are all alike, a second slice of a subject
# tells as much as one of another subject: independence is then true for the AUROC, and nearly for
# the accuracy. So groups cost little where they are not needed. The usual mistake is to keep the
# old true values: the true AUROC rises from 0.756 to 0.887, and only 11 % of the intervals over
# groups contain the old one.

# %% [markdown]
# > 3. DeLong's test treats the two trained networks as fixed. Use the repeats of `btnb train
# > --repeats` to find how much another seed changes the AUROC.

# %%
import csv
import gzip
import io

import brain_tumor_nb
from brain_tumor_nb.learners import make_learner, predict_split
from brain_tumor_nb.training import Config

studies = Path(brain_tumor_nb.__file__).resolve().parents[1]/"nbs/studies"

def kept(table):
    "A table of predictions that comes with the book, such as `lgg/patients-frozen`."
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder)/"predictions.csv"
        file.write_bytes(gzip.decompress((studies/f"predictions/{table}.csv.gz").read_bytes()))
        return Predictions.load(file)

def groups_kept(of):
    "Path to group, of a set whose predictions come with the book."
    packed = (studies/f"predictions/{of}/groups.csv.gz").read_bytes()
    rows = list(csv.reader(io.StringIO(gzip.decompress(packed).decode())))
    return {path: int(group) for path, group in rows[1:]}

config = Config.recommended(freeze=True, size=128, device="cpu")
learner = make_learner(config, phantom.classes)

def look(folder):
    "Pixels and frozen features of a folder."
    store = PixelStore(folder, config.size, config.framing)
    return store, learner.prepare(store.pixels)

store, prepared = look(phantom)

# %%
def cross_validated(seed):
    "AUROC of the folds of one seed."
    parts = []
    for k, split in enumerate(make_folds(phantom, find_groups(phantom), 3, seed=seed)):
        learner.train(store, split, prepared)
        parts.append(predict_split(learner, store, split, prepared, k))
    return delong(Predictions.concat(parts))

simulated = [cross_validated(seed) for seed in range(5)]
aurocs = np.array([m["value"] for m in simulated])
assert .7 < aurocs.min() and .02 < np.ptp(aurocs) < .2
print("five seeds:", *(f"{v:.3f}" for v in aurocs))
print(f"DeLong's interval of the first: {simulated[0]['low']:.3f} to {simulated[0]['high']:.3f}")

# %%
nested, group_of = kept("brain_tumor_dataset/nested"), groups_kept("brain_tumor_dataset")
repeat = np.array(nested.folds)//5
real = [delong(p, np.array([group_of[path] for path in p.paths]))
        for p in (nested[repeat == r] for r in range(20))]
values = np.array([m["value"] for m in real])
assert len(nested) == 20*253 == 20*len(set(nested.paths))
width = np.mean([m["high"] - m["low"] for m in real])
assert .003 < values.std(ddof=1) < .01 and width > 4*values.std(ddof=1)
print(f"twenty seeds: {values.min():.3f} to {values.max():.3f}, "
      f"standard deviation {values.std(ddof=1):.3f}; mean width of an interval {width:.3f}")

# %% [markdown]
# `btnb train FOLDER --folds 5 --repeats 20` divides and trains twenty times, each time with another
# seed; fold 5r + k of its `predictions.csv` is fold k of repeat r, and each repeat is scored alone.
# Five seeds of the simulated set (three folds, a head on frozen features) have 0.807 to 0.877. The
# twenty repeats of the 253 that come with the book have 0.948 to 0.971, a standard deviation of
# 0.006, while an interval over groups is 0.058 wide on average. So here other slices would change
# the score more than another seed does; DeLong's interval leaves the seed out, and a difference of
# two networks should be compared with both. A repeat changes the division into folds and the
# training together; fitting a head on frozen features leaves nothing to chance, so here all of it
# comes from the division (of the 253 also from the choice of the recipe, which is made anew). The
# usual mistake is to treat twenty repeats as twenty independent sets: they are of the same slices,
# and their mean has no narrower interval over patients.

# %% [markdown]
# > 4. Test the AUROC of twenty models that only guess against 0.5, each at p < 0.05. How often does
# > at least one pass? What would you do about it?

# %%
rng = np.random.default_rng(0)
y = np.arange(100) < 50
guesses = rng.random((1000, 20, 100))                   # studies, models, slices
p = mannwhitneyu(guesses[..., y], guesses[..., ~y], axis=-1, method="asymptotic").pvalue
one_passes = (p < .05).any(1).mean()
after_holm = np.mean([(holm(row) < .05).any() for row in p])
best = np.mean([max(auroc_parts(y, s)[0] for s in study) for study in guesses[:100]])
assert .5 < one_passes < .75 and after_holm < .07 and best > .57
print(f"at least one p below 0.05: {one_passes:.0%}, after Holm {after_holm:.0%}; "
      f"best AUROC {best:.2f}")

# %% [markdown]
# In 61 % of a thousand simulated studies; the calculation says 1 − 0.95²⁰ = 64 %. (Mann and
# Whitney's test is one of the AUROC of independent slices.) The best of twenty models that guess
# has an AUROC of 0.62 on average, on a hundred slices. Correct the p-values for the number of
# models that were tried (`holm`): then one passes in 4 % of the studies. Better still, choose a
# model on one set and test it alone, once, on slices that took no part in the choice. Two mistakes
# are usual: to correct only for the models that are reported, and to test the chosen model on the
# slices on which it was chosen.

# %% [markdown]
# ## [Calibration](../../../nbs/trust/14_calibration.ipynb)

# %%
from brain_tumor_nb.calibration import (brier, calibration, calibration_error,
                                        cross_fit_temperature, fit_temperature)

def simulate(factor, n=2000, seed=0):
    "Simulated predictions whose logits are `factor` times too large."
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 1.5, n)
    y = rng.random(n) < 1/(1 + np.exp(-logit))
    p = 1/(1 + np.exp(-factor*logit))
    labels = [("no", "yes")[int(v)] for v in y]
    return Predictions([f"{i:04}.png" for i in range(n)], labels, ("no", "yes"),
                       np.stack([1 - p, p], 1), [i % 2 for i in range(n)])

# %% [markdown]
# > 1. Simulate the overconfident model with 100 slices instead of 2,000. Can you still tell it from
# > the calibrated one? From how many slices on?

# %%
def above(factor, n, sets=50):
    "Share of sets of `n` slices in which the calibration error is above its bound."
    found = [calibration(simulate(factor, n, seed), n=200) for seed in range(sets)]
    return np.mean([m["ece"] > m["ece_honest"] for m in found])

power = {n: (above(2.5, n), above(1, n)) for n in (25, 50, 100, 200, 400)}
for n, (over, honest) in power.items():
    print(f"{n:4} slices: above the bound: overconfident {over:.0%}, calibrated {honest:.0%}")
assert power[50][0] < .9 and power[100][0] > .75 and power[200][0] > .95
assert max(honest for _, honest in power.values()) < .1

# %% [markdown]
# Mostly: with 100 slices the calibration error is above its bound in 90 % of fifty sets, with 50
# slices in 72 %, with 25 in 52 %, and from about 200 slices on in all. The calibrated model is
# above in 0 to 4 %; the bound promises 2.5 % at most. So *from how many slices on* needs a wanted
# power: for 80 % it is between 50 and 100 slices. A smaller error than logits 2.5 times too large
# needs more. Students usually look at one set, or compare the two errors with 0: with few slices
# the error of a calibrated model is far above 0, and the bound is what it must be compared with.

# %% [markdown]
# > 2. A model predicts "61 % tumour" for each of the 253 slices, of which 61 % show a tumour. What
# > are its calibration error, its Brier score and its AUROC? What does calibration alone not tell?

# %%
y = np.arange(253) < 155                                # 155 of 253 are 61 %
flat = Predictions([f"{i:03}.png" for i in range(253)], [("no", "yes")[int(v)] for v in y],
                   ("no", "yes"), np.tile([.39, .61], (253, 1)), [0]*253)
error, squared, auroc = calibration_error(flat)[0], brier(flat)[0], delong(flat)["value"]
assert error < .005 and .47 < squared < .48 and auroc == .5
print(f"calibration error {error:.3f}, Brier score {squared:.3f}, AUROC {auroc:.2f}")

# %% [markdown]
# The calibration error is 0.003 (0 if the model said 155/253 exactly), the Brier score 0.475,
# hardly better than the 0.5 of a model that gives 50 % to every slice. The AUROC is 0.5: all slices
# are tied, so no slice is ranked. The model is calibrated and knows nothing of any slice.
# Calibration alone does not tell whether a model can tell the classes apart; report it beside an
# AUROC. Students often expect a Brier score of 0 for a calibrated model: it contains both.

# %% [markdown]
# > 3. Remove nine of ten tumours of the overconfident model and look at the reliability of the
# > tempered model again. Which single number would correct it now?

# %%
tempered = cross_fit_temperature(simulate(2.5))[0]
tumour = tempered.y == 1
keep = ~tumour | (np.cumsum(tumour) % 10 == 0)          # all others, every tenth tumour
rare = tempered[keep]

def with_odds(pred, factor):
    "The odds of a tumour times `factor`."
    odds = factor*pred.probs[:,1]/pred.probs[:,0]
    return replace(pred, probs=np.stack([1/(1 + odds), odds/(1 + odds)], 1))

corrected = with_odds(rare, .1)
tables = {"tempered": tempered, "nine of ten removed": rare, "odds divided by ten": corrected}
for name, p in tables.items():
    print(f"{name:20} calibration error {calibration_error(p)[0]:.3f}, Brier {brier(p)[0]:.3f}, "
          f"AUROC {delong(p)['value']:.3f}, tumours: mean probability {p.probs[:,1].mean():.2f}, "
          f"share {p.y.mean():.2f}")
claims = {}
for n, name in enumerate(rare.classes):
    called = rare.probs.argmax(1) == n
    claims[name] = rare.probs[called, n].mean(), (rare.y[called] == n).mean()
    print(f"called {name:3}: {claims[name][0]:.0%} claimed, {claims[name][1]:.0%} right")
again = fit_temperature(rare.probs, rare.y)
print(f"temperature fitted again: {again:.2f}")
assert claims["yes"][1] < .3 < .6 < claims["yes"][0] and claims["no"][1] > .9 > claims["no"][0]
assert .8 < again < 1.2
assert calibration_error(rare)[0] < .06 and brier(corrected)[0] < brier(rare)[0] - .1
assert abs(corrected.probs[:,1].mean() - corrected.y.mean()) < .02

# %% [markdown]
# The odds of a tumour must be divided by ten: on the logit, subtract log 10 = 2.3. Then the mean
# probability of a tumour falls from 0.37 to 0.09, which is their share, and the Brier score from
# 0.344 to 0.141; the AUROC stays 0.801, because the ranking stays. Another temperature is no help:
# the best one is 0.98, since a temperature moves both classes alike. The reliability diagram shows
# almost nothing: the calibration error is 0.036 after the removal. Of the slices called tumour with
# 69 % on average 24 % are tumours, but of those called free of a tumour more are right than
# claimed, and in the same bins the two cancel. So look at each predicted class alone. The usual
# mistake is to divide by the ratio of the shares (0.50 to 0.09) instead of the odds (1.0 to 0.1),
# which is wrong by a factor of nearly two.

# %% [markdown]
# ## [Transfer](../../../nbs/trust/15_transfer.ipynb)
#
# The experiment of the notebook: networks of a set whose tumours have a grey border, and of the
# same set without it, tested on an external set without borders. The features of the set without
# borders are those of the repeats above.

# %%
from brain_tumor_nb.phantom import phantom_folder
from brain_tumor_nb.transfer import at_operating_point, operating_point, rescale_to_threshold

bordered = MRIFolder(phantom_folder(shortcut="border"))
external = MRIFolder(phantom_folder(classes=("glioma", "meningioma", "notumor", "pituitary"),
                                    subjects=12, slices=2, seed=7))
types = dict(glioma="yes", meningioma="yes", pituitary="yes", notumor="no")
assert bordered.paths == phantom.paths
(_, bordered_features), (_, external_features) = look(bordered), look(external)

def transferred(features):
    "Predictions of a set by its folds, and of the external set by each of their networks."
    own, each = [], []
    labels = [external.classes[t] for t in external.targets]
    for k, split in enumerate(make_folds(phantom, find_groups(phantom), 3)):
        learner.train(store, split, features)
        own.append(predict_split(learner, store, split, features, k))
        probs = learner.probabilities(external_features)
        four = Predictions(external.paths, labels, phantom.classes, probs, [k]*len(external))
        each.append(merge_classes(four, types))
    return Predictions.concat(own), each

results = {"border": transferred(bordered_features), "control": transferred(prepared)}

# %% [markdown]
# > 1. Choose the operating point on half of the external set, and test on the other half. How much
# > of the loss came from the threshold?

# %%
subject = find_groups(external)
first = np.isin(subject, np.unique(subject)[::2])

def rates(pred):
    "Sensitivity and specificity."
    called, y = pred.probs.argmax(1) == 1, pred.y == 1
    return float(called[y].mean()), float((~called[~y]).mean())

halves = {}
for name, (known, each) in results.items():
    mean = replace(each[0], probs=np.mean([p.probs for p in each], 0))
    print(f"{name}: AUROC internal {delong(known)['value']:.2f}, "
          f"external {delong(mean, subject)['value']:.2f}")
    for train, test in ((first, ~first), (~first, first)):
        inner = rates(at_operating_point(known, [p[test] for p in each]))
        outer = rates(rescale_to_threshold(mean[test], operating_point(mean[train])))
        halves.setdefault(name, []).append((*inner, *outer))
        print("   internal threshold: sensitivity {:.2f}, specificity {:.2f}; "
              "external threshold: {:.2f}, {:.2f}".format(*inner, *outer))
for inner_found, inner_free, outer_found, outer_free in halves["border"]:
    assert inner_found < .4 and inner_free > .8 and outer_found > .8 and outer_free < .4

# %% [markdown]
# After training with the border, the sensitivity on the two halves is 0.08 and 0.11 at the internal
# threshold, 0.92 and 1.00 at one chosen on the other half: the threshold explains the whole loss of
# sensitivity. But the specificity falls from 1.00 to 0.00 and 0.08. What no threshold gives back is
# the ranking: the AUROC is 1.00 inside and 0.75 outside. For the control the AUROC does not fall
# (0.86 and 0.87), and another threshold changes less. The halves must be divided by subjects; each
# holds 12 slices without a tumour, so every specificity here is very uncertain. The usual mistake
# is to choose and to test on the same slices, or to call the test *external*: the half that chose
# the threshold has become a training set.

# %% [markdown]
# > 2. Which probe of the [notebook on probes](12_probes.ipynb) would have found the border, without
# > any second set?

# %%
for name in ("border", "masked"):
    print(f"{name}: AUROC {with_frame[name]['auroc']['value']:.2f}")
    assert with_frame[name]["auroc"]["value"] > .95

# %% [markdown]
# The border alone: it sees the outermost eighth and nothing else, and reaches an AUROC of 1.00 (the
# same frame was planted in exercise 1 of the probes above). The slice with its centre masked sees
# the frame as well. This takes seconds and no second set. But it only says that the border gives
# the class away, not that the network uses it, which the external set shows. The usual mistake is
# to take probes without a finding for a proof: a shortcut in the middle of the picture is seen by
# neither.

# %% [markdown]
# > 3. Let 30 % of the tumours have no border. What does the network reach on the external set now?

# %%
import torch

of = find_groups(phantom)
patients = np.unique(of[np.array(phantom.targets) == 1])

def without_border(share, seed=0):
    "AUROC inside, and AUROC, sensitivity, specificity outside; a share of tumours has no border."
    some = np.random.default_rng(seed).permutation(patients)[:round(share*len(patients))]
    rows = torch.as_tensor(np.isin(of, some))[:, None, None]
    known, each = transferred(torch.where(rows, prepared, bordered_features))
    moved = at_operating_point(known, each)
    return delong(known)["value"], delong(moved)["value"], *rates(moved)

all_have, some_lack = without_border(0), [without_border(.3, seed) for seed in range(3)]
for words, found in (("all have a border", all_have), *(("30 % have none", m) for m in some_lack)):
    print(f"{words:18} AUROC internal {found[0]:.2f}, external {found[1]:.2f}; "
          f"sensitivity {found[2]:.2f}, specificity {found[3]:.2f}")
for inside, outside, found, _ in some_lack:
    assert .8 < inside < all_have[0] and outside > all_have[1] and found > all_have[2] + .4

# %% [markdown]
# 30 % of the patients with a tumour are 7 of 24; which ones is drawn three times. The internal
# AUROC falls from 1.00 to between 0.89 and 0.93, and the external one rises from 0.75 to between
# 0.82 and 0.86, nearly what the control reaches (0.87). The sensitivity on the external set rises
# from 0.10 to between 0.81 and 0.97, but the specificity falls from 1.00 to between 0.04 and 0.67.
# The border no longer explains all labels, so the network must learn something about tumours; and
# to find 95 % of the tumours, the threshold must be low enough for those without a border. The
# lower internal score belongs to the model that ranks external slices better, which students find
# hard to believe. The usual mistake is to draw slices instead of patients, or to report one draw:
# the three differ most in the specificity.

# %% [markdown]
# ## [Results](../../../nbs/studies/results.ipynb)

# %%
from brain_tumor_nb.intervals import compare_auroc

# %% [markdown]
# > 1. On lgg, what does the nearest neighbour of a thumbnail score at random and by patients? Which
# > slices does it find?

# %%
def neighbours(p):
    "Whether the next slice of the same patient in another fold has the same class, else None."
    names = [Path(path).stem.rpartition("_") for path in p.paths]
    patient, number = np.array([n[0] for n in names]), np.array([int(n[2]) for n in names])
    folds, alike = np.array(p.folds), []
    for i in range(len(p)):
        rows = np.flatnonzero((patient == patient[i]) & (folds != folds[i]))
        nearest = rows[abs(number[rows] - number[i]).argmin()] if len(rows) else None
        alike.append(None if nearest is None else bool(p.y[nearest] == p.y[i]))
    return np.array(alike, object)

patient_of, aurocs = groups_kept("lgg"), {}
for way in ("random", "patients"):
    p = kept(f"lgg/{way}-nearest")
    m = aurocs[way] = delong(p, np.array([patient_of[path] for path in p.paths]))
    print(f"{way}: AUROC {m['value']:.3f} ({m['low']:.3f} to {m['high']:.3f})")
    right, alike = p.probs.argmax(1) == p.y, neighbours(p)
    shares = {same: right[alike == same].mean() for same in (True, False) if (alike == same).any()}
    for same, share in shares.items():
        words = "of the same class" if same else "of the other class"
        print(f"   next slice of the patient {words}: {share:.0%} of {(alike == same).sum()} right")
    if way == "random":
        assert shares[True] > .85 and shares[False] < .35
assert not shares and aurocs["random"]["low"] > .8 and aurocs["patients"]["low"] < .5

# %% [markdown]
# An AUROC of 0.852 at random and 0.530 by patients, where the interval (0.488 to 0.572) contains
# guessing. At random it finds a neighbouring slice of the same patient, which can be seen without
# any picture: where the next slice of the patient in another fold has the same class (1,629
# slices), the probe is right on 91 %; where it has the other class (163 slices), on 26 %, far less
# than guessing. It copies the neighbour's label. By patients there is no such slice, and nothing
# else helps it. Who has the folder can look at the pairs with `nearest_training`. Students often
# say that it finds copies: these are different slices of one head, which a search for
# near-duplicates is not made to find. Only a table of patients keeps them in one fold.

# %% [markdown]
# > 2. Which networks' AUROC differs from that of the slice with its centre masked? Use
# > `compare_auroc` on two tables of `nbs/studies/predictions`.

# %%
strict = dict(brain_mri_4class="patients", cheng="patients", lgg="patients",
              brain_tumor_dataset="near-duplicates")
compared = []
for name, way in strict.items():
    masked, group_of = kept(f"{name}/{way}-masked"), groups_kept(name)
    for model in ("finetuned", "recommended", "frozen", "tutorial"):
        if not (studies/f"predictions/{name}/{way}-{model}.csv.gz").exists():
            continue
        network = kept(f"{name}/{way}-{model}")
        both = list(set(network.paths) & set(masked.paths))
        a, b = [p[np.isin(p.paths, both)] for p in (network, masked)]
        found = compare_auroc(a, b, np.array([group_of[path] for path in a.paths]))
        compared.append((name, model, len(a), found))
corrected = holm([found["p"] for *_, found in compared])
for (name, model, n, m), p in zip(compared, corrected):
    print(f"{name:20} {model:12} {n:5} slices {m['difference']:+.3f} "
          f"({m['low']:+.3f} to {m['high']:+.3f}), p {p:.2g} after Holm")
alike = {(name, model) for (name, model, *_), p in zip(compared, corrected) if p > .05}
assert alike == {(name, "tutorial") for name in strict if name != "lgg"} and len(compared) == 13

# %% [markdown]
# Ten of thirteen. On each set the EfficientNets are better than the masked slice, also after Holm's
# correction for thirteen tests. The tutorial's network with random weights is better only on lgg
# (+0.242, 0.071 to 0.414); on the four classes (−0.005), on cheng (−0.029) and on the 253 (−0.041)
# the interval of the difference contains 0. That is no proof that it is equal: on the first two
# only one fold was compared. Sizes matter more than p: on lgg, where the source cannot help, the
# difference of the fine-tuned network is 0.497; on cheng it is 0.052, because there the masked
# slice reaches 0.935 itself: around the black disc it can see plane, height and some of the
# tumours. The usual mistakes are to compare tables of different slices, which is an error, and to
# forget the patients as groups, which makes p too small.

# %% [markdown]
# > 3. Find a publication on one of these sets that is not in the list. What would you need to know
# > to add it?
#
# There is no single right answer; a good one fills the columns of `nbs/studies/published.csv`, or
# says what is unknown. Which files of the set are used (number of slices, classes, a hash if there
# is one), and were copies removed? How are training, validation and test set divided, by patients
# or by slices, and how many patients are in the test set? On which slices were the network, the
# number of epochs and the threshold chosen? Which metric is it, over which classes, of one training
# or the mean of several, with which interval? Is the number in the publication itself, or does
# somebody else quote it? The usual mistake is to guess how a publication splits where it does not
# say: write *not stated*, and do not rank its number among those by patients.
