# %% [markdown]
# # Lab 6: evaluation
# > What may be said of a model, and how sure is it?
#
# You need [lesson 6](../../nbs/06_evaluation.ipynb). Tasks 1 to 8: 90 minutes, 16 marks. The
# exercises after them: 40 minutes, 4 marks; you can do them at home. Offline, no graphics card.
#
# - Write your answers where it says *Your answer here*. Leave the other code cells as they are.
# - Below each answer are *checks*, one mark each. Run them: a check that says nothing has passed,
#   one that stops tells you what to look at. Some checks look at more than they show.
# - Open the hints one after another, as many as you need. They cost nothing.
# - At the end: *Kernel → Restart Kernel and Run All Cells*, save, and hand in this file.
#
# The next cell makes the predictions of this lab, from the 240 real slices that come with the
# package. All of them show a tumour, of one of three types. The model looks for *glioma*: the
# positive class is glioma, the negative class the two other types. It is a weak one, logistic
# regression on pictures of 16 × 16 pixels, in five folds: no slice is predicted by a model that has
# learnt from a slice of the same patient.

# %%
import math
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data
from brain_tumor_nb.evaluation import bootstrap_weights
from brain_tumor_nb.figures import BLUE, use_style
from brain_tumor_nb.splitting import find_groups

use_style()
folder = MRIFolder(find_data("sample"))
pixels = PixelStore(folder, size=16).pixels.numpy().reshape(len(folder), -1)/255
truth = np.array([path.startswith("glioma/") for path in folder.paths])
patient = np.asarray(find_groups(folder))
prob = cross_val_predict(LogisticRegression(max_iter=1000), pixels, truth, groups=patient,
                         cv=StratifiedGroupKFold(5), method="predict_proba")[:, 1]
print(len(truth), "slices of", len(set(patient)), "patients,", truth.sum(), "with a glioma")

# %% [markdown]
# What you have now, one entry per slice:
#
# | name | what it is |
# |---|---|
# | `truth` | true where the slice shows a glioma |
# | `prob` | the predicted probability of glioma, 0 to 1 |
# | `patient` | a number for the patient of the slice |
#
# The tasks say *tumour* for the positive class, as the lesson does. Here it is glioma, and a slice
# "without a tumour" is one with another type.
#
# Try your functions on these three in cells of your own. Most checks use other, made-up
# predictions.

# %%
def made_up(tp, fn, fp, tn):
    "Truth and prediction (bool) of so many slices of each kind."
    counts = [tp, fn, fp, tn]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False]*2, counts)


def scores_of(n, seed=0):
    "Truth (bool) and probability of n made-up slices; those with a tumour have higher ones."
    rng = np.random.default_rng(seed)
    y = rng.random(n) < .4
    return y, 1/(1 + np.exp(-rng.normal(1.2*y - .6, 1)))


# %% [markdown]
# ## 1 Four shares
#
# Count the four kinds of predictions, and divide. Write `shares`: sensitivity, specificity,
# positive predictive value (`"ppv"`) and negative predictive value (`"npv"`). If there are no
# slices to divide by, the share is not a number: `math.nan`.

# %% task="shares"
def shares(truth, called):
    """A dictionary with "sensitivity", "specificity", "ppv" and "npv", from 0 to 1, or nan.

    truth: bool [N], the slice has a tumour; called: bool [N], the model says so"""
    ### BEGIN SOLUTION
    def share(right, among):
        return right.sum()/among.sum() if among.any() else math.nan
    right = truth == called
    return {"sensitivity": share(right & truth, truth),
            "specificity": share(right & ~truth, ~truth),
            "ppv": share(right & called, called),
            "npv": share(right & ~called, ~called)}
    ### END SOLUTION

# %% [markdown] hint="shares"
# Hint 1: where to look
# The two tables of the lesson, in *Four kinds of predictions* and *Four shares*, say what to count
# and what to divide.

# %% [markdown] hint="shares"
# Hint 2: counting
# `tp = (truth & called).sum()`, `fn = (truth & ~called).sum()`, `fp = (~truth & called).sum()`,
# `tn = (~truth & ~called).sum()`.

# %% [markdown] hint="shares"
# Hint 3: dividing
# `return {"sensitivity": tp/(tp + fn), "specificity": tn/(tn + fp), "ppv": tp/(tp + fp), "npv":
# tn/(tn + fn)}`. Dividing by 0 gives a warning. To avoid it, write in place of `tp/(tp + fp)`:
# `tp/(tp + fp) if tp + fp else math.nan`. The same for the three others.

# %% check="shares_of_truth"
found_1 = shares(*made_up(tp=6, fn=2, fp=1, tn=9))
pair_1 = float(found_1["sensitivity"]), float(found_1["specificity"])
assert np.allclose(pair_1, [.75, .9], atol=1e-6), (
    f"of 8 slices with a tumour 6 are called so, of 10 without 9 are called without: you find "
    f"{pair_1[0]:.3f} and {pair_1[1]:.3f}. Both are shares of the slices of one *true* class")
### BEGIN HIDDEN TESTS
found_1 = shares(*made_up(tp=3, fn=9, fp=4, tn=1))
pair_1 = float(found_1["sensitivity"]), float(found_1["specificity"])
assert np.allclose(pair_1, [.25, .2], atol=1e-6), (
    f"with 3 TP, 9 FN, 4 FP and 1 TN you find {pair_1[0]:.3f} and {pair_1[1]:.3f}, and it is "
    "3/12 and 1/5")
### END HIDDEN TESTS

# %% check="shares_of_called"
found_1 = shares(*made_up(tp=6, fn=2, fp=1, tn=9))
pair_1 = float(found_1["ppv"]), float(found_1["npv"])
assert np.allclose(pair_1, [6/7, 9/11], atol=1e-6), (
    f"of 7 slices called tumour 6 have one, of 11 called without 9 have none: you find "
    f"{pair_1[0]:.3f} and {pair_1[1]:.3f}. Both are shares of the slices of one *prediction*")
value_1 = shares(*made_up(tp=0, fn=4, fp=0, tn=6))["ppv"]
assert value_1 is None or np.isnan(value_1), (
    f"no slice is called tumour, and you say that the share of right ones is {value_1}: a share "
    "of no slices is not a number")

# %% [markdown]
# ## 2 Accuracy over batches
#
# Predictions come in batches. Write `batch_accuracy`: the share of all slices whose prediction is
# right. The last batch may be smaller than the others.

# %% task="batch_accuracy"
def batch_accuracy(batches):
    """Accuracy over the slices of all batches, 0 to 1.

    batches: a list of pairs (truth, called), both bool [B]"""
    ### BEGIN SOLUTION
    right = sum((truth == called).sum() for truth, called in batches)
    return right/sum(len(truth) for truth, called in batches)
    ### END SOLUTION
    ### BEGIN MISTAKE 2
    right = sum((truth == called).sum() for truth, called in batches)
    return right/(len(batches)*len(batches[0][0]))
    ### END MISTAKE

# %% [markdown] hint="batch_accuracy"
# Hint 1: two sums
# Go through the batches once, and add up two numbers: how many slices are right, and how many
# slices there are.

# %% [markdown] hint="batch_accuracy"
# Hint 2: the lines
# `right = n = 0`, then `for y, called in batches:` with `right += (y == called).sum()` and
# `n += len(y)`. At the end `return right/n`.

# %% check="accuracy_full"
def in_batches(y, called, size):
    "Batches of `size` slices; the last may be smaller."
    return [(y[k:k+size], called[k:k+size]) for k in range(0, len(y), size)]

pair_2 = made_up(tp=5, fn=1, fp=2, tn=4)
value_2 = float(batch_accuracy(in_batches(*pair_2, 4)))
assert abs(value_2 - .75) < 1e-6, (
    f"9 of 12 slices are right, in three batches of 4, and you find {value_2:.3f}")

# %% check="accuracy_last_batch" mistakes="2"
pair_2 = made_up(tp=16, fn=9, fp=10, tn=15)
value_2 = float(batch_accuracy(in_batches(*pair_2, 4)))
assert abs(value_2 - .62) < 1e-6, (
    f"31 of 50 slices are right, 0.620, and you find {value_2:.3f}. There are 13 batches of at "
    "most 4, and the last holds 2: 13 × 4 counts two slices that do not exist, and a mean over "
    "batches gives the last two slices twice their weight")
### BEGIN HIDDEN TESTS
for size_2 in (3, 7, 49, 60):
    value_2 = float(batch_accuracy(in_batches(*pair_2, size_2)))
    assert abs(value_2 - .62) < 1e-6, (
        f"31 of 50 slices are right, and in batches of {size_2} you find {value_2:.3f}: the size "
        "of the batches must not matter")
### END HIDDEN TESTS

# %% [markdown]
# ## 3 When few have the disease
#
# Sensitivity and specificity of a model are known, and a share of the slices has a tumour: the
# *prevalence*. Which share of the slices called tumour has one? Write `predictive_value`.

# %% task="predictive_value"
def predictive_value(sensitivity, specificity, prevalence):
    "Positive predictive value, 0 to 1; all arguments from 0 to 1."
    ### BEGIN SOLUTION
    hits = sensitivity*prevalence
    alarms = (1 - specificity)*(1 - prevalence)
    return hits/(hits + alarms)
    ### END SOLUTION

# %% [markdown] hint="predictive_value"
# Hint 1: a thousand slices
# The lesson does it for 20 with a tumour and 980 without, at the end of *Four shares*. Here 20 is
# `prevalence`, and 980 is `1 - prevalence`.

# %% [markdown] hint="predictive_value"
# Hint 2: the lines
# `hits = sensitivity*prevalence`, `alarms = (1 - specificity)*(1 - prevalence)`,
# `return hits/(hits + alarms)`.

# %% check="predictive_rare"
value_3 = float(predictive_value(.727, .777, .02))
assert abs(value_3 - .0624) < .001, (
    f"with the lesson's model and 20 of 1,000 slices with a tumour you find {value_3:.3f}, and it "
    "should be near 0.06: most of those called tumour are false alarms, because so many slices "
    "have none")
### BEGIN HIDDEN TESTS
for given_3, wanted_3 in (((.9, .8, .5), .9/1.1), ((.6, .9, 1), 1), ((.8, .5, .25), .2/.575)):
    value_3 = float(predictive_value(*given_3))
    assert abs(value_3 - wanted_3) < 1e-6, (
        f"sensitivity, specificity, prevalence {given_3}: you find {value_3:.3f}, and it is "
        f"{wanted_3:.3f}")
### END HIDDEN TESTS

# %% [markdown]
# ## 4 Operating point
#
# A slice is called tumour when its probability *reaches* the threshold. Write `operating_point`:
# the sensitivity and the specificity that belong to a threshold.

# %% task="operating_point"
def operating_point(truth, prob, threshold):
    "(sensitivity, specificity), 0 to 1; truth: bool [N]; prob: float [N]; threshold: a number."
    ### BEGIN SOLUTION
    called = prob >= threshold
    return called[truth].mean(), (~called[~truth]).mean()
    ### END SOLUTION

# %% [markdown] hint="operating_point"
# Hint 1: shares of arrays
# `prob[truth]` are the probabilities of the slices with a tumour, `prob[~truth]` those of the
# others. The mean of an array of true and false is the share that is true.

# %% [markdown] hint="operating_point"
# Hint 2: the line
# `return (prob[truth] >= threshold).mean(), (prob[~truth] < threshold).mean()`

# %% check="point_at_threshold"
y_4 = np.array([True, True, True, True, False, False, False, False, False])
p_4 = np.array([.9, .7, .5, .2, .8, .5, .4, .3, .1])
pair_4 = [float(v) for v in operating_point(y_4, p_4, .5)]
assert np.allclose(pair_4, [.75, .6], atol=1e-6), (
    f"at the threshold 0.5 the probabilities {p_4[y_4].tolist()} (tumour) and "
    f"{p_4[~y_4].tolist()} (none) give the sensitivity 3/4 and the specificity 3/5, and you find "
    f"{pair_4}. One slice of each class lies exactly on the threshold: it reaches it")
### BEGIN HIDDEN TESTS
for threshold_4, wanted_4 in ((0, [1, 0]), (1.1, [0, 1]), (.75, [.25, .8])):
    pair_4 = [float(v) for v in operating_point(y_4, p_4, threshold_4)]
    assert np.allclose(pair_4, wanted_4, atol=1e-6), (
        f"at the threshold {threshold_4} you find {pair_4}, and it is {wanted_4}")
### END HIDDEN TESTS

# %% [markdown]
# ## 5 A ROC curve in a file
#
# A figure that is only shown in a notebook is lost to everybody who runs the code elsewhere. Write
# `draw_roc`. It draws the operating points of many thresholds as one line, writes the figure to
# `file`, and returns the axes.
#
# - x axis: 1 − specificity, y axis: sensitivity, each with its name at the axis;
# - both from 0 to 1: the line goes from (0, 0) to (1, 1);
# - a title.

# %% task="draw_roc"
def draw_roc(truth, prob, file):
    """Draw the ROC curve, write it to `file` (a PNG), and return the axes.

    truth: bool [N]; prob: float [N], 0 to 1; file: a path"""
    ### BEGIN SOLUTION
    thresholds = np.linspace(0, 1.001, 501)
    sensitivity = [(prob[truth] >= t).mean() for t in thresholds]
    alarms = [(prob[~truth] >= t).mean() for t in thresholds]
    fig, ax = plt.subplots(figsize=(4, 4))
    ax.plot(alarms, sensitivity, color=BLUE)
    ax.set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC curve", aspect="equal")
    fig.savefig(file)
    return ax
    ### END SOLUTION
    ### BEGIN MISTAKE 13
    thresholds = np.linspace(0, 1.001, 501)
    sensitivity = [(prob[truth] >= t).mean() for t in thresholds]
    alarms = [(prob[~truth] >= t).mean() for t in thresholds]
    fig, ax = plt.subplots(figsize=(4, 4))
    ax.plot(alarms, sensitivity, color=BLUE)
    ax.set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC curve", aspect="equal")
    plt.show
    return ax
    ### END MISTAKE

# %% [markdown] hint="draw_roc"
# Hint 1: the points
# `thresholds = np.linspace(0, 1.001, 501)`, then
# `sensitivity = [(prob[truth] >= t).mean() for t in thresholds]`. The false alarms,
# 1 − specificity, are the same share of `prob[~truth]`: call the list `alarms`.

# %% [markdown] hint="draw_roc"
# Hint 2: the axes
# `fig, ax = plt.subplots(figsize=(4, 4))`, `ax.plot(alarms, sensitivity)`, and
# `ax.set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC curve")`.

# %% [markdown] hint="draw_roc"
# Hint 3: the file
# `fig.savefig(file)`, and then `return ax`. A name without parentheses, such as `plt.show`, calls
# no function.

# %% check="roc_file" mistakes="13"
file_5 = Path(tempfile.mkdtemp())/"roc.png"
draw_roc(truth, prob, file_5)
assert file_5.exists(), (
    "no file was written: whoever runs this outside Jupyter sees no plot. A function is called "
    "only with parentheses, and a figure that is only shown is gone when the program ends")
size_5, colours_5 = Image.open(file_5).size, Image.open(file_5).convert("RGB").getcolors(2**24)
assert min(size_5) >= 100 and len(colours_5) > 10, (
    f"the file is a picture of {size_5[0]} × {size_5[1]} pixels in {len(colours_5)} colours: it "
    "is empty or too small. Write it before it is shown or closed")

# %% check="roc_curve"
def from_left(line):
    "x and y of a line, from left to right."
    x, y = line.get_xydata().T
    return (x[::-1], y[::-1]) if x[0] > x[-1] else (x, y)

y_5, p_5 = scores_of(400)
wanted_5 = roc_auc_score(y_5, p_5)
ax_5 = draw_roc(y_5, p_5, Path(tempfile.mkdtemp())/"roc.png")
plt.close()
assert hasattr(ax_5, "lines"), f"`draw_roc` should return its axes, and it returns {ax_5!r}"
lines_5 = [from_left(line) for line in ax_5.lines if len(line.get_xdata()) >= 20]
assert lines_5, "there is no line of 20 points or more: draw one line, for many thresholds"
line_5 = min(lines_5, key=lambda line: abs(np.trapezoid(line[1], line[0]) - wanted_5))
area_5 = np.trapezoid(line_5[1], line_5[0])
assert abs(area_5 - wanted_5) < .02, (
    f"the area under your line is {area_5:.3f}, and under the ROC curve of these slices it is "
    f"{wanted_5:.3f}. 1 minus that ({1 - wanted_5:.3f}) means that x and y are exchanged")
assert np.allclose([line_5[0][0], line_5[1][0], line_5[0][-1], line_5[1][-1]], [0, 0, 1, 1],
                   atol=.03), "the curve should go from (0, 0) to (1, 1): take all thresholds"

# %% check="roc_names"
ax_5 = draw_roc(*scores_of(50), Path(tempfile.mkdtemp())/"roc.png")
plt.close()
assert hasattr(ax_5, "get_xlabel"), f"`draw_roc` should return its axes, and returns {ax_5!r}"
named_5 = ax_5.get_xlabel(), ax_5.get_ylabel(), ax_5.get_title()
assert "specificity" in named_5[0].lower() and "sensitivity" in named_5[1].lower(), (
    f"the axes are named {named_5[0]!r} and {named_5[1]!r}: a reader must see which is "
    "1 − specificity and which is sensitivity")
assert named_5[2].strip(), "the figure has no title: say in two or three words what it shows"

# %% [markdown]
# ## 6 AUROC from pairs
#
# Draw one slice with a tumour and one without. The AUROC is the probability that the one with the
# tumour gets the higher predicted probability; a tie counts half. Write `pair_auroc`: compare all
# pairs. Compute it yourself, without scikit-learn.

# %% task="pair_auroc"
def pair_auroc(truth, prob):
    "Area under the ROC curve, 0 to 1; truth: bool [N]; prob: float [N]."
    ### BEGIN SOLUTION
    pairs = prob[truth][:, None] - prob[~truth][None, :]
    return (pairs > 0).mean() + (pairs == 0).mean()/2
    ### END SOLUTION

# %% [markdown] hint="pair_auroc"
# Hint 1: all differences
# `prob[truth][:, None] - prob[~truth][None, :]` is a table of all differences: one row per slice
# with a tumour, one column per slice without.

# %% [markdown] hint="pair_auroc"
# Hint 2: the line
# With `pairs` for this table: `return (pairs > 0).mean() + (pairs == 0).mean()/2`.

# %% check="auroc_pairs"
y_6, p_6 = scores_of(200, seed=1)
value_6, wanted_6 = float(pair_auroc(y_6, p_6)), roc_auc_score(y_6, p_6)
assert abs(value_6 - wanted_6) < 1e-6, (
    f"you find {value_6:.3f}, and it is {wanted_6:.3f}: count the pairs in which the slice with "
    "the tumour has the higher probability, and divide by the number of all pairs")

# %% check="auroc_ties"
y_6 = np.array([True, True, False, False])
value_6 = float(pair_auroc(y_6, np.array([.8, .5, .5, .1])))
assert abs(value_6 - .875) < 1e-6, (
    f"of the four pairs three are right and one is a tie (0.5 and 0.5): 3.5/4, and you find "
    f"{value_6:.3f}. A tie is neither right nor wrong: it counts half")
### BEGIN HIDDEN TESTS
value_6 = float(pair_auroc(y_6, np.full(4, .7)))
assert abs(value_6 - .5) < 1e-6, (
    f"a model that says 0.7 of every slice is guessing, and you find {value_6:.3f}")
y_6, p_6 = scores_of(90, seed=2)
value_6, wanted_6 = float(pair_auroc(y_6, p_6.round(1))), roc_auc_score(y_6, p_6.round(1))
assert abs(value_6 - wanted_6) < 1e-6, (
    f"with probabilities of one decimal you find {value_6:.3f}, and it is {wanted_6:.3f}")
### END HIDDEN TESTS

# %% [markdown]
# ## 7 The interval of a share
#
# Write `wilson_interval`: Wilson's 95 % interval for `k` right slices of `n`, with z = 1.96. All
# slices are taken as independent here. Write the formula yourself; the library has it as `wilson`.

# %% task="wilson_interval"
def wilson_interval(k, n):
    "(low, high), 0 to 1; k: successes, 0 to n; n: trials, 1 or more."
    ### BEGIN SOLUTION
    p, z = k/n, 1.96
    half = z*math.sqrt(p*(1 - p)/n + z**2/(4*n**2))
    middle = p + z**2/(2*n)
    return (middle - half)/(1 + z**2/n), (middle + half)/(1 + z**2/n)
    ### END SOLUTION

# %% [markdown] hint="wilson_interval"
# Hint 1: where to look
# The formula stands in *How sure is a score? The interval* of the lesson. Begin with
# `p, z = k/n, 1.96`, and compute the part before ± and the part after it.

# %% [markdown] hint="wilson_interval"
# Hint 2: the parts
# `middle = p + z**2/(2*n)` and `half = z*math.sqrt(p*(1 - p)/n + z**2/(4*n**2))`. Both ends are
# divided by `1 + z**2/n`.

# %% [markdown] hint="wilson_interval"
# Hint 3: the line
# `return (middle - half)/(1 + z**2/n), (middle + half)/(1 + z**2/n)`

# %% check="interval_of_40"
pair_7 = [float(v) for v in wilson_interval(40, 50)]
assert np.allclose(pair_7, [.670, .888], atol=.002), (
    f"for 40 of 50 you find {pair_7[0]:.3f} to {pair_7[1]:.3f}, and the lesson has 0.670 to 0.888. "
    "In the formula z²/(4n²) stands under the root, with n² in the denominator: z**2/(4*n**2). "
    "Both ends are divided by 1 + z²/n")
### BEGIN HIDDEN TESTS
for k_7, n_7, wanted_7 in ((50, 50, (.929, 1)), (0, 20, (0, .161)), (160, 200, (.739, .850))):
    pair_7 = [float(v) for v in wilson_interval(k_7, n_7)]
    assert np.allclose(pair_7, wanted_7, atol=.002), (
        f"for {k_7} of {n_7} you find {pair_7[0]:.3f} to {pair_7[1]:.3f}, and it is "
        f"{wanted_7[0]:.3f} to {wanted_7[1]:.3f}")
### END HIDDEN TESTS

# %% [markdown]
# ## 8 A report
#
# Now put it together. Write `report`: accuracy, sensitivity and specificity, each with the 95 %
# interval over *patients*. The bootstrap draws patients: the library's `bootstrap_weights(patient)`
# does it. Its result has 1,000 rows, one per resample, and one column per slice: how often the
# slice counts. Each interval goes from the quantile 0.025 to the quantile 0.975 of the 1,000
# scores.

# %% task="report"
def report(truth, called, patient):
    """{"accuracy": (value, low, high), "sensitivity": …, "specificity": …}, all 0 to 1.

    truth: bool [N]; called: bool [N], the prediction; patient: int [N]"""
    ### BEGIN SOLUTION
    weights = bootstrap_weights(patient)
    right, found = truth == called, {}
    kinds = {"accuracy": truth | ~truth, "sensitivity": truth, "specificity": ~truth}
    for name, among in kinds.items():
        drawn = weights[:, among] @ right[among]/weights[:, among].sum(1)
        low, high = np.quantile(drawn, [.025, .975])
        found[name] = right[among].mean(), low, high
    return found
    ### END SOLUTION
    ### BEGIN MISTAKE 14
    return {"accuracy": (truth == called).mean()}
    ### END MISTAKE

# %% [markdown] hint="report"
# Hint 1: three times the same
# Each of the three is the share of *right* slices (`right = truth == called`) among some slices:
# among all, among those with a tumour (`truth`), among those without (`~truth`).

# %% [markdown] hint="report"
# Hint 2: a thousand scores
# `weights = bootstrap_weights(patient)`. For all slices the 1,000 accuracies are
# `weights @ right/weights.sum(1)`. For some of them, given by a mask `among`:
# `drawn = weights[:, among] @ right[among]/weights[:, among].sum(1)`.

# %% [markdown] hint="report"
# Hint 3: the loop
# `kinds = {"accuracy": truth | ~truth, "sensitivity": truth, "specificity": ~truth}` and
# `found = {}`. Then `for name, among in kinds.items():` with the last line of hint 2,
# `low, high = np.quantile(drawn, [.025, .975])` and
# `found[name] = right[among].mean(), low, high`. At the end `return found`.

# %% check="report_accuracy"
pair_8 = made_up(tp=20, fn=5, fp=3, tn=22)
value_8 = float(np.ravel(report(*pair_8, np.arange(50))["accuracy"])[0])
assert abs(value_8 - .84) < 1e-6, (
    f"42 of 50 slices are right, and the first number of your accuracy is {value_8:.3f}")

# %% check="report_kinds" mistakes="14"
misses_8 = report(*made_up(tp=10, fn=10, fp=0, tn=80), np.arange(100))
alarms_8 = report(*made_up(tp=20, fn=0, fp=10, tn=70), np.arange(100))
values_8 = [{k: round(float(np.ravel(v)[0]), 3) for k, v in found.items()}
            for found in (misses_8, alarms_8)]
assert values_8[0] != values_8[1], (
    "one model misses 10 of 20 tumours, another misses none and raises 10 false alarms, and your "
    f"report says {values_8[0]} of both. A missed tumour and a false alarm are not the same to a "
    "patient: report what tells them apart")
assert values_8[0].get("sensitivity") == .5 and values_8[1].get("specificity") == .875, (
    f"your reports are {values_8}: the first model finds 10 of 20 tumours, the second calls 70 of "
    "80 slices without a tumour so")

# %% check="report_interval" mistakes="14"
found_8 = report(*made_up(tp=20, fn=5, fp=5, tn=20), np.arange(50))
ends_8 = [float(v) for v in np.ravel(found_8["accuracy"])[1:]]
assert len(ends_8) == 2, (
    "40 of 50 slices are right, and your report gives an accuracy without an interval. Other "
    "patients would have given another number, anything from 0.67 to 0.89: say so")
assert .62 < ends_8[0] < .74 and .85 < ends_8[1] < .93, (
    f"40 of 50 slices of 50 patients are right, and your interval is {ends_8[0]:.3f} to "
    f"{ends_8[1]:.3f}; it should be near 0.68 to 0.90. Take the middle 95 % of the resamples: "
    "np.quantile(…, [.025, .975]), or np.percentile(…, [2.5, 97.5])")
for name_8 in ("sensitivity", "specificity"):
    value_8, low_8, high_8 = [float(v) for v in found_8[name_8]]
    assert abs(value_8 - .8) < 1e-6 and .58 < low_8 < .72 and .88 < high_8 < .99, (
        f"20 of 25 are right, and your {name_8} is {value_8:.3f} ({low_8:.3f} to {high_8:.3f}): "
        "it should be near 0.80 (0.64 to 0.96), since it rests on 25 slices only")

# %% check="report_patients" mistakes="14"
pair_8 = made_up(tp=12, fn=4, fp=3, tn=11)
widths_8 = []
for copies_8 in (1, 9):
    y_8, called_8, who_8 = (np.repeat(v, copies_8) for v in (*pair_8, np.arange(30)))
    ends_8 = np.ravel(report(y_8, called_8, who_8)["accuracy"])[1:]
    assert len(ends_8) == 2, (
        f"{len(y_8)} slices of 30 patients, and your accuracy has no interval: nobody can see that "
        "it rests on 30 patients only")
    widths_8.append(float(ends_8[1] - ends_8[0]))
assert .75*widths_8[0] < widths_8[1] < 1.3*widths_8[0], (
    f"30 patients with one slice each, then with nine copies of it each: the interval is "
    f"{widths_8[0]:.3f} wide, then {widths_8[1]:.3f}. Nine copies tell no more than one, so it "
    "should stay the same: draw patients, not slices")

# %% [markdown]
# ## From the lesson's exercises
#
# ### Exercise 1: everything is a tumour
#
# A model calls every slice a tumour. Which of its metrics look good? Try
# `shares(truth, np.full(len(truth), True))`.

# %% [markdown] answer="exercise_1"
### BEGIN SOLUTION
# The sensitivity is 1: no tumour is missed. That looks perfect, and says nothing, since the
# specificity is 0. Precision (the positive predictive value) and accuracy are the prevalence. Here
# that is 80 of 240 slices, 0.33. They look good where most slices are positive: with 155 of 253
# slices with a tumour, as in the original's data, both are 0.61, and the F1 score is 0.76. The
# negative predictive value does not exist, because no slice is called negative.
#
# The balanced accuracy is 0.5 and the AUROC is 0.5, because all slices have the same probability:
# these two show that the model knows nothing. A sensitivity must never be given without the
# specificity.
### END SOLUTION

# %% [markdown]
# ### Exercise 2: a threshold for other patients
#
# Write `transfer`. Choose a threshold on the patients with an even number: the *highest* at which
# the sensitivity reaches `wanted`. Then take it to the patients with an odd number, and give the
# sensitivity and the specificity there.

# %% task="transfer"
def transfer(truth, prob, patient, wanted):
    """(threshold, sensitivity, specificity): chosen on even patients, measured on odd ones.

    truth: bool [N]; prob: float [N]; patient: int [N]; wanted: sensitivity to reach, 0 to 1"""
    ### BEGIN SOLUTION
    even = patient % 2 == 0
    reached = [t for t in prob[even] if (prob[even & truth] >= t).mean() >= wanted]
    threshold = max(reached)
    sensitivity = (prob[~even & truth] >= threshold).mean()
    return threshold, sensitivity, (prob[~even & ~truth] < threshold).mean()
    ### END SOLUTION

# %% [markdown] hint="transfer"
# Hint 1: which thresholds
# `even = patient % 2 == 0`. Between two neighbouring probabilities nothing changes, so it is enough
# to try the values in `prob[even]`.

# %% [markdown] hint="transfer"
# Hint 2: the threshold
# `threshold = max(t for t in prob[even] if (prob[even & truth] >= t).mean() >= wanted)`

# %% [markdown] hint="transfer"
# Hint 3: the others
# `(prob[~even & truth] >= threshold).mean()` is the sensitivity of the odd patients, and
# `(prob[~even & ~truth] < threshold).mean()` their specificity. Return all three.

# %% check="transfer_threshold"
y_9, p_9 = scores_of(300, seed=3)
who_9 = np.arange(300)//3
even_9 = who_9 % 2 == 0
best_9 = max(t for t in p_9[even_9] if (p_9[even_9 & y_9] >= t).mean() >= .9)
threshold_9 = float(transfer(y_9, p_9, who_9, .9)[0])
reached_9 = (p_9[even_9 & y_9] >= threshold_9).mean()
assert reached_9 >= .9, (
    f"at your threshold {threshold_9:.3f} the sensitivity on the even patients is {reached_9:.3f}, "
    "and 0.9 was wanted")
passed_9 = int(((p_9 < best_9) & (p_9 >= threshold_9) & even_9).sum())
assert passed_9 <= 4, (
    f"your threshold {threshold_9:.3f} could be higher: {passed_9} slices of even patients lie "
    "between it and the highest one that reaches 0.9, and each false alarm among them is needless")
### BEGIN HIDDEN TESTS
threshold_9 = float(transfer(y_9, p_9, who_9, .5)[0])
assert (p_9[even_9 & y_9] >= threshold_9).mean() >= .5, "for 0.5 the sensitivity is not reached"
assert threshold_9 > best_9, "a lower sensitivity allows a higher threshold"
### END HIDDEN TESTS

# %% check="transfer_others"
threshold_9, sens_9, spec_9 = [float(v) for v in transfer(y_9, p_9, who_9, .9)]
wanted_9 = ((p_9[~even_9 & y_9] >= threshold_9).mean(), (p_9[~even_9 & ~y_9] < threshold_9).mean())
assert np.allclose([sens_9, spec_9], wanted_9, atol=1e-6), (
    f"at your threshold the odd patients have the sensitivity {wanted_9[0]:.3f} and the "
    f"specificity {wanted_9[1]:.3f}, and you give {sens_9:.3f} and {spec_9:.3f}: are there "
    "patients among them on whom the threshold was chosen?")

# %% [markdown]
# Try `transfer(truth, prob, patient, .95)`. Is the sensitivity of the other patients 0.95? Explain
# what you see.

# %% [markdown] answer="exercise_2"
### BEGIN SOLUTION
# On these slices the threshold is about 0.22. The odd patients have a sensitivity of only 0.80
# there, and a specificity of 0.50. The even patients have 40 slices with a glioma, and the two of
# them with the lowest probabilities lie below the threshold. So two or three slices decide where it
# lies, and these few say little about other patients. The sensitivity that was wanted is not the
# one to report: report the one on patients who had no part in the choice.
#
# For the lesson's table, of 110 patients, the threshold is 0.084, and the others have a
# sensitivity of 0.965 and a specificity of 0.296: nearly all tumours are found, at the price of
# seven false alarms in ten slices without a tumour.
### END SOLUTION

# %% [markdown]
# ### Exercise 3: how many resamples?
#
# Compute the 95 % interval of the accuracy over patients, for `prob >= .5`, with 100, 1,000 and
# 10,000 resamples: `bootstrap_weights(patient, n)`. Put the three pairs into `ends`, a dictionary
# from the number of resamples to `(low, high)`.

# %% task="ends"
### BEGIN SOLUTION
ends = {}
for n in (100, 1000, 10000):
    weights = bootstrap_weights(patient, n)
    accuracies = weights @ (truth == (prob >= .5))/weights.sum(1)
    ends[n] = tuple(np.quantile(accuracies, [.025, .975]))
### END SOLUTION

# %% [markdown] hint="ends"
# Hint 1: one of them
# `weights = bootstrap_weights(patient, 100)`, then
# `accuracies = weights @ (truth == (prob >= .5))/weights.sum(1)`. The ends are
# `np.quantile(accuracies, [.025, .975])`.

# %% [markdown] hint="ends"
# Hint 2: all three
# `ends = {}`, then `for n in (100, 1000, 10000):` with the lines of hint 1 for `n` in place of 100,
# and `ends[n] = tuple(np.quantile(accuracies, [.025, .975]))`.

# %% check="ends_of_three"
drawn_10 = bootstrap_weights(patient, 4000, seed=1)
drawn_10 = drawn_10 @ (truth == (prob >= .5))/drawn_10.sum(1)
wanted_10 = np.quantile(drawn_10, [.025, .975])
assert sorted(ends) == [100, 1000, 10000], f"`ends` has the keys {sorted(ends)}"
for n_10, near_10 in ((100, .04), (1000, .02), (10000, .01)):
    pair_10 = [float(v) for v in ends[n_10]]
    assert np.allclose(pair_10, wanted_10, atol=near_10), (
        f"with {n_10} resamples you find {pair_10[0]:.3f} to {pair_10[1]:.3f}, and it should be "
        f"near {wanted_10[0]:.2f} to {wanted_10[1]:.2f}: are patients drawn, and is it the middle "
        "95 %?")

# %% [markdown]
# From how many on do the ends stay the same in two decimals? Try several seeds
# (`bootstrap_weights(patient, n, seed=1)`).

# %% [markdown] answer="exercise_3"
### BEGIN SOLUTION
# With 100 resamples the ends are about the third lowest and the third highest of 100 scores, and
# between ten seeds they differ by 0.02 to 0.04. With 1,000 they differ by about 0.01, so the second
# decimal of an end changes now and then. With 10,000 they differ by about 0.003: the second decimal
# changes only where an end lies near the border between two of them. For the lesson's table, whose
# 1,792 slices give a narrower interval, both decimals stay the same from 1,000 on.
#
# More resamples make the *ends* exact, not the interval narrow: its width is decided by the number
# of patients.
### END SOLUTION

# %% [markdown]
# ### Exercise 4: half of them
#
# At which prevalence do half of the slices that a model calls tumour have one? Write
# `half_prevalence`.

# %% task="half_prevalence"
def half_prevalence(sensitivity, specificity):
    "The prevalence at which the positive predictive value is 0.5; all numbers from 0 to 1."
    ### BEGIN SOLUTION
    return (1 - specificity)/(sensitivity + 1 - specificity)
    ### END SOLUTION

# %% [markdown] hint="half_prevalence"
# Hint 1: as many hits as alarms
# Half of them have a tumour when there are as many hits as false alarms:
# sensitivity × p = (1 − specificity) × (1 − p). Solve this for p.

# %% [markdown] hint="half_prevalence"
# Hint 2: the line
# `return (1 - specificity)/(sensitivity + 1 - specificity)`

# %% check="half_of_called"
value_11 = float(half_prevalence(.727, .777))
assert abs(value_11 - .235) < .002, (
    f"for the lesson's model you find {value_11:.3f}: with this prevalence "
    f"{.727*value_11:.3f} of all slices are hits and {.223*(1 - value_11):.3f} are false alarms, "
    "and the two should be equal")
### BEGIN HIDDEN TESTS
for sens_11, spec_11 in ((.9, .8), (.5, .99), (1, .5)):
    value_11 = float(half_prevalence(sens_11, spec_11))
    hits_11, alarms_11 = sens_11*value_11, (1 - spec_11)*(1 - value_11)
    assert abs(hits_11 - alarms_11) < 1e-6 and value_11 > 0, (
        f"for sensitivity {sens_11} and specificity {spec_11} you find {value_11:.3f}, and hits "
        "and false alarms are not equal there")
### END HIDDEN TESTS
