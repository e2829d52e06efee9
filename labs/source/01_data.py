# %% [markdown]
# # Lab 1: data
# > What is in a folder of slices, and what does it reveal?
#
# You need [lesson 1](../../nbs/01_data.ipynb). 90 minutes, 20 marks, offline. The whole lab
# computes for about ten seconds.
#
# - Write your answers where it says *Your answer here*. Leave the other code cells as they are.
# - Below each answer are *checks*, one mark each. Run them: a check that says nothing has passed,
#   one that stops tells you what to look at. Most checks look at more than they show.
# - Open the hints one after another, as many as you need. They cost nothing.
# - At the end: *Kernel → Restart Kernel and Run All Cells*, save, and hand in this file.
#
# The slices are the sample of this package: real slices of Jun Cheng's brain tumor dataset,
# [doi:10.6084/m9.figshare.1512427](https://doi.org/10.6084/m9.figshare.1512427), licence
# [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/), reduced to 192 pixels.

# %%
import csv
import tempfile
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from brain_tumor_nb.data import MRIFolder, PixelStore, find_data, make_loader, resize_image
from brain_tumor_nb.features import code_facts
from brain_tumor_nb.figures import use_style

use_style()
folder = MRIFolder(find_data("sample"))
print(folder)

# %% [markdown]
# The answers of this lab must work on *every* folder. The next cell makes small folders to try
# them on, in a temporary place that is removed at the end.

# %%
lab_place = tempfile.TemporaryDirectory()

def make_folder(counts, mode="L"):
    "A folder of made-up pictures of one grey each; `counts`: name of the class to their number."
    root = Path(tempfile.mkdtemp(dir=lab_place.name))
    for name, number in counts.items():
        (root/name).mkdir()
        for i in range(number):
            Image.new("L", (40, 30), 20*i).convert(mode).save(root/name/f"{i}.png")
    return root

small = MRIFolder(make_folder({"no": 2, "yes": 4}))
print(small)

# %% [markdown]
# ## 1 Classes (3 marks)
#
# The original tutorial writes the names of its classes and the number 2 into its code. On another
# folder this is wrong, and no error says so. `folder.classes` lists the names, `folder.targets` the
# label of each slice, that is, the position of its class in that list.
#
# Write `count_classes`: how many slices each class has. Compute it from `classes` and `targets`
# (`folder.counts()` does the same; here it is you who writes it).

# %% task="count_classes"
def count_classes(folder):
    "Name of each class to its number of slices: a dictionary, str to int, for any folder."
    ### BEGIN SOLUTION
    return {name: folder.targets.count(label) for label, name in enumerate(folder.classes)}
    ### END SOLUTION
    ### BEGIN MISTAKE 11
    return {"glioma": 80, "meningioma": 80, "pituitary": 80}
    ### END MISTAKE

# %% [markdown] hint="count_classes"
# Hint 1: where to look
# Label 0 belongs to `folder.classes[0]`, label 1 to `folder.classes[1]`, and so on.
# `enumerate(folder.classes)` hands out both: `for label, name in enumerate(folder.classes):`.

# %% [markdown] hint="count_classes"
# Hint 2: how to count
# `folder.targets` is a list, and `[0, 1, 1].count(1)` is 2.

# %% [markdown] hint="count_classes"
# Hint 3: the line
# ```python
# return {name: folder.targets.count(label) for label, name in enumerate(folder.classes)}
# ```

# %% check="counts_sample"
counted = count_classes(folder)
assert dict(counted) == {"glioma": 80, "meningioma": 80, "pituitary": 80}, (
    f"you count {counted}; the sample has 80 slices of each of its three classes: name to number")

# %% check="counts_names" mistakes="11"
counted = count_classes(small)
assert sorted(counted) == ["no", "yes"], (
    f"this folder has the classes no and yes, and you say {sorted(counted)}: names written by hand "
    "are wrong on every other folder, take them from folder.classes")
### BEGIN HIDDEN TESTS
counted = count_classes(MRIFolder(make_folder({"c": 1, "a": 1, "b": 2, "d": 1})))
assert sorted(counted) == ["a", "b", "c", "d"], (
    f"a folder with the classes a, b, c and d gave {sorted(counted)}: take the names from "
    "folder.classes, as many as there are")
### END HIDDEN TESTS

# %% check="counts_numbers" mistakes="11"
counted = count_classes(small)
assert sum(counted.values()) == len(small), (
    f"this folder has {len(small)} slices, and you count {sum(counted.values())}: numbers written "
    "by hand are wrong on every other folder, count the labels in folder.targets")
### BEGIN HIDDEN TESTS
counted = count_classes(MRIFolder(make_folder({"b": 5, "a": 1, "c": 2})))
assert dict(counted) == {"a": 1, "b": 5, "c": 2}, (
    f"1 slice of class a, 5 of b and 2 of c gave {counted}: count how often each label stands in "
    "folder.targets")
### END HIDDEN TESTS

# %% [markdown]
# ## 2 Show a slice (5 marks)
#
# A picture for a reader shows what the scanner measured, and says what it is. In a row of slices
# the same number must have the same grey. Left to itself, matplotlib draws an array in false
# colours, and on a scale of its own: the smallest number of each picture becomes the darkest
# colour, the largest the brightest. (The style of this book, `use_style()`, chooses grey. The
# checks draw without it.)
#
# Write `draw_slice`. The pixels are those that `folder.load(i)` returns, not resized or changed.
# Above them stand the class and, where the manifest tells it, the plane: `glioma, axial`. The
# manifest may be `None` (no table), a slice may be missing from it, and it may have no planes.

# %% task="draw_slice"
def draw_slice(folder, i, ax):
    """Draw slice `i` of `folder` on `ax` (matplotlib axes), and return `ax`.

    In grey, 0 black and 255 white; the title is the class, and the plane where it is known.
    """
    ### BEGIN SOLUTION
    row = (folder.manifest or {}).get(folder.paths[i], {})
    words = [folder.classes[folder.targets[i]], row.get("plane")]
    ax.imshow(np.asarray(folder.load(i)), cmap="gray", vmin=0, vmax=255)
    ax.set_title(", ".join(word for word in words if word))
    ax.axis("off")
    return ax
    ### END SOLUTION
    ### BEGIN MISTAKE 12
    pixels = np.asarray(resize_image(folder.load(i), 64))/255
    normal = np.stack([(pixels - .16)/.16]*3)
    ax.imshow(normal[0], cmap="viridis")
    ax.set_title(f"cancer = {'yes' if folder.targets[i] else 'no'}")
    return ax
    ### END MISTAKE

# %% [markdown] hint="draw_slice"
# Hint 1: where to look
# `ax.imshow(pixels, …)` draws an array, `ax.set_title("…")` writes above it, `ax.axis("off")`
# removes the ticks. `np.asarray(folder.load(i))` is the array.

# %% [markdown] hint="draw_slice"
# Hint 2: grey, and one scale
# `cmap="gray"` chooses the colours, `vmin=0, vmax=255` the numbers that are black and white.

# %% [markdown] hint="draw_slice"
# Hint 3: the lines
# ```python
# row = (folder.manifest or {}).get(folder.paths[i], {})
# words = [folder.classes[folder.targets[i]], row.get("plane")]
# ax.imshow(np.asarray(folder.load(i)), cmap="gray", vmin=0, vmax=255)
# ax.set_title(", ".join(word for word in words if word))
# ax.axis("off")
# return ax
# ```

# %%
def drawn(folder, i):
    "What `draw_slice` draws: the axes, and the last picture on them."
    with plt.rc_context({"image.cmap": "viridis"}):     # matplotlib's own choice
        fig, ax = plt.subplots()
        plt.close(fig)
        ax = draw_slice(folder, i, ax)
    assert ax is not None and ax.images, "draw_slice drew no picture on ax, or did not return ax"
    return ax, ax.images[-1]

# %% check="draw_grey" mistakes="12"
ax, image = drawn(folder, 0)
colours = image.to_rgba(image.get_array())[..., :3]
assert np.ptp(colours, axis=2).max() < .01, (
    "the slice is drawn in colours: the scanner measured none, and a reader takes the edges "
    "between colours for edges in the head; draw in grey")

# %% check="draw_pixels" mistakes="12"
ax, image = drawn(folder, 0)
shown = np.asarray(image.get_array())
stored = np.asarray(folder.load(0))
assert shown.shape[:2] == stored.shape and shown.min() >= 0 and shown.max() > 1.5, (
    f"{shown.shape[0]} × {shown.shape[1]} pixels from {shown.min():.2f} to {shown.max():.2f} are "
    f"shown, stored are {stored.shape[0]} × {stored.shape[1]} from {stored.min()} to "
    f"{stored.max()}: show the slice, not what was made of it for a network")
### BEGIN HIDDEN TESTS
for i in (100, 239):
    shown = np.asarray(drawn(folder, i)[1].get_array(), float)
    shown = shown[..., 0] if shown.ndim == 3 else shown
    assert np.allclose(shown, np.asarray(folder.load(i))), (
        f"slice {i} is shown with other pixels than folder.load({i}) has: draw the slice asked for")
### END HIDDEN TESTS

# %% check="draw_scale" mistakes="12"
images = [drawn(small, i)[1] for i in (1, 3, 5)]
greys = [image.to_rgba(image.get_array())[..., 0].mean() for image in images]
assert np.allclose(greys, [20/255, 20/255, 60/255], atol=.07), (
    "three pictures of the numbers 20, 20 and 60 should be drawn with 0.08, 0.08 and 0.24 of "
    f"white, yours have {', '.join(f'{grey:.2f}' for grey in greys)}: fix the scale (0 black, 255 "
    "white), or the same number looks different from slice to slice")

# %% check="draw_title" mistakes="12"
words = drawn(folder, 0)[0].get_title()
assert "glioma" in words and "axial" in words, (
    f"the title is {words!r}: this slice is a glioma in an axial plane, and 'cancer' is not what a "
    "folder can know; name class and plane")
### BEGIN HIDDEN TESTS
words = drawn(folder, 239)[0].get_title()
plane = folder.manifest[folder.paths[239]]["plane"]
assert "pituitary" in words and plane in words, (
    f"the title of slice 239 is {words!r}, it is of the class pituitary and {plane}: name its own "
    "class and plane")
### END HIDDEN TESTS

# %% check="draw_unknown" mistakes="12"
words = drawn(small, 3)[0].get_title()
assert "yes" in words and "None" not in words, (
    f"in a folder without a manifest a slice of the class yes has the title {words!r}: write the "
    "class alone where the plane is unknown")
### BEGIN HIDDEN TESTS
root = make_folder({"glioma": 1, "pituitary": 1})
(root/"manifest.csv").write_text("file,subject\nglioma/0.png,7\n", encoding="utf-8")
for i, name in enumerate(("glioma", "pituitary")):
    words = drawn(MRIFolder(root), i)[0].get_title()
    assert name in words and "None" not in words, (
        f"where the manifest has no planes, or not this slice, a {name} has the title {words!r}: "
        "write the class alone")
### END HIDDEN TESTS

# %% [markdown]
# Look at your figure. The three slices have one grey scale.

# %%
fig, axes = plt.subplots(1, 3, figsize=(6, 2.4), layout="constrained")
for i, ax in zip((0, 80, 160), axes):
    draw_slice(folder, i, ax)
plt.show()

# %% [markdown]
# ## 3 From pictures to one tensor (2 marks)
#
# A network reads a batch: one tensor of the shape [N, 1, S, S], slices, channels, rows, columns.
# Write `to_batch`: it makes each picture square (`resize_image(picture, size)`), makes an array of
# it, stacks the arrays, and adds the axis of the channel. Do not use `PixelStore`.

# %% task="to_batch"
def to_batch(pictures, size):
    "Grey pictures (a list of PIL images of any size) as one tensor, uint8 [N,1,size,size]."
    ### BEGIN SOLUTION
    arrays = [np.asarray(resize_image(picture, size)) for picture in pictures]
    return torch.from_numpy(np.stack(arrays))[:, None]
    ### END SOLUTION

# %% [markdown] hint="to_batch"
# Hint 1: where to look
# The three lines are in lesson 1, under "All slices in one tensor". `np.stack` makes one array of
# many of the same shape, `torch.from_numpy` a tensor of an array.

# %% [markdown] hint="to_batch"
# Hint 2: the lines
# ```python
# arrays = [np.asarray(resize_image(picture, size)) for picture in pictures]
# return torch.from_numpy(np.stack(arrays))[:, None]
# ```

# %% check="batch_shape"
three = to_batch([folder.load(i) for i in (0, 80, 160)], 32)
assert tuple(three.shape) == (3, 1, 32, 32) and three.dtype == torch.uint8, (
    f"three pictures became {list(three.shape)} of {three.dtype}, they should be [3, 1, 32, 32] of "
    "torch.uint8: slices, one channel, rows, columns")
### BEGIN HIDDEN TESTS
one = to_batch([folder.load(5)], 48)
assert tuple(one.shape) == (1, 1, 48, 48), (
    f"one picture became {list(one.shape)}, it should be [1, 1, 48, 48]: a batch of one is a batch")
### END HIDDEN TESTS

# %% check="batch_pixels"
greys = to_batch([Image.new("L", (64, 64), grey) for grey in (7, 200)], 16)
assert [int(x) for x in greys.flatten(1)[:, 0]] == [7, 200], (
    "pictures of the greys 7 and 200 should still hold 7 and 200, in this order: do not scale the "
    "numbers, do not sort the pictures")
### BEGIN HIDDEN TESTS
wide = Image.fromarray(np.arange(60*90).reshape(60, 90).astype(np.uint8))
expected = np.asarray(resize_image(wide, 30)).astype(int)
found = to_batch([wide], 30)[0, 0].numpy().astype(int)
assert abs(found - expected).max() <= 1, (
    "a picture wider than high has other pixels than resize_image gives: rows and columns are "
    "exchanged, or the picture was stretched")
### END HIDDEN TESTS

# %% [markdown]
# ## 4 What a file reveals (2 marks)
#
# A network that is to recognise a tumour may learn something easier: where the slice comes from.
# In the folder of the original tutorial the slices with and without a tumour were collected from
# different places, and the files show it: their width, height, number of bytes and format alone
# tell the classes apart (AUROC 0.82, where 0.5 is guessing and 1 is perfect).
#
# The next cell makes such folders from the sample. The slices are real, the second source is
# *simulated*: it saves the same slices in another way.

# %%
def copy_slices(sources):
    """An opened folder with copies of slices; `sources`: number of the slice to "A" or "B".

    Source A saves PNG in grey, 192 × 192 pixels; source B saves JPEG in RGB, 180 × 200.
    """
    root = Path(tempfile.mkdtemp(dir=lab_place.name))
    rows = [("file", "subject")]
    for i, source in sources.items():
        path = Path(folder.paths[i])
        picture = folder.load(i)
        if source == "B":
            picture = picture.resize((180, 200)).convert("RGB")
        file = path.with_suffix(".jpg" if source == "B" else ".png")
        (root/path.parent).mkdir(exist_ok=True)
        picture.save(root/file)
        rows.append((file.as_posix(), folder.manifest[folder.paths[i]]["subject"]))
    with (root/"manifest.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows(rows)
    return MRIFolder(root)

def groups_of(some):
    "The subject of each slice of a folder, as an array of text."
    return np.array([some.manifest[path]["subject"] for path in some.paths])

gliomas, meningiomas = range(0, 60), range(80, 140)
parity = {subject: n % 2 for n, subject in enumerate(sorted(set(groups_of(folder))))}
by_subject = {i: "AB"[parity[s]] for i, s in enumerate(groups_of(folder))}
confounded = copy_slices({**{i: "A" for i in gliomas}, **{i: "B" for i in meningiomas}})
balanced = copy_slices({i: by_subject[i] for i in [*gliomas, *meningiomas]})
print(confounded, confounded.facts[0], confounded.facts[-1], sep="\n")

# %% [markdown]
# In `confounded` all gliomas come from source A and all meningiomas from source B: class and source
# cannot be told apart (they are *confounded*). In `balanced` every subject is from A or B, whatever
# the class.
#
# `folder.facts[i]` is what the file of slice `i` says of itself, printed above for the first and
# the last slice of `confounded`; the mode `"L"` is grey with 8 bits per pixel. `code_facts` makes
# one row of numbers per slice of these facts.
#
# Can the classes be told apart without a look at the head? Ask a small model that sees these
# numbers and no pixel, a *decision tree* ("is the width below 186?"). It must predict slices that
# it has not learnt from. So the slices are divided into five *folds*: each fold is predicted by a
# tree that learnt from the other four. And the slices of one subject must lie in the same fold
# (*grouped* folds): else the tree recognises the person, or the file.
#
# Write `file_accuracy`: the share of slices that are predicted right. `cross_val_predict` of
# scikit-learn returns the prediction for each slice, `GroupKFold(5)` makes grouped folds,
# `DecisionTreeClassifier(random_state=0)` is the tree. All three are imported above.

# %% task="file_accuracy"
def file_accuracy(facts, labels, groups):
    """Share of right predictions, 0 to 1, of a tree that sees the facts of the files alone.

    facts: float [N,D]; labels: int [N]; groups: [N], the same value for slices of one subject.
    """
    ### BEGIN SOLUTION
    tree = DecisionTreeClassifier(random_state=0)
    predicted = cross_val_predict(tree, facts, labels, groups=groups, cv=GroupKFold(5))
    return float((predicted == np.asarray(labels)).mean())
    ### END SOLUTION
    ### BEGIN MISTAKE 15
    return np.bincount(labels).max()/len(labels)
    ### END MISTAKE

# %% [markdown] hint="file_accuracy"
# Hint 1: where to look
# `cross_val_predict(model, facts, labels, groups=…, cv=…)`: `cv` are the folds. Run
# `cross_val_predict?` in a cell of your own to read what it does.

# %% [markdown] hint="file_accuracy"
# Hint 2: the share
# `predicted == labels` is an array of True and False if both are arrays, and its `mean()` is the
# share of True.

# %% [markdown] hint="file_accuracy"
# Hint 3: the lines
# ```python
# tree = DecisionTreeClassifier(random_state=0)
# predicted = cross_val_predict(tree, facts, labels, groups=groups, cv=GroupKFold(5))
# return float((predicted == np.asarray(labels)).mean())
# ```

# %% check="files_confounded" mistakes="15"
known = file_accuracy(code_facts(confounded.facts), np.array(confounded.targets),
                      groups_of(confounded))
assert .95 < known <= 1, (
    "in this folder the kind of file tells the class, so the facts alone should predict nearly all "
    f"slices; you find {known:.2f}. A network that is compared with guessing alone seems to know "
    "tumours, and may know the source of the slices: let a model learn from the facts")

# %% check="files_grouped"
random = np.random.default_rng(0)
twins = np.concatenate([random.random((100, 2))]*2)
luck = np.tile(random.integers(0, 2, 100), 2)
known = file_accuracy(twins, luck, np.tile(np.arange(100), 2))
assert .25 < known < .75, (
    "here each subject has two files with the same facts, and a class drawn at random: nothing can "
    f"be learnt, about half should be right, you find {known:.2f}. Is it a share? Do slices of one "
    "subject lie in one fold (groups and GroupKFold)?")
### BEGIN HIDDEN TESTS
noise = random.random((150, 3))
known = file_accuracy(noise, np.tile([0, 1, 2], 50), np.repeat(np.arange(50), 3))
assert .15 < known < .52, (
    f"facts that say nothing of three classes gave {known:.2f}, guessing is right for 0.33: "
    "predict slices that the tree has not learnt from")
### END HIDDEN TESTS

# %%
for name, some in (("confounded", confounded), ("balanced", balanced)):
    known = file_accuracy(code_facts(some.facts), np.array(some.targets), groups_of(some))
    print(f"{name:10} the files alone are right for {known:.2f}, guessing for 0.50")

# %% [markdown]
# ## 5 Keep what can be compared (3 marks)
#
# What can be done with a folder in which the kind of file and the class go together? One may keep
# the slices whose kind of file occurs in *every* class. Here the *kind* is width, height and mode
# together (the number of bytes differs from slice to slice). It is a first step only: the shares of
# the kinds may still differ from class to class, so ask the files again afterwards.
#
# Write `comparable`: the numbers of these slices, in order. If no kind occurs in every class, it is
# an empty list.

# %% task="comparable"
def comparable(folder):
    "Numbers of the slices whose width, height and mode occur together in every class (a list)."
    ### BEGIN SOLUTION
    kinds = [(f.width, f.height, f.mode) for f in folder.facts]
    shared = set(kinds)
    for label in range(len(folder.classes)):
        shared &= {kind for kind, target in zip(kinds, folder.targets) if target == label}
    return [i for i, kind in enumerate(kinds) if kind in shared]
    ### END SOLUTION
    ### BEGIN MISTAKE 15
    return list(range(len(folder)))
    ### END MISTAKE

# %% [markdown] hint="comparable"
# Hint 1: where to look
# Make a list with one kind per slice, `(f.width, f.height, f.mode) for f in folder.facts`. For each
# label make the `set` of the kinds of its slices. `a & b` are the elements in both sets.

# %% [markdown] hint="comparable"
# Hint 2: the first lines
# ```python
# kinds = [(f.width, f.height, f.mode) for f in folder.facts]
# shared = set(kinds)
# ```

# %% [markdown] hint="comparable"
# Hint 3: the other lines
# ```python
# for label in range(len(folder.classes)):
#     shared &= {kind for kind, target in zip(kinds, folder.targets) if target == label}
# return [i for i, kind in enumerate(kinds) if kind in shared]
# ```

# %% check="comparable_keeps"
assert list(comparable(balanced)) == list(range(len(balanced))), (
    "in `balanced` both kinds of file occur in both classes: every slice can stay, as a number "
    "from 0, in order")
### BEGIN HIDDEN TESTS
assert list(comparable(folder)) == list(range(240)), (
    "all files of the sample are of one kind: all 240 slices can stay")
### END HIDDEN TESTS

# %% check="comparable_drops" mistakes="15"
partly = copy_slices({0: "A", 1: "A", 2: "B", 3: "B", 4: "B", 80: "B", 81: "B"})
kept = [partly.facts[i].mode for i in comparable(partly)]
assert kept == ["RGB"]*5, (
    f"only source B (mode RGB) has slices of both classes, 3 and 2 of them; you keep {kept}. A "
    "slice of a source that one class alone has teaches a network the source, not the tumour")
### BEGIN HIDDEN TESTS
assert list(comparable(confounded)) == [], (
    "where no kind of file occurs in every class, nothing can be compared: the list is empty, no "
    "choice of slices helps")
wide = MRIFolder(make_folder({"a": 2, "b": 2}))
Image.new("L", (30, 40)).save(Path(wide.root)/"b"/"tall.png")
assert list(comparable(MRIFolder(wide.root))) == [0, 1, 2, 3], (
    "a file that is 30 wide and 40 high is of another kind than one 40 wide and 30 high: take "
    "width, height and mode together")
### END HIDDEN TESTS

# %% check="comparable_classes" mistakes="15"
three = make_folder({"a": 2, "b": 2, "c": 0})
for name in ("a", "c"):
    Image.new("L", (30, 40)).save(three/name/"tall.png")
kept = list(comparable(MRIFolder(three)))
assert kept == [], (
    f"a has wide and tall files, b wide ones, c tall ones: no kind occurs in all three, you keep "
    f"{kept}; ask every class in folder.classes")
### BEGIN HIDDEN TESTS
Image.new("L", (30, 40)).save(three/"b"/"tall.png")
kept = list(comparable(MRIFolder(three)))
assert kept == [2, 5, 6], (
    f"slices 2, 5 and 6, one of each class, are 30 wide and 40 high: these can stay; you keep "
    f"{kept}")
### END HIDDEN TESTS

# %% [markdown]
# A network predicts 0.97 of the slices of `confounded` right. What do you know about it, and what
# would you do next? Write three or four sentences.

# %% [markdown] answer="confounded_score"
# ### BEGIN SOLUTION
# Very little. The files alone predict (nearly) all slices right, so a network can reach 0.97
# without a look at the tumour: from traces of JPEG, from how the pixels were stretched. It may
# also have learnt the tumour; this score cannot tell the two apart. No choice of slices helps,
# because no kind of file occurs in both classes. What is needed: slices of both classes from the
# same source (best: from the same scanner and time), and a test on slices of another place. To
# save all files in one format hides the facts of the files, not the traces in the pixels. And the
# score of the files belongs beside the score of the network in every report.
# ### END SOLUTION

# %% [markdown]
# ## 6 From the lesson's exercises (5 marks)
#
# **Exercise 1.** How many megabytes do 5,700 slices of 224 × 224 pixels take as uint8? And as
# 32-bit floating-point numbers with three channels? A megabyte is 1,000,000 bytes. Write a function
# that answers it for all numbers, and call it twice in a cell of your own.

# %% task="megabytes"
def megabytes(slices, size, channels=1, bytes_each=1):
    "Memory of [slices, channels, size, size] numbers of `bytes_each` bytes, in MB (a number)."
    ### BEGIN SOLUTION
    return slices*channels*size*size*bytes_each/1e6
    ### END SOLUTION

# %% [markdown] hint="megabytes"
# Hint 1: where to look
# A tensor holds as many numbers as the product of its side lengths. A uint8 has one byte, a 32-bit
# number has four.

# %% [markdown] hint="megabytes"
# Hint 2: the line
# ```python
# return slices*channels*size*size*bytes_each/1e6
# ```

# %% check="megabytes_uint8"
assert abs(megabytes(5700, 224) - 286) < 1, (
    f"5,700 slices take about 286 MB as uint8, you find {megabytes(5700, 224)}: multiply the side "
    "lengths, each pixel has one byte, a megabyte is 1,000,000 bytes")
### BEGIN HIDDEN TESTS
assert abs(megabytes(5700, 224, 3, 4) - 3432) < 2, (
    f"with three channels of 4 bytes it is twelve times as much, you find "
    f"{megabytes(5700, 224, 3, 4)}")
assert abs(megabytes(10, 100, 2, 8) - 1.6) < .01, (
    f"10 slices of 100 × 100 with 2 channels of 8 bytes take 1.6 MB, you find "
    f"{megabytes(10, 100, 2, 8)}")
### END HIDDEN TESTS

# %% [markdown]
# **Exercise 2.** Count the slices per class and plane. Could a network guess the class from the
# plane alone?
#
# Write `count_planes`: a dictionary (a `Counter` is one) from the pair (class, plane) to the number
# of slices, from `folder.paths`, `folder.targets`, `folder.classes` and `folder.manifest`.

# %% task="count_planes"
def count_planes(folder):
    "Pair (class name, plane) to number of slices; `folder` has a manifest with planes."
    ### BEGIN SOLUTION
    planes = [folder.manifest[path]["plane"] for path in folder.paths]
    return Counter((folder.classes[label], plane) for label, plane in zip(folder.targets, planes))
    ### END SOLUTION

# %% [markdown] hint="count_planes"
# Hint 1: where to look
# `folder.manifest[path]["plane"]` is the plane of one slice. `Counter(pairs)` counts how often each
# pair occurs in a list of pairs.

# %% [markdown] hint="count_planes"
# Hint 2: the lines
# ```python
# planes = [folder.manifest[path]["plane"] for path in folder.paths]
# return Counter((folder.classes[label], plane) for label, plane in zip(folder.targets, planes))
# ```

# %% check="planes_counted"
counted = count_planes(folder)
assert sum(counted.values()) == 240 and counted.get(("glioma", "axial")) == 26, (
    f"240 slices, 26 of them gliomas in an axial plane, should be counted; you count {counted}")
### BEGIN HIDDEN TESTS
rows = [(label, folder.manifest[path]["plane"])
        for label, path in zip(folder.targets, folder.paths)]
expected = Counter((folder.classes[label], plane) for label, plane in rows)
assert dict(counted) == dict(expected) and len(counted) == 9, (
    "some of the nine pairs of class and plane have a wrong number: look at the order of the pair "
    "(class, plane), and match labels and paths one by one")
### END HIDDEN TESTS

# %% [markdown]
# Could a network guess the class from the plane alone, here and in other folders?

# %% [markdown] answer="plane_alone"
# ### BEGIN SOLUTION
# Not here: each class has 26 or 27 slices in each plane. So the best guess from the plane is right
# for three times 27, that is 81 of 240 slices, and guessing without the plane for 80 of 240. The
# sample was chosen like that. In a folder where most pituitary tumours were taken sagittal and most
# gliomas axial, the plane would say much about the class. A network sees the plane at once, so
# there it could score well without a look at the tumour, as with the source of a file.
# ### END SOLUTION

# %% [markdown]
# **Exercise 3.** A photograph, and a screenshot with a coloured arrow, in a folder of slices: what
# does `MRIFolder` say? The next cell makes such a folder, with made-up pictures.

# %%
mixed_root = make_folder({"glioma": 2, "meningioma": 2})
arrow = Image.new("RGB", (60, 60), (90, 90, 90))
arrow.paste((230, 40, 40), (10, 28, 40, 32))
arrow.save(mixed_root/"glioma"/"arrow.png")
sunset = Image.linear_gradient("L").resize((60, 40))
Image.merge("RGB", (sunset, sunset.point(lambda v: v//2), sunset.point(lambda v: v//3))).save(
    mixed_root/"meningioma"/"photograph.jpg")
Image.new("L", (60, 60), 70).convert("RGB").save(mixed_root/"meningioma"/"grey.png")
mixed = MRIFolder(mixed_root)
print(mixed)

# %% [markdown]
# It takes them all and turns them into grey; it does not know what they show. So write the check
# yourself. The mode is not enough: `grey.png` is stored as RGB, and yet it is grey, as in many
# public folders. A pixel has a colour if its red, green and blue are not equal. Let a file count as
# coloured if in *any* of its pixels the largest of the three is more than 30 above the smallest
# (JPEG changes grey pixels a little).
#
# Open the files themselves: `folder.samples[i][0]` is the path of file `i` (`folder.load(i)` is
# grey already). They may have any mode, also a palette.

# %% task="coloured_files"
def coloured_files(folder):
    "Paths, as in `folder.paths` and in this order, of the files with a coloured pixel (a list)."
    ### BEGIN SOLUTION
    found = []
    for path, (file, _) in zip(folder.paths, folder.samples):
        rgb = np.asarray(Image.open(file).convert("RGB")).astype(int)
        if np.ptp(rgb, axis=2).max() > 30:
            found.append(path)
    return found
    ### END SOLUTION

# %% [markdown] hint="coloured_files"
# Hint 1: where to look
# `np.asarray(Image.open(file).convert("RGB"))` is an array [H, W, 3] of uint8, whatever the mode of
# the file. `.astype(int)` makes it safe to subtract: in uint8, 3 − 5 is 254.

# %% [markdown] hint="coloured_files"
# Hint 2: the difference
# `rgb.max(axis=2) - rgb.min(axis=2)` is the difference in each pixel, [H, W]. Its `max()` tells
# whether any pixel is coloured.

# %% [markdown] hint="coloured_files"
# Hint 3: the lines
# ```python
# found = []
# for path, (file, _) in zip(folder.paths, folder.samples):
#     rgb = np.asarray(Image.open(file).convert("RGB")).astype(int)
#     if (rgb.max(axis=2) - rgb.min(axis=2)).max() > 30:
#         found.append(path)
# return found
# ```

# %% check="coloured_found"
found = [str(path) for path in coloured_files(mixed)]
assert found == ["glioma/arrow.png", "meningioma/photograph.jpg"], (
    f"the arrow and the photograph are coloured, and nothing else is; you find {found}")
### BEGIN HIDDEN TESTS
Image.new("RGB", (50, 50), (100, 110, 120)).save(mixed_root/"glioma"/"tint.png")
blue = Image.new("RGB", (50, 50), (100, 100, 100))
blue.putpixel((3, 4), (100, 100, 150))
blue.quantize(8).save(mixed_root/"glioma"/"palette.png")
found = [str(path) for path in coloured_files(MRIFolder(mixed_root))]
assert found == ["glioma/arrow.png", "glioma/palette.png", "meningioma/photograph.jpg"], (
    "one coloured pixel is enough, also in a file with a palette (convert to RGB first), and a "
    f"difference of 20 is too little to count; you find {found}")
### END HIDDEN TESTS

# %% [markdown]
# What would a network learn from coloured arrows, if many gliomas had one?

# %% [markdown] answer="arrow"
# ### BEGIN SOLUTION
# It would learn the arrow. `MRIFolder` turns the colours into grey, but a straight, even bar stays
# easy to see, much easier than a tumour. If mostly gliomas have an arrow, "arrow, so glioma" is a
# good rule in this folder, in the validation set as well, and useless on the slices of a hospital,
# where nobody has marked anything yet. It may also learn to look at the tip of the arrow: then a
# person has found the tumour, not the network. Such files must be left out of training *and*
# validation.
# ### END SOLUTION

# %% [markdown]
# **Exercise 4.** How often does a batch lack one of the three classes? Write `first_batches`: the
# labels of the first `n` batches of a *shuffled* loader over all slices of a store. Then write
# `lacking_share`: the share of batches in which at least one class is missing.

# %%
store = PixelStore(folder, size=16)

# %% task="first_batches"
def first_batches(store, n, batch_size=16, seed=0):
    "Labels of the first `n` batches of a shuffled loader: a list of `n` lists of whole numbers."
    ### BEGIN SOLUTION
    loader = make_loader(store, range(len(store)), batch_size, shuffle=True, seed=seed)
    return [labels.tolist() for _, (_, labels, _) in zip(range(n), loader)]
    ### END SOLUTION

# %% [markdown] hint="first_batches"
# Hint 1: where to look
# `make_loader(store, range(len(store)), batch_size, shuffle=True, seed=seed)` is the loader. Each
# step hands out pixels, labels and numbers. `labels.tolist()` makes a list of a tensor.

# %% [markdown] hint="first_batches"
# Hint 2: the lines
# ```python
# loader = make_loader(store, range(len(store)), batch_size, shuffle=True, seed=seed)
# return [labels.tolist() for x, labels, index in loader][:n]
# ```

# %% check="first_labels"
got = [[int(label) for label in batch] for batch in first_batches(store, 3, 16)]
assert [len(batch) for batch in got] == [16]*3 and len(set(got[0])) > 1, (
    "three batches of 16 labels were asked for, and in a shuffled batch of 16 not all labels are "
    f"equal; the first of yours is {got[:1]}: is shuffle=True?")
### BEGIN HIDDEN TESTS
got = [[int(label) for label in batch] for batch in first_batches(store, 34, 7, seed=3)]
assert [len(batch) for batch in got] == [7]*34, (
    f"34 batches of 7 were asked for, you return {len(got)} batches, the first of {len(got[0])}")
assert Counter(sum(got, [])).most_common(1)[0][1] <= 80, (
    "a class occurs more often than it has slices: each slice belongs to one batch of an epoch")
assert got != [[int(label) for label in batch] for batch in first_batches(store, 34, 7, seed=4)], (
    "two seeds gave the same batches: hand the seed on to the loader")
### END HIDDEN TESTS

# %% task="lacking_share"
def lacking_share(batches, classes=3):
    "Share, 0 to 1, of the batches (lists of labels from 0) that lack one of `classes` labels."
    ### BEGIN SOLUTION
    return sum(len(set(batch)) < classes for batch in batches)/len(batches)
    ### END SOLUTION

# %% [markdown] hint="lacking_share"
# Hint 1: where to look
# `len(set([0, 2, 2, 0]))` is 2: so many different labels are in the batch.

# %% [markdown] hint="lacking_share"
# Hint 2: the line
# ```python
# return sum(len(set(batch)) < classes for batch in batches)/len(batches)
# ```

# %% check="lacking_small"
found = lacking_share([[0, 1, 2, 1], [0, 0, 2, 2], [1, 1, 1, 1], [2, 1, 0, 0]])
assert abs(float(found) - .5) < 1e-6, (
    f"two of these four batches lack a label, the share is 0.5; you find {found}")
### BEGIN HIDDEN TESTS
found = lacking_share([[0, 1], [1, 1], [0, 0]], classes=2)
assert abs(float(found) - 2/3) < 1e-6, (
    f"with two classes [0, 1] lacks none, and two of three batches lack one; you find {found}")
found = lacking_share([[1, 2, 3, 3], [0, 1, 2, 3]], classes=4)
assert abs(float(found) - .5) < 1e-6, (
    f"with four classes [1, 2, 3, 3] lacks label 0, [0, 1, 2, 3] none; you find {found}")
### END HIDDEN TESTS

# %%
for size in (4, 16):
    share = np.mean([lacking_share(first_batches(store, 240//size, size, seed))
                     for seed in range(60)])
    print(f"{share:.3f} of the batches of {size} lack a class")

# %% [markdown]
# What do the two numbers mean for a network that learns from one batch after another?

# %% [markdown] answer="lacking"
# ### BEGIN SOLUTION
# More than half of the batches of 4 lack a class, and nearly none of the batches of 16. (By hand,
# if the slices were drawn with replacement: of 4 slices all three classes occur with probability
# 36/81, so 0.556 of the batches lack one. Without replacement it is 0.550.) In a batch without
# meningiomas the network learns that "meningioma" is never right. The next batch corrects it, but
# the steps contradict each other. Batches of 16 or 32 tell nearly the same each time, so the steps
# are steadier. The original tutorial used batches of 4.
# ### END SOLUTION
