# %% [markdown]
# # Lab 2: normalization
# > What does the network see of a slice?
#
# You need [lesson 2](../../nbs/02_normalization.ipynb). 60 minutes, 2 marks, offline.
#
# - Write your answers where it says *Your answer here*. Leave the other code cells as they are.
# - Below each answer are *checks*, one mark each. Run them: a check that says nothing has passed,
#   one that stops tells you what to look at. Some checks look at more than they show.
# - Open the hints one after another, as many as you need. They cost nothing.
# - At the end: *Kernel → Restart Kernel and Run All Cells*, save, and hand in this file.

# %%
import numpy as np
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data

folder = MRIFolder(find_data("sample"))
store = PixelStore(folder, size=64)
subjects = [folder.manifest[file]["subject"] for file in folder.paths]
held_out = set(sorted(set(subjects))[::5])
train_idx = [i for i, s in enumerate(subjects) if s not in held_out]
valid_idx = [i for i, s in enumerate(subjects) if s in held_out]
print(len(train_idx), "slices for training,", len(valid_idx), "for validation")

# %% [markdown]
# ## 1 Statistics of the training set
#
# Write `train_stats`: mean and standard deviation of the pixels from 0 to 1 of the *training*
# slices.

# %% task="train_stats"
def train_stats(pixels, train_idx):
    "Mean and standard deviation of `pixels[train_idx]` (uint8 [N,1,S,S]), on the scale 0 to 1."
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
# Index the pixels with `train_idx` before anything else.

# %% [markdown] hint="train_stats"
# Hint 2: the line
# `x = pixels[train_idx].double()/255`, then `x.mean().item()` and `x.std(correction=0).item()`.

# %% check="stats_mean"
mean, std = train_stats(store.pixels, train_idx)
assert 0 < mean < 1, f"the mean is {mean}: divide the pixels by 255"
### BEGIN HIDDEN TESTS
assert np.isclose(mean, (store.pixels[train_idx].double()/255).mean()), "the mean is wrong"
### END HIDDEN TESTS

# %% check="stats_validation" mistakes="5"
changed = store.pixels.clone()
changed[valid_idx] = 255
mean, other = train_stats(store.pixels, train_idx)[0], train_stats(changed, train_idx)[0]
assert mean == other, ("the validation slices were made white, and your mean changed: they took "
                       "part in the preparation (index with train_idx)")
