"What differs between Linux, macOS and Windows, as far as it can be tried on any of them."
import ast
import csv
import io
import re
from contextlib import redirect_stdout
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
from PIL import Image

from brain_tumor_nb.cli import main
from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.explanation import explain_files
from brain_tumor_nb.phantom import make_phantom
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.runs import Run
from brain_tumor_nb.sweep import read_plan
from inside import btnb, refusal
from test_repo import committed

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("--recipe", "tutorial", "--weights", "none", "--arch", "mobilenet_v3_small", "--size", 32,
         "--batch-size", 16, "--epochs", 1, "--no-probes")


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    "A small simulated folder."
    return make_phantom(tmp_path_factory.mktemp("slices")/"phantom", subjects=6, slices=2)


STRICT = """
import sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module="brain_tumor_nb")
from brain_tumor_nb.cli import main
for words in {commands}:
    try:
        main(words)
    except SystemExit as e:
        assert not e.code, (words, e.code)
"""


@pytest.fixture(scope="module")
def trained(run, slices, tmp_path_factory):
    "A run folder on it, made where a file without an encoding is an error of ours."
    home = tmp_path_factory.mktemp("runs")
    commands = [["audit", slices, "--html", home/"audit.html", "--json", home/"audit.json"],
                ["train", slices, "--out", home/"a", *QUICK], ["evaluate", home/"a", slices],
                ["predict", home/"a", slices], ["clinical", home/"a", "--positive", "yes"],
                ["card", home/"a"]]
    words = [[str(word) for word in command] for command in commands]
    run("python", "-X", "warn_default_encoding", "-c", STRICT.format(commands=words),
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING=None)
    return home/"a"


# Encodings

BINARY = {"super", "Image", "tarfile", "zipfile", "gzip", "lzma", "webbrowser", "os"}    # X.open(…)


def nameless(node):
    "Whether a call opens, reads or writes text and names no encoding."
    func, named = node.func, {word.arg for word in node.keywords}
    name = getattr(func, "attr", getattr(func, "id", ""))
    of = ast.unparse(getattr(func, "value", func)).partition("(")[0]    # super(), of click's
    place = {"read_text": 0, "write_text": 1, "open": 2 if isinstance(func, ast.Attribute) else 3}
    if name not in place or of in BINARY or named & {"encoding", None}:
        return False
    modes = [part for word in [*node.args, *(word.value for word in node.keywords)]
             for part in ast.walk(word) if isinstance(part, ast.Constant)]
    binary = any(re.fullmatch("[rwax+]*b[rwax+]*", str(mode.value)) for mode in modes)
    return len(node.args) <= place[name] and not (name == "open" and binary)


def test_every_text_file_names_its_encoding():
    "Windows reads and writes in a code page of its own where none is named."
    places = [*(ROOT/"brain_tumor_nb").glob("*.py"), *(ROOT/"tools").glob("*.py")]
    silent = [f"{path.name}: {ast.unparse(node)[:60]}" for path in places
              for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
              if isinstance(node, ast.Call) and nameless(node)]
    assert silent == []


def test_commands_name_their_encodings(trained):
    "Training and audit ran where the system's encoding is ASCII: their pages are UTF-8."
    for page in (trained/"report.html", trained.parent/"audit.html"):
        assert not page.read_text(encoding="utf-8").isascii(), page


@pytest.mark.parametrize("codepage", ["cp1252", "cp936"])
def test_tables_on_standard_output_are_utf8(trained, tmp_path, codepage):
    "`btnb predict … > table.csv` in a Windows code page keeps every name, and is read again."
    path = tmp_path/"Müller 脑瘤 κ.png"
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(path)
    for words in (["predict", trained, path], ["explain", trained, path, "--out", tmp_path/"out"]):
        held = io.BytesIO()
        with redirect_stdout(io.TextIOWrapper(held, encoding=codepage)) as out:
            main([str(word) for word in words])
            out.flush()
            table = held.getvalue().decode("utf-8")
            out.detach()
        assert path.as_posix() in table


# Line endings

def as_windows(path):
    "Rewrites a text file as Notepad saves it: CRLF, and a byte order mark."
    text = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8-sig", newline="\r\n")


def test_windows_line_endings(slices, trained, tmp_path):
    "Manifest, plan and predictions say the same with CRLF and a byte order mark."
    folder = make_phantom(tmp_path/"phantom", subjects=6, slices=2)
    as_windows(folder/"manifest.csv")
    assert MRIFolder(folder).manifest == MRIFolder(slices).manifest
    plan = tmp_path/"plan.toml"
    plan.write_text('[all]\nfolds = 2\n[grid]\nlr = [0.001, 0.01]\n', encoding="utf-8")
    before = read_plan(plan, 24)
    as_windows(plan)
    assert read_plan(plan, 24) == before
    table = tmp_path/"predictions.csv"
    table.write_bytes((trained/"predictions.csv").read_bytes())
    plain = Predictions.load(table)
    as_windows(table)
    assert Predictions.load(table).paths == plain.paths
    assert np.array_equal(Predictions.load(table).probs, plain.probs)


def test_run_folder_is_read_with_windows_line_endings(slices, trained, tmp_path):
    "A run folder whose text files went through git or an editor on Windows still predicts."
    copy = tmp_path/"run"
    for path in trained.rglob("*"):
        if path.is_file():
            to = copy/path.relative_to(trained)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
    for name in ("config.json", "metrics.json", "data.json", "predictions.csv", "history.csv"):
        text = (copy/name).read_text(encoding="utf-8")
        (copy/name).write_text(text, encoding="utf-8", newline="\r\n")
    assert np.array_equal(Run(copy).predictions.probs, Run(trained).predictions.probs)
    status, said = btnb("predict", copy, slices/"yes")
    assert status == 0, said


# Names and paths

def allowed(name):
    "Whether Windows takes a name for a file or folder."
    return not (PureWindowsPath(name).is_reserved() or re.search(r'[<>:"|?*\\]|[. ]$', name))


def test_names_of_the_checkout():
    "Every committed name can stand on Windows and macOS, beside its neighbours."
    names = [path.relative_to(ROOT).as_posix() for path in committed()]
    assert [name for name in names if not all(map(allowed, name.split("/")))] == []
    assert len({name.casefold() for name in names}) == len(names), "differ in case alone"
    assert max(map(len, names)) < 120


def test_names_of_a_run(trained):
    "Nor does a run folder hold a name that another system refuses, or a long one."
    names = [path.relative_to(trained).as_posix() for path in trained.rglob("*")]
    assert len(names) > 8 and all(allowed(part) for name in names for part in name.split("/"))
    assert max(map(len, names)) < 60 and len({n.casefold() for n in names}) == len(names)


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "aux.small", "small.", "small "])
def test_cells_that_windows_could_not_name(tmp_path, name):
    "A cell of a sweep becomes a folder: names that Windows keeps or shortens are refused."
    plan = tmp_path/"plan.toml"
    plan.write_text(f'[cells."{name}"]\nlr = 0.001\n', encoding="utf-8")
    with pytest.raises(ValueError, match="cannot name a folder") as said:
        read_plan(plan, 24)
    assert name in str(said.value) and "\n" not in str(said.value)


def test_explained_picture_of_a_long_name(trained, tmp_path):
    "The heat of a slice whose name fills what a disk allows is written under a shorter name."
    path = tmp_path/f"{'x'*251}.png"
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(path)
    [(_, _, _, picture)] = explain_files(trained, [path], tmp_path/"heat", "layer_cam")
    assert picture.is_file() and len(picture.name) < 120


def test_paths_with_backslashes(slices, trained, tmp_path):
    "A manifest and predictions written on Windows: the first is read, the second explained."
    folder = make_phantom(tmp_path/"phantom", subjects=6, slices=2)
    with open(folder/"manifest.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    with open(folder/"manifest.csv", "w", newline="", encoding="utf-8") as f:
        table = csv.DictWriter(f, rows[0])
        table.writeheader()
        for row in rows:
            table.writerow({**row, "file": row["file"].replace("/", "\\"),
                            "mask": row["mask"].replace("/", "\\")})
    assert MRIFolder(folder).manifest == MRIFolder(slices).manifest
    text = (trained/"predictions.csv").read_text(encoding="utf-8")
    (tmp_path/"p.csv").write_text(re.sub(r"^(no|yes)/", r"\1\\", text, flags=re.M),
                                  encoding="utf-8")
    said = refusal("evaluate", "--predictions", tmp_path/"p.csv", slices)
    assert "is written with \\: write" in said


# Workers

SCRIPT = """
import multiprocessing, sys
from pathlib import Path
from torch.utils.data import DataLoader
from brain_tumor_nb.data import MRIFolder, PixelStore
from brain_tumor_nb.parallel import train_folds
from brain_tumor_nb.splitting import find_groups, make_folds
from brain_tumor_nb.training import Config
if GUARD:
    multiprocessing.set_start_method("spawn")
    folder = MRIFolder(sys.argv[1])
    splits = make_folds(folder, find_groups(folder), k=2)
    config = Config.tutorial(arch="mobilenet_v3_small", size=32, weights="none", epochs=1)
    one, two = (train_folds(folder, splits, config, Path(sys.argv[2])/str(jobs), jobs=jobs,
                            progress=False)[0] for jobs in (1, 2))
    assert all((a.probs == b.probs).all() for a, b in zip(one, two))
    if GUARD != "True":
        store = PixelStore(folder, 32)
        loaded = [x for x, *_ in DataLoader(store, batch_size=8, num_workers=2)]
        assert sum(map(len, loaded)) == len(store)
    print("the same")
"""


@pytest.mark.long
@pytest.mark.parametrize("guard", ["True", '__name__ == "__main__"'])
def test_jobs_where_processes_are_spawned(run, slices, tmp_path, guard):
    "Windows and macOS start workers afresh: jobs give the same probabilities, with no guard too."
    script = tmp_path/"script.py"
    script.write_text(SCRIPT.replace('GUARD != "True"', str(guard != "True"))
                      .replace("GUARD", guard), encoding="utf-8")
    assert "the same" in run("python", script, slices, tmp_path)
