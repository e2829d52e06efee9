# %% [markdown]
# # Lab 5: training
# > Write the loop yourself, and know what its numbers mean.
#
# You need [lesson 5](../../nbs/05_training.ipynb). Tasks 1 to 8: 90 minutes, 16 marks. The
# exercises after them: 50 minutes, 4 marks; you can do them at home. Offline, no graphics card.
#
# - Write your answers where it says *Your answer here*. Leave the other code cells as they are.
# - Below each answer are *checks*, one mark each. Run them: a check that says nothing has passed,
#   one that stops tells you what to look at. Some checks look at more than they show.
# - Open the hints one after another, as many as you need. They cost nothing.
# - At the end: *Kernel → Restart Kernel and Run All Cells*, save, and hand in this file.
#
# The functions of the library, `train_epoch` and `validate`, do what you write in tasks 3 and 4.
# Use them from task 6 on, and not before.

# %%
import math

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data, make_loader
from brain_tumor_nb.normalization import channel_stats, train_transform, valid_transform
from brain_tumor_nb.splitting import find_groups, make_split
from brain_tumor_nb.training import train_epoch, validate

folder = MRIFolder(find_data("sample"))
split = make_split(folder, find_groups(folder))
store = PixelStore(folder, size=32)
stats = channel_stats(make_loader(store, split.train))


def small_net():
    "Two convolutions and a linear layer, with new random weights."
    return nn.Sequential(nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(),
                         nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 3))


print(len(split.train), "slices for training,", len(split.valid), "for validation")

# %% [markdown]
# Some checks need a network whose predictions are known. `made_up` gives one: its prediction for
# slice number `i` is row `i` of a table of logits. In its batches the numbers of the slices take
# the place of the slices, and `nn.Identity()`, which changes nothing, is their transform.

# %%
def made_up(labels, sizes, seed=0):
    "A network with made-up logits (float [N,3]) for N slices, and batches of these sizes."
    logits = 2*torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(seed))
    numbers, labels = torch.arange(len(labels)), torch.tensor(labels)
    batches = [(i, labels[i], i) for i in numbers.split(sizes)]
    return nn.Embedding.from_pretrained(logits, freeze=False), batches


toy, toy_batches = made_up([0, 1, 2, 0, 1], sizes=[2, 2, 1])
for x, y, _ in toy_batches:
    print("slices", x.tolist(), "labels", y.tolist(), "logits", list(toy(x).shape))

# %% [markdown]
# ## 1 The loss
#
# The cross-entropy of a slice is minus the natural logarithm of the probability that its true class
# got. The probabilities are the softmax of the logits. Write `cross_entropy`: the mean over the
# slices of a batch. Compute it yourself, without `F.cross_entropy`.

# %% task="cross_entropy"
def cross_entropy(logits, truth):
    """Mean cross-entropy of a batch, 0 or above: one number.

    logits: float [B,C], one row per slice, one column per class
    truth: int64 [B], number of the true class of each slice, 0 to C-1"""
    ### BEGIN SOLUTION
    probs = logits.exp()/logits.exp().sum(1, keepdim=True)
    return -probs[torch.arange(len(truth)), truth].log().mean()
    ### END SOLUTION

# %% [markdown] hint="cross_entropy"
# Hint 1: where to look
# The lesson computes it for two slices in *How wrong is a prediction?*. The two slices are there
# written as `[0, 1]`; here there are `len(truth)`.

# %% [markdown] hint="cross_entropy"
# Hint 2: the probabilities
# `probs = logits.exp()/logits.exp().sum(1, keepdim=True)`. Each row of `probs` adds up to 1.

# %% [markdown] hint="cross_entropy"
# Hint 3: the line
# `probs[torch.arange(len(truth)), truth]` are the probabilities of the true classes. Return the
# mean of their logarithms, with a minus.

# %% check="loss_two_slices"
loss_1 = float(cross_entropy(torch.tensor([[2., 0, 0], [1, .5, 1.5]]), torch.tensor([0, 1])))
assert abs(loss_1 - .960) < .002, (
    f"for the two slices of the lesson your loss is {loss_1:.3f}, and by hand it is 0.960: "
    "a sum in place of the mean gives 1.920, the softmax over columns something else")
### BEGIN HIDDEN TESTS
for shape in ((1, 5), (7, 4)):
    numbers = torch.Generator().manual_seed(1)
    logits_1 = torch.randn(shape, generator=numbers)
    truth_1 = torch.randint(shape[1], shape[:1], generator=numbers)
    found = float(cross_entropy(logits_1, truth_1))
    wanted = F.cross_entropy(logits_1, truth_1).item()
    assert abs(found - wanted) < 1e-4, (
        f"for {shape[0]} slices and {shape[1]} classes your loss is {found:.3f}, and torch's is "
        f"{wanted:.3f}: is a number of slices or of classes written into your code?")
### END HIDDEN TESTS

# %% [markdown]
# ## 2 One step
#
# Training repeats four steps: forward, loss, backward, step. Write `one_step`, which does each of
# them once: stochastic gradient descent (SGD) without momentum, so that each weight becomes
# weight − rate × gradient. It changes the network that it is given, and returns the loss.

# %% task="one_step"
def one_step(net, x, y, rate):
    """One step of SGD on one batch; the loss before the step, a Python number.

    net: a torch module; x: float [B,1,32,32], 0 to 1; y: int64 [B]; rate: learning rate"""
    ### BEGIN SOLUTION
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    loss = F.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION

# %% [markdown] hint="one_step"
# Hint 1: where to look
# The lesson repeats the four steps 30 times in *One step: the optimiser*. You need the inside of
# its loop, and an optimiser: `torch.optim.SGD(net.parameters(), lr=rate)`.

# %% [markdown] hint="one_step"
# Hint 2: the order
# `loss = F.cross_entropy(net(x), y)`, `optimizer.zero_grad()`, `loss.backward()`,
# `optimizer.step()`, `return loss.item()`.

# %% check="step_moves"
def one_layer():
    "The network of one layer from the lesson, the same weights each time."
    net = nn.Sequential(nn.Flatten(), nn.Linear(32*32, 3))
    values = torch.linspace(-.05, .05, net[1].weight.numel())
    net[1].weight.data = values[torch.arange(len(values))*7 % len(values)].reshape(3, -1)
    net[1].bias.data = torch.zeros(3)
    return net

def short(values):
    "Numbers of a tensor, rounded."
    return [round(v, 4) for v in values.tolist()]

def slope_of(net, x, y):
    "The gradient of the bias, without a trace in the network."
    return torch.autograd.grad(F.cross_entropy(net(x), y), net[1].bias)[0]

x_2, y_2, _ = store[split.train[::24]]
x_2 = x_2.float()/255
net_2 = one_layer()
wanted_2 = -.1*slope_of(net_2, x_2, y_2)
first_loss = F.cross_entropy(net_2(x_2), y_2).item()
said_2 = one_step(net_2, x_2, y_2, .1)
moved_2 = net_2[1].bias.detach()
assert torch.allclose(moved_2, wanted_2, atol=1e-5), (
    f"the biases moved by {short(moved_2)}, and −rate × gradient is {short(wanted_2)}: "
    "look at the sign, at the rate, and whether step() comes after backward()")
### BEGIN HIDDEN TESTS
assert abs(float(said_2) - first_loss) < 1e-4, (
    f"you return {float(said_2):.4f}, and the loss before the step was {first_loss:.4f}")
net_2 = one_layer()
wanted_2 = -.03*slope_of(net_2, x_2[:3], y_2[:3])
one_step(net_2, x_2[:3], y_2[:3], .03)
assert torch.allclose(net_2[1].bias, wanted_2, atol=1e-5), (
    "with another rate and three slices the biases do not move by −rate × gradient")
### END HIDDEN TESTS

# %% check="step_old_gradient"
net_2 = one_layer()
F.cross_entropy(net_2(x_2[:2]), y_2[:2]).backward()         # somebody looked at a gradient before
wanted_2 = -.1*slope_of(net_2, x_2, y_2)
one_step(net_2, x_2, y_2, .1)
moved_2 = net_2[1].bias.detach()
assert torch.allclose(moved_2, wanted_2, atol=1e-5), (
    f"the network still held the gradient of another batch, and the biases moved by "
    f"{short(moved_2)} in place of {short(wanted_2)}: torch adds each new gradient to the "
    "old one unless you set it to zero")

# %% [markdown]
# ## 3 Validation
#
# Write `evaluate`: the loss and the accuracy on the slices of `batches`. Four things matter:
#
# - the network is in the mode for predictions, so that dropout and batch normalisation do nothing
#   random;
# - no gradients are kept, because nobody uses them here;
# - the loss is the mean over *slices*;
# - the accuracy is the share of *slices* whose largest logit belongs to the true class.
#
# The last batch may hold fewer slices than the others.

# %% task="evaluate"
def evaluate(net, batches, tfm):
    """(mean loss over slices, accuracy from 0 to 1), two Python numbers.

    net: logits [B,C] of what `tfm` returns; batches: yields (x, labels int64 [B], numbers [B]);
    tfm: transform, to be called on each x"""
    ### BEGIN SOLUTION
    net.eval()
    loss = right = n = 0
    with torch.no_grad():
        for x, y, _ in batches:
            logits = net(tfm(x))
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += (logits.argmax(1) == y).sum().item()
            n += len(y)
    return loss/n, right/n
    ### END SOLUTION
    ### BEGIN MISTAKE 2
    net.eval()
    loss = right = n = 0
    size = max(len(y) for _, y, _ in batches)
    with torch.no_grad():
        for x, y, _ in batches:
            logits = net(tfm(x))
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += (logits.argmax(1) == y).sum().item()
            n += len(y)
    return loss/n, right/(len(batches)*size)
    ### END MISTAKE
    ### BEGIN MISTAKE 3
    net.eval()
    loss = right = n = 0
    for x, y, _ in batches:
        logits = net(tfm(x))
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        right += (logits.argmax(1) == y).sum().item()
        n += len(y)
    return loss/n, right/n
    ### END MISTAKE
    ### BEGIN MISTAKE 8
    net.eval()
    loss = right = n = 0
    with torch.no_grad():
        for x, y, _ in batches:
            logits = net(tfm(x))
            loss += F.cross_entropy(logits, y).item()
            right += (logits.argmax(1) == y).sum().item()
            n += len(y)
    return loss/len(batches), right/n
    ### END MISTAKE

# %% [markdown] hint="evaluate"
# Hint 1: where to look
# The lesson does it in *Validation: `eval` and `no_grad`*. You can leave out its arguments
# `device`, `precision` and `team`, and what belongs to them.

# %% [markdown] hint="evaluate"
# Hint 2: the frame
# First `net.eval()` and `loss = right = n = 0`. Then `with torch.no_grad():` and, inside it,
# `for x, y, _ in batches:` and `logits = net(tfm(x))`. At the end `return loss/n, right/n`.

# %% [markdown] hint="evaluate"
# Hint 3: the sums
# In the loop: `loss += F.cross_entropy(logits, y, reduction="sum").item()`,
# `right += (logits.argmax(1) == y).sum().item()` and `n += len(y)`.

# %% check="evaluate_mode"
table_3, batches_3 = made_up([0, 1, 2]*4, sizes=[6, 6])
random_3 = nn.Sequential(table_3, nn.Dropout(.5)).train()
seen_3 = [float(evaluate(random_3, batches_3, nn.Identity())[0]) for _ in range(2)]
assert abs(seen_3[0] - seen_3[1]) < 1e-6, (
    f"the same network and the same slices, and two losses: {seen_3[0]:.3f} and {seen_3[1]:.3f}. "
    "This network has dropout, and it was at work")

# %% check="evaluate_gradients" mistakes="3"
table_3, batches_3 = made_up([0, 1, 2]*4, sizes=[6, 6])
kept_3 = []
handle_3 = table_3.register_forward_hook(lambda net, x, out: kept_3.append(out.requires_grad))
evaluate(table_3, batches_3, nn.Identity())
assert kept_3, "the network was never called: give it each batch, after the transform"
assert not any(kept_3), (
    f"in {sum(kept_3)} of {len(kept_3)} batches torch kept what it needs for gradients. Nobody "
    "uses them in validation, and they cost time and memory: switch them off")

# %% check="evaluate_loss" mistakes="8"
labels_3 = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
table_3, batches_3 = made_up(labels_3, sizes=[4, 4, 2], seed=3)
loss_3 = float(evaluate(table_3, batches_3, nn.Identity())[0])
wanted_3 = F.cross_entropy(table_3.weight, torch.tensor(labels_3)).item()
assert abs(loss_3 - wanted_3) < 1e-4, (
    f"10 slices in batches of 4, 4 and 2: your loss is {loss_3:.3f}, the mean over the slices is "
    f"{wanted_3:.3f}. In a mean of the means of batches, each slice of the small batch weighs "
    "twice as much as the others")
### BEGIN HIDDEN TESTS
table_3, batches_3 = made_up(labels_3, sizes=[9, 1], seed=4)
loss_3 = float(evaluate(table_3, batches_3, nn.Identity())[0])
wanted_3 = F.cross_entropy(table_3.weight, torch.tensor(labels_3)).item()
assert abs(loss_3 - wanted_3) < 1e-4, (
    f"10 slices in batches of 9 and 1: your loss is {loss_3:.3f}, the mean over the slices is "
    f"{wanted_3:.3f}")
### END HIDDEN TESTS

# %% check="evaluate_accuracy" mistakes="2"
table_3, batches_3 = made_up([0]*10, sizes=[4, 4, 2])
table_3.weight.data = torch.eye(3)[[0, 0, 1, 0, 2, 0, 1, 0, 2, 0]]      # 6 of 10 are right
right_3 = float(evaluate(table_3, batches_3, nn.Identity())[1])
assert abs(right_3 - .6) < 1e-6, (
    f"6 of 10 slices are right, in batches of 4, 4 and 2, and your accuracy is {right_3:.3f}. "
    "6/12 = 0.500 would count two slices that do not exist, since the last batch is not full; "
    "the mean of the three batches would be 0.583")
### BEGIN HIDDEN TESTS
for sizes_3 in ([7, 3], [10], [3, 3, 3, 1]):
    table_3, batches_3 = made_up([0]*10, sizes=sizes_3)
    table_3.weight.data = torch.eye(3)[[0, 2, 1, 0, 2, 0, 1, 2, 2, 0]]  # 4 of 10 are right
    right_3 = float(evaluate(table_3, batches_3, nn.Identity())[1])
    assert abs(right_3 - .4) < 1e-6, (
        f"4 of 10 slices are right, in batches of {sizes_3}, and your accuracy is {right_3:.3f}")
### END HIDDEN TESTS

# %% [markdown]
# ## 4 One epoch
#
# Write `my_epoch`: one pass over the batches of the training set, with the four steps for each
# batch. It returns the training loss of the epoch: the mean over *slices* of the losses that you
# compute for the steps. The network is in the mode for training.

# %% task="my_epoch"
def my_epoch(net, batches, tfm, optimizer):
    """Train on each batch once; the mean training loss over slices, a Python number.

    net, batches, tfm: as in `evaluate`; optimizer: a torch optimiser of the network"""
    ### BEGIN SOLUTION
    net.train()
    total = n = 0
    for x, y, _ in batches:
        loss = F.cross_entropy(net(tfm(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()*len(y)
        n += len(y)
    return total/n
    ### END SOLUTION
    ### BEGIN MISTAKE 8
    net.train()
    total = 0
    for x, y, _ in batches:
        loss = F.cross_entropy(net(tfm(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total/len(batches)
    ### END MISTAKE

# %% [markdown] hint="my_epoch"
# Hint 1: where to look
# It is one epoch of `learn` in the section *The loop* of the lesson. Leave out the validation, and
# the line with `set_epoch`: the checks give you a plain list of batches.

# %% [markdown] hint="my_epoch"
# Hint 2: the four steps
# `net.train()` first. Then for each batch: `loss = F.cross_entropy(net(tfm(x)), y)`,
# `optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()`.

# %% [markdown] hint="my_epoch"
# Hint 3: the mean
# `F.cross_entropy` gives the mean of a batch. Times the number of its slices it is a sum:
# `total += loss.item()*len(y)` and `n += len(y)`. At the end `return total/n`.

# %% check="epoch_learns"
table_4, batches_4 = made_up([0, 1, 2, 0, 1, 2, 0, 1, 2, 0], sizes=[4, 4, 2])
modes_4 = []
table_4.register_forward_hook(lambda net, x, out: modes_4.append(net.training))
before_4 = validate(table_4, batches_4, nn.Identity())[0]
modes_4.clear()
my_epoch(table_4.eval(), batches_4, nn.Identity(), torch.optim.SGD(table_4.parameters(), lr=4))
trained_4 = list(modes_4)
after_4 = validate(table_4, batches_4, nn.Identity())[0]
assert after_4 < .9*before_4, (
    f"before your epoch the loss on these slices is {before_4:.3f}, after it {after_4:.3f}: "
    "it should fall by far. Are all four steps there, for each batch?")
assert len(trained_4) == 3 and all(trained_4), (
    f"there are 3 batches; the network was called {len(trained_4)} times, "
    f"{sum(trained_4)} of them in the mode for training")

# %% check="epoch_mean" mistakes="8"
labels_4 = [0, 1, 2, 0, 1, 2, 0]
table_4, batches_4 = made_up(labels_4, sizes=[4, 3], seed=5)
table_4.weight.data[4:] *= 4                        # the slices of the last batch: larger losses
still_4 = torch.optim.SGD(table_4.parameters(), lr=0)
loss_4 = float(my_epoch(table_4, batches_4, nn.Identity(), still_4))
wanted_4 = F.cross_entropy(table_4.weight, torch.tensor(labels_4)).item()
assert abs(loss_4 - wanted_4) < 1e-4, (
    f"7 slices in batches of 4 and 3, and a learning rate of 0: your loss is {loss_4:.4f}, the "
    f"mean over the slices is {wanted_4:.4f}. In a mean of the means of batches the last batch "
    "weighs as much as the full one")

# %% [markdown]
# ## 5 Two kinds of batches
#
# Now the real slices. Write `prepare`, which returns what a training needs:
#
# 1. batches of 16 slices of the training set, in a new order in each epoch;
# 2. the transform for training, which rotates and flips at random;
# 3. batches of 64 slices of the validation set;
# 4. the transform for validation.
#
# The score must say something about the network, and not about luck. Think of this when you choose
# number 4.

# %% task="prepare"
def prepare(store, split, stats):
    """(training batches, training transform, validation batches, validation transform).

    store: a PixelStore; split: its `train` and `valid` are numbers of slices;
    stats: mean and standard deviation of the training set"""
    ### BEGIN SOLUTION
    train_batches = make_loader(store, split.train, 16, shuffle=True)
    valid_batches = make_loader(store, split.valid, 64)
    return train_batches, train_transform(stats), valid_batches, valid_transform(stats)
    ### END SOLUTION
    ### BEGIN MISTAKE 1
    tfm = train_transform(stats)
    train_batches = make_loader(store, split.train, 16, shuffle=True)
    valid_batches = make_loader(store, split.valid, 64)
    return train_batches, tfm, valid_batches, tfm
    ### END MISTAKE

# %% [markdown] hint="prepare"
# Hint 1: where to look
# `make_loader(store, indices, batch_size, shuffle=…)` makes batches; the lesson uses it in *The
# loop*. `train_transform(stats)` and `valid_transform(stats)` make transforms.

# %% [markdown] hint="prepare"
# Hint 2: the lines
# `train_batches = make_loader(store, split.train, 16, shuffle=True)`, and
# `valid_batches = make_loader(store, split.valid, 64)`. Return the four in the order above.

# %% check="prepare_training"
batches_5, tfm_5, *_ = prepare(store, split, stats)
orders_5 = []
for epoch_5 in range(2):
    batches_5.sampler.set_epoch(epoch_5)
    orders_5.append([int(i) for _, _, numbers in batches_5 for i in numbers])
assert sorted(orders_5[0]) == sorted(int(i) for i in split.train), (
    f"your training batches hold {len(orders_5[0])} slices, {len(set(orders_5[0]))} different "
    f"ones; each of the {len(split.train)} of the training set should come once, and no other")
assert orders_5[0] != orders_5[1], (
    "the slices come in the same order in each epoch: ask for a new order (shuffle)")
x_5 = next(iter(batches_5))[0]
assert len(x_5) == 16, f"a training batch holds {len(x_5)} slices, and 16 were asked for"
assert tfm_5 not in (train_transform, valid_transform), (
    "your training transform is the function that makes one: call it with `stats`")
assert not torch.equal(tfm_5(x_5), tfm_5(x_5)), (
    "your training transform makes the same of a slice each time: it should rotate and flip at "
    "random")

# %% check="prepare_validation" mistakes="1"
*_, batches_5, tfm_5 = prepare(store, split, stats)
found_5 = sorted(int(i) for _, _, numbers in batches_5 for i in numbers)
assert found_5 == sorted(int(i) for i in split.valid), (
    f"your validation batches hold {len(found_5)} slices; each of the {len(split.valid)} of the "
    "validation set should come once, and no other")
x_5 = next(iter(batches_5))[0]
assert tfm_5 not in (train_transform, valid_transform), (
    "your validation transform is the function that makes one: call it with `stats`")
assert torch.equal(tfm_5(x_5), tfm_5(x_5)), (
    "your validation transform makes two different pictures of one slice. It rotates or flips at "
    "random, so the score differs from call to call and the best epoch is chosen by luck")
### BEGIN HIDDEN TESTS
assert torch.allclose(tfm_5(x_5), valid_transform(stats)(x_5), atol=1e-5), (
    "your validation transform does not normalise with `stats`")
### END HIDDEN TESTS

# %% [markdown]
# ## 6 A run that can be repeated
#
# Write `run`, a whole training: a new `small_net()`, SGD with momentum 0.9, `epochs` epochs, each
# followed by validation. From here on use the library's `train_epoch` and `validate`. `train_epoch`
# calls `set_epoch` itself, and takes its random numbers from its argument `keys`.
#
# The seed must decide *everything* that is random: the first weights, the order of the slices,
# their rotations and flips. So the same seed gives the same numbers, whatever ran before.

# %% task="run"
def run(seed, epochs, rate=.01):
    """Train a new network on `split.train`, validate on `split.valid`; one row per epoch.

    A row is a dictionary: "epoch" (from 1), "train_loss", "valid_loss", "valid_accuracy"."""
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    net = small_net()
    train_batches = make_loader(store, split.train, 16, shuffle=True, seed=seed)
    valid_batches = make_loader(store, split.valid, 64)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=.9)
    rows = []
    for epoch in range(epochs):
        train_loss = train_epoch(net, train_batches, train_transform(stats), optimizer,
                                 keys=(seed, epoch))
        valid_loss, accuracy = validate(net, valid_batches, valid_transform(stats))
        rows.append({"epoch": epoch + 1, "train_loss": train_loss, "valid_loss": valid_loss,
                     "valid_accuracy": accuracy})
    return rows
    ### END SOLUTION
    ### BEGIN MISTAKE 4
    net = small_net()
    train_batches = make_loader(store, split.train, 16, shuffle=True)
    valid_batches = make_loader(store, split.valid, 64)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=.9)
    rows = []
    for epoch in range(epochs):
        train_loss = train_epoch(net, train_batches, train_transform(stats), optimizer,
                                 keys=(0, epoch))
        valid_loss, accuracy = validate(net, valid_batches, valid_transform(stats))
        rows.append({"epoch": epoch + 1, "train_loss": train_loss, "valid_loss": valid_loss,
                     "valid_accuracy": accuracy})
    return rows
    ### END MISTAKE

# %% [markdown] hint="run"
# Hint 1: what is random
# Three things: the weights of `small_net()` (call `torch.manual_seed(seed)` before it), the order
# of the slices (`make_loader(..., seed=seed)`), and the rotations and flips
# (`train_epoch(..., keys=(seed, epoch))`).

# %% [markdown] hint="run"
# Hint 2: before the loop
# `net = small_net()`, `train_batches = make_loader(store, split.train, 16, shuffle=True,
# seed=seed)`, `valid_batches = make_loader(store, split.valid, 64)`,
# `optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=.9)`, `rows = []`.

# %% [markdown] hint="run"
# Hint 3: in the loop `for epoch in range(epochs):`
# `train_loss = train_epoch(net, train_batches, train_transform(stats), optimizer,
# keys=(seed, epoch))`, then
# `valid_loss, accuracy = validate(net, valid_batches, valid_transform(stats))`. Then append a
# dictionary to `rows`: `"epoch": epoch + 1`, `"train_loss": train_loss`,
# `"valid_loss": valid_loss`, `"valid_accuracy": accuracy`. After the loop `return rows`.

# %% check="run_rows"
rows_6 = run(0, epochs=5)
names_6 = {"epoch", "train_loss", "valid_loss", "valid_accuracy"}
assert len(rows_6) == 5 and all(set(row) >= names_6 for row in rows_6), (
    f"5 epochs were asked for, and there are {len(rows_6)} rows, the first {rows_6[:1]}: "
    f"each needs {sorted(names_6)}")
assert rows_6[-1]["train_loss"] < rows_6[0]["train_loss"] - .02, (
    f"the training loss is {rows_6[0]['train_loss']:.3f} in the first epoch and "
    f"{rows_6[-1]['train_loss']:.3f} in the fifth: it should fall. Is it one network and one "
    "optimiser for all epochs?")
### BEGIN HIDDEN TESTS
assert [row["epoch"] for row in rows_6] == [1, 2, 3, 4, 5], (
    f"the epochs are numbered {[row['epoch'] for row in rows_6]}, not from 1")
row_6 = run(0, epochs=1, rate=1e-9)[0]
right_6 = row_6["valid_accuracy"]*len(split.valid)
assert abs(row_6["valid_loss"] - math.log(3)) < .15 and abs(right_6 - round(right_6)) < 1e-3, (
    f"with a learning rate of almost 0 the validation loss is {row_6['valid_loss']:.3f}, and "
    f"{right_6:.2f} of {len(split.valid)} slices are right: look at `rate` and at what you "
    "validate on")
### END HIDDEN TESTS

# %% check="run_seed" mistakes="4"
twice_6 = [run(3, epochs=2)[-1]["train_loss"] for _ in range(2)]
assert twice_6[0] == twice_6[1], (
    "run(3, epochs=2) twice, the same seed, and the training loss of the last epoch differs. "
    "Something random does not depend on the seed: nobody can repeat this run, or tell a better "
    "setting from better luck. Which weights did the network begin with?")
### BEGIN HIDDEN TESTS
assert run(4, epochs=2)[-1]["train_loss"] != twice_6[0], (
    "the seeds 3 and 4 give the same training loss: your function does not use its argument `seed`")
### END HIDDEN TESTS

# %% [markdown]
# ## 7 Which score has improved?
#
# A log should say what happened. Loss and accuracy need not improve together: a slice that is
# predicted wrong counts as one mistake, but its loss grows as the network becomes more confident.
#
# Write `improved`: the names of the scores of the *last* row that are better than in *all* rows
# before it. The loss improves when it falls, the accuracy when it rises; an equal score is no
# improvement. In the first epoch both improve.

# %% task="improved"
def improved(rows):
    """What the last epoch improved: a list that holds "loss", "accuracy", both or neither.

    rows: dictionaries with "valid_loss" and "valid_accuracy", at least one"""
    ### BEGIN SOLUTION
    *before, last = rows
    names = []
    if all(last["valid_loss"] < row["valid_loss"] for row in before):
        names.append("loss")
    if all(last["valid_accuracy"] > row["valid_accuracy"] for row in before):
        names.append("accuracy")
    return names
    ### END SOLUTION
    ### BEGIN MISTAKE 9
    best = max([row["valid_accuracy"] for row in rows[:-1]], default=-1)
    return ["loss"] if rows[-1]["valid_accuracy"] > best else []
    ### END MISTAKE

# %% [markdown] hint="improved"
# Hint 1: two questions
# Ask two questions, each about one score, and put a name into the list for each *yes*.
# `rows[-1]` is the last row, `rows[:-1]` are all rows before it.

# %% [markdown] hint="improved"
# Hint 2: all rows before
# `all(rows[-1]["valid_loss"] < row["valid_loss"] for row in rows[:-1])` is true if the loss of the
# last row is the lowest. Where there are no rows before, `all` is true; `min` of no rows would stop
# with an error.

# %% [markdown] hint="improved"
# Hint 3: the lines
# `names = []`, then `if` with the line of hint 2: `names.append("loss")`. The same with
# `"valid_accuracy"`, `>` and `names.append("accuracy")`. At the end `return names`.

# %% check="improved_nothing"
def log(*pairs):
    "Rows of pairs of validation loss and accuracy."
    return [{"valid_loss": loss, "valid_accuracy": accuracy} for loss, accuracy in pairs]

found_7 = set(improved(log((.9, .6), (.95, .55))))
assert found_7 == set(), f"nothing is better in the second epoch, and you say {found_7}"
### BEGIN HIDDEN TESTS
found_7 = set(improved(log((.9, .6), (.9, .6))))
assert found_7 == set(), f"loss and accuracy are the same twice, and you say {found_7}"
found_7 = set(improved(log((.8, .7), (.95, .5), (.9, .6))))
assert found_7 == set(), (
    f"the third epoch is better than the second, but not than the first, and you say {found_7}: "
    "compare with all rows before")
### END HIDDEN TESTS

# %% check="improved_names" mistakes="9"
found_7 = set(improved(log((.9, .6), (.95, .65))))
assert found_7 == {"accuracy"}, (
    f"loss 0.90 → 0.95, accuracy 0.60 → 0.65: your log says {found_7 or 'nothing'} improved. "
    "Whoever reads it believes that of the wrong score: name the one that you compared")
found_7 = set(improved(log((.9, .6), (.85, .6))))
assert found_7 == {"loss"}, f"only the loss is better, and you say {found_7 or 'nothing'}"
found_7 = set(improved(log((.9, .6))))
assert found_7 == {"loss", "accuracy"}, f"in the first epoch you say {found_7 or 'nothing'}"

# %% [markdown]
# ## 8 A checkpoint
#
# If a network overfits, its last epoch is not its best. So its weights are kept when an epoch is
# the best so far, and training goes on. Write `snapshot`: the weights as they are *now*. They must
# stay so when the network learns on.

# %% task="snapshot"
def snapshot(net):
    "A dictionary from the names of `net.state_dict()` to tensors with the weights of now."
    ### BEGIN SOLUTION
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
    ### END SOLUTION

# %% [markdown] hint="snapshot"
# Hint 1: where to look
# `net.state_dict()` gives names and tensors. These are the weights themselves, not copies: the
# next step of the optimiser changes them. See `copy_weights` in *The best epoch* of the lesson.

# %% [markdown] hint="snapshot"
# Hint 2: the line
# `return {name: tensor.clone() for name, tensor in net.state_dict().items()}`

# %% check="snapshot_stays"
net_8 = nn.Linear(4, 3)
wanted_8 = net_8.weight.detach().tolist()
kept_8 = snapshot(net_8)
assert set(kept_8) == {"weight", "bias"}, (
    f"the names are {sorted(kept_8)}, and those of the network are weight and bias")
with torch.no_grad():
    net_8.weight += 1                               # as if the network learnt on
assert np.allclose(kept_8["weight"].tolist(), wanted_8), (
    "the network learnt on, and the weights that you kept changed with it: you have kept another "
    "name for the same numbers. At the end you would save the last epoch and take it for the best")

# %% [markdown]
# ## From the lesson's exercises
#
# ### Exercise 1: validate on slices that were rotated
#
# `trained` is a network that has learnt for twelve epochs. Validate it five times, with
# `train_transform(stats)` in place of `valid_transform(stats)`, and put the five accuracies into
# `five`.

# %%
torch.manual_seed(0)
trained = small_net()
optimizer_e = torch.optim.SGD(trained.parameters(), lr=.01, momentum=.9)
train_e = make_loader(store, split.train, 16, shuffle=True)
valid_e = make_loader(store, split.valid, 64)
for epoch in range(12):
    train_epoch(trained, train_e, train_transform(stats), optimizer_e, keys=(0, epoch))
usual = validate(trained, valid_e, valid_transform(stats))[1]
print(f"as it should be: about {usual:.1f}")

# %% task="five"
### BEGIN SOLUTION
five = [validate(trained, valid_e, train_transform(stats))[1] for _ in range(5)]
### END SOLUTION

# %% [markdown] hint="five"
# Hint 1: where to look
# The last line but one of the cell above validates once. Its second result, `[1]`, is the accuracy.

# %% [markdown] hint="five"
# Hint 2: the line
# `five = [validate(trained, valid_e, train_transform(stats))[1] for _ in range(5)]`

# %% check="five_scores"
assert not any(isinstance(v, tuple) for v in five), (
    "`validate` returns two numbers, the loss and the accuracy: take the second, with [1]")
right_e = [float(v)*len(split.valid) for v in five]
assert len(right_e) == 5, f"there are {len(right_e)} accuracies, and five were asked for"
assert all(abs(v - round(v)) < 1e-3 and 0 <= v <= len(split.valid) for v in right_e), (
    f"{[round(float(v), 3) for v in five]} are not all accuracies on {len(split.valid)} slices: "
    "take the second result of `validate`")
assert len(set(right_e)) > 1, (
    f"all five accuracies are {float(five[0]):.3f}: the transform does nothing random, or you "
    "validated once and repeated the number")

# %% [markdown]
# By how much do the five differ? What does this mean for a log which says after each epoch whether
# the validation accuracy has improved?

# %% [markdown] answer="exercise_1"
### BEGIN SOLUTION
# The five accuracies differ by several slices of 48; one slice is 0.02. (We tried it 100 times:
# from 0.60 to 0.73, with a mean of 0.68, and 0.71 with the right transform.) The network is the
# same each time, and so are the slices: only the random rotations and flips differ.
#
# The original tutorial validates in this way after each epoch, and keeps the epoch with the best
# accuracy. So it keeps an epoch with lucky rotations. Its score is also too low on average, since
# rotated slices are harder to predict. Scores of two epochs should differ for one reason only: the
# networks differ. A log that calls each such change an improvement tells of luck.
### END SOLUTION

# %% [markdown]
# ### Exercise 2: the batch size
#
# Write `steps`: how many steps an epoch has. The last batch may be smaller.

# %% task="steps"
def steps(slices, batch_size):
    "Number of steps in an epoch, a whole number; both arguments are whole numbers from 1."
    ### BEGIN SOLUTION
    return math.ceil(slices/batch_size)
    ### END SOLUTION

# %% [markdown] hint="steps"
# Hint 1: the last batch
# A batch that is not full is a step too, so round *up*.

# %% [markdown] hint="steps"
# Hint 2: the line
# `return math.ceil(slices/batch_size)`

# %% check="steps_epoch"
assert steps(192, 16) == 12, (
    f"192 slices are 12 full batches of 16 and none besides, not {steps(192, 16)} steps")
assert steps(50, 4) == 13, f"12 full batches of 4 and a batch of 2 are not {steps(50, 4)} steps"
### BEGIN HIDDEN TESTS
for n_9, b_9, wanted_9 in ((192, 4, 48), (192, 64, 3), (5, 8, 1), (240, 7, 35)):
    assert steps(n_9, b_9) == wanted_9, (
        f"{n_9} slices in batches of {b_9} are not {steps(n_9, b_9)} steps")
### END HIDDEN TESTS

# %% [markdown]
# Which learning rate is suitable for batches of 4, and which for batches of 64? Try a few: change
# `16` in your `run` to another number (and back at the end), and call it with several rates.

# %% [markdown] answer="exercise_2"
### BEGIN SOLUTION
# An epoch of 192 slices has 48 steps of 4 slices, or 3 steps of 64. With many steps per epoch a
# small rate is enough, and a gradient of 4 slices depends much on which slices they are: a large
# rate makes the loss jump. With 3 steps per epoch the rate must be larger to come as far in as many
# epochs, and it may be, since the gradient of 64 slices is less noisy.
#
# We tried it: ten epochs, the seeds 0 to 2, and the training loss at the end. With batches of 4 it
# is lowest at 0.01 (about 0.7; at 0.003 nearly so), and at 0.03 it jumps. With 16 it is lowest at
# 0.01 too (0.73), and at 0.1 one of three networks learns nothing. With 64 it is lowest at 0.03
# (0.83). So the suitable rate grows with the batch size, but less than in proportion: from 4 to 64
# by a factor of three. Try it anew for each network.
### END SOLUTION

# %% [markdown]
# ### Exercise 3: the best of ten epochs
#
# Suppose that in each epoch a network is right on each of 50 slices with probability 0.8. It never
# learns anything. Yet its best epoch looks better than 0.8. Write `luck`, which measures by how
# much: draw the accuracies of all epochs 1,000 times, take the best of each time, and subtract 0.8
# from their mean.

# %% task="luck"
def luck(epochs):
    "Mean of the best of `epochs` accuracies on 50 slices, over 1,000 draws, minus 0.8."
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)
    accuracies = rng.binomial(50, .8, (1000, epochs))/50
    return accuracies.max(1).mean() - .8
    ### END SOLUTION

# %% [markdown] hint="luck"
# Hint 1: a table of draws
# `rng = np.random.default_rng(0)`, then `rng.binomial(50, .8, (1000, epochs))/50` draws all at
# once: one row per time, one column per epoch.

# %% [markdown] hint="luck"
# Hint 2: the line
# `accuracies.max(1)` is the best of each row. Return its mean minus 0.8.

# %% check="luck_ten"
assert .06 < luck(10) < .11, (
    f"for ten epochs you find {luck(10):.3f}. It should be between 0.06 and 0.11: take the best of "
    "each time first, and the mean over the 1,000 times then")
assert abs(luck(1)) < .01, f"with one epoch there is nothing to choose, and you find {luck(1):.3f}"
assert luck(50) > luck(10) + .015, (
    f"the best of 50 is luckier than the best of 10, and you find {luck(50):.3f} and "
    f"{luck(10):.3f}")

# %% [markdown]
# Why is it less when the ten networks resemble each other, as those of ten epochs of one training
# do?

# %% [markdown] answer="exercise_3"
### BEGIN SOLUTION
# For ten epochs the best is about 0.084 above the truth. The validation set was used to choose, so
# its score is no longer a fair one for the epoch that was chosen.
#
# The ten accuracies were drawn independently here. Networks of neighbouring epochs have nearly the
# same weights, and are right on nearly the same slices. Their accuracies lie close together, so
# their largest is not much above the others. If all ten were the same network, there would be
# nothing to choose, and the excess would be 0.
### END SOLUTION

# %% [markdown]
# ### Exercise 4: label smoothing
#
# With `F.cross_entropy(..., label_smoothing=.1)` and three classes, the network should give the
# true class the probability 1 − 0.1 + 0.1/3 = 0.933, and each other class 0.1/3 = 0.033. The loss
# is then −Σ q log p, over all classes, where q is the probability that is asked for and p the
# network's. It is least where p = q. Write `least_loss`: how low can the loss become?

# %% task="least_loss"
def least_loss(smoothing, classes):
    "The least cross-entropy; smoothing from 0 (excluded) to 1; classes: a whole number from 2."
    ### BEGIN SOLUTION
    q = np.full(classes, smoothing/classes)
    q[0] += 1 - smoothing
    return -(q*np.log(q)).sum()
    ### END SOLUTION

# %% [markdown] hint="least_loss"
# Hint 1: the probabilities
# The true class has `true = 1 - smoothing + smoothing/classes`. Each of the `classes - 1` others
# has `other = smoothing/classes`.

# %% [markdown] hint="least_loss"
# Hint 2: the line
# Put p = q into the sum: `-(true*math.log(true) + (classes - 1)*other*math.log(other))`.

# %% check="smoothing_floor"
found_11 = float(least_loss(.1, 3))
assert abs(found_11 - .291) < .002, (
    f"for smoothing 0.1 and three classes you find {found_11:.3f}: −log 0.933 = 0.069 is only the "
    "part of the true class, without its q; the two other classes have parts too")
### BEGIN HIDDEN TESTS
for smoothing_11, classes_11 in ((.2, 2), (.3, 5)):
    q_11 = torch.full((1, classes_11), smoothing_11/classes_11, dtype=torch.float64)
    q_11[0, 0] += 1 - smoothing_11
    wanted_11 = F.cross_entropy(q_11.log(), torch.tensor([0]), label_smoothing=smoothing_11).item()
    found_11 = float(least_loss(smoothing_11, classes_11))
    assert abs(found_11 - wanted_11) < 1e-4, (
        f"for smoothing {smoothing_11} and {classes_11} classes you find {found_11:.3f}, and torch "
        f"{wanted_11:.3f}")
### END HIDDEN TESTS

# %% [markdown]
# Can the training loss still become 0? What would a network have to do to come near its least
# loss, and what does it no longer do?

# %% [markdown] answer="exercise_4"
### BEGIN SOLUTION
# No. It cannot fall below 0.291 for smoothing 0.1 and three classes.
#
# To come near that, the network must give the true class a probability of 0.933, not more. Without
# smoothing the loss falls as long as the probability rises, so the logits go on growing after all
# slices of the training set are right. With smoothing a network that is too confident is punished.
# A loss with smoothing cannot be compared with one without: compare the validation losses, which
# are computed without smoothing in both cases.
### END SOLUTION
