# %% [markdown]
# # Solutions: engine, first half
# > Anatomy, files, pictures, stores, duplicates, weights, networks
#
# For the teacher: solutions of the exercises of these notebooks of the engine, each under the link
# to its notebook. They are for those who work on the library, so the answers are short. All cells
# run offline, on one core in less than 90 seconds, on simulated slices and on the sample. Numbers
# in the answers are those that the cell above them prints, unless said; each `assert` holds the
# range in which they must lie.

# %%
import os
import shutil
import tempfile
from dataclasses import replace
from io import BytesIO
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
# to 71 of 100, and ten of their pairs are nearer than 12. They were chosen to differ for colour-blind
# readers, not in grey: where a figure may be printed, let line styles, markers or labels at the
# lines say the same.
