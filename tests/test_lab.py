"Notebooks as a student meets them: JupyterLab in a browser, Run All Cells, look."
import csv
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from brain_tumor_nb.data import MRIFolder, find_data
from brain_tumor_nb.desk import KEYS, draw_study, load_readings

ROOT = Path(__file__).resolve().parents[1]
BROWSER = next(filter(None, map(shutil.which, ["google-chrome", "chromium", "chromium-browser"])),
               None)


NBS = ROOT/"nbs"
EXPORTS = "nbdev.nbdev_export()"        # the last cell of a lesson is for its authors


def pytest_generate_tests(metafunc):
    "One lesson that trains and draws; with --all every notebook, the tutorial too."
    if "name" in metafunc.fixturenames:
        every = sorted(p.relative_to(NBS).as_posix() for p in NBS.rglob("*.ipynb")
                       if ".ipynb_checkpoints" not in p.parts)
        chosen = every if metafunc.config.getoption("--all") else ["05_training.ipynb"]
        metafunc.parametrize("name", chosen)


@pytest.fixture
def lab(tmp_path):
    "Address of JupyterLab on copied notebooks: all cells in the page, no settings of this machine."
    shutil.copytree(ROOT/"nbs", tmp_path/"nbs", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    settings = tmp_path/"settings"
    for name, values in {"notebook-extension/tracker": {"windowingMode": "none"},
                         "apputils-extension/notification": {"fetchNews": "false"}}.items():
        file = settings/"@jupyterlab"/f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = secrets.token_hex(8), tmp_path/"lab.log"
    env = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(settings),
           "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path/"workspaces"),
           "JUPYTER_CONFIG_DIR": str(tmp_path/"config")}
    env.pop("BRAIN_TUMOR_DATA", None)
    with log.open("w") as out:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", "--no-browser",
                                   "--allow-root", "--ip=127.0.0.1", f"--port={port}",
                                   "--ServerApp.port_retries=0",
                                   f"--IdentityProvider.token={token}",
                                   f"--ServerApp.root_dir={tmp_path}"], env=env,
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}",
                                       timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                time.sleep(.5)
        else:
            pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")
        yield f"http://127.0.0.1:{port}/lab/tree/nbs/{{}}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(30)


def save(page, book):
    "Save the notebook in the page: its code cells."
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_text("Save Notebook", exact=True).click()
    page.locator(".jp-mod-dirty").wait_for(state="detached", timeout=30_000)
    for _ in range(30):
        try:
            cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
            break
        except json.JSONDecodeError:            # it is being written
            time.sleep(1)
    return [cell for cell in cells
            if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def done_all(cells):
    "Whether all cells were run, or one failed, after which no other is run."
    failed = any(o["output_type"] == "error" for cell in cells for o in cell["outputs"])
    return failed or all(cell["execution_count"] for cell in cells)


def test_in_jupyterlab(lab, name, tmp_path, request):
    "All cells run, no error is shown, and every picture that is stored appears."
    if BROWSER is None:
        missing = pytest.fail if request.config.getoption("--all") else pytest.skip
        missing("no chromium on this machine (Debian: apt install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    book, screenshot = tmp_path/"nbs"/name, tmp_path/"screenshot.png"
    content = json.loads(book.read_text(encoding="utf-8"))
    before = [cell for cell in content["cells"] if EXPORTS not in "".join(cell["source"])]
    book.write_text(json.dumps({**content, "cells": before}), encoding="utf-8")
    pictures = sum("image/png" in output.get("data", {}) for cell in before
                   for output in cell.get("outputs", []))
    drawn = ("tutorial.ipynb", "05_training.ipynb")
    assert pictures or name not in drawn, f"{name} stores no picture"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER,
                                         args=["--no-sandbox", "--disable-gpu",
                                               "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(lab.format(name))
        idle = page.get_by_text("Python 3 (ipykernel) | Idle")
        idle.or_(page.get_by_text("python3 | Idle")).first.wait_for(timeout=120_000)
        page.get_by_role("menuitem", name="Edit", exact=True).click()
        page.get_by_text("Clear Outputs of All Cells").click()
        page.wait_for_function("() => !document.querySelector('.jp-OutputArea-output')",
                               timeout=30_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        done = """() => {
            const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                .map(o => o.textContent.trim());
            return prompts.length && !prompts.includes('[*]:')
                && prompts.some(o => /^\\[\\d+\\]:$/.test(o)) }"""
        try:
            page.wait_for_function(done, timeout=600_000)
        finally:
            page.screenshot(path=screenshot)
        saved_cells = save(page, book)              # a folded cell shows no number while it runs
        end = time.time() + 300
        while not done_all(saved_cells) and time.time() < end:
            time.sleep(1)
            saved_cells = save(page, book)
        shown = page.evaluate("() => [...document.querySelectorAll('.jp-OutputArea-output "
                              "img')].filter(o => o.complete && o.naturalWidth > 50).length")
        page.set_viewport_size({"width": 1300, "height": 8000})
        page.screenshot(path=screenshot)
        browser.close()
    print(f"screenshot: {screenshot}")
    errors = [output for cell in saved_cells for output in cell["outputs"]
              if output["output_type"] == "error"]
    assert not errors, errors
    assert all(cell["execution_count"] for cell in saved_cells), "not every cell was run"
    assert shown == pictures, (f"{pictures} pictures are stored, {shown} appeared; "
                               f"see {screenshot}")


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
def test_reading_study(lab, tmp_path, request):
    "Four sessions by keyboard and mouse, one killed and resumed, give the committed answers."
    if BROWSER is None:
        pytest.fail("no chromium on this machine (Debian: apt install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    study, home = draw_study(MRIFolder(find_data("sample")), 21), tmp_path/"nbs"/"aims"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER,
                                         args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1180, "height": 1040})
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
        browser.close()
    found = load_readings(home/"answers.csv", study)
    assert [len(r.pred) for r in found] == [21]*4
    assert 0 < max(r.seconds.max() for r in found) < 4, "the pause was counted"
    with open(ROOT/"nbs/aims/readers_session.csv", newline="", encoding="utf-8") as kept:
        with open(home/"answers.csv", newline="", encoding="utf-8") as new:
            both = [list(csv.DictReader(file)) for file in (kept, new)]
    for row in (*both[0], *both[1]):
        row.pop("seconds")
    assert both[0] == both[1]
