"Notebooks as a student meets them: JupyterLab in a browser, Run All Cells, look."
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

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
        page.get_by_role("menuitem", name="File", exact=True).click()
        page.get_by_text("Save Notebook", exact=True).click()
        page.locator(".jp-mod-dirty").wait_for(state="detached", timeout=30_000)
        shown = page.evaluate("() => [...document.querySelectorAll('.jp-OutputArea-output "
                              "img')].filter(o => o.complete && o.naturalWidth > 50).length")
        page.set_viewport_size({"width": 1300, "height": 8000})
        page.screenshot(path=screenshot)
        browser.close()
    print(f"screenshot: {screenshot}")
    after = [cell for cell in json.loads(book.read_text(encoding="utf-8"))["cells"]
             if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    errors = [output for cell in after for output in cell["outputs"]
              if output["output_type"] == "error"]
    assert not errors, errors
    assert all(cell["execution_count"] for cell in after), "not every cell was run"
    assert shown == pictures, (f"{pictures} pictures are stored, {shown} appeared; "
                               f"see {screenshot}")
