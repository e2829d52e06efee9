"Every notebook runs from top to bottom, and its stored outputs are what it prints."
import json
import re
import shutil
from pathlib import Path

import pytest

from brain_tumor_nb.phantom import phantom_folder

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent/"shared/data/brain_tumor_dataset"
ALL = sorted(path for path in (ROOT/"nbs").rglob("*.ipynb")
             if ".ipynb_checkpoints" not in path.parts)
CHINESE = [path for path in ALL if ROOT/"nbs"/"zh" in path.parents]
NOTEBOOKS = [path for path in ALL if path not in CHINESE]

# the others see simulated slices and the sample alone, or are tried on other slices below
READS_DATA = r'find_data\((?!\\"(?:phantom|sample)\\"|DATA\))'
reads_data = [path for path in NOTEBOOKS if re.search(READS_DATA, path.read_text(encoding="utf-8"))]

def batches(long=lambda folder, read: False):
    "The notebooks of a folder that read data in one process, the others in another."
    of = {}
    for path in NOTEBOOKS:
        of.setdefault((path.parent.name, path in reads_data), []).append(path)
    return [pytest.param(paths, read, id=f"{folder}-{'data' if read else 'simulated'}",
                         marks=[pytest.mark.long]*long(folder, read))
            for (folder, read), paths in of.items()]


def by_nbval_too(folder, read):
    "Whether nbdev runs no other cells than nbval: not those on real slices, of lessons and trust."
    return not (read and REAL.is_dir()) or folder == "engine"


@pytest.mark.parametrize("paths, reads", batches(long=by_nbval_too))
def test_notebooks(run, paths, reads, request):
    "By nbdev: on the real slices, if there are any and they read a folder; the others with --all."
    flags = ["slow"]*request.config.getoption("--all")
    data = None                                 # simulated, as `test_stored_outputs` always does
    if reads and REAL.is_dir():
        flags.append("real")                    # with the cells that need them
        data = str(REAL)
    names = "|".join(re.escape(path.name) for path in paths)
    options = ["--flags", " ".join(flags)] if flags else []
    out = run("nbdev_test", "--path", paths[0].parent, "--file_re", f"^({names})$", "--do_print",
              "--skip_folder_re", "^([_.]|zh$)", "--n_workers", 0, *options, BRAIN_TUMOR_DATA=data)
    assert out.count("- Completed") == len(paths) and "Success" in out, out


def nbval(run, root, *paths, rc=0):
    "Runs `pytest --nbval` on notebooks of the checkout, or a copy of one, at `root`."
    return run("python", "-m", "pytest", "--nbval", "-p", "no:cacheprovider", "-p", "no:xdist",
               "--color=no", *(path.relative_to(root) for path in paths), cwd=root, rc=rc)


@pytest.mark.parametrize("paths, reads", batches())
def test_stored_outputs(run, paths, reads):
    "What a notebook stores is what it prints now, word for word; pictures are not compared."
    out = nbval(run, ROOT, *paths)
    assert " passed" in out and all(path.relative_to(ROOT).as_posix() in out for path in paths)


@pytest.mark.long
@pytest.mark.parametrize("folder", sorted({path.parent for path in CHINESE}),
                         ids=lambda folder: folder.name)
def test_stored_outputs_in_chinese(run, folder):
    "The Chinese notebooks print the same, in their own folder."
    paths = [path for path in CHINESE if path.parent == folder]
    out = nbval(run, ROOT, *paths)
    assert " passed" in out and all(path.relative_to(ROOT).as_posix() in out for path in paths)


def first_text(cells):
    "Index of the first cell that printed or returned text, and that output's lines."
    for i, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            lines = output.get("text") or output.get("data", {}).get("text/plain")
            if lines and "<Figure" not in lines[0]:
                return i, lines
    return None


def test_altered_output_is_noticed(run, tmp_path):
    "nbval passes a copy of a notebook, and fails once a character of a stored output is changed."
    (tmp_path/"nbs").mkdir()
    for name in ("settings.ini", "pyproject.toml", "nbs/conftest.py"):
        shutil.copy(ROOT/name, tmp_path/name)
    # the others read tables beside them
    texts = {path: first_text(json.loads(path.read_text(encoding="utf-8"))["cells"])
             for path in NOTEBOOKS if path.name[0].isdigit()}
    path = min((path for path in texts if texts[path]), key=lambda path: texts[path][0])
    book, copy = json.loads(path.read_text(encoding="utf-8")), tmp_path/"nbs"/path.name
    last, lines = first_text(book["cells"])
    # the copy ends after that output, to be quick
    book["cells"] = book["cells"][:last+1]
    copy.write_text(json.dumps(book), encoding="utf-8")
    nbval(run, tmp_path, copy)
    lines[0] = ("9" if lines[0][0] != "9" else "8") + lines[0][1:]
    copy.write_text(json.dumps(book), encoding="utf-8")
    assert "1 failed" in nbval(run, tmp_path, copy, rc=1)


@pytest.mark.long
def test_a_failing_notebook_in_a_sub_folder_fails_the_suite(run, tmp_path):
    "As a user of nbdev runs it, and as this file does."
    for name in ("settings.ini", "pyproject.toml", "nbs/conftest.py", "tests/conftest.py",
                 "tests/test_notebooks.py"):
        (tmp_path/name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT/name, tmp_path/name)
    book = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    book["cells"] = [{"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None,
                      "source": "assert 1 == 2", "outputs": []}]
    (tmp_path/"nbs"/"trust").mkdir()
    (tmp_path/"nbs"/"trust"/"bad.ipynb").write_text(json.dumps(book), encoding="utf-8")
    assert "bad.ipynb" in run("nbdev_test", "--n_workers", 0, cwd=tmp_path, rc=1)
    pytest_ = ("python", "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist")
    assert "1 failed" in run(*pytest_, "--nbval", "nbs", cwd=tmp_path, rc=1)
    suite = run(*pytest_, "tests/test_notebooks.py", "-k", "bad or trust", "--all", cwd=tmp_path,
                rc=1)
    assert "2 failed" in suite


@pytest.fixture
def own_folder(tmp_path):
    "Two classes of eight slices each, SIMULATED, without a manifest and without a README."
    for path in sorted(phantom_folder().glob("*/*.png")):
        there = tmp_path/"own"/path.parent.name
        there.mkdir(parents=True, exist_ok=True)
        if len(list(there.iterdir())) < 8:
            shutil.copy(path, there)
    return (tmp_path/"own").as_posix()


@pytest.mark.parametrize("name, printed", [
    ("01_data", "MRIFolder of 16 slices: 8 no, 8 yes"),
    ("02_normalization", "12 slices for training, 4 for validation")])
def test_lessons_on_other_slices(run, tmp_path, own_folder, name, printed):
    "Lessons 1 and 2 run on a folder without a manifest when their one line is changed."
    book = json.loads((ROOT/f"nbs/{name}.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    text = "\n".join(source for source in sources if "nbdev_export()" not in source)
    assert text.count('DATA = "sample"') == 1
    text = text.replace('DATA = "sample"', f'DATA = "{own_folder}"')
    (tmp_path/"lesson.py").write_text(text, encoding="utf-8")
    assert printed in run("python", tmp_path/"lesson.py", MPLBACKEND="agg")


@pytest.mark.parametrize("data", [pytest.param("phantom", marks=pytest.mark.long), "own_folder"])
def test_tutorial_on_other_slices(run, tmp_path, request, data):
    """The tutorial runs when its one line is changed, for one epoch on small slices.

    By default on sixteen of the phantom's, copied without a manifest; lesson 1 reads the phantom by
    its name.
    """
    data = data if data == "phantom" else request.getfixturevalue(data)
    book = json.loads((ROOT/"nbs/tutorial.ipynb").read_text(encoding="utf-8"))
    text = "\n".join("".join(cell["source"]) for cell in book["cells"]
                     if cell["cell_type"] == "code")
    changes = {'DATA = "sample"': f'DATA = "{data}"', "SIZE = 128": "SIZE = 64",
               "EPOCHS = 8": "EPOCHS = 1"}
    for line, other in changes.items():
        assert text.count(line) == 1
        text = text.replace(line, other)
    (tmp_path/"tutorial.py").write_text(text, encoding="utf-8")
    out = run("python", tmp_path/"tutorial.py", MPLBACKEND="agg")
    assert "epoch 1: training loss" in out and "95 % interval" in out
