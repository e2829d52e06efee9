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

# %% [markdown]
# ## [Learners](../../../nbs/engine/07_learners.ipynb)

# %% [markdown]
# > 1. Write a third learner in a dozen lines: the class frequencies of the training set, whatever
# > the slice. Which of `prepare`, `train` and `probabilities` can it leave empty?

# %%
from brain_tumor_nb.learners import Learner, make_learner, predict_split
from brain_tumor_nb.splitting import Split, find_groups, make_split

class Frequencies(Learner):
    "The class frequencies of the training set, whatever the slice."
    kind = plan = "class frequencies"

    def prepare(self, pixels):
        return pixels

    def train(self, store, split, *args, **kwargs):
        counts = torch.bincount(store.labels[split.train], minlength=len(self.classes))
        self.shares, self.trained = (counts/counts.sum()).double().numpy(), True
        return History()

    def probabilities(self, prepared, batch_size=None):
        return np.tile(self.shares, (len(prepared), 1))

split = make_split(sample, find_groups(sample))
learner = Frequencies(Config(size=32), tuple(sample.classes))
learner.train(PixelStore(sample, 32), split)
guessed = predict_split(learner, PixelStore(sample, 32), split)
assert np.ptp(guessed.probs, 0).max() == 0 and delong(guessed)["value"] == .5
guessed

# %% [markdown]
# None of them quite: `prepare` returns the pixels, because `probabilities` must know how many
# slices there are; nothing is computed in it. The AUROC is 0.5, as no slice is ranked above
# another. To be saved, exported or asked what is familiar it would need a network (`model`,
# `features`), which it has not.

# %% [markdown]
# > 2. How long do `prepare` and `fit_head` take for 1,000 slices, and how long one epoch of
# > fine-tuning?
#
# The cell measures few slices at 224 pixels and multiplies; your seconds will be others.

# %%
from brain_tumor_nb.learners import fit_head

def seconds(call):
    "How long a call takes."
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

few = PixelStore(sample, 224, "pad")
frozen = make_learner(Config.recommended(freeze=True), sample.classes)
frozen.prepare(few.pixels[:8])                          # loads the network
y = torch.arange(1000) % 3
part = Split(list(range(800)), list(range(800, 1000)), [], [], 0, "")
tuned = make_learner(replace(Config.recommended(3064), epochs=1), sample.classes)
some = Split(list(range(0, 240, 15)), [1, 81, 161], sample.paths, list(range(240)), 0, "")
tuned_history = tuned.train(few, some, progress=False)
took = dict(prepare=seconds(lambda: frozen.prepare(few.pixels[:16]))*1000/16,
            fit_head=seconds(lambda: fit_head(nn.Linear(1280, 3), torch.randn(1000, 2, 1280), y,
                                              part)),
            epoch=tuned_history.rows[0]["seconds"]*1000/16)
assert took["fit_head"] < min(took["prepare"], took["epoch"])
print({name: f"{s:.1f} s" for name, s in took.items()})

# %% [markdown]
# On one core of a busy machine, in two tries: 84 and 104 s for `prepare` (two views of each slice),
# less than a second for `fit_head`, 84 and 137 s for an epoch. What counts is how often: features
# are computed once for all folds, and five folds of ten epochs are fifty epochs.

# %% [markdown]
# ## [Folds as jobs](../../../nbs/engine/08_parallel.ipynb)

# %% [markdown]
# > 1. With how many jobs are five folds quickest on your machine? Why not with five?
#
# It was not measured here. If twice the threads halved the time, jobs would gain nothing:

# %%
times = {}
for cores in (2, 4, 8):
    for jobs in (1, 2, 3, 5):
        rounds, threads = -(-5//jobs), max(1, cores//jobs)
        times[cores, jobs] = rounds/threads*max(1, jobs*threads/cores)
    print(f"{cores} cores:", ", ".join(f"{jobs} jobs {times[cores, jobs]:.2f}"
                                       for jobs in (1, 2, 3, 5)))
assert all(times[cores, 1] <= times[cores, jobs] for cores, jobs in times)

# %% [markdown]
# (In units of one fold on one thread.) Threads do not scale like that: a small network leaves most
# of eight threads waiting, and there jobs win. To be expected, not measured: one job for a large
# network or on two cores, several jobs for a small network on many cores. Against five speak that
# cores which are no multiple of five stay idle or are shared; that each job is a process which
# imports torch (seconds), copies the pixels and holds a network; and that all of them share the
# bandwidth of the memory. A time that was measured once is no answer: repeat it, in turns.

# %% [markdown]
# ## [Portable](../../../nbs/engine/08_portable.ipynb)
#
# Two runs of the head alone on the sample, in two folds, which differ in the seed; the first is
# exported. They serve several exercises below.

# %%
from brain_tumor_nb.export import export_onnx
from brain_tumor_nb.runs import train_run

config = Config.recommended(freeze=True, views=1, size=64, folds=2)
runs = [train_run("sample", place/f"seed {seed}", replace(config, seed=seed), judges=())
        for seed in (0, 1)]
exported = export_onnx(runs[0].path, place/"run.onnx")

# %% [markdown]
# > 1. Open an exported run in [Netron](https://netron.app). Where are the folds, and where the
# > words beside them?
#
# The package `onnx` reads what Netron shows:

# %%
import onnx

model = onnx.load(exported)
tensors = [t.name for t in model.graph.initializer]
beside = {p.key: p.value for p in model.metadata_props}
print([name for name in tensors if "head" in name or "strange" in name])
print(beside["classes"], beside["purpose"])
assert sum(name.startswith("networks.heads.") for name in tensors) == 4
assert sum(name.startswith("strange.") for name in tensors) == 2 and beside["networks"] == "2"

# %% [markdown]
# The folds are branches that start from the same input and meet near the end, where their mean is
# taken. Of a run that was fine-tuned each is a whole network (`networks.nets.0`, `1`, …); here both
# share one body, and only the heads (`networks.heads.0`, `1`) and the familiar slices (`strange.0`,
# `1`) are there twice. The words are no part of the graph: they are `metadata_props` of the model,
# which Netron shows among the properties of the model.

# %% [markdown]
# > 2. `_check_shapes` cannot know whether the classes are in their right order. Who could have
# > exchanged them, and how would you notice?

# %%
import json

from brain_tumor_nb.portable import Portable

def accuracy(file):
    "Of an exported run on every fourth slice of the sample; each network was trained on half."
    net, at = Portable(file), range(0, 240, 4)
    squares = [resize_image(sample.load(k), net.size, net.framing) for k in at]
    said = net.look(squares)[0].argmax(1)
    return np.mean([net.classes[c] == sample.classes[sample.targets[k]] for c, k in zip(said, at)])

for fact in model.metadata_props:
    if fact.key == "classes":
        fact.value = json.dumps(sample.classes[1:] + sample.classes[:1])
(place/"exchanged.onnx").write_bytes(model.SerializeToString())
right = {file.stem: accuracy(file) for file in (exported, place/"exchanged.onnx")}
print({name: f"{share:.0%}" for name, share in right.items()})
assert right["run"] > .8 and right["exchanged"] < .15

# %% [markdown]
# Whoever has the file: the words can be changed without touching the network, by mistake or on
# purpose, and the file is accepted. So can a program that writes such a file itself. To notice it,
# predict slices whose class is known. On slices of its training the run is right for 92 %; with the
# classes moved by one for 5 %. Far less than a third is the sign: a network that has learnt nothing
# is right for about a third of three classes. A hash of the file, published where the file is not,
# would show any change.

# %% [markdown]
# ## [Runs](../../../nbs/engine/09_runs.ipynb)

# %% [markdown]
# > 1. Train two runs that differ in the seed alone. By how much does the accuracy differ, and does
# > each lie in the other's interval?

# %%
first, second = (run.metrics["accuracy"] for run in runs)
for m in (first, second):
    print(f"accuracy {m['value']:.3f} ({m['low']:.3f} to {m['high']:.3f})")
assert abs(first["value"] - second["value"]) < .05
assert first["low"] < second["value"] < first["high"]
assert second["low"] < first["value"] < second["high"]

# %% [markdown]
# 0.654 and 0.646: two slices of 240, and each lies in the other's interval (0.591 to 0.719, 0.583
# to 0.713). The interval says how much other patients would change the score. The seed changes the
# folds (and, where a network is fine-tuned, first weights, order and augmentation), which the
# interval does not contain; on so few slices the patients matter more. Do not choose the better
# seed.

# %% [markdown]
# > 2. Evaluate a run on the four-class simulated set without a mapping. Does the error say all you
# > need?

# %%
from brain_tumor_nb.phantom import phantom_folder
from brain_tumor_nb.runs import check_classes

four = MRIFolder(phantom_folder(classes=("glioma", "meningioma", "notumor", "pituitary"),
                                subjects=12, slices=2, seed=7))
mapping, said = {}, []
for name in ("glioma", "meningioma", "notumor", "pituitary"):
    try:
        check_classes(("no", "yes"), four, mapping)
    except ValueError as e:
        said.append(str(e).replace(str(four.root), "FOLDER"))
    mapping[name] = "no" if name == "notumor" else "yes"
check_classes(("no", "yes"), four, mapping)             # now all have a name
print(*said, sep="\n")
assert len(said) == 4 and all(f"name it with --map {name}=no" in line
                              for name, line in zip(mapping, said))

# %% [markdown]
# It says which class is unknown, which classes the run has, and how a mapping is written. It names
# one class at a time, so whoever answers one by one meets it four times; and its example,
# `glioma=no`, shows the form and not the answer. What is needed is `--map
# glioma=yes,meningioma=yes,pituitary=yes,notumor=no`: which name belongs to which only a reader can
# know.

# %% [markdown]
# > 3. Write a judge that warns when a class has fewer than ten subjects.

# %%
def judge_subjects(run, folder):
    "Whether each class has ten subjects or more."
    pred = run.predictions
    counts = {c: len(set(pred.groups[pred.y == k].tolist())) for k, c in enumerate(pred.classes)}
    few = [c for c, n in counts.items() if n < 10]
    warning = f"Caution: fewer than ten subjects of {', '.join(few)}."*bool(few)
    return Section("subjects", "Subjects", [warning]*bool(few),
                   [Table(["class", "subjects"], [[c, str(n)] for c, n in counts.items()])],
                   facts=counts, warning=warning, weight=2*bool(few))

whole = judge_subjects(runs[0], sample)
runs[0].predicted = runs[0].predictions[range(150, 240)]        # as if the rest were not there
cut = judge_subjects(runs[0], sample)
runs[0].predicted = None
print(whole.facts, cut.facts, cut.warning)
assert not whole.warning and "glioma" in cut.warning and cut.weight == 2

# %% [markdown]
# The groups of the predictions are subjects only where the folder tells them or the slices were
# split by patients; a judge that is exact says *groups*. `train_run(…, judges=[…])` asks it.

# %% [markdown]
# ## [The page of an audit](../../../nbs/engine/10_audit_page.ipynb)
#
# A folder of simulated slices whose name has 200 characters.

# %%
from brain_tumor_nb import audit_page
from brain_tumor_nb.audit import audit

heads = Path(phantom.root)

def take(root, numbers):
    "Copy one slice of each of these simulated subjects, of both classes."
    for c in ("no", "yes"):
        (root/c).mkdir(parents=True)
        for n in numbers:
            shutil.copy(heads/c/f"{c}{n:03d}_1.png", root/c)
    shutil.copy(heads/"README.txt", root)
    return MRIFolder(root)

long_name = "n"*200
named = take(place/long_name, range(8))
facts = audit(named)

# %% [markdown]
# > 1. Add a section that lists the ten smallest files. Which function must know of it?

# %%
sizes = sorted((Path(file).stat().st_size, Path(file).relative_to(named.root).as_posix())
               for file, _ in named.samples)
facts["smallest"] = sizes[:10]          # its place would be in `audit`

def smallest_section(a):
    "The ten smallest files."
    rows = [[file, f"{n:,}"] for n, file in a["smallest"]]
    return Section("smallest", "Ten smallest files", [], [Table(["file", "bytes"], rows)])

plain = audit_page._sections
with mock.patch.object(audit_page, "_sections", lambda a: [*plain(a), smallest_section(a)]):
    text = audit_page.audit_text(facts)
    page = audit_page.write_audit(facts, named, place/"audit.html").read_text(encoding="utf-8")
assert "Ten smallest files" in text and "Ten smallest files" in page

# %% [markdown]
# `_sections`, which text and page both ask: a section that it returns appears in both. And `audit`
# must collect the fact, because the page looks at no file of the folder; a section must also bear
# facts that were written before it existed, so it is left out where `smallest` is missing.

# %% [markdown]
# > 2. Give a folder a name of 200 characters. What does the page show?

# %%
print(f"the name stands in the page {page.count(long_name)} times; "
      f"the first line of the text has {len(text.splitlines()[0])} characters")
assert page.count(long_name) == 3 and long_name in text.splitlines()[0]

# %% [markdown]
# All of it, three times: in the title of the window, in the heading, and in the first row of the
# summary. In cells of tables a long word is broken (`overflow-wrap: anywhere`). The heading has no
# such rule, so one word of 200 letters makes the page wider than the window (4,572 pixels in
# chromium, where the window had 1,000), and a reader must scroll sideways; a name with spaces or
# hyphens wraps.

# %% [markdown]
# ## [Manifests](../../../nbs/engine/10_manifests.ipynb)

# %% [markdown]
# > 1. Change one pixel of one slice of a set and save it again. What does `known_set` call it?

# %%
from brain_tumor_nb.known import known_set
from brain_tumor_nb.manifests import write_manifest

published = take(place/"published", range(8, 16))
tables = {"published": write_manifest(published, place/"published.csv")}
take(place/"changed", range(8, 16))
file = place/"changed/no/no008_1.png"
pixels = np.array(Image.open(file))
pixels[100,100] ^= 255
Image.fromarray(pixels).save(file)
known = known_set(MRIFolder(place/"changed"), tables=tables)
assert known["alike"] == ["no/no008_1.png"] and not known["changed"] and known["same"]
print({key: known[key] for key in ("alike", "changed", "same")}, len(known["identical"]))

# %% [markdown]
# *Alike*, and the folder is still the whole set: the bytes differ, but the hash of the picture,
# which is made of a small blurred copy, does not. That is meant so, because copies at another size
# or saved as JPEG shall be recognised. *Changed* is only what shows another picture.

# %% [markdown]
# > 2. Why does the manifest hold groups as well as folds?
#
# A fold says who is held out together, not who belongs together within it. Groups are needed for
# intervals, which draw patients and not slices; for another number of folds or a smaller training
# set; and to check that no group lies in two folds.

# %% [markdown]
# ## [Features](../../../nbs/engine/11_features.ipynb)
#
# Every twelfth slice of the sample.

# %%
from brain_tumor_nb.features import NEAR, nearest_training, picture_features, small_pictures

every = [sample.load(k) for k in range(0, len(sample), 12)]

def described(im):
    "Its features, see `picture_features`."
    return picture_features(small_pictures(im))

# %% [markdown]
# > 1. Crop a copy of a slice by a tenth on each side. What is its correlation with the original?

# %%
apart = [Split([0], [1], ["a", "b"], [0, 1], 0, "")]

def cropped(im):
    "Without a tenth on each side."
    w, h = im.size
    return im.crop((round(.1*w), round(.1*h), round(.9*w), round(.9*h)))

def likeness(im):
    "Correlation of a slice and its cropped copy, as `nearest_training` finds it."
    two = [described(im), described(cropped(im))]
    return nearest_training({k: np.stack([t[k] for t in two]) for k in two[0]}, apart).likeness[0]

found = np.array([likeness(im) for im in every])
print(f"middle {np.median(found):.2f}, from {found.min():.2f} to {found.max():.2f}; "
      f"above {NEAR}: {(found > NEAR).sum()} of {len(found)}")
assert .4 < np.median(found) < .7 and found.min() < .2 and found.max() > .99

# %% [markdown]
# 0.53 in the middle of 20 slices, from −0.05 to 1.00, and above the threshold of 0.94 for four. If
# the margin is dark and wider than a tenth, `crop_to_head` makes both pictures the same, and the
# correlation is 1. If the cut goes through the head, the rest is enlarged and the details no longer
# lie on each other. So no warning does not mean that there is no cropped copy.

# %% [markdown]
# > 2. Rotate a slice by 3° and compute both its HOG and its thumbnail. Which of the two changes
# > less?

# %%
def change(im, name):
    "Length of the difference after a rotation by 3°, as a share of the length."
    a, b = (described(x)[name] for x in (im, im.rotate(3, Image.Resampling.BILINEAR)))
    return np.linalg.norm(a - b)/np.linalg.norm(a)

changes = {name: np.array([change(im, name) for im in every]) for name in ("hog", "thumbnail")}
print({name: f"{np.median(c):.2f}" for name, c in changes.items()})
assert (changes["thumbnail"] < changes["hog"]).all()

# %% [markdown]
# The thumbnail: it changes by 0.15 of its length, HOG by 0.31, and so for each of the 20 slices. A
# thumbnail of 32 pixels is so coarse that most of its pixels keep their grey. HOG describes the
# directions of edges, and a rotation changes just these: 3° is a small part of its bins of 20°, but
# edges move between cells, too. Which of the two a classifier minds more, this does not say.

# %% [markdown]
# ## [Sweeps](../../../nbs/engine/16_sweep.ipynb)

# %% [markdown]
# > 1. Write a plan that compares three learning rates with two seeds each. How many cells has it?

# %%
from brain_tumor_nb.sweep import read_plan

(place/"plan.toml").write_text("[grid]\nlr = [0.0005, 0.001, 0.002]\nseed = [0, 1]\n")
cells = read_plan(place/"plan.toml", slices=3064)
print(*(cell.name for cell in cells), sep="\n")
assert len(cells) == 6 and {cell.config.folds for cell in cells} == {5}

# %% [markdown]
# Six, each in five folds: thirty networks. `only = [0]` under `[all]` trains one fold of each.

# %% [markdown]
# > 2. Why do the folds come from another seed than the training?
#
# So that all cells are compared on the same slices. If the seed of the training also drew the
# folds, two seeds would differ in their patients as well, and nobody could say how much of a
# difference comes from first weights and order. With the same folds cells can also be compared
# slice by slice.

# %% [markdown]
# ## [Activations](../../../nbs/engine/23_activations.ipynb)

# %% [markdown]
# > 1. Which layers does `place_layers` find in `densenet121` with `n=3`? How many rows have they
# > for slices of 224 pixels?

# %%
from brain_tumor_nb.activations import layer_gradients, place_layers

net, x = create_model("densenet121", 3, "none", 224).eval(), torch.zeros(1, 3, 224, 224)
name_of = {module: name for name, module in net.named_modules()}
layers = [name_of[layer] for layer in place_layers(net, x, 3)]
sides = [v.shape[2] for v, _ in layer_gradients(net, x, torch.tensor([0]), 3)]
print(dict(zip(layers, sides)))
assert layers == ["features", "features.transition3.conv", "features.transition2.conv"]
assert sides == [7, 14, 28]

# %% [markdown]
# `features` as a whole, with 7 rows, and the convolutions of the third and second transition, with
# 14 and 28. In a transition a pooling halves the rows after the convolution; the pooling itself has
# no weights and does not count.

# %% [markdown]
# > 2. Sum the gradients of the last layer over all classes. Why is the sum of the gradients of the
# > *probabilities* zero?

# %%
class Probabilities(nn.Module):
    "A network with probabilities in place of logits."
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x).softmax(1)

net = create_model("resnet18", 3, "none", 64, seed=0).eval()
x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
sums = {}
for name, outputs in dict(logits=net, probabilities=Probabilities(net)).items():
    each = [layer_gradients(outputs, x, torch.tensor([c]))[0][1] for c in range(3)]
    sums[name] = float(sum(each).abs().max()/max(g.abs().max() for g in each))
    print(f"{name}: sum {sums[name]:.1g} of the largest single gradient")
assert sums["logits"] > .1 and sums["probabilities"] < 1e-4

# %% [markdown]
# The probabilities of all classes add up to 1 whatever the layer gives, and the gradient of a
# constant is zero: what speaks for one class speaks against the others. Logits have no such sum, so
# their gradients may all point in one direction, which no probability would notice.

# %% [markdown]
# ## [Looks](../../../nbs/engine/23_looks.ipynb)

# %%
from collections import Counter

from brain_tumor_nb.looks import look_table, noise_level

# %% [markdown]
# > 1. Blur a slice of the sample and measure its noise again.

# %%
im = sample.load(0)
noise = {r: noise_level(im.filter(ImageFilter.GaussianBlur(r))) for r in (0, .5, 1, 2)}
print({r: f"{n:.3f}" for r, n in noise.items()})
assert list(noise.values()) == sorted(noise.values(), reverse=True) and noise[2] < noise[0]/3

# %% [markdown]
# It falls from 0.051 to 0.036, 0.013 and 0.008 with a blur of 0.5, 1 and 2 pixels. So a low value
# does not mean a good picture: reconstruction, enlarging and JPEG blur as well. And what is left at
# the end is structure, not noise: edges of the skull are no plane either.

# %% [markdown]
# > 2. Which slices of the sample have the least contrast, and are they of one class?

# %%
looks = look_table(sample)
contrast = np.array([look["contrast"] for look in looks])
least = np.argsort(contrast)[:24]
print([f"{sample.paths[k]} {contrast[k]:.3f}" for k in least[:5]])
print(Counter(sample.classes[sample.targets[k]] for k in least),
      Counter(looks[k]["plane"] for k in least))
middle = {c: np.median(contrast[np.array(sample.targets) == k])
          for k, c in enumerate(sample.classes)}
print({c: f"{m:.2f}" for c, m in middle.items()})
assert all(sample.targets[k] == sample.classes.index("glioma") for k in least)
assert middle["glioma"] < .5 < 1 < min(middle["meningioma"], middle["pituitary"])

# %% [markdown]
# All of the 24 with the least contrast are gliomas, from all three planes; 1943, 2644 and 0834 have
# less than 0.01. In the middle a glioma has 0.29, a meningioma 1.14, a tumour of the pituitary
# 1.16. The last two take up contrast agent as a whole, a glioma often only at its edge, with a dark
# core: its mean can be that of the tissue around it although the tumour is easily seen.

# %% [markdown]
# ## [Explorer](../../../nbs/engine/24_explorer.ipynb)

# %%
from brain_tumor_nb.explorer import training_views, window_limits

# %% [markdown]
# > 1. Find a window in which the tumour of `glioma/0209.png` stands out. Does it serve the next
# > slice?

# %%
black, white = window_limits(65, 60)
inside = {}
for k in (0, 1, 2, 80):
    grey, tumour = np.asarray(sample.load(k)), sample.mask(k)
    inside[sample.paths[k]] = np.mean((grey[tumour] > black) & (grey[tumour] < white))
    print(f"{sample.paths[k]}, subject {sample.manifest[sample.paths[k]]['subject']}: "
          f"{inside[sample.paths[k]]:.0%} of the tumour's pixels within the window")
assert inside["glioma/0209.png"] > .9 and inside["meningioma/0010.png"] < .3

# %% [markdown]
# For example level 65, width 60: nearly all grey values of the tumour (51 to 83) are spread from
# black to white, and it is seen darker than the other side of the brain, where the whole scale
# shows almost nothing. It serves the next slice (0716, the same patient) except for its bright
# core, of which 13 % of the tumour's pixels become white. The one after that is another patient's,
# and only 58 % lie within; of a meningioma 13 %. Values of MRI have no unit: look at the histogram
# again for each patient.

# %% [markdown]
# > 2. `explore(sample, Config(degrees=180))`: which of the heads could not lie like that in a
# > scanner?

# %%
titles = training_views(sample, 0, Config(degrees=180), 0, range(7))[1][1:]
angles = [int(title.split(": ")[1].split("°")[0]) for title in titles]
print(angles, [angle for angle in angles if abs(angle) > 30])
assert len(angles) == 7 and max(map(abs, angles)) > 90

# %% [markdown]
# All that are rotated by much more than some 20°: a patient lies on the back and the head is held
# by the coil. Of the seven shown for the first slice these are the three of +126°, +173° and +71°.
# A head on its side or prone is possible, but rare. Flipped ones look like heads that may lie so,
# as a brain is nearly symmetric; whether left is right is then lost. Training with 180° asks a
# network to know heads that it will never be shown.

# %% [markdown]
# > 3. Add a `Choice` of the framing to `explore`, and open a folder whose slices are not square,
# > such as `phantom`. Which framing loses the forehead?
#
# In `show`: `framing = pick(Choice("framing", ("crop", "pad", "squash", "widen"),
# config.framing))`, and `replace(config, framing=framing)` for `training_views`. What `crop` cuts
# off:

# %%
tall = [im for im in map(phantom.load, range(len(phantom))) if im.height > im.width]
lost = []
for im in tall:
    pixels = np.asarray(im)
    top = np.flatnonzero((pixels > pixels.max()/10).mean(1) > .02)[0]      # first row of the head
    lost.append(max(0, round((im.height - im.width)/2) - int(top)))
print(f"{np.count_nonzero(lost)} of {len(lost)} tall slices lose rows of the forehead with crop, "
      f"up to {max(lost)}")
assert 0 < np.count_nonzero(lost) < len(lost) and 5 < max(lost) < 30
assert {im.size for im in map(sample.load, range(len(sample)))} == {(192, 192)}

# %% [markdown]
# `crop`, where a slice is taller than wide: 46 of 128 lose rows of the forehead, up to 15 (and the
# back of the head with them); most have margins wide enough. `pad` and `squash` lose nothing.
# `widen` keeps all rows and may cut columns at the sides. On the sample, whose slices are square,
# the first three are the same.

# %% [markdown]
# ## [Download](../../../nbs/engine/31_download.ipynb)

# %% [markdown]
# > 1. How many of the 253 files are byte-identical to another one? `known_files` can tell without
# > an image. Which class has more of them?

# %%
from brain_tumor_nb.download import hash_files, known_files, stretch, verify_dataset
from brain_tumor_nb.known import Dataset

listed = known_files("brain_tumor_dataset")
times_seen = Counter(listed.values())
repeated = Counter(file.split("/")[0] for file, h in listed.items() if times_seen[h] > 1)
of_class = Counter(file.split("/")[0] for file in listed)
print({c: f"{n} of {of_class[c]}, {n/of_class[c]:.0%}" for c, n in repeated.items()})
assert repeated == dict(no=22, yes=25)

# %% [markdown]
# 47: 25 of class `yes` and 22 of class `no`. As a share `no` has more, 22 % against 16 %. To remove
# them leaves 228 different files; near-duplicates are not counted here.

# %% [markdown]
# > 2. Write the list for your course's own slices with `hash_files`, and a `Dataset` that uses it.

# %%
lines = [f"{file},{h}\n" for file, h in hash_files(published.root).items()
         if not file.endswith(".txt")]
(place/"course.csv").write_text("file,sha256\n" + "".join(lines), encoding="utf-8")
course = Dataset("course", "nobody/course/versions/1", ("no", "yes"), listing=place/"course.csv")
whole, damaged = (verify_dataset(course, place/name) for name in ("published", "changed"))
print(whole, damaged, sep="\n")
assert whole.ok and damaged.changed == ["no/no008_1.png"] and not damaged.ok

# %% [markdown]
# The one pixel that `known_set` forgave above is found: a list of SHA-256 compares bytes. The list
# can be handed out where the slices cannot.

# %% [markdown]
# > 3. `stretch` gives up the comparison of grey values between slices. Name a question about
# > tumours that can no longer be asked afterwards.

# %%
weak = np.array([[0, 300, 400], [300, 500, 600]])
assert (stretch(weak) == stretch(2*weak)).all()

# %% [markdown]
# Whether one tumour takes up more contrast agent than another, in two slices: a slice twice as
# bright becomes the same file. Within a slice (is the tumour brighter than the tissue around it?)
# the order stays. Between patients the raw values had no unit either, so even before it would have
# taken a reference tissue.

# %% [markdown]
# ## [Doctor](../../../nbs/engine/32_doctor.ipynb)

# %% [markdown]
# > Add a line that says whether chromium is there, which the browser tests need.

# %%
from brain_tumor_nb.doctor import tried

def check_browser():
    "The browser of the tests; else `OSError`."
    for name in ("google-chrome", "chromium", "chromium-browser"):
        if shutil.which(name):
            return name
    raise OSError("no chromium on this machine (Debian: apt install chromium)")

with mock.patch("shutil.which", lambda name: None):
    missing = tried("browser", check_browser)
with mock.patch("shutil.which", lambda name: f"/usr/bin/{name}" if name == "chromium" else None):
    there = tried("browser", check_browser)
assert there == ("browser", "chromium", "") and missing[1] == "not ready"
print(there, missing, sep="\n")

# %% [markdown]
# `tried("browser", check_browser)` becomes a row of `check_machine`, the list for those who work on
# the code. It does not belong into `check_lab`: a lab needs no chromium, and a row that is not
# ready makes `btnb doctor --lab` say that the machine is not.

# %% [markdown]
# ## [Export](../../../nbs/engine/33_export.ipynb)

# %% [markdown]
# > 1. Export a run with one fold and one with five, fine-tuned and with frozen features. Which
# > sizes do you expect?
#
# The weights of both kinds, in MB, without exporting; and the file that was exported above:

# %%
from brain_tumor_nb.learners import FrozenNetworks, TunedNetworks
from brain_tumor_nb.model import weights_stats

config = Config.recommended(3064)
body = create_model(config.arch, sample.classes, "none", config.size)
ready = Learner(config, tuple(sample.classes), weights_stats(config.arch, "offline"), body)
megabytes = {}
for kind in (TunedNetworks, FrozenNetworks):
    for folds in (1, 5):
        tensors = kind([ready]*folds).state_dict().values()
        megabytes[kind.__name__, folds] = sum(t.numel()*t.element_size() for t in tensors)/1e6
        print(f"{kind.__name__}, {folds} folds: {megabytes[kind.__name__, folds]:.1f} MB")
in_file = exported.stat().st_size/1e6
print(f"exported, frozen features, 2 folds: {in_file:.1f} MB")
assert 4.9 < megabytes["TunedNetworks", 5]/megabytes["TunedNetworks", 1] < 5.1
assert megabytes["FrozenNetworks", 5] < megabytes["FrozenNetworks", 1] + .1
assert 0 < in_file - megabytes["FrozenNetworks", 1] < 1.5

# %% [markdown]
# Fine-tuned, one fold has 13.4 MB and five have 67.1 MB: five whole networks. With frozen features
# five folds have 13.5 MB: they share one body, and a head has but 1,280 weights per class. To each
# fold come features of up to 500 familiar slices in 16 bits, at most 1.3 MB, and the steps of the
# computation, some 0.1 MB. Only the last file was really exported here.

# %% [markdown]
# > 2. Shrink slices in another program, with another kind of averaging, and give them to the file.
# > How far do the probabilities move?

# %%
net, chosen = Portable(exported), [sample.load(k) for k in range(0, 240, 6)]
ours = net.look([resize_image(im, net.size, net.framing) for im in chosen])[0]
moved, other = {}, {}
for way in (Image.Resampling.BOX, Image.Resampling.LANCZOS, Image.Resampling.NEAREST):
    probs = net.look([im.resize((net.size, net.size), way) for im in chosen])[0]
    moved[way.name] = np.abs(probs - ours).max(1)
    other[way.name] = int((probs.argmax(1) != ours.argmax(1)).sum())
    print(f"{way.name}: {np.median(moved[way.name]):.2f} in the middle, up to "
          f"{moved[way.name].max():.2f}; {other[way.name]} of {len(chosen)} in another class")
assert all(.02 < np.median(m) < .2 for m in moved.values())
assert moved["BOX"].max() < moved["NEAREST"].max() and other["BOX"] < other["NEAREST"]

# %% [markdown]
# With the mean of each 3 × 3 pixels (BOX) by 0.05 in the middle and up to 0.14; with LANCZOS up to
# 0.46, and two slices of 40 get another class; with every third pixel and no averaging (NEAREST)
# six get another class. Larger networks on larger slices may move less, which was not measured
# here; a program that is to give the same answers must make the same squares.

# %% [markdown]
# ## [Judges](../../../nbs/engine/39_judges.ipynb)

# %% [markdown]
# > Write a judge that says how the score differs between the planes of the sample, and let `btnb
# > demo` ask it.

# %%
from brain_tumor_nb.judges import JUDGES, pick_judges
from brain_tumor_nb.tumour_types import error_rate

def judge_planes(run, folder):
    "Accuracy in each plane, with its interval over groups; None where no plane is known."
    pred = run.predictions
    plane = np.array([(folder.manifest or {}).get(p, {}).get("plane", "") for p in pred.paths])
    wrong, rows, facts = pred.probs.argmax(1) != pred.y, [], {}
    for name in sorted(set(plane.tolist()) - {""}):
        m = error_rate(wrong[plane == name], pred.groups[plane == name])
        facts[name] = 1 - m["value"]
        rows.append([name, str((plane == name).sum()), f"{1 - m['value']:.3f}",
                     f"{1 - m['high']:.3f} to {1 - m['low']:.3f}"])
    if not rows:
        return None
    table = Table(["plane", "slices", "accuracy", "95 % interval"], rows)
    return Section("planes", "Planes", [], [table], facts=facts)

assert judge_planes(runs[0], sample).facts.keys() == {"axial", "coronal", "sagittal"}
with mock.patch.dict(JUDGES, planes=judge_planes):      # in the notebook: a name in JUDGES
    assert judge_planes in pick_judges()                # what `btnb demo` asks
runs[0].judge(sample, [judge_planes])
print(runs[0].text())

# %% [markdown]
# 0.713 in axial slices, 0.600 in coronal and 0.650 in sagittal ones, and the intervals overlap.
# They are no test of the difference, since one patient may have slices in several planes. `btnb
# demo` asks all of `JUDGES`, so a name there is enough; the function gets a notebook of its own,
# whose number is below 39. On simulated slices no plane is known, and the judge returns None.

# %% [markdown]
# ## [Commands](../../../nbs/engine/40_cli.ipynb)

# %% [markdown]
# > 1. Add a sub-command `btnb show RUN` that prints the history of a run.

# %%
import click
from click.testing import CliRunner

from brain_tumor_nb.cli import cli

@cli.command("show")
@click.argument("run", type=click.Path(path_type=Path))
def show_command(run):
    "Print the history of RUN."
    from brain_tumor_nb.runs import Run
    history = Run(run).history
    if history is None:
        raise ValueError(f"{run} holds no history.csv: give the --out of a btnb train")
    click.echo(str(history))

shown = CliRunner().invoke(cli, ["show", str(runs[0].path)])
refused = CliRunner().invoke(cli, ["show", str(place/"nowhere")])
print(shown.output, str(refused.exception).replace(str(place), "…"), sep="")
assert shown.exit_code == 0 and "valid loss" in shown.output
assert isinstance(refused.exception, ValueError)
assert "holds no history.csv" in str(refused.exception)

# %% [markdown]
# `History` prints itself, so the command is one line and a message. `main` turns the `ValueError`
# into that line and exit status 2. `Run` is imported within the function, so that `btnb --help`
# need not wait for torch. A table of predictions that was made elsewhere has no history, so the
# message is no rare case.

# %%
shutil.rmtree(place)
