# %% [markdown]
# # Solutions: the engine, from configuration to command
# > Short answers for those who work on the code
#
# For the teacher: solutions of the exercises of the notebooks `nbs/engine/05_config` to `40_cli`,
# each under the link to its notebook. Answers are short; most exercises have a cell that computes
# in seconds. All cells run offline. They use the sample of real slices that comes with the package,
# simulated slices, and made-up numbers. Where an answer would need a longer measurement, it says
# what is to be expected, and that it was not measured here.

# %%
import shutil
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import nn

from brain_tumor_nb.config import Config
from brain_tumor_nb.core import Section, Table
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data, resize_image
from brain_tumor_nb.predictions import Predictions

place = Path(tempfile.mkdtemp())
sample = MRIFolder(find_data("sample"))                 # real slices, three types of tumour
phantom = MRIFolder(find_data("phantom"))               # simulated slices, made once and kept

# %% [markdown]
# ## [Configuration](../../../nbs/engine/05_config.ipynb)

# %% [markdown]
# > 1. Which choices of `Config.tutorial()` and `Config.recommended(3064)` differ? Write the loop
# > that prints them.

# %%
tutorial, recommended = asdict(Config.tutorial()), asdict(Config.recommended(3064))
differ = [name for name in tutorial if tutorial[name] != recommended[name]]
for name in differ:
    print(f"{name:13} {tutorial[name]!s:10} {recommended[name]}")
assert len(differ) == 16 and "epochs" not in differ

# %% [markdown]
# Sixteen of 28. `epochs` is 10 in both: for 3,064 slices the recipe takes the most that it allows.
# Neither differs in what decides who is validated (`split`, `folds`, `valid`, `seed`), so that the
# two can be compared on the same slices.

# %% [markdown]
# > 2. Add a choice for label smoothing. Which places need a change?

# %%
logits, y = torch.tensor([[2., -1.], [0., 3.]]), torch.tensor([0, 1])
hard, smooth = (F.cross_entropy(logits, y, label_smoothing=s).item() for s in (0, .1))
soft_labels = F.cross_entropy(logits, F.one_hot(y, 2).float(), label_smoothing=.1).item()
assert hard < smooth and abs(smooth - soft_labels) < 1e-6
print(f"loss {hard:.3f}, smoothed {smooth:.3f}, smoothed with the soft labels of mixup the same")

# %% [markdown]
# A field of `Config` with the default 0, so that older `config.json` files are still read; its
# range in `_RANGES`; and the loss in `train_epoch`, which gets the number from `fit`. `validate`
# stays as it is, or validation losses of two runs could no longer be compared. A head alone is a
# logistic regression of scikit-learn and would ignore the choice: refuse it in
# `FrozenHead.check_choices`. An option of `btnb train` is needed only if the command line shall
# have it; a sweep takes any field of `Config`.

# %% [markdown]
# ## [History](../../../nbs/engine/05_history.ipynb)

# %% [markdown]
# > 1. Why are `seconds` not a column of `history.csv`?
#
# They differ each time, and `history.csv` of two runs with one seed must be equal to the byte: then
# a single comparison of files says whether a run can be repeated. So the times stand in
# `timing.csv`.

# %% [markdown]
# > 2. Make a history whose least validation loss and best accuracy are in different epochs. Which
# > would you keep?

# %%
from brain_tumor_nb.history import History

made_up = History()
for loss, accuracy in ((.60, .70), (.45, .80), (.50, .84), (.70, .86), (.95, .85)):
    made_up.add(.6, loss, accuracy, lr=1e-3)
best = {keep: made_up.best(keep) + 1 for keep in ("loss", "accuracy", "last")}
assert best == dict(loss=2, accuracy=4, last=5)
best

# %% [markdown]
# The second epoch has the least loss, the fourth the best accuracy: a network that becomes too sure
# of itself pays for each mistake in the loss, while its classes may still improve. Keep the least
# loss where the probabilities are used, and it is the less noisy of the two. Best is to fix the
# number of epochs beforehand and to keep the last: then nothing was chosen on the validation set,
# and its score is not a little too good.

# %% [markdown]
# ## [Predictions](../../../nbs/engine/05_predictions.ipynb)

# %% [markdown]
# > 1. Save a table from a spreadsheet in your language. Which of the messages do you get?
#
# It depends on language and menu entry; these files are written as spreadsheets write them.

# %%
rows = "path,label,fold,prob_no,prob_yes\nno/1.png,no,0,0.8,0.2\nyes/ü.png,yes,0,0.1,0.9\n"
saved = {"CSV in German": rows.replace(",", ";").replace("0.", "0,").encode(),
         "CSV in Windows' Latin letters": rows.encode("cp1252"),
         "CSV in Chinese (GBK)": rows.replace("ü", "肿瘤").encode("gbk"),
         "Unicode text": rows.replace(",", "\t").encode("utf-16"),
         "workbook": b"PK\x03\x04 and so on",
         "CSV UTF-8": rows.encode("utf-8-sig")}
said, file = {}, place/"table.csv"
for how, content in saved.items():
    file.write_bytes(content)
    try:
        said[how] = str(Predictions.load(file))
    except ValueError as e:
        said[how] = str(e).replace(str(file), file.name)
    print(f"{how}: {said[how]}")
for how, words in zip(saved, ("semicolons", "not in UTF-8", "not in UTF-8", "UTF-16", "workbook",
                              "2 right")):
    assert words in said[how]

# %% [markdown]
# Only "CSV UTF-8" with commas is accepted, the mark at its start included. Where the decimal sign
# is a comma, cells are separated by semicolons. "Perhaps in Latin-1" is a guess: a file in GBK gets
# the same line, and the way out is the same. Rarely a file in GBK is accepted, with a wrong path:
# the two bytes of 图 (picture) happen to be valid UTF-8.

# %% [markdown]
# > 2. A table has the classes `healthy` and `normal`. Which is positive, and what would you rename?

# %%
from brain_tumor_nb.predictions import merge_classes, positive_class

both_absent = Predictions(["a.png"], ["normal"], ("healthy", "normal"), np.array([[.3, .7]]), [0])
renamed = merge_classes(both_absent, {"healthy": "no"})
assert positive_class(both_absent.classes) == 1 and positive_class(("no", "tumour")) == 1
renamed.classes

# %% [markdown]
# `normal`, as the second of the two: both are named like an absence, so the names do not decide,
# and a sensitivity would be that of finding normal slices. First find out what the classes mean. If
# one of them holds slices with a tumour, rename it to what is there, such as `tumour`; renaming the
# other changes nothing. If both are the same, there is no question to score.

# %% [markdown]
# ## [Checkpoints](../../../nbs/engine/06_checkpoints.ipynb)

# %% [markdown]
# > 1. Why are two checkpoints kept, and not one? Which moment is dangerous with one?
#
# Because damage is noticed only when a file is read. With one, the dangerous moment begins when the
# old checkpoint has been removed: if the new one then turns out to be damaged (a disk that had not
# written all of it when the power failed, a bit that flipped), the whole training is lost. With
# two, it is one epoch. Writing under another name and renaming, which we do as well, only protects
# from a file that is half written.

# %% [markdown]
# > 2. How large is a checkpoint beside `model.safetensors`, and what is the rest?

# %%
from brain_tumor_nb.checkpoints import checkpoints, save_checkpoint
from brain_tumor_nb.model import create_model
from brain_tumor_nb.training import State, copy_weights, make_optimizer

def checkpoint_ratio(optimizer):
    "Size of a checkpoint after one step, in units of `model.safetensors`."
    run, net = place/optimizer, create_model("mobilenet_v3_small", 2, "none", 32)
    run.mkdir()
    state = State(net, *make_optimizer(net, Config(optimizer=optimizer), steps=1))
    net(torch.zeros(2, 3, 32, 32)).sum().backward()
    state.opt.step()
    state.best = copy_weights(net)
    state.history.add(.7, .6, .5, 1e-4)
    save_checkpoint(run, state)
    return checkpoints(run)[0].stat().st_size/(run/"model.safetensors").stat().st_size

ratios = {optimizer: checkpoint_ratio(optimizer) for optimizer in ("sgd", "adamw")}
print({optimizer: f"{ratio:.2f}" for optimizer, ratio in ratios.items()})
assert 2.9 < ratios["sgd"] < 3.1 and 3.9 < ratios["adamw"] < 4.1

# %% [markdown]
# Three times as large with SGD, four times with AdamW: the weights of now, those of the best epoch,
# and one number per weight for the momentum of SGD, or two for AdamW (mean of the gradients and of
# their squares). Schedule and history are a few kilobytes. Where only the later blocks learn, the
# optimizer holds less.

# %% [markdown]
# ## [DeLong's interval](../../../nbs/engine/06_delong.ipynb)

# %%
from brain_tumor_nb.delong import delong

i = np.arange(60)
truth = i % 5 < 3
one = (truth*.8 + np.sin(i*1.7) + .3*np.cos(i*.31)).round(1)

def pretend(y, score):
    "Predictions of two classes."
    names = [f"{k:03}.png" for k in range(len(y))]
    labels = [("no", "yes")[int(v)] for v in y]
    return Predictions(names, labels, ("no", "yes"), np.stack([1 - score, score], 1), [0]*len(y))

def width(m):
    "Of an interval."
    return m["high"] - m["low"]

# %% [markdown]
# > 1. Give every slice of `pretend(y, one)` to one of ten groups at random. How much does the
# > interval change, and why so little?

# %%
rng = np.random.default_rng(0)
alone = width(delong(pretend(truth, one)))
drawn = [width(delong(pretend(truth, one), rng.integers(0, 10, 60))) for _ in range(200)]
low, middle, high = np.quantile(drawn, (.1, .5, .9))/alone
print(f"width {alone:.3f} without groups; with ten at random {middle:.2f} times that, in eight of "
      f"ten draws {low:.2f} to {high:.2f} times")
assert .95 < middle < 1.2 and low > .6 and high < 1.6

# %% [markdown]
# In the middle of 200 draws it becomes 1.07 times as wide, and single draws lie mostly between 0.80
# and 1.39 times. Slices that were put together at random do not resemble each other, so their parts
# of the error cancel as before, and the standard error is the same but for chance. Seven percent
# are left because Student's t of ten groups is larger than that of sixty. Groups widen an interval
# when their slices are alike.

# %% [markdown]
# > 2. How many patients are needed until the interval of an AUROC of 0.9 is no wider than 0.05?
# > (Simulate.)

# %%
def median_width(n, repeats=40):
    "Of the interval, with n patients of one slice each, half of them with a tumour; AUROC 0.9."
    y, rng = np.arange(n) % 2 == 1, np.random.default_rng(n)
    return np.median([width(delong(pretend(y, rng.normal(1.812*y, 1)))) for _ in range(repeats)])

widths = {n: median_width(n) for n in (100, 200, 400, 550, 600, 800)}
print({n: f"{w:.3f}" for n, w in widths.items()})
assert widths[400] > .055 and widths[600] < .05

# %% [markdown]
# About 560, half of them with a tumour: with 550 the interval is 0.051 wide in the middle of 40
# simulations, with 600 it is 0.048. The width falls with the square root of the number, so half the
# width needs four times as many. If one class is rare, more are needed in all. More slices of the
# same patients help much less.

# %% [markdown]
# ## [Familiar](../../../nbs/engine/07_familiar.ipynb)

# %% [markdown]
# > Take the first neighbour in place of the fifth, and give `train` one slice of the cluster `far`.
# > What happens?

# %%
from brain_tumor_nb.familiar import fit_familiar

generator = torch.Generator().manual_seed(0)
def cluster(n, centre): return centre + torch.randn(n, 20, generator=generator)
a, b = 4*torch.randn(2, 20, generator=generator)
train = torch.cat([cluster(200, a), cluster(200, b)])
held = torch.cat([cluster(100, a), cluster(100, b)])
far = cluster(101, -a - b)
called = {}
for neighbour in (5, 1):
    for strays in (0, 1):
        with mock.patch("brain_tumor_nb.familiar.NEIGHBOUR", neighbour):
            familiar = fit_familiar(torch.cat([train, far[:strays]]), held)
            called[neighbour, strays] = (familiar.distance(far[1:]) > familiar.limit).mean()
        print(f"neighbour {neighbour}, {strays} far slices known: "
              f"{called[neighbour, strays]:.0%} of the others called unfamiliar")
assert called[5, 0] == called[5, 1] == called[1, 0] == 1 and called[1, 1] < .2

# %% [markdown]
# With the first neighbour, the one stray slice makes its whole cluster familiar: 8 % of it are
# called unfamiliar in place of 100 %. With the fifth nothing changes, because four neighbours must
# agree with it. One mislabelled or foreign slice in a training set is no rare thing.
