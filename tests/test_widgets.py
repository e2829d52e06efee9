"Widgets: pages that are clicked and typed at, pictures and text where nobody is."
import base64
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image
from browser import click, open_notebook
from test_lab import chrome, lab  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
KERNEL = {"display_name": "python3", "language": "python", "name": "python3"}
VIEW = "application/vnd.jupyter.widget-view+json"

SMALL = """
import sys
import matplotlib.pyplot as plt
from brain_tumor_nb.widgets import Live, Number
def show(pick):
    top = pick(Number("top", 1, 9, 3))
    ax = plt.subplots()[1]
    ax.plot([0, top])
    return ax, [f"up to {top}", "a line"]
Live(show)
"""
EXPLORER = """
from brain_tumor_nb.data import MRIFolder, find_data
from brain_tumor_nb.explorer import explore
from brain_tumor_nb.figures import use_style
use_style()
explore(MRIFolder(find_data("sample")))
"""
SLIDERS = ["""
import os
from pathlib import Path
import numpy as np
from brain_tumor_nb.data import MRIFolder, PixelStore, find_data
from brain_tumor_nb.explorer import fault_slider, threshold_slider
from brain_tumor_nb.figures import use_style
from brain_tumor_nb.predictions import Predictions
use_style()
Path("pid").write_text(str(os.getpid()))
rng = np.random.default_rng(0)
truth = np.arange(200) % 2
yes = (.3 + .4*truth + .2*rng.normal(size=200)).clip(0, 1)
pred = Predictions([f"{k}.png" for k in range(200)], [("no", "yes")[t] for t in truth],
                   ("no", "yes"), np.stack([1 - yes, yes], 1), [0]*200)
threshold_slider(pred)
""", """
folder = MRIFolder(find_data("sample"))
fault_slider(PixelStore(folder, 256).pixels[[100]])
"""]


def book(*sources):
    "A notebook of these cells."
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def test_a_program_gets_a_picture(tmp_path):
    "nbclient, which nbconvert uses: a picture and text, twice the same, and no state of widgets."
    from nbclient import NotebookClient
    done = book(SMALL, "Live(show)", "print('ipywidgets' in sys.modules)")
    NotebookClient(done, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert set(done.metadata) == {"kernelspec", "language_info"}
    first, second, imported = [cell.outputs for cell in done.cells]
    for shown in (first, second):
        picture, text = shown
        assert set(picture.data) == {"image/png", "text/plain"}
        assert (picture.data["text/plain"], text.text) == ("up to 3", "a line\n")
    assert first[0].data == second[0].data
    assert imported[0].text == "False\n"


def test_a_script_gets_text():
    code = SMALL.replace("\nLive(show)", "\nprint(Live(show))\nprint(Live(show).png[:4])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "MPLBACKEND": "agg"})
    assert done.stdout == "up to 3\na line\nb'\\x89PNG'\n", done.stderr


def test_no_notebook_stores_a_widget():
    "A stored view needs a kernel that is gone: JupyterLab shows an error in its place."
    for path in (ROOT/"nbs").rglob("*.ipynb"):
        if ".ipynb_checkpoints" not in path.parts:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            kinds = {kind for cell in cells for output in cell.get("outputs", [])
                     for kind in output.get("data", {})}
            assert VIEW not in kinds, f"run {path.name} by nbconvert"


def pixels(widget):
    "The picture on the page as numbers."
    source = widget.locator("img").get_attribute("src")
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("L"), float)


class Page:
    "One widget in JupyterLab: moved, and looked at."
    def __init__(self, widget):
        self.widget, self.page = widget, widget.page
        self.waits = []

    def words(self):
        return self.widget.get_by_role("status").inner_text()

    def control(self, role, name):
        return self.widget.get_by_role(role, name=name, exact=True)

    def moved(self, act, text):
        "What a move changed in the picture; `text` must then be below it."
        before, start = pixels(self.widget), time.perf_counter()
        act()
        self.page.wait_for_function("""([node, text]) => [...node.querySelectorAll("p")]
            .some(line => RegExp(text).test(line.innerText))""",
                                    arg=[self.widget.element_handle(), text], timeout=20_000)
        self.waits.append(time.perf_counter() - start)
        self.page.wait_for_function("img => img.complete && img.naturalWidth > 300",
                                    arg=self.widget.locator("img").element_handle())
        after = pixels(self.widget)
        assert after.shape == before.shape
        return np.abs(after - before)

    def typed(self, name, value):
        field = self.control("spinbutton", name)
        field.fill(value)
        field.press("Enter")

    def drag(self, name, start, end):
        "The handle of a slider, from one share of its way to another."
        box = self.control("slider", name).bounding_box()
        across = lambda share: box["x"] + 8 + share*(box["width"] - 16)  # noqa: E731
        y = box["y"] + box["height"]/2
        self.page.mouse.move(across(start), y)
        self.page.mouse.down()
        for share in np.linspace(start, end, 25):
            self.page.mouse.move(across(share), y)
        self.page.mouse.up()


@pytest.fixture
def run_cells(chrome, lab, tmp_path):  # noqa: F811
    "Opens a notebook of some cells in JupyterLab and runs it: its widgets, and the page."
    page = chrome.new_page(viewport={"width": 1300, "height": 1000})

    def run(*sources):
        (tmp_path/"nbs"/"widgets.ipynb").write_text(nbformat.writes(book(*sources)))
        assert not open_notebook(page, lab.format("widgets.ipynb"))
        click(page, "Run", "Run All Cells")
        widgets = page.locator(".btnb-live")
        try:
            widgets.nth(len(sources) - 1).wait_for(timeout=60_000)
        finally:
            page.screenshot(path=tmp_path/"opened.png")
        return [Page(widgets.nth(k)) for k in range(len(sources))], page
    yield run
    page.close()


def check_page(page, cells):
    "No error, one output per cell, and no key of a widget has reached JupyterLab."
    assert page.locator(".jp-Cell").count() == cells
    assert page.locator(".jp-OutputArea-child").count() == cells, page.locator(
        ".jp-OutputArea").all_inner_texts()
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0


@pytest.mark.long
def test_explorer(run_cells, tmp_path):
    "Every control of the explorer, by mouse and keyboard."
    (look,), page = run_cells(EXPLORER)
    assert "glioma, axial, subject 100820, glioma/0209.png" in look.words()
    page.screenshot(path=tmp_path/"explorer.png")
    # class by mouse, plane by arrow, subject by its first digits, number typed
    look.control("combobox", "class").click()
    page.keyboard.press("Escape")
    changed = look.moved(lambda: look.control("combobox", "class").select_option("pituitary"),
                         "^pituitary, ")
    assert changed.mean() > 1
    plane = look.control("combobox", "plane")
    plane.focus()
    look.moved(lambda: page.keyboard.press("ArrowDown"), "^pituitary, axial")
    look.moved(lambda: page.keyboard.press("ArrowDown"), "^pituitary, coronal")
    file = look.words().split(", ")[3]
    look.moved(lambda: look.typed("slice", "5"), "^pituitary, coronal")
    look.widget.get_by_text(file).wait_for(state="detached")
    number = look.words().split("subject ")[1].split(",")[0]
    subject = look.control("combobox", "subject")
    subject.focus()
    page.keyboard.type(number)
    page.wait_for_function("node => node.value !== 'all'", arg=subject.element_handle())
    look.widget.get_by_text(f"subject {number}").wait_for()
    assert subject.input_value() == number
    # the window: dragged, by arrows, typed; nothing below the upper half changes
    small = slice(400, None)
    changed = look.moved(lambda: look.drag("window width", 1, .1), "narrow")
    assert changed.max() > 50 and changed[small].max() == 0
    level = look.control("slider", "window level")
    level.focus()
    look.moved(lambda: [page.keyboard.press("ArrowLeft") for _ in range(3)], "level 125,")
    assert look.control("spinbutton", "window level").input_value() == "125"
    look.moved(lambda: look.typed("window level", "60"), "level 60,")
    look.moved(lambda: look.typed("window level", "999"), "level 255,")     # what is allowed
    look.typed("window level", "")
    assert look.control("spinbutton", "window level").input_value() == "255"
    look.moved(lambda: look.typed("window level", "70"), "level 70,")
    # the augmentation: only the small slices change, and come back
    first = pixels(look.widget)
    changed = look.moved(lambda: look.typed("augmentation seed", "7"), "seed 7:")
    assert changed[small].max() > 50 and changed[:300].max() == 0
    look.moved(lambda: look.typed("augmentation seed", "0"), "seed 0:")
    assert (pixels(look.widget) == first).all()
    # Tab goes through all of them, letters reach nothing else
    look.control("combobox", "class").focus()
    names = []
    for _ in range(12):
        page.keyboard.press("Tab")
        name = page.evaluate("() => document.activeElement.closest('label')?.innerText ?? ''")
        names.append(name.split("\n")[0].strip())
    wanted = ["plane", "subject", "window level", "window width", "augmentation seed",
              "first epoch"]
    assert [name for name in dict.fromkeys(names) if name in wanted] == wanted
    look.control("slider", "first epoch").focus()
    page.keyboard.press("b")
    check_page(page, 1)
    page.set_viewport_size({"width": 700, "height": 1200})
    page.wait_for_timeout(500)
    wide = look.widget.evaluate("node => [node.scrollWidth, node.clientWidth]")
    assert wide[0] <= wide[1], "it does not fit"
    look.widget.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path/"narrow.png")
    print(f"milliseconds per move: {[round(1000*t) for t in look.waits]}")


@pytest.mark.long
def test_sliders(run_cells, tmp_path):
    "The threshold and the severity; a kernel that stops is told."
    (threshold, fault), page = run_cells(*SLIDERS)
    assert threshold.words().startswith("Threshold 0.50: sensitivity 0.")
    changed = threshold.moved(lambda: threshold.drag("threshold", .5, .9), r"Threshold 0\.(8|9)")
    assert changed.max() > 50
    slider = threshold.control("slider", "threshold")
    threshold.moved(lambda: threshold.typed("threshold", "0.3"), r"Threshold 0\.30")
    slider.focus()
    threshold.moved(lambda: page.keyboard.press("ArrowRight"), r"Threshold 0\.31")
    threshold.moved(lambda: page.keyboard.press("Home"), "sensitivity 1.000, specificity 0.000")
    threshold.moved(lambda: threshold.typed("threshold", "0.42"), r"Threshold 0\.42")
    threshold.widget.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path/"threshold.png")
    before = fault.words()
    assert before.startswith("motion, severity 3 (simulated)")
    changed = fault.moved(lambda: fault.drag("severity", .5, 1), "severity 5")
    half = changed.shape[1]//2
    assert changed[60:,half + 20:].mean() > 1 and changed[60:,:half - 20].max() == 0
    fault.control("combobox", "fault").focus()
    fault.moved(lambda: page.keyboard.type("ghost"), "^ghosting, severity 5")
    fault.control("slider", "severity").focus()
    fault.moved(lambda: page.keyboard.press("ArrowLeft"), "^ghosting, severity 4")
    fault.moved(lambda: fault.typed("severity", "1"), "^ghosting, severity 1")
    page.screenshot(path=tmp_path/"fault.png")
    check_page(page, 2)
    for shown in (threshold, fault):
        print(f"milliseconds per move: {[round(1000*t) for t in shown.waits]}")
    os.kill(int((tmp_path/"nbs"/"pid").read_text()), 9)
    slider.focus()
    page.keyboard.press("End")
    threshold.widget.get_by_text("No answer yet. If the kernel has stopped").wait_for()
    assert json.loads((tmp_path/"nbs"/"widgets.ipynb").read_text())["cells"]
