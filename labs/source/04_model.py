# %% [markdown]
# # Lab 4: the model
# > Which network, with which head, and which of its parts learn?
#
# You need [lesson 4](../../nbs/04_model.ipynb). 85 minutes, 19 marks, offline.
#
# - Write your answers where it says *Your answer here*. Leave the other code cells as they are.
# - Below each answer are *checks*, one mark each. Run them: a check that says nothing has passed,
#   one that stops tells you what to look at. Some checks look at more than they show.
# - Open the hints one after another, as many as you need. They cost nothing.
# - At the end: *Kernel → Restart Kernel and Run All Cells*, save, and hand in this file.
#
# | part | marks | minutes |
# |---|---|---|
# | 1 Two kernels, and the shape after a convolution | 3 | 15 |
# | 2 A residual block | 1 | 8 |
# | 3 From logits to probabilities | 2 | 8 |
# | 4 A head for any network and any classes | 5 | 15 |
# | 5 What a frozen network still changes | 2 | 8 |
# | 6 A body that stays frozen | 3 | 15 |
# | 7 Two learning rates | 2 | 8 |
# | 8 From the lesson's exercises | 1 | 8 |
#
# Run this cell first:

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import get_model
from torchvision.transforms.functional import to_tensor
from brain_tumor_nb.architectures import blocks
from brain_tumor_nb.data import MRIFolder, find_data
from brain_tumor_nb.figures import show_slices, use_style
from brain_tumor_nb.model import count_model, create_model
from brain_tumor_nb.weights import head

use_style()
folder = MRIFolder(find_data("sample"))
print(folder)
print("classes:", folder.classes)

# %% [markdown]
# ## 1 Two kernels, and the shape after a convolution
#
# A kernel is moved over the picture. At each place its weights are multiplied by the pixels under
# it, and the products are added (lesson 4, and its exercise 1). Write two kernels as tensors of
# the shape `[3, 3]`:
#
# - `horizontal` finds horizontal edges: it gives 0 where the grey is the same everywhere, and 0
#   where it changes from left to right only; it gives another number where the grey changes from
#   top to bottom;
# - `blur` makes the picture less sharp: each pixel becomes a mean of itself and its neighbours.
#   Where the grey is the same everywhere, it stays as it is.

# %% task="kernels"
### BEGIN SOLUTION
horizontal = torch.tensor([[-1., -1., -1.],
                           [0., 0., 0.],
                           [1., 1., 1.]])
blur = torch.full((3, 3), 1/9)
### END SOLUTION

# %% [markdown] hint="kernels"
# Hint 1: from vertical to horizontal
# The lesson's kernel for vertical edges has −1, 0, 1 in each *row*: right minus left. You need
# below minus above.

# %% [markdown] hint="kernels"
# Hint 2: a mean
# A mean of nine pixels: each weight is 1/9, so that the weights add up to 1.

# %% [markdown] hint="kernels"
# Hint 3: the lines
# `horizontal = torch.tensor([[-1., -1., -1.], [0., 0., 0.], [1., 1., 1.]])` and
# `blur = torch.full((3, 3), 1/9)`.

# %%
def filtered(picture, kernel):
    "A picture [H,W] after a kernel [3,3], without padding: [H-2,W-2]."
    return F.conv2d(picture[None, None], torch.as_tensor(kernel).float()[None, None])[0, 0]


flat = torch.full((6, 6), .5)                                 # the same grey everywhere
step = torch.tensor([0., 0., 0., 1., 1., 1.]).repeat(6, 1)    # changes from left to right
point = torch.zeros(7, 7)
point[3, 3] = 1                                               # one white pixel

# %% check="kernel_horizontal"
assert np.shape(horizontal) == (3, 3), (
    f"horizontal has the shape {np.shape(horizontal)}: it should have three rows of three weights")
assert filtered(flat, horizontal).abs().max() < 1e-5, (
    f"without an edge the output is {filtered(flat, horizontal)[0, 0]:.2f}: it should be 0, so the "
    "nine weights must add up to 0")
assert filtered(step, horizontal).abs().max() < 1e-5, (
    "the kernel finds vertical edges too: each row of it should hold one number three times, or "
    "weights that cancel from left to right")
assert filtered(step.T, horizontal).abs().max() > .1, (
    "the kernel does not find a horizontal edge: take the pixels below minus those above")

# %% check="kernel_blur"
assert np.shape(blur) == (3, 3), (
    f"blur has the shape {np.shape(blur)}: it should have three rows of three weights")
assert (filtered(flat, blur) - .5).abs().max() < 1e-3, (
    f"a grey of 0.50 became {filtered(flat, blur)[0, 0]:.2f}: the nine weights must add up to 1")
spread = filtered(point, blur)
assert np.asarray(blur).min() >= 0 and (spread > 0).sum() >= 5 and spread.max() < .9, (
    "one white pixel should become a patch of at least five, none below 0: a mean of neighbours")

# %% [markdown]
# Your two kernels on a part of a real slice (if the checks passed):

# %%
picture = to_tensor(folder[48][0])[0, 57:121, 42:106]         # grey from 0 to 1, [64,64]
if {"horizontal", "blur"} <= set(globals()):
    shown = [picture, filtered(picture, horizontal).abs().clamp(max=1), filtered(picture, blur)]
    show_slices(shown, ["part of a slice: a glioma", "horizontal edges", "blurred"])
    plt.show()

# %% [markdown]
# Without padding the output is smaller than the input. Write `conv_shape`: rows and columns of
# the output, as two whole numbers. Do not run a convolution: compute the numbers.

# %% task="shape"
def conv_shape(height, width, kernel, padding=0, stride=1):
    """Rows and columns after a convolution of an input of `height` rows and `width` columns.

    kernel: side of the kernel in pixels; padding: zeros added on each side;
    stride: the kernel moves so many pixels at a time.
    """
    ### BEGIN SOLUTION
    return ((height + 2*padding - kernel)//stride + 1,
            (width + 2*padding - kernel)//stride + 1)
    ### END SOLUTION

# %% [markdown] hint="shape"
# Hint 1: count the places
# In a row of 6 pixels, a kernel of 3 has 4 places: it begins at pixel 0, 1, 2 or 3. So 6 − 3 + 1.
# Padding makes the row longer, on both sides. With stride 2, every second place counts, and the
# first always does: of 4 places 2, of 5 places 3.

# %% [markdown] hint="shape"
# Hint 2: the line for the rows
# `(height + 2*padding - kernel)//stride + 1`. `//` divides and rounds down. The same with
# `width`.

# %% check="shape_after"
for given in ((6, 6, 3, 0, 1), (192, 192, 3, 1, 1), (9, 12, 5, 0, 1), (7, 8, 3, 0, 2)):
    rows, columns, kernel, padding, stride = given
    wanted = tuple(F.conv2d(torch.zeros(1, 1, rows, columns), torch.zeros(1, 1, kernel, kernel),
                            padding=padding, stride=stride).shape[2:])
    found = tuple(conv_shape(*given))
    assert found == wanted, (f"input {rows} × {columns}, kernel {kernel}, padding {padding}, "
                             f"stride {stride}: the output is {wanted}, you found {found}")
### BEGIN HIDDEN TESTS
for given in ((224, 224, 7, 3, 2), (10, 15, 4, 1, 3)):
    rows, columns, kernel, padding, stride = given
    wanted = tuple(F.conv2d(torch.zeros(1, 1, rows, columns), torch.zeros(1, 1, kernel, kernel),
                            padding=padding, stride=stride).shape[2:])
    found = tuple(conv_shape(*given))
    assert found == wanted, (f"kernel {kernel}, padding {padding}, stride {stride}: the output of "
                             f"{rows} × {columns} is {wanted}, you found {found}: first add the "
                             "padding, then divide by the stride")
### END HIDDEN TESTS

# %% [markdown] answer="why_smaller"
# **Exercise 1.** What is the shape of the output of a 3 × 3 kernel without padding, and why?
#
# ### BEGIN SOLUTION
# Two rows and two columns fewer: [H − 2, W − 2]. The whole kernel must lie on the picture. Its
# middle cannot be at a pixel of the border, because there some of the nine pixels under the
# kernel would be missing. With padding 1 these are zeros, and the size stays.
# ### END SOLUTION

# %% [markdown]
# ## 2 A residual block
#
# In a residual block the input is added to the output of the layers; then comes a last ReLU.
# Write `residual_block`. It computes from `x` what the whole block computes: `layers` (batch
# norms and the inner ReLU are among them), the shortcut, and the ReLU.

# %% task="residual"
def residual_block(x, layers):
    """The output of a residual block: a tensor of the shape of `x`.

    x: the input [B,C,H,W]; layers: a list of layers; each is called like a function, one after
    another.
    """
    ### BEGIN SOLUTION
    y = x
    for layer in layers:
        y = layer(y)
    return F.relu(y + x)
    ### END SOLUTION

# %% [markdown] hint="residual"
# Hint 1: keep the input
# You need `x` twice: the layers begin with it, and it is added at the end. So give the output of
# the layers another name: `y = x`, then `y = layer(y)` in a loop.

# %% [markdown] hint="residual"
# Hint 2: the last line
# After the loop: `return F.relu(y + x)`. The ReLU comes after the sum.

# %% check="residual_sum"
block = get_model("resnet18", weights=None).layer1[0].eval()
x = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    found = residual_block(x, [block.conv1, block.bn1, block.relu, block.conv2, block.bn2])
    wanted = block(x)
assert found.shape == x.shape, f"the shape is {list(found.shape)}, it should be {list(x.shape)}"
assert torch.allclose(found, wanted, atol=1e-4), (
    f"largest difference from resnet18's own block: {(found - wanted).abs().max():.2f}, it should "
    "be 0: first add the input to the output of the layers, then apply ReLU to the sum")
### BEGIN HIDDEN TESTS
x = torch.tensor([[[[1., -2.]]]])
found = residual_block(x.clone(), [lambda y: 0*y])
assert found.flatten().tolist() == [1, 0], (
    f"layers that give 0 leave the input 1 and -2, after ReLU 1 and 0; you found {found.tolist()}")
### END HIDDEN TESTS

# %% [markdown]
# ## 3 From logits to probabilities
#
# Write `to_probabilities`, the softmax, without calling torch's own: the exponential of each
# logit, divided by the sum of the exponentials of that slice. Logits may be as large as 1000,
# whose exponential is too large for the computer. Only differences of logits matter; so subtract
# the largest logit of each slice first.

# %% task="softmax"
def to_probabilities(logits):
    "Probabilities [B,K] of logits [B,K], of B slices and K classes; each row adds up to 1."
    ### BEGIN SOLUTION
    powers = (logits - logits.max(1, keepdim=True).values).exp()
    return powers/powers.sum(1, keepdim=True)
    ### END SOLUTION

# %% [markdown] hint="softmax"
# Hint 1: per slice
# The classes are axis 1. `logits.max(1, keepdim=True).values` has the shape `[B, 1]`, so that it
# can be subtracted from `[B, K]`.

# %% [markdown] hint="softmax"
# Hint 2: the lines
# `powers = (logits - logits.max(1, keepdim=True).values).exp()` and
# `return powers/powers.sum(1, keepdim=True)`.

# %% check="softmax_values"
found = to_probabilities(torch.tensor([[2., 1., -1.], [0., 0., 0.]]))
assert np.allclose(np.asarray(found)[0], [.7054, .2595, .0351], atol=1e-3), (
    f"the logits 2, 1, -1 give 0.705, 0.259, 0.035, you found {np.asarray(found)[0].round(3)}: "
    "exponential, then divide by the sum of this slice")
assert np.allclose(np.asarray(found)[1], 1/3, atol=1e-4), (
    "three equal logits: each class should have 1/3; sum over the classes of one slice (axis 1)")
### BEGIN HIDDEN TESTS
made_up = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
assert np.allclose(to_probabilities(made_up), made_up.softmax(1), atol=1e-5), (
    "five slices, four classes: the probabilities differ from torch's softmax(1)")
### END HIDDEN TESTS

# %% check="softmax_large"
found = np.asarray(to_probabilities(torch.tensor([[1000., 1000.], [-1000., 0.]])))
assert np.allclose(found, [[.5, .5], [0, 1]], atol=1e-4), (
    f"the logits 1000, 1000 give 0.5 and 0.5, you found {found[0]}: subtract the largest logit of "
    "each slice before the exponential")

# %% [markdown] answer="sharper"
# **Exercise 2.** What happens to the probabilities of the logits 2, 1, −1 if all logits are
# multiplied by 10, or by 0.1? Does the prediction change? (Try it with `to_probabilities`.)
#
# ### BEGIN SOLUTION
# Times 10 the differences are ten times as large, and the first class gets nearly all: 1.000,
# 0.000, 0.000. Times 0.1 they are small, and the probabilities come near to 1/3: 0.378, 0.342,
# 0.280. The prediction does not change: the largest logit stays the largest. So the size of the
# logits says how *sure* a network seems, not which class it takes.
# ### END SOLUTION

# %% [markdown]
# ## 4 A head for any network and any classes
#
# torchvision's networks have a head for the thousand classes of ImageNet. Write `new_head`: it
# puts a new `nn.Linear` in place of the last linear layer of `model`, with as many inputs as that
# layer has and one output per class. The layer has another name in each network (`fc` in
# `resnet18`, `classifier.3` in `mobilenet_v3_small`): find it. All else stays as it is. Do not
# build a new network.

# %% task="head"
def new_head(model, classes):
    """The same `model`, its last linear layer replaced by a new one for `classes`.

    model: a network of torchvision whose head is linear; classes: a list of class names.
    """
    ### BEGIN SOLUTION
    name, old = [(name, part) for name, part in model.named_modules()
                 if isinstance(part, nn.Linear)][-1]
    parent, _, own_name = name.rpartition(".")
    setattr(model.get_submodule(parent), own_name, nn.Linear(old.in_features, len(classes)))
    return model
    ### END SOLUTION
    ### BEGIN MISTAKE 11
    model.fc = nn.Linear(512, 2)
    return model
    ### END MISTAKE

# %% [markdown] hint="head"
# Hint 1: find the layer
# `model.named_modules()` gives all parts with their names, in order, such as
# `("classifier.3", Linear(…))`. Collect those that are linear in a list:
# `found = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Linear)]`.
# The last of them is the head: `name, old = found[-1]`.

# %% [markdown] hint="head"
# Hint 2: the new layer
# `nn.Linear(old.in_features, len(classes))`: the number of features is taken from the layer that
# is there, the number of classes from the list.

# %% [markdown] hint="head"
# Hint 3: put it in its place
# The name `classifier.3` is the part `3` of the part `classifier`:
# `parent, _, own_name = name.rpartition(".")`. Then
# `setattr(model.get_submodule(parent), own_name, nn.Linear(…))` puts the new layer there (with a
# parent `""` this is the model itself). Last: `return model`.

# %%
def logits_shape(arch, classes):
    "The shape of what `arch` gives for two pictures after `new_head`, or the error that stops it."
    try:
        model = new_head(get_model(arch, weights=None), classes)
        assert model is not None, "new_head returns nothing: its last line should be `return model`"
        with torch.no_grad():
            return tuple(model.eval()(torch.zeros(2, 3, 64, 64)).shape)
    except NotImplementedError:
        raise
    except (AttributeError, RuntimeError) as error:
        return f"an error ({error})"

# %% check="head_two"
found = logits_shape("resnet18", ["no", "yes"])
assert found == (2, 2), (f"resnet18 for two classes gives {found}, it should give (2, 2): two "
                         "pictures, two logits each")

# %% check="head_classes" mistakes="11"
found = logits_shape("resnet18", folder.classes)
assert found == (2, 3), (f"the sample has three classes, and resnet18 gives {found}, not (2, 3): "
                         "one class can never be predicted. Take the number of "
                         "outputs from `classes`")
### BEGIN HIDDEN TESTS
found = logits_shape("resnet18", list("abcdefg"))
assert found == (2, 7), f"for seven classes resnet18 gives {found}: use len(classes)"
### END HIDDEN TESTS

# %% check="head_resnet50" mistakes="11"
found = logits_shape("resnet50", ["no", "yes"])
assert found == (2, 2), (f"resnet50 gives {found}: its pictures have 2048 features, not 512. Take "
                         "the number of inputs from the layer that you replace")

# %% check="head_mobilenet" mistakes="11"
found = logits_shape("mobilenet_v3_small", ["no", "yes"])
assert found == (2, 2), (f"mobilenet_v3_small gives {found} for two classes: its head has another "
                         "name than `fc`, and a new layer that nobody calls changes nothing. "
                         "Training would go on without a message")
### BEGIN HIDDEN TESTS
found = logits_shape("densenet121", folder.classes)
assert found == (2, 3), f"densenet121 gives {found} for three classes: find the head in any network"
### END HIDDEN TESTS

# %% check="head_body"
model = get_model("resnet18", weights=None)
body = {name: tensor.clone() for name, tensor in model.state_dict().items()
        if not name.startswith("fc.")}
state = new_head(model, ["no", "yes"]).state_dict()
lost = [name for name in body if name not in state or not torch.equal(state[name], body[name])]
assert not lost, (f"{len(lost)} tensors of the body were changed or lost, such as {lost[0]}: only "
                  "the head is new, the body keeps what it has learnt")

# %% [markdown]
# ## 5 What a frozen network still changes
#
# Exercise 3 of the lesson: `model.requires_grad_(False)` says that no weight of `model` learns.
# Is that enough? Write `changed_tensors`. It puts the model into training mode, sends `x` through
# it, and returns the names of all tensors of `model.state_dict()` that have changed.

# %% task="changed"
def changed_tensors(model, x):
    "Names (a list) of the tensors that one pass of `x` [B,3,S,S] in training mode changes."
    ### BEGIN SOLUTION
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    model(x)
    return [name for name, tensor in model.state_dict().items()
            if not torch.equal(tensor, before[name])]
    ### END SOLUTION

# %% [markdown] hint="changed"
# Hint 1: copies
# `model.state_dict()` gives the tensors themselves, not copies. Copy them before:
# `before = {name: tensor.clone() for name, tensor in model.state_dict().items()}`.

# %% [markdown] hint="changed"
# Hint 2: after the pass
# `model.train()`, then `model(x)`. Return the names for which
# `not torch.equal(tensor, before[name])`, in a list like the one above.

# %% check="changed_names"
part = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).requires_grad_(False).eval()
found = sorted(changed_tensors(part, torch.ones(2, 3, 8, 8)))
assert found == ["1.num_batches_tracked", "1.running_mean", "1.running_var"], (
    f"in a convolution and a batch norm that do not learn, three tensors change, you found "
    f"{found}: copy the tensors (clone), then train mode, then one pass")
### BEGIN HIDDEN TESTS
part = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
assert list(changed_tensors(part, torch.ones(2, 3, 8, 8))) == [], (
    "without a batch norm nothing changes in a pass: compare each tensor with its copy")
### END HIDDEN TESTS

# %% check="changed_resnet"
frozen = get_model("resnet18", weights=None).requires_grad_(False)
x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
found = list(changed_tensors(frozen, x))
assert len(found) == 60, (f"resnet18 has 20 batch norms with three statistics each, 60 tensors "
                          f"change; you found {len(found)}")
assert all("running" in name or "tracked" in name for name in found), (
    f"a frozen weight changed: {[name for name in found if name.endswith('weight')][:2]}; only "
    "running statistics should: do not make a training step")

# %% [markdown] answer="frozen_why"
# **Exercise 3.** Which tensors of the frozen `resnet18` changed? Why does it matter?
#
# ### BEGIN SOLUTION
# Those of the 20 batch norms: `running_mean`, `running_var` and the counter
# `num_batches_tracked`, 60 tensors. No weight changed. A batch norm measures in training mode,
# whether its weights learn or not. So a body that is "frozen" in this way computes other features
# in evaluation after each epoch: its pretrained statistics are lost little by little, and the
# head was trained on features that it never sees again. Such a block must stay in evaluation
# mode.
# ### END SOLUTION

# %% [markdown]
# ## 6 A body that stays frozen
#
# Write two functions, without the library's `freeze`:
#
# - `freeze_body(model)`: from now on only the head learns. `head(model)` finds the head.
# - `start_epoch(model)`: called before each epoch. It puts the model into training mode, and then
#   each block in which no parameter learns back into evaluation mode. So the batch norms of
#   frozen blocks keep their running statistics. `blocks(model)` is the list of the blocks.
#
# Both change `model`, and need not return anything.

# %% task="freeze"
def freeze_body(model):
    "Let only the head of `model` learn."
    ### BEGIN SOLUTION
    model.requires_grad_(False)
    head(model).requires_grad_(True)
    ### END SOLUTION

# %% [markdown] hint="freeze"
# Hint 1: first all, then one
# `requires_grad_(False)` works on a whole network as well as on one layer. Freeze all, then let
# the head learn again: `head(model).requires_grad_(True)`.

# %% task="epoch"
def start_epoch(model):
    "Training mode for the blocks of `model` that learn, evaluation mode for all others."
    ### BEGIN SOLUTION
    model.train()
    for block in blocks(model):
        if not any(p.requires_grad for p in block.parameters()):
            block.eval()
    ### END SOLUTION

# %% [markdown] hint="epoch"
# Hint 1: the order
# `model.train()` sets *all* parts to training mode. So it comes first; the blocks follow in a
# loop.

# %% [markdown] hint="epoch"
# Hint 2: does a block learn?
# `any(p.requires_grad for p in block.parameters())` is True if at least one of its parameters
# learns.

# %% [markdown] hint="epoch"
# Hint 3: the loop
# `for block in blocks(model):` and in it
# `if not any(p.requires_grad for p in block.parameters()):` and in it `block.eval()`.

# %%
def pretrained():
    "EfficientNet-Lite0 with the weights of ImageNet and a head for the classes of the sample."
    return create_model("efficientnet_lite0", folder.classes, "offline", size=64, seed=0)


pictures = torch.stack([to_tensor(folder[i][0].resize((64, 64))) for i in (0, 80, 160, 239)])
pictures = pictures.expand(-1, 3, -1, -1)                # grey in three channels, [4,3,64,64]

# %% check="freeze_learns"
model = pretrained()
freeze_body(model)
found = {name for name, p in model.named_parameters() if p.requires_grad}
assert found == {"22.weight", "22.bias"}, (
    f"{len(found)} tensors learn, it should be the two of the head, 22.weight and 22.bias: first "
    "freeze everything, then let the head learn")
### BEGIN HIDDEN TESTS
model = get_model("mobilenet_v3_small", weights=None)
freeze_body(model)
found = {name for name, p in model.named_parameters() if p.requires_grad}
assert found == {"classifier.3.weight", "classifier.3.bias"}, (
    f"in mobilenet_v3_small {len(found)} tensors learn: find the head with head(model)")
### END HIDDEN TESTS

# %% check="epoch_statistics"
model = pretrained().requires_grad_(False)
head(model).requires_grad_(True)
before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
start_epoch(model)
model(pictures)
moved = [name for name, tensor in model.state_dict().items()
         if not torch.equal(tensor, before[name])]
assert not moved, (f"{len(moved)} tensors of the frozen body changed in one pass, such as "
                   f"{moved[0]}: a batch norm in training mode goes on measuring, also where "
                   "nothing learns. Put frozen blocks into evaluation mode, after model.train()")
### BEGIN HIDDEN TESTS
model = get_model("mobilenet_v3_small", weights=None).requires_grad_(False)
head(model).requires_grad_(True)
before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
start_epoch(model)
model(pictures)
moved = [name for name, tensor in model.state_dict().items()
         if not torch.equal(tensor, before[name])]
assert not moved, (f"in mobilenet_v3_small {len(moved)} tensors changed, such as {moved[0]}: go "
                   "through all blocks(model), whatever the network")
### END HIDDEN TESTS

# %% check="epoch_learning"
model = pretrained().requires_grad_(False)
learning = blocks(model)[18]                        # a block with batch norms; the head learns, too
learning.requires_grad_(True)
head(model).requires_grad_(True)
model.eval()
start_epoch(model)
norms = [part for part in learning.modules() if isinstance(part, nn.BatchNorm2d)]
assert learning.training and all(norm.training for norm in norms), (
    "a block that learns must measure its batches: it is in evaluation mode. Only blocks in which "
    "no parameter learns are set back")
### BEGIN HIDDEN TESTS
next(learning.parameters()).requires_grad_(False)
start_epoch(model)
assert learning.training, (
    "a block in which all parameters but one learn is in evaluation mode: set back only blocks in "
    "which *no* parameter learns")
model.requires_grad_(True)
start_epoch(model)
off = [k for k, block in enumerate(blocks(model))
       if not block.training and any(True for _ in block.parameters())]
assert not off, (f"everything learns again, but blocks {off} stayed in evaluation mode: call "
                 "model.train() first")
### END HIDDEN TESTS

# %% [markdown]
# ## 7 Two learning rates
#
# The weights of a new head must change much, those of a pretrained body only a little. An
# optimiser takes a list of *parameter groups*, dictionaries such as
# `{"params": [...], "lr": 0.01}`. Write `two_rates`: the parameters of the head get `lr`, those of
# the body get `body_lr`. A parameter that does not learn is in no group.

# %% task="rates"
def two_rates(model, lr, body_lr):
    "A list of two dictionaries with `params` and `lr`: what learns in the body, and in the head."
    ### BEGIN SOLUTION
    mine = {id(p) for p in head(model).parameters()}
    learn = [p for p in model.parameters() if p.requires_grad]
    return [{"params": [p for p in learn if id(p) not in mine], "lr": body_lr},
            {"params": [p for p in learn if id(p) in mine], "lr": lr}]
    ### END SOLUTION

# %% [markdown] hint="rates"
# Hint 1: which parameter is the head's?
# Do not compare tensors with `==` (that compares their numbers). Compare the objects, with `id`:
# `mine = {id(p) for p in head(model).parameters()}`; then `id(p) in mine` tells.

# %% [markdown] hint="rates"
# Hint 2: the lists
# `learn = [p for p in model.parameters() if p.requires_grad]`. The list of the body is
# `[p for p in learn if id(p) not in mine]`, the list of the head the same without `not`.

# %% [markdown] hint="rates"
# Hint 3: the result
# `return [{"params": …, "lr": body_lr}, {"params": …, "lr": lr}]`, with the two lists of hint 2.

# %%
def rates_of(model, groups):
    "The learning rate of each parameter by its name; a list, because one may stand in two groups."
    names = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for group in groups:
        for p in group["params"]:
            found.setdefault(names[id(p)], []).append(group["lr"])
    return found

# %% check="rates_each"
model = get_model("resnet18", weights=None)
found = rates_of(model, two_rates(model, 1e-2, 1e-4))
wanted = {name: [1e-2 if name.startswith("fc.") else 1e-4] for name, p in model.named_parameters()}
missing, other = set(wanted) - set(found), [n for n in found if found[n] != wanted[n]]
assert not missing, f"{len(missing)} parameters are in no group, such as {sorted(missing)[0]}"
assert not other, (f"{other[0]} has the learning rates {found[other[0]]}, it should have "
                   f"{wanted[other[0]]}: each parameter once, the head with lr, the "
                   "body with body_lr")

# %% check="rates_frozen"
model = get_model("resnet18", weights=None).requires_grad_(False)
model.fc.requires_grad_(True)
model.layer4.requires_grad_(True)
found = set(rates_of(model, two_rates(model, 1e-2, 1e-4)))
wanted = {name for name, p in model.named_parameters() if p.requires_grad}
assert found == wanted, (f"{len(wanted)} parameters learn, your groups hold {len(found)}: leave "
                         "out those that are frozen (requires_grad)")
### BEGIN HIDDEN TESTS
model = create_model("mobilenet_v3_small", folder.classes, size=64, seed=0)
found = rates_of(model, two_rates(model, .5, .25))
assert found["classifier.3.bias"] == [.5] and found["classifier.0.bias"] == [.25], (
    "in mobilenet_v3_small the head is classifier.3 alone: find it with head(model), "
    "use both rates")
### END HIDDEN TESTS

# %% [markdown]
# ## 8 From the lesson's exercises
#
# **Exercise 4.** In a ResNet, the multiply-adds grow with the square of the picture's side. In a
# *transformer* such as `vit_b_32`? Write `work`: the multiply-adds of a network for pictures of
# `size` pixels. Build it with `create_model(…, size=size)`, count with
# `count_model(model, size)`.

# %% task="work"
def work(arch, size):
    "Multiply-adds of the network `arch`, for two classes, per picture of `size` × `size` pixels."
    ### BEGIN SOLUTION
    return count_model(create_model(arch, 2, size=size), size).multiply_adds
    ### END SOLUTION

# %% [markdown] hint="work"
# Hint 1: three numbers
# `count_model` returns three numbers with names: `parameters`, `trainable` and `multiply_adds`.

# %% [markdown] hint="work"
# Hint 2: the line
# `return count_model(create_model(arch, 2, size=size), size).multiply_adds`.

# %% check="work_grows"
small, large = work("resnet18", 64), work("resnet18", 128)
assert 3.9 < large/small < 4.1, (f"resnet18 needs {small:,} multiply-adds at 64 pixels and "
                                 f"{large:,} at 128: it should be four times as many. "
                                 "Use `size` twice")
### BEGIN HIDDEN TESTS
found = work("vit_b_32", 128)
assert 1.4e9 < found < 1.6e9, f"vit_b_32 at 128 pixels: {found:,}: count multiply_adds"
### END HIDDEN TESTS

# %% [markdown] answer="transformer"
# How does the work of `vit_b_32` grow from 64 to 128, 256 and 512 pixels? Why?
#
# ### BEGIN SOLUTION
# From 64 to 512 pixels the counts are 0.43, 1.49, 5.75 and 23.65 times 10⁹. So twice the side
# costs 3.4, 3.9 and 4.1 times as much; for `resnet18` it is 4.0 times in each step.
#
# The picture is cut into (size/32)² squares: 4, 16, 64 and 256. One more vector, the *class
# token*, stands for the whole picture: 5, 17, 65 and 257 in all. The linear layers work once per
# vector, so this part grows with their number; from 5 to 17 is 3.4 times. Comparing each with all
# others grows with the *square* of their number, the fourth power of the side. This part is small
# at 64 pixels. At 512 it makes the growth larger than 4, and at much larger sizes it would be
# most of the work.
# ### END SOLUTION
