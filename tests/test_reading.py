"A command opens and decodes each slice once, however many steps look at it."
import sys
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from brain_tumor_nb import pictures
from brain_tumor_nb.cli import cli
from brain_tumor_nb.data import MRIFolder, SliceMemory
from brain_tumor_nb.phantom import make_phantom

OPENED, WATCHING = Counter(), []
QUICK = ("--recipe", "tutorial", "--weights", "none", "--arch", "mobilenet_v3_small", "--size",
         "32", "--batch-size", "16", "--epochs", "1")


def note_opened(event, args):
    "Count files that this process opens, while somebody watches."
    if WATCHING and event == "open" and str(args[0]).endswith(".png") and "r" in str(args[1]):
        OPENED[str(Path(args[0]).resolve())] += 1


sys.addaudithook(note_opened)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    "Two simulated folders."
    home = tmp_path_factory.mktemp("reading")
    return [make_phantom(home/f"seed{s}", subjects=8, slices=2, seed=s) for s in (1, 2)]


@pytest.fixture
def btnb(monkeypatch):
    "Runs a command in this process: how often it opened each slice of a folder, and decoded any."
    decoded = []
    real = pictures.decode
    monkeypatch.setattr(pictures, "decode", lambda *args: decoded.append(1) or real(*args))
    def run(*args):
        OPENED.clear()
        decoded.clear()
        WATCHING.append(True)
        try:
            done = CliRunner().invoke(cli, [str(a) for a in args])
        finally:
            WATCHING.clear()
        assert done.exit_code == 0, done.output
        return dict(OPENED), len(decoded)
    return run


def masks(opened, *folders):
    "How many masks were read, each once."
    known = {f for folder in folders for f in slices(folder)}
    inside = tuple(str(Path(folder).resolve()) for folder in folders)
    read = {f: n for f,n in opened.items() if f not in known and f.startswith(inside)}
    assert set(read.values()) <= {1}
    return len(read)


def slices(folder):
    "The files of the slices of a folder, without masks."
    return [str(Path(f).resolve()) for f,_ in MRIFolder(folder).samples]


def test_each_slice_is_read_once(btnb, folders, tmp_path):
    "By training with probes, by scoring on another folder, by an audit against another one."
    first, second = folders
    both = [*slices(first), *slices(second)]
    opened, decoded = btnb("train", first, "--out", tmp_path/"run", "--folds", 2, *QUICK)
    assert {opened[f] for f in slices(first)} == {1}
    assert decoded == len(slices(first)) + masks(opened, first)
    for command in (("evaluate", tmp_path/"run", second, "--against", first),
                    ("audit", second, "--against", first, "--html", tmp_path/"audit.html")):
        opened, decoded = btnb(*command)
        assert {opened[f] for f in both} == {1}, command[0]
        assert decoded == len(both) + masks(opened, first, second), command[0]


def read_again(monkeypatch):
    "No slice stays in memory, as in a folder larger than its budget."
    room = SliceMemory.room
    monkeypatch.setattr(SliceMemory, "room", lambda memory, what, size:
                        what != "pictures" and room(memory, what, size))


def test_without_room_slices_are_read_twice(btnb, folders, tmp_path, monkeypatch):
    "Once to scan them, once for the pixels that the network sees; an audit needs no pixels."
    read_again(monkeypatch)
    first, second = folders
    opened, decoded = btnb("train", first, "--out", tmp_path/"run", "--folds", 2, *QUICK)
    shown = 16                                          # slices of the report's picture of errors
    assert {opened[f] for f in slices(first)} <= {2, 3}
    assert decoded <= 2*len(slices(first)) + shown + masks(opened, first)
    opened, decoded = btnb("evaluate", tmp_path/"run", second, "--against", first)
    assert {opened[f] for f in slices(first)} == {1}
    assert {opened[f] for f in slices(second)} <= {2, 3}
    opened, decoded = btnb("audit", second, "--against", first)
    assert set(opened.values()) == {1} and decoded == len(opened)


def test_the_counter_counts(btnb, folders, tmp_path, monkeypatch):
    "With no room and no scan the same command opens each slice several times."
    read_again(monkeypatch)
    monkeypatch.setattr(SliceMemory, "look", lambda *args: None)
    monkeypatch.setattr(SliceMemory, "add", lambda *args: None)
    opened, decoded = btnb("train", folders[0], "--out", tmp_path/"run", *QUICK)
    assert min(opened[f] for f in slices(folders[0])) > 2 and decoded > 2*len(opened)


def test_without_room_slices_are_read_again(folders):
    "A folder larger than its budget keeps what fits, and reads the same pixels for the rest."
    kept, none = MRIFolder(folders[0]), MRIFolder(folders[0], budget=0)
    assert len(kept.memory.pictures) == len(kept) and not none.memory.pictures
    for i in range(len(kept)):
        assert kept.load(i).tobytes() == none.load(i).tobytes()
