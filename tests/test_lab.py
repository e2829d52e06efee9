"Notebooks as a student meets them: JupyterLab in a browser, Run All Cells, look."
import csv
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from browser import (BROWSER, cell_faults, is_picture, is_widget, page_faults, photograph, put,
                     run_all, save, serve, watch)

from brain_tumor_nb.data import MRIFolder, find_data
from brain_tumor_nb.desk import KEYS, draw_study, load_readings

ROOT = Path(__file__).resolve().parents[1]
NBS, LABS = ROOT/"nbs", ROOT/"labs"/"student"


def pytest_generate_tests(metafunc):
    "The tutorial and one lab; with --all every notebook and every lab."
    every = sorted(p.relative_to(NBS).as_posix() for p in NBS.rglob("*.ipynb")
                   if ".ipynb_checkpoints" not in p.parts)
    labs = sorted(p.name for p in LABS.glob("*.ipynb"))
    if not metafunc.config.getoption("--all"):
        every, labs = ["tutorial.ipynb"], labs[:1]
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", [*every, *(f"labs/{name}" for name in labs)])
    if "handed_out" in metafunc.fixturenames:
        metafunc.parametrize("handed_out", labs)


@pytest.fixture
def lab(tmp_path):
    "Address of a JupyterLab of its own on tmp_path/nbs: all cells in the page."
    with serve(tmp_path) as running:
        yield running.address


@pytest.fixture(scope="module")
def chrome(request):
    "One browser for all notebooks."
    if BROWSER is None:
        missing = pytest.fail if request.config.getoption("--all") else pytest.skip
        missing("no chromium on this machine (Debian: apt install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER,
                                         args=["--no-sandbox", "--disable-gpu",
                                               "--disable-background-networking"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(chrome, tmp_path_factory):
    "One JupyterLab for all notebooks; each has a kernel of its own, which ends with its test."
    with serve(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture
def page(chrome, server):
    "A page; `page.said` holds the errors of the browser's console."
    page = chrome.new_page(viewport={"width": 1300, "height": 1000})
    page.said = []
    page.on("console", lambda m: page.said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: page.said.append(str(e)))
    yield page
    page.close()
    server.end_kernels()


def content_of(name):
    "A notebook of nbs, or a lab in its solved edition."
    if name.startswith("labs/"):
        sys.path.insert(0, str(ROOT/"tools"))
        import labs
        return labs.instructor(Path(name).stem)
    return json.loads((NBS/name).read_text(encoding="utf-8"))


def faults_of(server, page, name, content, folder):
    "What is wrong with a notebook after Run All Cells: (code cell, fault); its code cells."
    book = put(server, name, content)
    try:
        waiting, cells = run_all(page, server, book)
        found = [(-1, text) for text in waiting]
        return found or cell_faults(cells) + page_faults(page, cells), cells
    finally:
        folder = Path(os.environ.get("BTNB_SCREENSHOTS", folder))
        print("screenshots:", *photograph(page, folder, name))


def test_in_jupyterlab(server, page, name, tmp_path):
    "All cells run; no error, prompt, dialog or red box; every picture and widget is drawn."
    content = content_of(name)
    stored = sum(is_picture(output) for cell in content["cells"]
                 for output in cell.get("outputs", []))
    assert stored or name != "tutorial.ipynb", f"{name} stores no picture"
    faults, cells = faults_of(server, page, name, content, tmp_path)
    assert not faults, faults
    made = sum(is_picture(output) or is_widget(output)      # drawn where a picture was stored
               for cell in cells for output in cell["outputs"])
    assert made >= stored, f"{stored} pictures are stored, {made} were made"


@pytest.mark.long
def test_student_edition(server, page, handed_out, tmp_path):
    "A lab as handed out runs to its end; its first error says in one line what to do."
    content = json.loads((LABS/handed_out).read_text(encoding="utf-8"))
    faults, _ = faults_of(server, page, f"labs/{handed_out}", content, tmp_path)
    said = [text for _, text in faults]
    assert all(text.startswith("error: ") for text in said), faults
    assert re.fullmatch("error: NotImplementedError: .{10,100}", said[0]), said
    assert len(said) >= 10, "every check fails"


WRONG = [       # cells of a bad notebook, and what is to be said of each
    ("""
import os
import sys
import warnings
import ipywidgets
from IPython.display import HTML, display
from tqdm import tqdm as text_bar
from tqdm.auto import tqdm
from traitlets import Unicode
VIEW = "application/vnd.jupyter.widget-view+json"
for _ in tqdm(range(3)):
    pass
for _ in tqdm(range(3), leave=False):
    pass
display(ipywidgets.IntSlider())""", []),
    ("HTML('<img src=nowhere.png alt=nowhere>')", ["a broken picture: nowhere"]),
    ("display({'image/png': 'AAAA', 'text/plain': ''}, raw=True)",
     ["a broken picture: data:", "a picture is missing"]),
    ("display({'text/plain': 'HBox(children=())'}, raw=True)", ["a widget became text"]),
    ("display({VIEW: {'model_id': 'none'}, 'text/plain': ''}, raw=True)",
     ["a widget is not drawn"]),
    ("class Nowhere(ipywidgets.IntSlider):\n"
     "    _view_name = Unicode('nowhere').tag(sync=True)\n"
     "Nowhere()", ["a widget is not drawn: [6]: Click to show"]),
    ("ipywidgets.HBox(layout=dict(height='0px'))", ["a widget is not drawn"]),
    ("for _ in text_bar(range(3), file=sys.stdout):\n    pass",
     ["a progress bar of text"]),
    ("for k in range(40):\n    print('step', k, 'of 40')", ["40 lines"]),
    ("warnings.warn('careful')", ["a red box: "]),
    ("1/0", ["error: ZeroDivisionError"]),
    ("input('name? ')", ["not run", "0 outputs are saved, 1 appear"]),
    ("os._exit(1)", ["not run"])]


def test_faults_are_seen(server, page):
    "Each fault of a bad notebook is told, with its cell, and nothing else; a prompt at once."
    cells = [dict(cell_type="code", source=source.strip(), id=f"cell{k}", outputs=[],
                  metadata={"tags": ["raises-exception"]}, execution_count=None)
             for k, (source, _) in enumerate(WRONG)]
    kernel = dict(kernelspec=dict(display_name="python3", language="python", name="python3"))
    book = put(server, "wrong.ipynb",
               dict(cells=cells, metadata=kernel, nbformat=4, nbformat_minor=5))
    waiting, _ = run_all(page, server, book)
    assert waiting == ["a kernel prompt waits: name?"]
    cells = save(page, book)
    found = cell_faults(cells) + page_faults(page, cells)
    for k, (_, expected) in enumerate(WRONG):
        said = [text for at, text in found if at == k]
        assert len(said) == len(expected), (k, said)
        assert all(map(str.startswith, said, expected)), (k, said)
    page.locator(".jp-Stdin-input").press("Enter")
    waiting, _ = watch(page, book)
    assert len(waiting) == 1 and waiting[0].startswith("a dialog waits: Kernel Restarting")


READING = """
import gzip, os
from pathlib import Path
from brain_tumor_nb.data import MRIFolder, find_data
from brain_tumor_nb.desk import Session, draw_study, reading_desk
from brain_tumor_nb.predictions import Predictions
Path("pid").write_text(str(os.getpid()))
study = draw_study(MRIFolder(find_data("sample")), 21)
kept = Path("../studies/predictions/cheng/patients-frozen.csv.gz")
Path("model.csv").write_bytes(gzip.decompress(kept.read_bytes()))
model = Predictions.load("model.csv")
reading_desk(Session(study, "READER", "answers.csv", AIDED))
"""
READY = ".btnb-desk button[aria-keyshortcuts='1']:enabled"      # the slice is there
SESSIONS = [("script A", False), ("script A", True), ("script B", False), ("script B", True)]


def scripted(study, reader, aided):
    "What a script answers, case by case in its order: (class, confidence from 0 to 4)."
    rng = np.random.default_rng([*reader.encode(), aided])
    said = []
    for k in study.order(reader, aided):
        truth = study.folder.targets[study.cases[k]]
        right = rng.random() < (.85 if aided else .7)
        wrong = (truth + rng.integers(1, 3)) % 3
        said.append((int(truth if right else wrong), int(rng.integers(2 if right else 0, 5))))
    return said


def open_desk(page, address, number):
    "A notebook of one cell, run: the desk in its output."
    page.goto(address)
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    idle.or_(page.get_by_text("python3 | Idle")).first.wait_for(timeout=120_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.get_by_text(f"Case {number} of 21: press p or start").wait_for(timeout=120_000)
    return page.locator(".btnb-desk")


def answer(page, desk, number, said, by_key):
    "One case, by the keyboard alone or the mouse alone."
    page.wait_for_selector(READY)
    desk.get_by_text(f"Case {number} of 21", exact=True).wait_for()
    assert desk.inner_html().count("glioma") <= 2           # a button, and what the model says
    words = [str(said[0] + 1), KEYS[said[1]], "Enter"]
    for word in words:
        if by_key:
            page.keyboard.press(word)
        else:
            desk.locator(f"button[aria-keyshortcuts='{word}']").click()


@pytest.mark.long
def test_reading_study(lab, chrome, tmp_path):
    "Four sessions by keyboard and mouse, one killed and resumed, give the committed answers."
    study, home = draw_study(MRIFolder(find_data("sample")), 21), tmp_path/"nbs"/"aims"
    page = chrome.new_page(viewport={"width": 1180, "height": 1040})
    for session, (reader, aided) in enumerate(SESSIONS):
        code = READING.strip().replace("READER", reader)
        code = code.replace("AIDED", "model" if aided else "None")
        cell = dict(cell_type="code", source=code, metadata={}, outputs=[],
                    execution_count=None, id="desk")
        kernel = dict(kernelspec=dict(display_name="python3", language="python",
                                      name="python3"))
        (home/f"reading{session}.ipynb").write_text(json.dumps(dict(
            cells=[cell], metadata=kernel, nbformat=4, nbformat_minor=5)))
        address = lab.format(f"aims/reading{session}.ipynb")
        desk = open_desk(page, address, 1)
        desk.locator("button", has_text="start").evaluate("b => {b.click(); b.click();}")
        page.wait_for_timeout(500)                      # a pause before the slice was there
        assert page.locator(".btnb-frame img").is_hidden()
        desk.focus()
        page.keyboard.press("p")
        for k, said in enumerate(scripted(study, reader, aided)):
            if session == 0 and k == 10:                # the kernel dies in the middle
                desk.get_by_text("Case 11 of 21", exact=True).wait_for()
                os.kill(int((home/"pid").read_text()), signal.SIGKILL)
                time.sleep(3)
                desk = open_desk(page, address, 11)
                desk.locator("button", has_text="start").click()    # then keys alone
            if session == 1 and k == 5:                 # a pause hides the slice
                page.wait_for_selector(READY)
                page.keyboard.press("p")
                page.locator(".btnb-frame img").wait_for(state="hidden")
                time.sleep(4)
                page.keyboard.press("p")
            if (session, k) == (3, 7):
                page.wait_for_selector(READY)
                desk.scroll_into_view_if_needed()
                page.keyboard.press(str(said[0] + 1))
                page.screenshot(path=tmp_path/"desk.png")
            by_key = (session, k % 2) in {(0, 0), (0, 1), (2, 0), (3, 0)}
            answer(page, desk, k + 1, said, by_key)
        page.get_by_text("All 21 cases are read").wait_for()
        assert page.locator(".jp-Cell").count() == 1, "keys of the desk reached JupyterLab"
        page.screenshot(path=tmp_path/f"end{session}.png")
    page.close()
    found = load_readings(home/"answers.csv", study)
    assert [len(r.pred) for r in found] == [21]*4
    assert 0 < max(r.seconds.max() for r in found) < 4, "the pause was counted"
    with open(ROOT/"nbs/aims/readers_session.csv", newline="", encoding="utf-8") as kept:
        with open(home/"answers.csv", newline="", encoding="utf-8") as new:
            both = [list(csv.DictReader(file)) for file in (kept, new)]
    for row in (*both[0], *both[1]):
        row.pop("seconds")
    assert both[0] == both[1]
