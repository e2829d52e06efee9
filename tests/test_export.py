"A run as one ONNX file: the same answers, without torch too; damaged and hostile files."
import copy
import csv
import io
import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, load, save
from torch import nn

from brain_tumor_nb.data import find_data, read_image
from brain_tumor_nb.export import export_onnx
from brain_tumor_nb.familiar import fit_familiar
from brain_tumor_nb.files import predict_files, read_ahead
from brain_tumor_nb.learners import Ensemble, make_learner, stack_pixels
from brain_tumor_nb.model import create_model, head
from brain_tumor_nb.normalization import Normalize, Stats
from brain_tumor_nb.portable import Portable
from brain_tumor_nb.runs import Run
from brain_tumor_nb.splitting import Split
from brain_tumor_nb.training import Config, History
from inside import refusal

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("glioma", "meningioma", "pituitary")
STATS = Stats([.2], [.2])
SMALL = Config(arch="mobilenet_v3_small", weights="none", size=48, framing="widen")
KINDS = {"frozen, one size": replace(SMALL, trainable=0, folds=3),
         "frozen, three sizes": replace(SMALL, trainable=0, folds=3, views=2, scales=(1, .75, .5)),
         "fine-tuned, two folds, six views": replace(SMALL, folds=2, views=6),
         "tutorial": Config.tutorial(weights="none")}
LONG = [pytest.param(name, marks=pytest.mark.long) for name in list(KINDS)[1:]]


@pytest.fixture(scope="module")
def files():
    "Real slices of the sample, of all classes."
    return sorted(find_data("sample").glob("*/*[0-9].png"))[::7]


def untrained(config, pixels):
    "A network of random weights whose batch norms have seen slices, so that its answers differ."
    model = create_model(config.arch, CLASSES, "none", config.size).train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = None
    x = Normalize(STATS)(pixels)
    model(x)
    head(model).weight *= 2/model.eval()(x).std(0).mean()
    return model


@torch.no_grad()
def fake_run(folder, config, squares):
    "A run folder of such networks, to which four in ten slices are unfamiliar."
    torch.manual_seed(0)
    pixels,split = stack_pixels(squares),Split([0], [1], ["a", "b"], [0, 1], 0, "")
    learners = [make_learner(config, CLASSES) for _ in range(config.folds)]
    for fold,learner in enumerate(learners):
        learner.stats,learner.trained = STATS,True
        learner.model = untrained(config, pixels)
        if fold and config.trainable == 0:                      # the body is that of the first
            body = copy.deepcopy(learners[0].model)
            head(body).load_state_dict(head(learner.model).state_dict())
            learner.model = body
        features = learner.features(learner.prepare(pixels))
        learner.familiar = fit_familiar(features[:12], features, rate=.4)   # between two slices
        history = History()
        history.add(1., 1., .5, 0.)
        learner.save(folder/f"fold_{fold}" if config.folds > 1 else folder, split, history)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory, files):
    "Makes, once, a run of a kind and its exported file."
    made = {}
    def make(kind):
        if kind not in made:
            home = tmp_path_factory.mktemp("export")
            run = fake_run(home/"run", KINDS[kind], read_squares(files, KINDS[kind]))
            made[kind] = run, export_onnx(run, home/"run.onnx")
        return made[kind]
    return make


def read_squares(files, wanted):
    "Square pictures, see `read_ahead`."
    return [im for block in read_ahead(files, wanted) for _,im in block]


@pytest.mark.parametrize("kind", ["frozen, one size", *LONG])
def test_same_answers(exported, files, kind):
    "Batches of 1, 2, 5 and 300: the same classes and marks, probabilities within 1e-5."
    run,file = exported(kind)
    net,portable = Ensemble(Run(run).learners()),Portable(file)
    squares = read_squares(files, net)
    for n in (1, 2, 5, 300):
        some = (squares*(n//len(squares) + 1))[:n]
        (probs,marks),(found,found_marks) = net.look(some),portable.look(some, batch=n)
        assert np.abs(probs - found).max() < 1e-5
        assert (probs.argmax(1) == found.argmax(1)).all() and len(found) == n
        assert (marks == found_marks).all()
    assert probs.std(0).min() > .01 and 0 < marks.mean() < 1, "answers that differ are compared"


def test_frozen_body_is_stored_once(exported):
    "Three heads on one body take little more than one network."
    run,file = exported("frozen, one size")
    one = (run/"fold_0"/"model.safetensors").stat().st_size
    assert file.stat().st_size < 1.3*one


def test_a_file_tells_what_it_is_and_not_where_it_was_made(exported):
    run,file = exported("frozen, one size")
    facts = Portable(file).facts
    assert facts["purpose"] == "for teaching, not a medical device"
    assert facts["classes"] == list(CLASSES) and facts["networks"] == 3
    content = file.read_bytes()
    for secret in (b"site-packages", b".py", str(ROOT).encode(), str(run).encode()):
        assert secret not in content


def answers(text):
    "The rows of `btnb predict`."
    return list(csv.reader(io.StringIO(text)))


def same_table(one, other):
    "The same paths, classes and marks, probabilities within 2e-6 of six printed digits."
    assert len(one) == len(other) and one[0] == other[0]
    for a,b in zip(one[1:], other[1:]):
        assert (a[:2], a[-1]) == (b[:2], b[-1])
        assert np.allclose([float(v) for v in a[2:-1]], [float(v) for v in b[2:-1]], atol=1.1e-5)


IN_DATA = read_image.__module__ == "brain_tumor_nb.data"
needs_move = pytest.mark.skipif(IN_DATA, reason="read_image stands in data, which imports torch")
PREDICT = """
import sys
from brain_tumor_nb import cli
try:
    cli.main(sys.argv[1:])
finally:
    heavy = {"torch", "torchvision", "scipy", "matplotlib", "onnx"} & set(sys.modules)
    assert not heavy, heavy
"""


@needs_move
def test_predict_imports_no_torch(exported, files):
    "The table of the command, from the run and from the file, which never imports torch."
    run,file = exported("frozen, one size")
    def table(program, what):
        done = subprocess.run([*program, "predict", what, *files[:5], ROOT/"README.md"], cwd=ROOT,
                              capture_output=True, text=True)
        assert done.returncode == 2 and "README.md: not an image" in done.stderr, done.stderr
        return answers(done.stdout)
    same_table(table([sys.executable, "-m", "brain_tumor_nb"], run),
               table([sys.executable, "-c", PREDICT], file))


@needs_move
@pytest.mark.long
def test_environment_without_torch(exported, files, tmp_path):
    "The words of `40_cli`, in a new environment: pip installs four packages, and no torch."
    run,file = exported("frozen, one size")
    bin = tmp_path/"venv"/("Scripts" if os.name == "nt" else "bin")
    env = {k: v for k,v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    def call(*args):
        done = subprocess.run([*map(str, args)], cwd=tmp_path, env=env, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    call(sys.executable, "-m", "venv", tmp_path/"venv")
    call(bin/"pip", "install", "-q", "--no-deps", ROOT)
    call(bin/"pip", "install", "-q", "onnxruntime", "numpy", "pillow", "click")
    there = json.loads(call(bin/"pip", "list", "--format", "json"))
    assert not {p["name"] for p in there} & {"torch", "torchvision", "scipy", "onnx"}
    found = answers(call(bin/"btnb", "predict", file, *files))
    net = Ensemble(Run(run).learners())
    for row,(path,probs,mark) in zip(found[1:], predict_files(net, files), strict=True):
        assert row[0] == path.as_posix() and row[1] == CLASSES[probs.argmax()]
        assert np.allclose([float(v) for v in row[2:-1]], probs, atol=1.1e-5)
        assert row[-1] == ("yes" if mark else "no")
    done = subprocess.run([bin/"btnb", "predict", run, files[0]], env=env, capture_output=True,
                          text=True)
    assert done.returncode == 2 and done.stderr.startswith("btnb: this needs torch")


def change(model, what):
    "Damage a model in one way."
    props = {p.key: p for p in model.metadata_props}
    if what == "without words":
        del model.metadata_props[:]
    elif what == "absurd size":
        props["size"].value = "1" + "0"*4000
    elif what == "absurd classes":
        props["classes"].value = json.dumps([str(i) for i in range(100_000)])
    elif what == "words deep":
        props["classes"].value = "["*100_000
    elif what == "one class too many":
        props["classes"].value = json.dumps([*CLASSES, "more"])
    elif what == "another side":
        props["size"].value = "64"
    elif what in ("/etc/passwd", "../../../../etc/passwd", "weights.bin"):
        tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
        length = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key,value in (("location", what), ("offset", "0"), ("length", str(length))):
            tensor.external_data.add(key=key, value=value)
    elif what == "unknown step":
        model.graph.node[5].op_type = "Payload"
    elif what == "foreign step":
        model.graph.node[5].domain = "evil"
    return model


@pytest.mark.parametrize("what,words", [
    ("without words", "no file of btnb export"),
    ("absurd size", "allowed are 1 to 4096"),
    ("absurd classes", "are not 2 to 1000 different names"),
    ("words deep", "cannot be read"),
    ("one class too many", "does not give 4 probabilities"),
    ("another side", "and not slices of 64 pixels"),
    ("/etc/passwd", "lie in another file, which is not opened"),
    ("../../../../etc/passwd", "lie in another file, which is not opened"),
    ("weights.bin", "lie in another file, which is not opened"),
    ("unknown step", "damaged, or no ONNX file"),
    ("foreign step", "damaged, or no ONNX file")])
def test_hostile_networks(exported, files, tmp_path, what, words):
    "A network that is not what it says is refused in one line."
    hostile = tmp_path/"hostile.onnx"
    save(change(load(exported("frozen, one size")[1]), what), hostile)
    line = refusal("predict", hostile, files[0])
    assert words in line and len(line) < 500, line


def test_damaged_files(exported, files, tmp_path):
    "Empty, cut, not a network, too large, a folder, not there: one line each."
    content,file = exported("frozen, one size")[1].read_bytes(),tmp_path/"damaged.onnx"
    for damaged in (b"", b"no network", b"\x80\x04." + b"x"*99, content[:99],
                    content[:len(content)//2], content[:-1]):
        file.write_bytes(damaged)
        assert "damaged.onnx: " in refusal("predict", file, files[0])
    os.truncate(file, 3_000_000_000)                        # sparse: takes no room
    assert "3 GB, larger than" in refusal("predict", file, files[0])
    assert "does not exist" in refusal("predict", tmp_path/"none.onnx", files[0])
    (tmp_path/"folder.onnx").mkdir()
    assert "folder.onnx" in refusal("predict", tmp_path/"folder.onnx", files[0])
    assert "README.md: " in refusal("predict", ROOT/"README.md", files[0])


def test_random_damage(exported, files, tmp_path, capfd):
    "Forty files, each with two changed bytes beside a name: refused, or answers that add up."
    content,square = exported("frozen, one size")[1].read_bytes(),read_squares(files[:1], SMALL)
    rng = np.random.default_rng(0)
    names = [i for i in range(len(content) - 4) if content[i:i+4] in (b"node", b"Conv", b"val_")]
    refused = 0
    for _ in range(40):
        damaged = bytearray(content)
        for at in rng.choice(names, 2):
            damaged[at + rng.integers(-8, 8)] = rng.integers(256)
        (tmp_path/"m.onnx").write_bytes(damaged)
        try:
            probs,_ = Portable(tmp_path/"m.onnx").look(square)
            assert np.allclose(probs.sum(1), 1, atol=1e-3)
        except (ValueError, RuntimeError) as e:
            refused += 1
            assert "\n" not in str(e)
    assert refused > 10
    assert capfd.readouterr() == ("", ""), "only our own line is said"


def test_export_is_whole_or_not_at_all(exported, tmp_path):
    "Slips of `btnb export`, one line each; a file that is there stays."
    run,file = exported("frozen, one size")
    before = file.read_bytes()
    assert "is there already" in refusal("export", run, "--onnx", file)
    assert "end it in .onnx" in refusal("export", run, "--onnx", tmp_path/"a.bin")
    assert "is no run folder" in refusal("export", tmp_path/"none", "--onnx", tmp_path/"a.onnx")
    assert "is no finished run" in refusal("export", tmp_path, "--onnx", tmp_path/"a.onnx")
    assert "Missing option" in refusal("export", run)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == []


def test_the_service_takes_run_and_file(exported, files):
    "`examples/serve.py` answers the same from either; what is neither is refused."
    serve = runpy.run_path(str(ROOT/"examples"/"serve.py"))
    run, file = exported("frozen, one size")
    nets = [serve["load"](path) for path in (run, file)]
    assert isinstance(nets[1], Portable)
    (status, a), (_, b) = (serve["answer"](net, files[0].read_bytes()) for net in nets)
    assert status == 200 and a["unfamiliar"] == b["unfamiliar"]
    assert a["probabilities"] == pytest.approx(b["probabilities"], abs=2e-5)
    with pytest.raises(ValueError, match="serve.py"):
        serve["load"](ROOT/"examples"/"serve.py")
