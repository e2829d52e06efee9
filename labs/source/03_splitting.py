# %% [markdown]
# # Lab 3: splitting
# > Has the model seen this patient before?
#
# You need [lesson 3](../../nbs/03_splitting.ipynb). 75 minutes, 20 marks, offline.
#
# - Write your answers where it says *Your answer here*. Leave the other code cells as they are.
# - Below each answer are *checks*, one mark each. Run them: a check that says nothing has passed,
#   one that stops tells you what to look at. Some checks look at more than they show.
# - Open the hints one after another, as many as you need. They cost nothing.
# - At the end: *Kernel → Restart Kernel and Run All Cells*, save, and hand in this file.
#
# | part | marks | minutes |
# |---|---|---|
# | 1 How many patients? | 2 | 5 |
# | 2 What belongs together | 3 | 10 |
# | 3 A split that keeps groups together | 5 | 15 |
# | 4 What a split leaks | 2 | 8 |
# | 5 Two sets, two transforms | 4 | 12 |
# | 6 An external test set | 1 | 5 |
# | 7 From the lesson's exercises | 3 | 20 |
#
# The data: 240 real slices of 165 patients (Jun Cheng's set, CC BY 4.0), one or two slices of
# each patient. Run this cell first:

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.utils.data import Dataset
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data
from brain_tumor_nb.duplicates import near_pairs, thumbnails
from brain_tumor_nb.figures import show_slices, use_style
from brain_tumor_nb.normalization import channel_stats, train_transform, valid_transform
from brain_tumor_nb.splitting import (connected_groups, find_groups, leaks, make_folds, make_split,
                                      read_subjects)

use_style()
folder = MRIFolder(find_data("sample"))
subjects = read_subjects(folder)            # the name of the patient of each slice
patients = find_groups(folder)              # the same as numbers from 0, int [240]
print(folder)
print("patients of the first four slices:", subjects[:4])

# %% [markdown]
# ## 1 How many patients?
#
# The size of a data set is first of all its number of patients. Write `slices_per_patient`: how
# many slices does each patient have? `subjects` is a list with one name per slice. Where the
# patient of a slice is unknown, it holds `None`; leave these slices out.

# %% task="count"
def slices_per_patient(subjects):
    "A dictionary: name of each known patient -> number of its slices."
    ### BEGIN SOLUTION
    counts = {}
    for name in subjects:
        if name is not None:
            counts[name] = counts.get(name, 0) + 1
    return counts
    ### END SOLUTION

# %% [markdown] hint="count"
# Hint 1: where to begin
# Begin with an empty dictionary, `counts = {}`. Go through the names with a `for` loop, and skip
# a name that is `None` (`if name is not None:`).

# %% [markdown] hint="count"
# Hint 2: the line that counts
# `counts[name] = counts.get(name, 0) + 1`. `get` gives 0 if the name is not in the dictionary
# yet. After the loop: `return counts`.

# %% check="count_names"
found = dict(slices_per_patient(["p1", "p2", "p1"]))
assert found == {"p1": 2, "p2": 1}, (f"p1 has two slices and p2 one, you found {found}: count each "
                                     "name once per slice")
### BEGIN HIDDEN TESTS
found = dict(slices_per_patient(subjects))
assert len(found) == 165 and sum(found.values()) == 240, (
    f"the sample has 240 slices of 165 patients, you found {sum(found.values())} slices of "
    f"{len(found)}: use the argument `subjects`, and no numbers written by hand")
### END HIDDEN TESTS

# %% check="count_unknown"
found = dict(slices_per_patient([None, "p1", None, None]))
assert found == {"p1": 1}, (f"only p1 is a known patient, you found {found}: None is no name, "
                            "three slices with None may be of three patients")

# %% [markdown]
# These are the first patients with two slices. The slices of one patient (a column) share the
# head, the scanner and the tumour:

# %%
twice = np.flatnonzero(np.bincount(patients) == 2)[:6]
rows = np.array([np.flatnonzero(patients == p) for p in twice]).T.ravel()
show_slices([folder[i][0] for i in rows], [f"patient {subjects[i]}" for i in rows], ncols=6)
plt.show()

# %% [markdown]
# ## 2 What belongs together
#
# `near_pairs` finds pairs of near-duplicates. A *group* holds all slices that such pairs connect,
# directly or through others. Write `join_pairs` yourself, without `connected_groups`: it returns
# the group of each slice. Which number a group has does not matter. The pairs may come in any
# order.

# %% task="join"
def join_pairs(n, pairs):
    """The group of each of `n` slices: a list of `n` whole numbers.

    pairs: pairs of slices that belong together, such as [[0, 2], [2, 1]]; may be empty.
    """
    ### BEGIN SOLUTION
    groups = list(range(n))
    for i, j in pairs:
        new, old = groups[i], groups[j]
        groups = [new if group == old else group for group in groups]
    return groups
    ### END SOLUTION

# %% [markdown] hint="join"
# Hint 1: before the first pair
# Without pairs each slice is a group of its own: `groups = list(range(n))`. So slice 3 is in
# group 3.

# %% [markdown] hint="join"
# Hint 2: one pair
# For a pair `i, j`, the *whole* group of `j` must get the number of the group of `i`, and not
# slice `j` alone: other slices may have joined `j` before.

# %% [markdown] hint="join"
# Hint 3: the loop
# `for i, j in pairs:`, then `new, old = groups[i], groups[j]`, then
# `groups = [new if group == old else group for group in groups]`. After the loop:
# `return groups`.

# %%
def together(groups):
    "The slices of each group, as a sorted list of lists; the numbers of the groups are gone."
    groups = np.asarray(groups).tolist()
    return sorted([i for i, g in enumerate(groups) if g == group] for group in set(groups))

# %% check="join_none"
found = together(join_pairs(3, []))
assert found == [[0], [1], [2]], (f"without pairs each of 3 slices is alone, you found the groups "
                                  f"{found}: begin with as many groups as slices")

# %% check="join_pair"
found = together(join_pairs(4, [[1, 3]]))
assert found == [[0], [1, 3], [2]], (f"slices 1 and 3 belong together and no others, you found the "
                                     f"groups {found}: give both the same number")
### BEGIN HIDDEN TESTS
found = together(join_pairs(5, np.array([[0, 4], [3, 1]])))
assert found == [[0, 4], [1, 3], [2]], (f"the pairs 0, 4 and 3, 1 are two groups, you found "
                                        f"{found}: two pairs without a common slice do not join")
### END HIDDEN TESTS

# %% check="join_chain"
found = together(join_pairs(5, [[0, 2], [2, 1]]))
assert found == [[0, 1, 2], [3], [4]], (f"0 is like 2, and 2 is like 1: the three are one group, "
                                        f"you found {found}: join whole groups")
found = together(join_pairs(5, [[3, 4], [0, 1], [1, 3]]))
assert found == [[0, 1, 3, 4], [2]], (f"the last pair, 1 and 3, joins two groups of two slices, "
                                      f"you found {found}: renumber all slices of a group, not one")
### BEGIN HIDDEN TESTS
for seed in range(5):
    pairs = np.random.default_rng(seed).integers(30, size=(20, 2)).tolist()
    found, wanted = together(join_pairs(30, pairs)), together(connected_groups(30, pairs))
    assert found == wanted, (f"30 slices and the pairs {pairs} make {len(wanted)} groups, you "
                             f"found {len(found)}: renumber the whole group at each pair")
### END HIDDEN TESTS

# %% [markdown]
# ## 3 A split that keeps groups together
#
# Write `split_groups`. It chooses by chance *groups*, not slices: about `share` of the groups are
# the validation set; all other slices are the training set. So no group is in both
# sets. With the same `seed` it returns the same split, today and next year; with another seed,
# another.
#
# Write it with NumPy; do not call `make_split`. The classes need not be in equal shares here.

# %% task="split"
def split_groups(groups, share, seed):
    """Training and validation set: two lists of slices, numbered from 0.

    groups: an array with the group of each slice, whole numbers from 0;
    share: about this share of the slices is validated, between 0 and 1;
    seed: a whole number, decides which groups are chosen.
    """
    ### BEGIN SOLUTION
    groups = np.asarray(groups)
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    chosen = names[:round(share*len(names))]
    valid = np.isin(groups, chosen)
    return np.flatnonzero(~valid).tolist(), np.flatnonzero(valid).tolist()
    ### END SOLUTION
    ### BEGIN MISTAKE 4
    groups = np.asarray(groups)
    names = np.random.default_rng().permutation(np.unique(groups))
    chosen = names[:round(share*len(names))]
    valid = np.isin(groups, chosen)
    return np.flatnonzero(~valid).tolist(), np.flatnonzero(valid).tolist()
    ### END MISTAKE
    ### BEGIN MISTAKE 10
    order = np.random.default_rng(seed).permutation(len(groups))
    n = round(share*len(groups))
    return order[n:].tolist(), order[:n].tolist()
    ### END MISTAKE

# %% [markdown] hint="split"
# Hint 1: what is shuffled
# `np.unique(groups)` gives the number of each group once. Shuffle these, not the slices. A
# generator that begins with the seed: `np.random.default_rng(seed)`.

# %% [markdown] hint="split"
# Hint 2: the groups to validate
# `names = np.random.default_rng(seed).permutation(np.unique(groups))`, and of these the first
# `chosen = names[:round(share*len(names))]`. This is a share of the groups. No group is large
# here, so it is about the same share of the slices.

# %% [markdown] hint="split"
# Hint 3: from groups to slices
# `valid = np.isin(groups, chosen)` is True for each slice whose group was chosen.
# `np.flatnonzero(valid).tolist()` gives their numbers, `np.flatnonzero(~valid).tolist()` those of
# the others. Return the training set first.

# %%
def seen_before(train, valid, groups):
    "How many validation slices have a slice of their group in the training set."
    groups = np.asarray(groups)
    return int(np.isin(groups[list(valid)], groups[list(train)]).sum())


thumbs = thumbnails(folder)[::6]                              # 40 slices, small, [40,48,48]
doubled = np.concatenate([thumbs, thumbs[:, :, ::-1]])        # and each once more, flipped
copies = connected_groups(len(doubled), near_pairs(doubled).pairs)
print(f"{len(doubled)} pictures in {len(set(copies.tolist()))} groups of near-duplicates")

# %% check="split_share"
train, valid = split_groups(patients, .2, seed=0)
assert sorted([*train, *valid]) == list(range(240)), (
    f"{len(train)} and {len(valid)} slices: each of the 240 must be in one set, and in one only")
assert .15 <= len(valid)/240 <= .25, (f"{len(valid)} of 240 slices are validated, about 48 should "
                                      "be: look at `share`, and return the training set first")
### BEGIN HIDDEN TESTS
train, valid = split_groups(np.arange(300)//3, .5, seed=1)
assert 135 <= len(valid) <= 165 and len(train) + len(valid) == 300, (
    f"of 300 slices a share of 0.5 was asked for, {len(valid)} are validated: use the arguments")
### END HIDDEN TESTS

# %% check="split_patients" mistakes="10"
train, valid = split_groups(patients, .2, seed=0)
assert len(train) and len(valid), "one of the two sets is empty: nothing was split"
seen = seen_before(train, valid, patients)
assert seen == 0, (f"{seen} of {len(valid)} validation slices have a slice of the same patient in "
                   "the training set: the model may recognise the patient, and the score is too "
                   "good. Choose groups, not slices")
### BEGIN HIDDEN TESTS
for seed in range(1, 6):
    train, valid = split_groups(np.arange(200)//10, .3, seed)
    assert len(train) and len(valid), "20 patients of ten slices: one of the two sets is empty"
    seen = seen_before(train, valid, np.arange(200)//10)
    assert seen == 0, (f"20 patients of ten slices: {seen} of {len(valid)} validation slices "
                       "have a slice of their patient in the training set")
### END HIDDEN TESTS

# %% check="split_copies" mistakes="10"
train, valid = split_groups(copies, .25, seed=3)
assert len(train) and len(valid), "one of the two sets is empty: nothing was split"
seen = seen_before(train, valid, copies)
assert seen == 0, (f"{seen} of {len(valid)} validation slices have a near-duplicate in the "
                   "training set, the same slice flipped: for those a model only has to remember. "
                   "Keep each group in one set")

# %% check="split_seed" mistakes="4"
np.random.seed(1)
first = split_groups(patients, .2, seed=5)
np.random.seed(2)
again = split_groups(patients, .2, seed=5)
assert len(first[1]), "the validation set is empty: nothing was split"
assert sorted(first[1]) == sorted(again[1]), (
    "two runs with seed=5 gave two splits: their scores cannot be compared, and nobody can repeat "
    "your result. Begin the random numbers with the argument `seed`")

# %% check="split_other_seed"
splits = {tuple(sorted(split_groups(patients, .2, seed)[1])) for seed in range(5)}
assert len(splits) == 5, (f"five seeds gave {len(splits)} different splits: the seed must decide "
                          "who is chosen. Do not write a number in its place")

# %% [markdown]
# ## 4 What a split leaks
#
# *Leakage* means that something about the validation set was known in training. Write
# `leak_share`: which share of the *validation slices* has a slice of its group in the training
# set? Do not call `leaks` or `seen_before`.

# %% task="leak"
def leak_share(train, valid, groups):
    """Share of the validation slices that leak, 0 to 1.

    train, valid: lists of slices, numbered from 0; groups: the group of each slice, a list or
    an array (a list cannot be indexed with a list; `np.asarray(groups)` can).
    """
    ### BEGIN SOLUTION
    trained = {groups[i] for i in train}
    return sum(groups[i] in trained for i in valid)/len(valid)
    ### END SOLUTION

# %% [markdown] hint="leak"
# Hint 1: two steps
# First the groups of the training slices, as a Python `set`. Then count the validation slices
# whose group is in this set, and divide by the number of validation slices.

# %% [markdown] hint="leak"
# Hint 2: the lines
# `trained = {groups[i] for i in train}` and
# `return sum(groups[i] in trained for i in valid)/len(valid)`.

# %% check="leak_half"
found = leak_share([0, 1, 2], [3, 4], [0, 0, 1, 1, 2])
assert np.isclose(found, .5), (f"slice 3 has its group in training, slice 4 has not: the share is "
                               f"0.5, you found {found}")
### BEGIN HIDDEN TESTS
found = leak_share([0, 1], [2, 3], [5, 5, 6, 7])
assert found == 0, f"no group is in both sets, you found {found}: compare groups, not slices"
### END HIDDEN TESTS

# %% check="leak_slices"
found = leak_share([0, 4], [1, 2, 3, 5], [0, 0, 0, 0, 1, 2])
assert np.isclose(found, .75), (f"three of four validation slices leak, all of group 0: the share "
                                f"is 0.75, you found {found}: count slices, not groups")
### BEGIN HIDDEN TESTS
order = np.random.default_rng(0).permutation(240)
mine = float(leak_share(order[48:].tolist(), order[:48].tolist(), patients.tolist()))
right = np.isin(patients[order[:48]], patients[order[48:]]).mean()
assert np.isclose(mine, right), (f"on a random split of the sample the share is {right:.3f}, "
                                        f"you found {mine:.3f}: use the arguments")
### END HIDDEN TESTS

# %% [markdown]
# ## 5 Two sets, two transforms
#
# Lesson 2: training slices are randomly rotated and flipped (`train_transform`), validation
# slices are only normalised (`valid_transform`). So the two sets need two *data set objects*.
# Here is a small class of such objects. `Slices(store, indices, transform)` holds some slices of
# a store; its item `k` is the slice number `indices[k]` after the transform, and its class.

# %%
class Slices(Dataset):
    "Some slices of a store, prepared with a transform."
    def __init__(self, store, indices, transform):
        self.store, self.indices, self.transform = store, list(indices), transform

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, k):
        i = self.indices[k]
        return self.transform(self.store.pixels[i][None])[0], int(self.store.labels[i])


store = PixelStore(folder, size=64)
by_patient = make_split(folder, patients, seed=0)
stats = channel_stats([store.pixels[by_patient.train]])        # of the training set alone
everything = Slices(store, range(240), train_transform(stats))
print(f"{len(everything)} slices; the first: {list(everything[0][0].shape)}, "
      f"class {folder.classes[everything[0][1]]}")

# %% [markdown]
# Write `make_sets`: it returns the training set and the validation set of a split, each as an
# object with a length and items like those of `Slices`. (`split.train` and `split.valid` are
# lists of slices.)

# %% task="sets"
def make_sets(store, split, stats):
    "Training set and validation set of a split, for the network: two objects like `Slices`."
    ### BEGIN SOLUTION
    return (Slices(store, split.train, train_transform(stats)),
            Slices(store, split.valid, valid_transform(stats)))
    ### END SOLUTION
    ### BEGIN MISTAKE 1
    from torch.utils.data import Subset
    images = Slices(store, range(len(store)), train_transform(stats))
    return Subset(images, split.train), Subset(images, split.valid)
    ### END MISTAKE

# %% [markdown] hint="sets"
# Hint 1: how many objects
# Two: one with `split.train`, one with `split.valid`. `everything` above will not do: all its
# slices have one transform.

# %% [markdown] hint="sets"
# Hint 2: the training set
# `Slices(store, split.train, train_transform(stats))`. The validation set is written in the same
# way, with `split.valid` and `valid_transform(stats)`. Return both: `return first, second`.

# %% check="sets_slices"
learn, judge = make_sets(store, by_patient, stats)
for name, part, wanted in (("training", learn, by_patient.train),
                           ("validation", judge, by_patient.valid)):
    assert len(part) == len(wanted), (f"the {name} set holds {len(part)} slices, the split gives "
                                      f"it {len(wanted)}: return training set and validation set")
    labels = [int(part[k][1]) for k in range(len(part))]
    assert labels == [folder.targets[i] for i in wanted], (
        f"the classes in the {name} set are not those of its slices: take split.{name[:5]}")

# %% check="sets_random"
learn = make_sets(store, by_patient, stats)[0]
reads = [torch.as_tensor(learn[3][0]) for read in range(8)]
assert any(not torch.equal(reads[0], read) for read in reads), (
    "a training slice was the same in eight reads: it should be rotated and flipped anew each time "
    "(train_transform), so that the model does not only remember it")

# %% check="sets_same" mistakes="1"
judge = make_sets(store, by_patient, stats)[1]
changed = sum(not torch.equal(judge[k][0], judge[k][0]) for k in range(len(judge)))
assert changed == 0, (f"{changed} of {len(judge)} validation slices changed when they were read "
                      "again: they are randomly rotated and flipped, so each validation gives "
                      "another score. Make a second object, with valid_transform")

# %% check="sets_plain" mistakes="1"
judge = make_sets(store, by_patient, stats)[1]
plain = valid_transform(stats)(store.pixels[by_patient.valid])
same = sum(torch.allclose(torch.as_tensor(judge[k][0]), plain[k], atol=1e-5)
           for k in range(min(len(judge), len(plain))))
assert same == len(plain), (f"{same} of {len(plain)} validation slices are as they were taken, "
                            "only normalised; the others are rotated, flipped or not normalised, "
                            "and the score is measured on other slices than those of a clinic")
### BEGIN HIDDEN TESTS
other = channel_stats([store.pixels[:40]//2])
judge = make_sets(store, by_patient, other)[1]
plain = valid_transform(other)(store.pixels[by_patient.valid])
assert torch.allclose(torch.as_tensor(judge[0][0]), plain[0], atol=1e-5), (
    "with other statistics the validation slices should be normalised with these: use the argument "
    "`stats`")
### END HIDDEN TESTS

# %% [markdown]
# ## 6 An external test set
#
# A test folder from another place may hold slices that are in the training folder as well. Such
# a slice is *known*. It is not new, and neither are the other slices of its patient. Write
# `is_new`.

# %% task="new"
def is_new(known, groups):
    """Which slices of a test folder are new: one True or False per slice.

    known: a list, the numbers of those test slices that are in the training folder, too; may be
    empty;
    groups: a list, the group (patient) of each slice of the test folder.
    """
    ### BEGIN SOLUTION
    seen = {groups[i] for i in known}
    return [group not in seen for group in groups]
    ### END SOLUTION

# %% [markdown] hint="new"
# Hint 1: the same idea as in part 4
# Collect the groups of the known slices. A slice is new if its group is not among them.

# %% [markdown] hint="new"
# Hint 2: the lines
# `seen = {groups[i] for i in known}` and `return [group not in seen for group in groups]`.

# %% check="new_patient"
found = np.asarray(is_new([1], [0, 0, 1, 1, 2])).tolist()
assert found == [False, False, True, True, True], (
    f"slice 1 is known, and slice 0 is of the same patient: the other three are new, "
    f"you found {found}")
### BEGIN HIDDEN TESTS
assert np.asarray(is_new([], [0, 1, 1])).tolist() == [True]*3, (
    "if no slice is known, all are new: `known` may be empty")
found = np.asarray(is_new([5, 2], [0, 1, 1, 2, 3, 3, 3])).tolist()
assert found == [True, False, False, True, False, False, False], (
    f"two patients are known with all their slices, you found {found}")
### END HIDDEN TESTS

# %% [markdown]
# ## 7 From the lesson's exercises
#
# **Exercise 2.** Split the sample at random: `make_split(folder, find_groups(folder, "random"))`.
# Compute `random_leak`, the share of the validation slices that have a slice of their patient in
# the training set (`patients` holds the groups). Here you may use `leaks` or your `leak_share`.

# %% task="random_leak"
### BEGIN SOLUTION
by_chance = make_split(folder, find_groups(folder, "random"))
random_leak = leaks(by_chance, patients).share
### END SOLUTION

# %% [markdown] hint="random_leak"
# Hint 1: the result of `leaks`
# `leaks(split, patients)` gives three numbers with names: `groups`, `slices` and `share`. Which
# one is asked for?

# %% [markdown] hint="random_leak"
# Hint 2: the lines
# `by_chance = make_split(folder, find_groups(folder, "random"))`, then
# `random_leak = leaks(by_chance, patients).share`.

# %% check="random_leak_share"
assert .2 < random_leak < .8, (f"random_leak is {random_leak}: it is a share of slices, 0 to 1. "
                               "150 of 240 slices have a second one of their patient, and about "
                               "four of five of these second slices are in the training set")
### BEGIN HIDDEN TESTS
right = leaks(make_split(folder, find_groups(folder, "random")), patients).share
assert abs(random_leak - right) < 1e-3, (f"random_leak is {random_leak:.4f}, the random split with "
                                         f"seed 0 leaks {right:.4f}")
### END HIDDEN TESTS

# %% [markdown] answer="why_smaller"
# Why is the share smaller than in the lesson's folder?
#
# ### BEGIN SOLUTION
# A validation slice leaks if another slice of its patient is in the training set. In the sample,
# 90 of the 165 patients have one slice only: these cannot leak. The other patients have one more
# slice, which is in the training set with a probability of about 0.8. So we expect about 150/240
# × 0.8 = 0.5. In the lesson's folder (simulated, if you gave no other) each patient has four
# slices, and it is nearly certain that one of the others is in the training set. The more slices
# per patient, the more a random split leaks.
# ### END SOLUTION

# %% [markdown]
# **Exercise 3.** How many patients does each validation set of `k` folds hold, and how many
# slices are left for training? Write `fold_sizes` with `make_folds`. Try it with 3 and with 10
# folds.

# %% task="folds"
def fold_sizes(folder, groups, k):
    """Of each of `k` folds a pair: patients in the validation set, slices in the training set.

    The result is a list such as [(8, 90), …]; groups: an array, the patient of each
    slice.
    """
    ### BEGIN SOLUTION
    return [(len({groups[i] for i in fold.valid}), len(fold.train))
            for fold in make_folds(folder, groups, k)]
    ### END SOLUTION

# %% [markdown] hint="folds"
# Hint 1: one fold
# `make_folds(folder, groups, k)` gives a list of `k` splits, each with `train` and `valid`. Count
# the *different* patients of the slices in `valid`; a set, `{…}`, holds each only once.

# %% [markdown] hint="folds"
# Hint 2: the pair of one fold
# `(len({groups[i] for i in fold.valid}), len(fold.train))`. Collect these in a list, in a loop
# `for fold in make_folds(folder, groups, k)`.

# %% check="folds_patients"
found = [pair[0] for pair in fold_sizes(folder, patients, 3)]
assert len(found) == 3 and sum(found) == 165, (
    f"in 3 folds each of the 165 patients is validated once, you found {found}: count patients, "
    "not slices")
assert all(50 <= n <= 60 for n in found), f"about 55 patients per fold, you found {found}"
### BEGIN HIDDEN TESTS
found = [pair[0] for pair in fold_sizes(folder, patients, 10)]
assert len(found) == 10 and sum(found) == 165, (
    f"in 10 folds each of the 165 patients is validated once, you found {found}: use k")
### END HIDDEN TESTS

# %% check="folds_training"
found = [pair[1] for pair in fold_sizes(folder, patients, 3)]
assert len(found) == 3 and sum(found) == 480, (
    f"each of 240 slices is trained on in 2 of 3 folds, you found {found}: count the slices in "
    "`train`")
### BEGIN HIDDEN TESTS
found = [pair[1] for pair in fold_sizes(folder, patients, 10)]
assert len(found) == 10 and sum(found) == 2160, (
    f"each of 240 slices is trained on in 9 of 10 folds, you found {found}")
### END HIDDEN TESTS

# %% [markdown] answer="which_k"
# Which `k` gives more training slices, and what does it cost?
#
# ### BEGIN SOLUTION
# With k = 3 a validation set holds about 55 patients, and about 160 slices are left for training.
# With k = 10 it holds 16 or 17 patients, and about 216 slices are left: more, so each model is
# nearer to one that is trained on all slices. It costs ten trainings in place of three, and the
# score of a single fold is less certain, because it comes from fewer patients. (The score over
# all folds comes from the same 165 patients in both cases.)
# ### END SOLUTION

# %% [markdown] answer="flipped"
# **Exercise 1.** A slice and the same slice flipped from left to right are near-duplicates here.
# Give a reason for this rule, and one against it.
#
# ### BEGIN SOLUTION
# For it: public folders hold such copies, because pictures were flipped to have more of them. A
# flipped copy shows the same tumour of the same patient, and training flips its slices anyway. So
# a model knows the slice, and only has to remember. If two slices are joined that need not be, we
# lose a little freedom to split; if a copy is missed, the score is too good, and nothing warns
# us.
#
# Against it: a brain is nearly symmetric. At 48 × 48 pixels the heads of two patients may look
# alike when one is flipped, and then two patients are joined. And flipped slices are not the same
# for every question: whether the tumour is on the left or on the right differs.
# ### END SOLUTION

# %% [markdown] answer="independent"
# **Exercise 4.** A hospital sends ten slices of each of thirty patients. Somebody says: "we
# tested on 300 independent cases". What is wrong, and which number is right?
#
# ### BEGIN SOLUTION
# The ten slices of a patient share head, tumour and scanner: if a model is wrong on one of them,
# it is often wrong on the others. So they are not independent, and ten of them tell less than
# slices of ten patients. There are 30 independent cases, the patients; the right sentence is "300
# slices of 30 patients". An interval computed for 300 cases is too narrow: the patients must be
# counted.
# ### END SOLUTION
