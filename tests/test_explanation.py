"Heat maps agree with another library and follow a planted signal; shortcuts are named."
import csv

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from brain_tumor_nb.cli import cli
from brain_tumor_nb.data import MRIFolder, find_data
from brain_tumor_nb.explanation import (METHODS, grad_cam, heat_maps, judge_explanation, layer_cam,
                                        place_layers, slices_to_explain)
from brain_tumor_nb.learners import load_learner
from brain_tumor_nb.model import create_model, head
from brain_tumor_nb.phantom import phantom_folder
from brain_tumor_nb.runs import Run, train_run
from brain_tumor_nb.training import Config
from inside import refusal

SIZE = 96
# name to captum's layer; None: captum's LayerGradCam takes tokens for channels
FAMILIES = dict(resnet18=lambda m: m.layer4, densenet121=lambda m: m.features,
                efficientnet_b0=lambda m: m.features[-1], swin_t=lambda m: m.permute,
                mobilenet_v3_small=lambda m: m.features[-1], convnext_tiny=lambda m: m.features,
                efficientnet_lite0=lambda m: m[-5], vgg11=lambda m: m.avgpool,
                vit_b_32=None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    "The head alone on the sample, small slices, two folds."
    out = tmp_path_factory.mktemp("runs")/"frozen"
    train_run("sample", out, Config.recommended(freeze=True, size=64, views=1, folds=2), judges=())
    return out


def network(arch):
    "A network whose head is not zero, in evaluation mode."
    model = create_model(arch, 3, size=SIZE, seed=0).eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nn.init.normal_(head(model).weight, std=.1)
    return model


@pytest.mark.long
@pytest.mark.parametrize("arch", FAMILIES)
def test_families(arch):
    "Grad-CAM is captum's, as many rows as columns, and goes on the slice as LayerCAM does."
    model,target = network(arch),torch.tensor([0, 2])
    x = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    found = grad_cam(model, x, target)
    assert found.shape == (2, *[7 if arch == "vgg11" else 3]*2)
    if FAMILIES[arch]:
        from captum.attr import LayerGradCam
        theirs = LayerGradCam(model, FAMILIES[arch](model)).attribute(x, target).relu()[:, 0]
        assert (found - theirs).abs().max() < 1e-4*max(1, theirs.max())
    heat = layer_cam(model, x, target)
    assert heat.shape == (2, SIZE, SIZE) and heat.isfinite().all() and heat.max() <= 1
    assert 1 <= len(place_layers(model, x, 3)) <= 3


@pytest.mark.long
@pytest.mark.parametrize("arch", ["vit_b_32", "swin_t"])
def test_planted_signal_in_transformers(arch):
    "Where one patch alone holds values, it alone may be hot: row 1, column 2 of 3 by 3."
    model, x = network(arch), torch.zeros(1, 3, SIZE, SIZE)
    layer, = place_layers(model, x)
    sums = []
    for sign in (1, -1):
        def plant(module, inputs, output, sign=sign):
            planted = torch.zeros_like(output)
            if output.dim() == 3:
                planted[:, 1 + 5] = sign                # after the class's own token
            else:
                planted[:, :, 1, 2] = sign
            return output*0 + planted
        hook = layer.register_forward_hook(plant)
        heat = grad_cam(model, x, torch.tensor([1]))[0]
        hook.remove()
        sums.append(heat.sum().item())
        assert heat.sum() == heat[1, 2]
    assert max(sums) > 0


def test_scales_are_averaged(tmp_path):
    "A head that looks at two sizes: the mean of both maps, each enlarged to the slice."
    config = Config.recommended(freeze=True, size=64, scales=(1, .5), views=1, folds=1)
    run = train_run("sample", tmp_path/"run", config, judges=())
    asked = slices_to_explain(run, MRIFolder(find_data("sample")), 4)
    learner = load_learner(run.parts[0])
    both = heat_maps(learner, asked.pixels, asked.target, "grad_cam")
    one = heat_maps(one_size(learner, 1), asked.pixels, asked.target, "grad_cam")
    half = heat_maps(one_size(learner, .5), asked.pixels, asked.target, "grad_cam")
    assert (both - (one + half)/2).abs().max() < 1e-5 and (one - half).abs().max() > 1e-3


def test_repeats(tmp_path):
    "Of repeated folds the first explain: each slice by one network that did not see it."
    config = Config.recommended(freeze=True, size=48, views=1, folds=2, repeats=2)
    run = train_run("sample", tmp_path/"run", config, judges=())
    asked = slices_to_explain(run, MRIFolder(find_data("sample")), 10)
    assert len(asked.parts) == 2 and (asked.explainers == 1).all()
    for (learner, rows), split in zip(asked.parts, run.splits()):
        held = {split.paths[i] for i in split.valid}
        assert {asked.pred.paths[i] for i in np.flatnonzero(rows)} <= held


def one_size(learner, scale):
    "The same learner, looking at one size."
    from dataclasses import replace
    return replace(learner, config=replace(learner.config, scales=(scale,)))


def test_command(trained, tmp_path):
    "A picture and a row per slice; what cannot be read is named, and the rest is drawn."
    folder = MRIFolder(find_data("sample"))
    files = [f"{folder.root}/{folder.paths[i]}" for i in (0, 100)]
    (tmp_path/"thesis.png").write_text("no picture")
    args = ["explain", trained, *files, tmp_path/"thesis.png", "--out", tmp_path/"out"]
    found = CliRunner().invoke(cli, [str(a) for a in args])
    assert found.exit_code and "thesis.png" in found.stderr and "1 of 3 files" in found.stderr
    rows = list(csv.reader(found.stdout.splitlines()))[1:]
    assert [r[0] for r in rows] == files and all(r[1] in folder.classes for r in rows)
    for r in rows:
        with Image.open(r[3]) as im:
            assert np.asarray(im.convert("RGB")).std() > 10
    assert len(list((tmp_path/"out").iterdir())) == 2


def test_slips(trained, tmp_path):
    "One line each."
    picture = tmp_path/"a.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(picture)
    assert "is a file" in refusal("explain", trained, picture, "--out", picture)
    assert "is no run folder" in refusal("explain", tmp_path/"none", picture)
    assert "luck" in refusal("explain", trained, picture, "--method", "luck")
    method, = [p for p in cli.commands["explain"].params if p.name == "method"]
    assert list(method.type.choices) == list(METHODS)


@pytest.mark.parametrize("shortcut", [
    "noise", pytest.param("mark", marks=pytest.mark.long),
    pytest.param("border", marks=pytest.mark.long), pytest.param(None, marks=pytest.mark.long)])
def test_shortcuts_of_the_phantom_are_named(shortcut, tmp_path):
    "What was planted, and nothing else."
    data = phantom_folder(classes=("no", "yes"), subjects=40, slices=2, seed=1, shortcut=shortcut)
    config = Config.recommended(freeze=True, size=96, views=1, folds=2)
    if shortcut == "mark":                              # too small for frozen features
        config = Config.recommended(1000, size=64, views=1, folds=2, epochs=6, degrees=0, jitter=0,
                                    mixup=0, flip=0)
    run = train_run(data, tmp_path/"run", config, judges=())
    warning = judge_explanation(run, MRIFolder(data)).warning
    words = {None: "", "mark": "the upper left corner", "border": "the rim", "noise": "on noise"}
    assert words[shortcut] in warning and bool(warning) == bool(shortcut), warning


def test_without_masks(trained):
    "Slices without outlines: parts are taken away, and no heat is scored."
    from shutil import copytree
    import tempfile
    from pathlib import Path
    with tempfile.TemporaryDirectory() as home:
        bare = Path(home)/"bare"
        copytree(find_data("sample"), bare)
        (bare/"manifest.csv").unlink()
        run = train_run(bare, Path(home)/"run", Run(trained).config, judges=())
        section = judge_explanation(run, MRIFolder(bare))
    assert "Heat was not scored" in section.sentences[0] and len(section.tables) == 1


@pytest.mark.long
def test_tool_explanation(tool, trained, tmp_path):
    "A row per map and score, and what is there is left alone."
    args = ("explanation", "sample", find_data("sample"), trained, "--model", "a", "--quick",
            "--out", tmp_path)
    assert tool(*args) == 0
    def rows(name):
        with open(tmp_path/f"{name}.csv", newline="", encoding="utf-8") as f:
            return list(csv.DictReader(f))
    found = rows("explanation")
    assert len(found) == 6*3 and {r["score"] for r in found} == {"pointing", "inside", "overlap"}
    assert len(rows("explanation_random")) == 6 and len(rows("explanation_parts")) == 9
    listed = [r["path"] for r in rows("explanation_sample")]
    assert len(listed) == int(found[0]["slices"]) > 200
    assert tool(*args) == 0 and rows("explanation") == found
