"""The package as a user gets it: built, installed, used from another folder.

The environment is new and holds this package's wheel and nothing else. Its third-party packages
are those of the environment that runs the tests, reached by a path file: a second torch would cost
minutes and 6 GB. So this shows that the wheel is complete, and that nothing is taken from the
checkout. That the *requirements* are complete, `test_imports_are_declared` shows from the source.
"""
import ast
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIB = ROOT/"brain_tumor_nb"
config = ConfigParser(delimiters=["="])
config.read(ROOT/"settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, run):
    "The wheel, made from the source distribution, made from a copy of the checkout."
    folder = tmp_path_factory.mktemp("build")
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", "runs", "_docs",
                                      "_proc", "_modidx.py", ".ipynb_checkpoints")
    hidden = shutil.ignore_patterns(".*")  # at the top only: the sample's masks are hidden too

    def ignored(where, names):
        return left_out(where, names) | (hidden(where, names) if where == str(ROOT) else set())

    shutil.copytree(ROOT, folder/"source", ignore=ignored)
    run("python", "-m", "build", "--no-isolation", "--outdir", folder/"dist", folder/"source")
    return next((folder/"dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory, run, wheel):
    "A new environment with the wheel in it: its folder of commands."
    folder = tmp_path_factory.mktemp("empty")/"venv"
    run("python", "-m", "venv", "--without-pip", folder)
    bin = folder/("Scripts" if os.name == "nt" else "bin")
    run("python", "-m", "pip", "--python", bin/"python", "install", "--no-deps", "--no-index",
        "--force-reinstall", wheel, cwd=folder, PYTHONPATH=None)
    site = subprocess.check_output([bin/"python", "-c",
                                    "import sysconfig; print(sysconfig.get_path('purelib'))"],
                                   text=True).strip()
    Path(site, "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return bin


def elsewhere(program, *args, cwd, rc=0):
    "Runs a command away from the checkout, without a way back to it."
    env = {key: value for key, value in os.environ.items()
           if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([program, *args], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == rc, done.stdout + done.stderr
    return done


def test_wheel_holds_the_library(wheel):
    "Every file of the library is in it, and nothing else of the checkout."
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {path.relative_to(ROOT).as_posix() for path in LIB.rglob("*") if path.is_file()
             and "__pycache__" not in path.parts}
    assert held == files - {"brain_tumor_nb/_modidx.py"}


def test_wheel_is_small(wheel):
    "The sample is most of it: 4.2 MB of slices and masks, a font 0.9 MB, everything else 0.6 MB."
    assert 4e6 < wheel.stat().st_size < 6.5e6
    held = [info for info in zipfile.ZipFile(wheel).infolist() if "/sample/" in info.filename]
    assert sum(info.file_size for info in held) <= 5e6


def test_sample_is_found(installed, tmp_path):
    "The installed wheel's own sample: every slice readable, every mask where the manifest says."
    code = """
import csv
from brain_tumor_nb.data import MRIFolder, find_data
folder = find_data("sample")
print(MRIFolder(folder))
rows = list(csv.DictReader((folder/"manifest.csv").open(encoding="utf-8")))
masks = sum((folder/row["mask"]).is_file() for row in rows)
print(folder, masks, len({row["subject"] for row in rows}))
"""
    slices, found = elsewhere(installed/"python", "-c", code, cwd=tmp_path).stdout.splitlines()
    assert slices.startswith("MRIFolder of 240 slices: 80 glioma, 80 meningioma, 80 pituitary; 0")
    where, masks, subjects = found.rsplit(maxsplit=2)
    assert Path(where).is_relative_to(installed.parent) and (masks, subjects) == ("240", "165")


def test_every_module_imports(installed, tmp_path):
    names = ["brain_tumor_nb",
             *(f"brain_tumor_nb.{path.stem}" for path in LIB.glob("*.py")
               if path.stem not in ("__init__", "_modidx"))]
    code = ("import importlib, sys\n"
            "for name in sys.argv[1:]: print(importlib.import_module(name).__file__)")
    files = elsewhere(installed/"python", "-c", code, *names, cwd=tmp_path).stdout.splitlines()
    assert len(files) == len(names) and all(Path(file).is_relative_to(installed.parent)
                                            for file in files), files


def test_command(installed, tmp_path):
    for program in (["btnb"], ["python", "-m", "brain_tumor_nb"]):
        done = elsewhere(installed/program[0], *program[1:], "--help", cwd=tmp_path)
        assert "demo" in done.stdout
    assert not list(tmp_path.iterdir())


def test_demo(installed, tmp_path):
    "In an empty folder: real slices, subjects together, probes above the score; twice is nothing."
    done = elsewhere(installed/"btnb", "demo", "--no-open", cwd=tmp_path)
    for words in ("240 real slices of 165 patients", "CC BY 4.0", "not a medical device",
                  "No slice is without a tumour", "165 groups, 5 folds"):
        assert words in done.stderr
    out = done.stdout
    assert out.index("centre masked") < out.index("\nScore\n") < out.index("balanced accuracy")
    run = tmp_path/"runs"/"demo"
    with open(run/"predictions.csv", newline="", encoding="utf-8") as f:
        predicted = {row["path"]: row for row in csv.DictReader(f)}
    with open(LIB/"sample"/"manifest.csv", newline="", encoding="utf-8") as f:
        subject = {row["file"]: row["subject"] for row in csv.DictReader(f)}
    folds = {(subject[path], row["fold"]) for path, row in predicted.items()}
    assert len(predicted) == 240 and len(folds) == len(set(subject.values())) == 165
    right = [float(row[f"prob_{row['label']}"]) > .5 for row in predicted.values()]
    assert .6 < sum(right)/240 < .95
    page = (run/"report.html").read_text(encoding="utf-8")
    assert "SIMULATED" not in page and "Not a medical device" in page
    assert "nothing to do" in elsewhere(installed/"btnb", "demo", cwd=tmp_path).stderr
    other = ("demo", "--simulated", "--out", "runs/demo")
    assert "--overwrite" in elsewhere(installed/"btnb", *other, cwd=tmp_path, rc=2).stderr


def test_editable_install_is_found_from_the_folder_above(wheel, run, tmp_path):
    "There the clone's own folder, which has the package's name, must not be taken for it."
    clone = tmp_path/"brain_tumor_nb"
    (wheel.parents[1]/"source").rename(clone)
    code = "from setuptools import build_meta; build_meta.build_editable('..')"
    run("python", "-c", code, cwd=clone)
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(tmp_path/"site")
    code = ("import site; site.addsitedir('site'); import brain_tumor_nb as b; "
            "print(b.__version__, *b.__path__)")
    out = elsewhere(sys.executable, "-S", "-c", code, cwd=tmp_path).stdout
    version, found = out.split(maxsplit=1)
    assert version == cfg["version"] and Path(found.strip()).samefile(clone/"brain_tumor_nb")


def plain(name): return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower()


def test_imports_are_declared():
    "All that is imported is a requirement or in a non-dev extra; every requirement is imported."
    required = {plain(name) for name in cfg["requirements"].split()}
    extra = {plain(name) for key in cfg if key.endswith("_requirements")
             and key != "dev_requirements" for name in cfg[key].split()}
    tops = set()
    for path in LIB.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                tops.add(node.module.split(".")[0])
    known = packages_distributions()
    used = {plain(dist) for top in tops - sys.stdlib_module_names - {"brain_tumor_nb"}
            for dist in known.get(top, [top])}
    assert used <= required | extra, ("imported, but no requirement: "
                                      f"{sorted(used - required - extra)}")
    assert required <= used, f"required, but not imported: {sorted(required - used)}"


def test_lessons_need_what_make_lab_installs():
    "What cells import at their top is required, or in the extras of `make lab`."
    there = {plain(name) for key in ("requirements", "offline_requirements", "labs_requirements")
             for name in cfg[key].split()}
    known = packages_distributions()
    missing = {}
    for path in (ROOT/"nbs").rglob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            lines = [l for l in source.splitlines() if not l.startswith(("%", "!"))]
            body = ast.parse("\n".join(lines)).body if cell["cell_type"] == "code" else []
            names = [a.name for n in body if isinstance(n, ast.Import) for a in n.names]
            names += [n.module for n in body if isinstance(n, ast.ImportFrom) and not n.level]
            tops = {name.split(".")[0] for name in names}
            for top in tops - sys.stdlib_module_names - {"brain_tumor_nb"}:
                if not {plain(dist) for dist in known.get(top, [top])} & there:
                    missing.setdefault(top, []).append(path.stem)
    assert missing == {}, "a lesson stops there after make lab: add it to labs_requirements"
