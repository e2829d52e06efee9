# %% [markdown]
# # Lab 2: normalization
# > What does the network see of a slice?
#
# You need [lesson 2](../../nbs/02_normalization.ipynb). 80 minutes, 20 marks, offline. The whole
# lab computes for about ten seconds.
#
# - Write your answers where it says *Your answer here*. Leave the other code cells as they are.
# - Below each answer are *checks*, one mark each. Run them: a check that says nothing has passed,
#   one that stops tells you what to look at. Most checks look at more than they show.
# - Open the hints one after another, as many as you need. They cost nothing.
# - At the end: *Kernel → Restart Kernel and Run All Cells*, save, and hand in this file.
#
# `channel_stats`, `check_normalized` and `Augment` of the lesson do much of what follows. Here you
# write it yourself, without them.

# %%
import gc
import tracemalloc
import weakref

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.v2 import functional as tvf

from brain_tumor_nb.data import MRIFolder, PixelStore, find_data, resize_image
from brain_tumor_nb.figures import BLUE, ORANGE, show_slices, use_style
from brain_tumor_nb.normalization import Normalize, Stats

use_style()
folder = MRIFolder(find_data("sample"))
store = PixelStore(folder, size=64)
subjects = [folder.manifest[file]["subject"] for file in folder.paths]
held_out = set(sorted(set(subjects))[::5])
train_idx = [i for i, s in enumerate(subjects) if s not in held_out]
valid_idx = [i for i, s in enumerate(subjects) if s in held_out]
print(len(train_idx), "slices for training,", len(valid_idx), "for validation")

# %% [markdown]
# ## 1 Statistics of the training set (3 marks)
#
# Mean and standard deviation are measured on the slices from which the network learns. Slices on
# which it is checked take no part in the preparation.
#
# Write `train_stats`. `pixels` holds all slices, uint8 [N,1,S,S], and `train_idx` the numbers of
# the training slices. The result is on the scale from 0 (black) to 1 (white). The standard
# deviation divides by the number of pixels, not by one less.

# %% task="train_stats"
def train_stats(pixels, train_idx):
    "Mean and standard deviation (two numbers) of `pixels[train_idx]`, on the scale 0 to 1."
    ### BEGIN SOLUTION
    x = pixels[train_idx].double()/255
    return x.mean().item(), x.std(correction=0).item()
    ### END SOLUTION
    ### BEGIN MISTAKE 5
    x = pixels.double()/255
    return x.mean().item(), x.std(correction=0).item()
    ### END MISTAKE

# %% [markdown] hint="train_stats"
# Hint 1: which slices
# Index the pixels with `train_idx` before anything else: `pixels[train_idx]` has the shape
# [len(train_idx), 1, S, S].

# %% [markdown] hint="train_stats"
# Hint 2: which numbers
# `torch.mean` refuses whole numbers: `.double()` makes floating-point numbers of them, `/255`
# brings them to the scale 0 to 1.

# %% [markdown] hint="train_stats"
# Hint 3: the lines
# ```python
# x = pixels[train_idx].double()/255
# return x.mean().item(), x.std(correction=0).item()
# ```

# %% check="stats_mean"
four = torch.tensor([0, 51, 102, 255], dtype=torch.uint8).reshape(2, 1, 1, 2)
found = float(train_stats(four, [0, 1])[0])
assert abs(found - .4) < 1e-4, (
    f"the pixels 0, 51, 102 and 255 have the mean 0.4 on the scale 0 to 1, you find {found:.4f}: "
    "divide by 255")
### BEGIN HIDDEN TESTS
found = float(train_stats(store.pixels, range(240))[0])
assert abs(found - float((store.pixels/255).mean())) < 1e-4, (
    f"the mean of all 240 slices of the sample is about 0.16, you find {found:.4f}")
### END HIDDEN TESTS

# %% check="stats_std"
found = float(train_stats(four, [0, 1])[1])
assert abs(found - np.std([0, .2, .4, 1])) < 1e-4, (
    "the pixels 0, 51, 102 and 255 have the standard deviation 0.374 on the scale 0 to 1, you find "
    f"{found:.4f}: divide by 255, and use correction=0 (divide by n, not by n - 1)")
### BEGIN HIDDEN TESTS
flat = torch.full((3, 1, 4, 4), 77, dtype=torch.uint8)
found = float(train_stats(flat, [0, 1, 2])[1])
assert abs(found) < 1e-4, f"pixels that are all equal have no spread, you find {found:.4f}, not 0"
### END HIDDEN TESTS

# %% check="stats_training" mistakes="5"
changed = store.pixels.clone()
changed[valid_idx] = 255
first, second = train_stats(store.pixels, train_idx), train_stats(changed, train_idx)
assert np.allclose(first, second), (
    "the validation slices were made white, and your mean went from "
    f"{float(first[0]):.3f} to {float(second[0]):.3f}: they took part in the preparation. Here it "
    "costs little; nobody knows that beforehand, so measure on the training slices alone")
### BEGIN HIDDEN TESTS
expected = (store.pixels[valid_idx].double()/255).mean().item()
found = float(train_stats(store.pixels, valid_idx)[0])
assert abs(found - expected) < 1e-5, (
    f"asked for the 49 other slices you find the mean {found:.4f}, it is {expected:.4f}: measure "
    "the slices that train_idx names, not all and not always the same")
### END HIDDEN TESTS

# %% [markdown]
# ## 2 At the size and crop that the network sees (2 marks)
#
# A slice goes through several steps before the network sees it: it is made square, resized, perhaps
# cut. Mean and standard deviation must be measured after the *last* of these steps. The original
# tutorial measures them on pictures resized to 255 pixels with the middle 225 cut out, and its
# network then sees 64 pixels without that cut. So the network sees more of the black margin.
#
# Write `seen_stats`. `pictures` are PIL images in grey, `prepare` is a function that makes of one
# picture what the network sees of it: uint8 [1,S,S]. All results of `prepare` have one size.

# %%
def as_64(picture):
    "What the network of this lab sees of a picture, uint8 [1,64,64]."
    return tvf.pil_to_tensor(resize_image(picture, 64))

def as_middle(picture):
    "What another network sees: the middle half of the picture, uint8 [1,48,48]."
    return tvf.center_crop(tvf.pil_to_tensor(resize_image(picture, 96)), 48)

pictures = [folder.load(i) for i in train_idx]
print(list(as_64(pictures[0]).shape), list(as_middle(pictures[0]).shape))

# %% task="seen_stats"
def seen_stats(pictures, prepare):
    "Mean and standard deviation (two numbers), scale 0 to 1, of what the network sees of them all."
    ### BEGIN SOLUTION
    x = torch.stack([prepare(picture) for picture in pictures]).double()/255
    return x.mean().item(), x.std(correction=0).item()
    ### END SOLUTION
    ### BEGIN MISTAKE 6
    large = [tvf.pil_to_tensor(tvf.resize(picture, [255])) for picture in pictures]
    x = torch.stack([tvf.center_crop(picture, 225) for picture in large]).double()/255
    return x.mean().item(), x.std(correction=0).item()
    ### END MISTAKE

# %% [markdown] hint="seen_stats"
# Hint 1: where to look
# Call `prepare(picture)` for each picture, and stack the results with `torch.stack(list)`. Do not
# resize or cut yourself: `prepare` has done it.

# %% [markdown] hint="seen_stats"
# Hint 2: the lines
# ```python
# x = torch.stack([prepare(picture) for picture in pictures]).double()/255
# return x.mean().item(), x.std(correction=0).item()
# ```

# %% check="seen_flat"
flat = [Image.new("L", (192, 192), grey) for grey in (51, 153)]
found = [float(value) for value in seen_stats(flat, as_64)]
assert np.allclose(found, [.4, .2], atol=1e-3), (
    "two pictures of one grey each, 51 and 153, have the mean 0.4 and the standard deviation 0.2 "
    f"at every size, you find {found}")

# %% check="seen_whole" mistakes="6"
expected = float((store.pixels[train_idx]/255).mean())
mean, std = (float(value) for value in seen_stats(pictures, as_64))
assert abs(mean - expected) < .002, (
    f"with your mean {mean:.3f} the normalised training pixels have the mean "
    f"{(expected - mean)/std:.2f}, and not 0: you measured at another size or crop than the "
    "network sees; measure what `prepare` returns")
### BEGIN HIDDEN TESTS
seen = torch.stack([as_middle(picture) for picture in pictures]).double()/255
mean, std = (float(value) for value in seen_stats(pictures, as_middle))
assert abs(mean - seen.mean()) < .002 and abs(std - seen.std(correction=0)) < .002, (
    f"a network that sees the middle half of the slices needs the mean {seen.mean():.3f} and the "
    f"standard deviation {seen.std(correction=0):.3f}, you find {mean:.3f} and {std:.3f}: use the "
    "`prepare` that you are given")
### END HIDDEN TESTS

# %% [markdown]
# ## 3 Normalise (2 marks)
#
# To normalise is to subtract the mean and to divide by the standard deviation. Networks that have
# learnt from photographs expect three channels (red, green, blue), so the grey channel is repeated.
#
# Write `normalise`; do not use `Normalize`. `x` has the values 0 to 255, mean and standard
# deviation are on the scale 0 to 1.

# %% task="normalise"
def normalise(x, mean, std):
    "A batch, uint8 [B,1,H,W], as float32 [B,3,H,W] with three equal normalised channels."
    ### BEGIN SOLUTION
    return ((x.float()/255 - mean)/std).expand(-1, 3, -1, -1)
    ### END SOLUTION

# %% [markdown] hint="normalise"
# Hint 1: where to look
# First bring the pixels to the scale of the mean: `x.float()/255`.

# %% [markdown] hint="normalise"
# Hint 2: the channels
# `.expand(-1, 3, -1, -1)` or `.repeat(1, 3, 1, 1)` makes [B,3,H,W] of [B,1,H,W].

# %% [markdown] hint="normalise"
# Hint 3: the line
# ```python
# return ((x.float()/255 - mean)/std).expand(-1, 3, -1, -1)
# ```

# %% check="normal_shape"
z = normalise(store.pixels[:5], .2, .1)
assert tuple(z.shape) == (5, 3, 64, 64) and z.dtype == torch.float32, (
    f"[5, 1, 64, 64] of uint8 became {list(z.shape)} of {z.dtype}, it should be [5, 3, 64, 64] of "
    "torch.float32: repeat the channel, and use float()")

# %% check="normal_values"
z = normalise(torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3), .2, .4)
assert np.allclose(z[0, 0].flatten(), [-.5, 0, 2], atol=1e-4), (
    "with the mean 0.2 and the standard deviation 0.4 the pixels 0, 51 and 255 become -0.5, 0 and "
    f"2; yours become {z[0, 0].flatten().tolist()}: divide by 255, subtract, divide")
### BEGIN HIDDEN TESTS
batch = store.pixels[3:6].clone()
z = normalise(batch, .3, .25)
expected = (store.pixels[3:6]/255 - .3)/.25
assert all(torch.allclose(z[:, k].float(), expected[:, 0], atol=1e-4) for k in range(z.shape[1])), (
    "on three slices of the sample some channel is not (x/255 - mean)/std: all channels hold the "
    "same")
assert torch.equal(batch, store.pixels[3:6]), (
    "the batch that was handed in has changed: make a new tensor, others still need the old one")
### END HIDDEN TESTS

# %% [markdown]
# ## 4 Check it, and stop (3 marks)
#
# The original prints the mean of the normalised images, −0.195, and goes on. A number that is only
# printed stops nothing. Write `must_be_normal`: it raises a `ValueError` if the mean is further
# than `tol` from 0, or the standard deviation further than `tol` from 1. The message names both
# numbers that were found. If both are within `tol`, they are returned.

# %% task="must_be_normal"
def must_be_normal(z, tol=.02):
    "Mean and standard deviation of `z` (float tensor); `ValueError` if not within `tol` of 0, 1."
    ### BEGIN SOLUTION
    mean, std = z.mean().item(), z.std(correction=0).item()
    if abs(mean) > tol or abs(std - 1) > tol:
        raise ValueError(f"not normalised: mean {mean:.3f}, standard deviation {std:.3f}")
    return mean, std
    ### END SOLUTION
    ### BEGIN MISTAKE 6
    mean, std = z.mean().item(), z.std(correction=0).item()
    print("mean", mean, "standard deviation", std)
    return mean, std
    ### END MISTAKE

# %% [markdown] hint="must_be_normal"
# Hint 1: where to look
# Measure both, then `if … or …: raise ValueError(f"…")`. The distance of a number from 1 is
# `abs(number - 1)`.

# %% [markdown] hint="must_be_normal"
# Hint 2: the lines
# ```python
# mean, std = z.mean().item(), z.std(correction=0).item()
# if abs(mean) > tol or abs(std - 1) > tol:
#     raise ValueError(f"not normalised: mean {mean:.3f}, standard deviation {std:.3f}")
# return mean, std
# ```

# %%
normal = torch.linspace(-1, 1, 1001, dtype=torch.float64)*3**.5     # mean 0, deviation 1

def refusal(z, **tol):
    "What `must_be_normal` says if it raises a ValueError, else an empty text."
    try:
        must_be_normal(z, **tol)
    except ValueError as error:
        return str(error) or "an error without a message"
    except Exception as error:
        print("no ValueError, but", repr(error))
    return ""

# %% check="normal_passes"
found = must_be_normal(normal.reshape(7, 1, 11, 13))
assert np.allclose([float(value) for value in found], [0, 1], atol=.005), (
    f"numbers with the mean 0 and the standard deviation 1 pass, and both are returned; you return "
    f"{found}")
### BEGIN HIDDEN TESTS
assert not refusal(normal + .1, tol=.2), (
    "a mean of 0.1 is allowed if tol is 0.2: compare with tol, not with a number of your own")
### END HIDDEN TESTS

# %% check="mean_stops" mistakes="6"
said = refusal(normal - .195)
assert "0.19" in said or "0.2" in said, (
    f"pixels with the mean -0.195 are not normalised, and you said {said!r}: raise a ValueError "
    "that names the mean, or a training goes on with wrong numbers")
### BEGIN HIDDEN TESTS
assert refusal(normal + .03) and not refusal(normal + .01), (
    "with tol=0.02 a mean of 0.03 stops and a mean of 0.01 does not: look at both directions")
### END HIDDEN TESTS

# %% check="std_stops" mistakes="6"
said = refusal(normal*1.5)
assert "1.5" in said, (
    f"pixels with the standard deviation 1.5 are not normalised, and you said {said!r}: raise a "
    "ValueError that names it; the distance is measured from 1")
### BEGIN HIDDEN TESTS
assert refusal(normal*.9) and refusal(normal*0) and not refusal(normal*.99), (
    "with tol=0.02 standard deviations of 0.9 and 0 stop, 0.99 does not: use abs(std - 1)")
### END HIDDEN TESTS

# %% [markdown]
# What statistics of another crop do to the slices of the sample (your functions are used):

# %%
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, colour, (mean, std) in (
        ("what the network sees", BLUE, seen_stats(pictures, as_64)),
        ("the middle of the slices", ORANGE, seen_stats(pictures, as_middle))):
    z = normalise(store.pixels[train_idx], mean, std)[:, 0].flatten()
    ax.hist(z.numpy(), bins=60, histtype="step", color=colour, lw=1.8,
            label=f"measured on {name}:\nmean {z.mean():.2f}")
ax.set(xlabel="normalised pixel value", ylabel="pixels (log scale)", yscale="log",
       title="Normalised training pixels of the sample")
fig.legend(loc="outside lower center", ncols=2)
plt.show()

# %% [markdown]
# ## 5 In one pass, one batch at a time (3 marks)
#
# 5,700 slices of 225 × 225 pixels in three channels of 4 bytes are 3.5 GB, and the original holds
# them more than once: it puts the whole set into one batch, decodes all files for the mean and once
# more for the standard deviation. That is not necessary. The mean of all follows from sums: the sum
# of the pixels, the sum of their squares, and their number. Sums can be added up batch by batch:
#
# mean = sum / number, variance = sum of squares / number − mean², and the standard deviation is the
# square root of the variance.
#
# Write `stream_stats`. `batches` may be a generator: it can be read only *once*, and you may hold
# only one batch at a time. The batches need not have the same number of slices.

# %% task="stream_stats"
def stream_stats(batches):
    "Mean and standard deviation (two numbers), scale 0 to 1, of uint8 batches [B,1,H,W]."
    ### BEGIN SOLUTION
    number, total, squares = 0, 0., 0.
    for x in batches:
        x = x.double()/255
        number += x.numel()
        total += x.sum().item()
        squares += x.square().sum().item()
    mean = total/number
    return mean, (squares/number - mean**2)**.5
    ### END SOLUTION
    ### BEGIN MISTAKE 7
    mean = torch.cat(list(batches)).double().mean()/255
    std = torch.cat(list(batches)).double().std(correction=0)/255
    return mean.item(), std.item()
    ### END MISTAKE

# %% [markdown] hint="stream_stats"
# Hint 1: where to look
# Start with `number, total, squares = 0, 0., 0.`, and add to them in a loop `for x in batches:`.
# Keep no list of batches. Make floating-point numbers of each batch before you square it: a uint8
# holds 0 to 255 only, and `x**2` makes 144 of 20 (400 − 256).

# %% [markdown] hint="stream_stats"
# Hint 2: the loop
# ```python
# number, total, squares = 0, 0., 0.
# for x in batches:
#     x = x.double()/255
#     number += x.numel()
#     total += x.sum().item()
#     squares += x.square().sum().item()
# ```

# %% [markdown] hint="stream_stats"
# Hint 3: after the loop
# ```python
# mean = total/number
# return mean, (squares/number - mean**2)**.5
# ```

# %%
class Watched:
    "Batches that count how often they are read, and how many are alive at once."
    def __init__(self, pixels, size):
        self.pixels, self.size = pixels, size
        self.reads, self.most_alive = 0, 0
    def __iter__(self):
        self.reads += 1
        given = []                                  # weak references do not keep a tensor alive
        for start in range(0, len(self.pixels), self.size):
            given.append(weakref.ref(batch := self.pixels[start:start+self.size].clone()))
            yield batch
            del batch
            self.most_alive = max(self.most_alive, sum(ref() is not None for ref in given))

# %% check="stream_values"
uneven = [store.pixels[:100], store.pixels[100:103], store.pixels[103:240]]
found = [float(value) for value in stream_stats(uneven)]
x = store.pixels.double()/255
expected = [x.mean().item(), x.std(correction=0).item()]
assert np.allclose(found, expected, atol=1e-4), (
    f"batches of 100, 3 and 137 slices have together {expected[0]:.4f} and {expected[1]:.4f}, you "
    f"find {found}: add sums, not means (a small batch weighs less than a large one), and square "
    "floating-point numbers (the square of 20 does not fit into uint8)")
### BEGIN HIDDEN TESTS
dark = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
found = [float(value) for value in stream_stats([dark, dark + 255, dark + 255, dark + 255])]
assert np.allclose(found, [.75, .75**.5/2], atol=1e-4), (
    f"one black and three white slices have the mean 0.75 and the standard deviation 0.433, you "
    f"find {found}: the spread between batches counts as well")
### END HIDDEN TESTS

# %% check="stream_alive" mistakes="7"
watched = Watched(store.pixels, 20)
stream_stats(watched)
assert watched.reads and watched.most_alive <= 2, (
    f"{watched.most_alive} of 12 batches were in memory at once; of "
    "5,700 slices that would be gigabytes. Add to sums and let each batch go, keep no list")
### BEGIN HIDDEN TESTS
def tensors():
    "Bytes of each tensor that is alive, by its id."
    return {id(o): o.nbytes for o in gc.get_objects() if type(o) is torch.Tensor}

def measured():
    "20 batches of 0.05 MB; after the last one, what is held of them is measured."
    global held
    old = tensors()
    tracemalloc.start()                             # sees arrays of NumPy, and lists
    for start in range(0, 240, 12):
        yield store.pixels[start:start+12].clone()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    held += sum(size for key, size in tensors().items() if key not in old)

held = np.inf
stream_stats(measured())
assert held < 2e6, (
    f"{held/1e6:.1f} MB were held after 20 batches of 0.05 MB: copies of the batches, as floats "
    "or arrays, take memory as well, keep sums only (inf: not all batches were read)")
### END HIDDEN TESTS

# %% check="stream_once" mistakes="7"
watched = Watched(store.pixels, 50)
stream_stats(watched)
assert watched.reads == 1, (
    f"the batches were read {watched.reads} times: each time all files are decoded again. Mean and "
    "standard deviation follow from sums of one pass")
### BEGIN HIDDEN TESTS
expected = [float(value) for value in stream_stats(store.pixels.split(60))]
found = [float(value) for value in stream_stats(part for part in store.pixels.split(60))]
assert np.allclose(found, expected, equal_nan=True), (
    f"a generator gave {found}, a list of the same batches {expected}: a generator can be read "
    "once only, so take all sums in one loop")
### END HIDDEN TESTS

# %% [markdown]
# ## 6 Flip some slices of a batch (2 marks)
#
# Augmentation changes each slice of a batch by random numbers of its own. Here they are handed in,
# so that the same numbers give the same slices. Write `flip_some`: slice `i` is *flipped* (left and
# right exchanged) if `draws[i]` is below 0.5, and stays as it is otherwise. The result is a new
# tensor: the batch that was handed in keeps its pixels, because others still need them.

# %% task="flip_some"
def flip_some(x, draws):
    "A batch [B,C,H,W], slices with a draw (float [B], 0 to 1) below 0.5 flipped left to right."
    ### BEGIN SOLUTION
    return torch.where((draws < .5)[:, None, None, None], x.flip(-1), x)
    ### END SOLUTION

# %% [markdown] hint="flip_some"
# Hint 1: where to look
# `x.flip(-1)` flips along the last axis, the columns: left and right are exchanged. It returns a
# new tensor, and flips *all* slices. (Tensors know no negative steps such as `[..., ::-1]`.)

# %% [markdown] hint="flip_some"
# Hint 2: only some
# `torch.where(condition, a, b)` takes `a` where the condition is true, else `b`. The condition
# needs the shape [B,1,1,1]: `(draws < .5)[:, None, None, None]`.

# %% [markdown] hint="flip_some"
# Hint 3: the line
# ```python
# return torch.where((draws < .5)[:, None, None, None], x.flip(-1), x)
# ```

# %% check="flip_which"
x = torch.arange(3*1*2*2).reshape(3, 1, 2, 2)
y = flip_some(x.clone(), torch.tensor([.1, .9, .4]))
changed = [not torch.equal(a, b) for a, b in zip(x, y)]
assert tuple(y.shape) == (3, 1, 2, 2) and changed == [True, False, True], (
    "the draws 0.1, 0.9 and 0.4 flip the first and the third slice; in yours "
    f"{[i + 1 for i in range(3) if changed[i]]} changed")
### BEGIN HIDDEN TESTS
before = store.pixels[:40].clone()
lot = torch.from_numpy(np.random.default_rng(5).random(40))
after = flip_some(before, lot)
assert torch.equal(before, store.pixels[:40]), (
    "the batch that was handed in has changed: return a new tensor, others still need the old one")
assert all(torch.equal(after[i], before[i]) != (lot[i] < .5) for i in range(40)), (
    "in a batch of 40 slices other slices were flipped than those with a draw below 0.5")
### END HIDDEN TESTS

# %% check="flip_direction"
x = torch.tensor([[1, 2, 3], [4, 5, 6]]).reshape(1, 1, 2, 3)
y = flip_some(x, torch.tensor([0.]))
assert y.flatten().tolist() == [3, 2, 1, 6, 5, 4], (
    "left and right of each row are exchanged, rows stay in their order: [[1, 2, 3], [4, 5, 6]] "
    f"becomes [[3, 2, 1], [6, 5, 4]], yours is {y.tolist()}")

# %%
before = store.pixels[[80, 80]]
after = flip_some(before, torch.tensor([.9, .1]))
show_slices([before[0], *after], ["before", "draw 0.9: as it was", "draw 0.1: flipped"],
            suptitle="flip_some (meningioma, axial, real)")
plt.show()

# %% [markdown]
# *A real slice: Jun Cheng, brain tumor dataset,
# [doi:10.6084/m9.figshare.1512427](https://doi.org/10.6084/m9.figshare.1512427),
# [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/), reduced to 64 pixels.*
#
# ## 7 From the lesson's exercises (5 marks)
#
# **Exercise 1.** The wrong mean costs the original little accuracy, no difference that could be
# measured. Why? Two or three sentences. (Look for batch normalisation in
# [lesson 4](../../nbs/04_model.ipynb).)

# %% [markdown] answer="wrong_mean"
# ### BEGIN SOLUTION
# The first convolution of a ResNet18 has no constant of its own and is followed by a batch
# normalisation. That layer subtracts the mean of its inputs and divides by their standard
# deviation. A constant that is added to all pixels adds a constant to each output of a convolution
# (but at the margin of the slice, where zeros are padded), and the batch normalisation subtracts
# it again; a factor is divided out. So the network sees nearly the same. In a network without such
# a layer, or with frozen pretrained weights whose batch normalisation keeps its old mean, it can
# cost more. And that the mistake was cheap here is no reason to leave it in: the failed check says
# that a number is not what its name says.
# ### END SOLUTION

# %% [markdown]
# **Exercise 2.** Nearly half of the pixels are air. Measure mean and standard deviation of the head
# alone: of the training pixels from 20 (of 255) upwards. Make a `Stats` of them:
# `Stats((mean,), (std,))`.

# %% task="head_stats"
def head_stats(pixels, train_idx, least=20):
    "`Stats`, scale 0 to 1, of those pixels (uint8 [N,1,S,S]) of `train_idx` that are >= `least`."
    ### BEGIN SOLUTION
    x = pixels[train_idx]
    x = x[x >= least].double()/255
    return Stats((x.mean().item(),), (x.std(correction=0).item(),))
    ### END SOLUTION

# %% [markdown] hint="head_stats"
# Hint 1: where to look
# `x >= least` is a tensor of True and False, and `x[x >= least]` holds the pixels where it is True,
# in one row. Compare before you divide by 255: afterwards no pixel reaches 20.

# %% [markdown] hint="head_stats"
# Hint 2: the lines
# ```python
# x = pixels[train_idx]
# x = x[x >= least].double()/255
# return Stats((x.mean().item(),), (x.std(correction=0).item(),))
# ```

# %% check="head_mean"
six = torch.tensor([19, 20, 40, 60, 200, 255], dtype=torch.uint8).reshape(3, 1, 1, 2)
found = head_stats(six, [0, 1]).mean[0]     # an error here: is the pixel 40 compared, or 40/255?
assert abs(found - 40/255) < 1e-4, (
    "of the pixels 19, 20, 40 and 60 (the third slice is not for training) 20, 40 and 60 are of "
    f"the head, their mean is 40/255 = 0.1569; you find {found:.4f}")
### BEGIN HIDDEN TESTS
x = store.pixels[train_idx]
expected = (x[x >= 50].double()/255).mean().item()
found = head_stats(store.pixels, train_idx, least=50).mean[0]
assert abs(found - expected) < 1e-4, (
    f"with least=50 the mean of the sample is {expected:.4f}, you find {found:.4f}: use the "
    "argument `least`, not the number 20")
### END HIDDEN TESTS

# %% check="head_std"
found = head_stats(six, [0, 1]).std[0]
assert abs(found - .0640) < 2e-4, (
    "the pixels 20, 40 and 60 have the standard deviation 0.0640 on the scale 0 to 1 (divide by n, "
    f"correction=0); you find {found:.4f}")

# %%
z = Normalize(head_stats(store.pixels, train_idx))(store.pixels[train_idx])
print(f"with the statistics of the head: mean {z.mean():.2f}, standard deviation {z.std():.2f}")

# %% [markdown]
# Does `check_normalized` still pass? Should it?

# %% [markdown] answer="head_check"
# ### BEGIN SOLUTION
# It does not: air is darker than the head, so the mean of *all* normalised pixels is below 0 (about
# −1.1), and the standard deviation above 1 (about 1.4). The check measures all pixels, as the
# network sees them. It is right to stop, because it cannot know what was meant. Statistics of the
# head are a possible choice: the head then has the mean 0, whatever share of a slice is air. Who
# makes it must write a check for what was meant: mean 0 and deviation 1 over the pixels from 20
# upwards.
# ### END SOLUTION

# %% [markdown]
# **Exercise 3.** Which of these changes would alter the class or make an impossible slice: flip
# upside down, rotate by 90°, exchange left and right, invert black and white, enlarge ten times?
# Does your answer depend on the plane?

# %% [markdown] answer="possible_changes"
# ### BEGIN SOLUTION
# None of them alters the type of a tumour; the question is what can come from a scanner.
#
# - *Upside down*: coronal and sagittal slices show the top of the head above, never below. An axial
#   slice upside down shows the front of the head below; some sources store slices like that.
# - *Rotated by 90°*: nobody lies like that in a scanner; a file that was stored with rows and
#   columns exchanged looks so. A few degrees are possible in every plane.
# - *Left and right exchanged*: possible for axial and coronal slices, the head is nearly symmetric.
#   A sagittal head then looks to the other side, which occurs as well. It would alter a class such
#   as "tumour on the left".
# - *Black and white inverted*: impossible; no weighting makes the air bright. It also exchanges the
#   signs by which tissue is recognised, such as the bright contrast agent.
# - *Ten times larger*: impossible, heads differ in size by some 20 %, and most of the slice would
#   be cut off, perhaps the tumour with it: then the label is wrong.
# ### END SOLUTION

# %% [markdown]
# **Exercise 4.** Write a step `Brighter` whose `forward` multiplies the pixels of each slice, from
# 0 to 1, by a random factor of its own between 0.8 and 1.2. `torch.rand(n)` draws `n` numbers
# between 0 and 1. The result is a new tensor here as well.

# %% task="Brighter"
class Brighter(nn.Module):
    "Slices, float [B,1,H,W] from 0 to 1, each multiplied by its own random factor, 0.8 to 1.2."
    def forward(self, x):
        ### BEGIN SOLUTION
        factor = .8 + .4*torch.rand(len(x), device=x.device)
        return x*factor[:, None, None, None]
        ### END SOLUTION

# %% [markdown] hint="Brighter"
# Hint 1: the factors
# `torch.rand(len(x))` has one number per slice, from 0 to 1. `.8 + .4*…` brings them to 0.8 to 1.2.
# They need the shape [B,1,1,1], as the condition of `flip_some`.

# %% [markdown] hint="Brighter"
# Hint 2: the lines
# ```python
# factor = .8 + .4*torch.rand(len(x))
# return x*factor[:, None, None, None]
# ```

# %% check="brighter_range"
factors = Brighter()(torch.full((500, 1, 2, 2), .5))[:, 0, 0, 0]/.5
assert factors.min() >= .799 and factors.max() <= 1.201 and factors.max() - factors.min() > .3, (
    "500 slices should be multiplied by factors spread between 0.8 and 1.2, yours lie between "
    f"{factors.min():.2f} and {factors.max():.2f}: 0.8 plus 0.4 times a number from 0 to 1")

# %% check="brighter_own"
x = torch.rand(6, 1, 5, 4)/2 + .1
factors = (Brighter()(x.clone())/x).flatten(1)
spread = (factors.max(1)[0] - factors.min(1)[0]).max().item()
assert factors.shape == (6, 20) and spread < 1e-4 and len(set(factors[:, 0].tolist())) > 1, (
    "within a slice all pixels have one factor, and the slices of a batch have different ones: "
    "draw one number per slice, and give the factors the shape [B,1,1,1]")
### BEGIN HIDDEN TESTS
before = x.clone()
Brighter()(x)
assert torch.equal(x, before), (
    "the slices that were handed in have changed: multiply into a new tensor, not with *=")
### END HIDDEN TESTS

# %% [markdown]
# Where must such a step stand, before or after `Normalize`? Write `bright_view`: what the network
# sees of a batch if `brighter` (any such step, also one of another student) and `Normalize(stats)`
# are both used. `brighter` takes floats from 0 to 1; `Normalize` takes such floats as well.

# %% task="bright_view"
def bright_view(x, brighter, stats):
    "A batch, uint8 [B,1,H,W], through `brighter` and `Normalize(stats)`: float [B,3,H,W]."
    ### BEGIN SOLUTION
    return Normalize(stats)(brighter(x.float()/255))
    ### END SOLUTION

# %% [markdown] hint="bright_view"
# Hint 1: where to look
# What is black must stay as black as it was, also when the slice is brighter. After `Normalize`
# black is not 0 any more, but about −1: what would a factor do to it?

# %% [markdown] hint="bright_view"
# Hint 2: the line
# ```python
# return Normalize(stats)(brighter(x.float()/255))
# ```

# %%
class Times(nn.Module):
    "A step that multiplies by one factor, and keeps what it was given."
    def __init__(self, factor):
        super().__init__()
        self.factor, self.given = factor, []
    def forward(self, x):
        self.given.append(x)
        return self.factor*x

# %% check="bright_black"
stats = Stats((.2,), (.1,))
seen = bright_view(torch.tensor([0, 51, 102], dtype=torch.uint8).reshape(1, 1, 1, 3), Times(1.2),
                   stats)
assert tuple(seen.shape) == (1, 3, 1, 3), (
    f"one slice of three pixels became {list(seen.shape)}, it should be [1, 3, 1, 3] as Normalize "
    "makes it")
assert np.allclose(seen[0, 0, 0], [-2, .4, 2.8], atol=1e-3), (
    "1.2 times as bright, the pixels 0, 51 and 102 are 0, 0.24 and 0.48 on the scale 0 to 1, and "
    f"normalised -2, 0.4 and 2.8; yours are {seen[0, 0, 0].tolist()}: black has to stay black")
### BEGIN HIDDEN TESTS
step = Times(1)
bright_view(store.pixels[:2], step, stats)
assert len(step.given) == 1 and step.given[0].is_floating_point() and step.given[0].max() <= 1, (
    "brighter should be called once, with numbers from 0 to 1: divide by 255 before")
### END HIDDEN TESTS
