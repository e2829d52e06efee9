"JupyterLab in a headless browser: a server, Run All Cells, and what is wrong with the page."
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BROWSER = next(filter(None, map(shutil.which, ["google-chrome", "chromium", "chromium-browser"])),
               None)
EXPORTS = "nbdev.nbdev_export()"        # the last cell of a lesson is for its authors
WIDGET = "application/vnd.jupyter.widget-view+json"
SETTINGS = {"notebook-extension/tracker": {"windowingMode": "none",         # all cells in the page
                                           "scrollPastLastCell": False},
            "apputils-extension/notification": {"fetchNews": "false"}}


class Server:
    "A running JupyterLab: `home`, the folder it serves; `address`, to format with a name in nbs."

    def __init__(self, home, port):
        self.home = home
        self.token = secrets.token_hex(8)
        self.url = f"http://127.0.0.1:{port}"
        self.address = f"{self.url}/lab/tree/nbs/{{}}?token={self.token}&reset"

    def ask(self, path, method="GET"):
        "What the server's interface says."
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method,
                                         headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def end_kernels(self):
        "Ends every kernel, and removes what they left in the folder of temporary files."
        for session in self.ask("sessions"):
            self.ask(f"sessions/{session['id']}", "DELETE")
        for left in (self.home/"temporary").iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


@contextmanager
def serve(home):
    "JupyterLab on copied notebooks, without the settings of this machine."
    shutil.copytree(ROOT/"nbs", home/"nbs", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    for name, values in SETTINGS.items():
        file = home/"settings"/"@jupyterlab"/f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(home, free.getsockname()[1])
    folders = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
               "JUPYTER_CONFIG_DIR": "config", "TMPDIR": "temporary", "TEMP": "temporary",
               "TMP": "temporary"}
    (home/"temporary").mkdir()
    env = {**os.environ, **{name: str(home/folder) for name, folder in folders.items()}}
    env.pop("BRAIN_TUMOR_DATA", None)
    log = home/"lab.log"
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "jupyterlab", "--no-browser",
                                    "--allow-root", "--ip=127.0.0.1",
                                    f"--port={server.url.rpartition(':')[2]}",
                                    "--ServerApp.port_retries=0",
                                    f"--IdentityProvider.token={server.token}",
                                    f"--ServerApp.root_dir={home}"], env=env,
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        for _ in range(240):
            assert process.poll() is None, log.read_text()
            try:
                server.ask("status")
                break
            except OSError:
                time.sleep(.25)
        else:
            raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def put(server, name, content):
    "Writes a notebook without its outputs and its last cell into the served folder: its path."
    cells = [cell for cell in content["cells"] if EXPORTS not in "".join(cell["source"])]
    for cell in cells:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    book = server.home/"nbs"/name
    book.parent.mkdir(exist_ok=True)
    book.write_text(json.dumps({**content, "cells": cells}), encoding="utf-8")
    return book


# What waits for a person, the kernel's state, and the number before each code cell. (A folded
# cell has none while it runs.)
STATE = """() => ({
    waiting: [...document.querySelectorAll('.jp-Stdin-input')].map(
                 o => `a kernel prompt waits: ${o.parentElement.innerText.trim()}`).concat(
             [...document.querySelectorAll('.jp-Dialog-content')].map(
                 o => `a dialog waits: ${o.innerText.replace(/\\s+/g, ' ').trim()}`)),
    idle: /\\| Idle/.test(document.querySelector('#jp-main-statusbar')?.innerText),
    numbers: [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(
                 o => o.textContent.trim()) })"""


def click(page, menu, item):
    "An item of a menu."
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_text(item, exact=True).click()


def open_notebook(page, address, seconds=120):
    "Opens a notebook until its kernel is idle, or something waits for a person: what that is."
    page.goto(address)
    end = time.time() + seconds
    while time.time() < end:
        state = page.evaluate(STATE)
        if state["waiting"] or state["idle"] and state["numbers"]:
            return state["waiting"]
        page.wait_for_timeout(200)
    return [f"no kernel was idle after {seconds} s"]


def save(page, book):
    "Saves the notebook in the page: its code cells."
    click(page, "File", "Save Notebook")
    page.locator(".jp-mod-dirty").wait_for(state="detached", timeout=30_000)
    for _ in range(30):
        try:
            cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
            break
        except json.JSONDecodeError:            # it is being written
            time.sleep(1)
    return [cell for cell in cells if cell["cell_type"] == "code"]


def was_run(cell):
    "Whether a code cell was run, or is empty."
    return bool(cell["execution_count"]) or not "".join(cell["source"]).strip()


def is_done(cells):
    "Whether all cells were run, or one failed, after which no other is run."
    failed = any(o["output_type"] == "error" for cell in cells for o in cell["outputs"]
                 if "raises-exception" not in cell["metadata"].get("tags", []))
    return failed or all(map(was_run, cells))


def watch(page, book, seconds=600):
    "Waits until all cells were run or something waits for a person: what that is, the code cells."
    end, quiet = time.time() + seconds, 0
    while time.time() < end:
        page.wait_for_timeout(500)
        state = page.evaluate(STATE)
        if state["waiting"]:
            return state["waiting"], []
        quiet = quiet + 1 if state["idle"] and "[*]:" not in state["numbers"] else 0
        if quiet >= 2:
            cells = save(page, book)
            if is_done(cells) or quiet >= 10:
                return page.evaluate(STATE)["waiting"], cells
    return [f"cells still run after {seconds} s"], []


def run_all(page, server, book):
    "Opens a notebook and runs all cells: what waits for a person, and the code cells as saved."
    name = book.relative_to(server.home/"nbs").as_posix()
    waiting = open_notebook(page, server.address.format(name))
    if waiting:
        return waiting, []
    click(page, "Run", "Run All Cells")
    return watch(page, book)


def texts(cell):
    "What a cell printed: (stream, text)."
    return [(output["name"], "".join(output["text"])) for output in cell["outputs"]
            if output["output_type"] == "stream"]


def shape(line):
    "A line without its numbers and bars: equal for the steps of one progress bar."
    return re.sub(r"[\d.,:%|/\\#=█▏▎▍▌▋▊▉ -]+", "", line)


def is_widget(output):
    "Whether an output is a widget; a picture may stand in for it where there is no front end."
    return WIDGET in output.get("data", {})


def is_picture(output):
    "Whether an output is a picture."
    return not is_widget(output) and any(kind.startswith("image/")
                                         for kind in output.get("data", {}))


def cell_faults(cells, lines=30):
    "What is wrong with what cells printed, each with the number of its cell in the code cells."
    found = []
    for k, cell in enumerate(cells):
        for output in cell["outputs"]:
            data = output.get("data", {})
            plain = "".join(data.get("text/plain", ""))
            if output["output_type"] == "error":
                found.append((k, f"error: {output['ename']}: {output['evalue']}"))
            if not is_widget(output) and re.match(r"[A-Z]\w+\((children|value|layout)=", plain):
                found.append((k, f"a widget became text: {plain[:60]}"))
        for stream, text in texts(cell):
            steps = Counter(shape(line) for line in re.split(r"[\r\n]+", text) if line.strip())
            if re.search(r"\d%\|", text):
                found.append((k, f"a progress bar of text: {text.strip()[:60]}"))
            elif steps and max(steps.values()) > lines:
                found.append((k, f"{max(steps.values())} lines that differ in numbers alone"))
            elif stream == "stderr":
                found.append((k, f"a red box: {text.strip()[:200]}"))
        if not was_run(cell):
            found.append((k, "not run"))
    return found


# Each output of each code cell, in the order of the page: what is to be seen of it.
SHOWN = """() => [...document.querySelectorAll('.jp-CodeCell')]
    .map(cell => [...cell.querySelector('.jp-OutputArea').children]
    .filter(output => output.matches('.jp-OutputArea-child')).map(output => {
        const box = o => o.getBoundingClientRect(), images = [...output.querySelectorAll('img')],
              seen = o => o.checkVisibility({checkVisibilityCSS: true}),
              widget = output.querySelector('.jp-OutputArea-output > *');
        return {
            picture: images.some(o => o.naturalWidth > 50 && box(o).height > 4),
            broken: images.filter(o => o.complete && !o.naturalWidth && seen(o))
                          .map(o => o.alt || o.src.slice(0, 60)),
            widget: !!output.querySelector('.jp-OutputArea-output.lm-mod-hidden')  // was closed
                || !!widget && box(widget).width > 4 && box(widget).height > 4
                   && !output.querySelector('.jupyter-widgets-error-widget'),
            text: output.innerText.replace(/\\s+/g, ' ').trim().slice(0, 60) } }))"""
BROKEN = """() => [...document.querySelectorAll('.jp-MarkdownOutput img')]
    .filter(o => o.complete && !o.naturalWidth).map(o => o.alt || o.src.slice(0, 60))"""
LOADED = "() => [...document.querySelectorAll('.jp-Notebook img')].every(o => o.complete)"


def output_faults(output, seen):
    "What is wrong with one output in the page, against the saved one."
    found = [f"a broken picture: {name}" for name in seen["broken"]]
    if is_picture(output) and not seen["picture"]:
        found.append("a picture is missing")
    if is_widget(output) and not seen["widget"]:
        found.append(f"a widget is not drawn: {seen['text']}")
    return found


def page_faults(page, cells):
    "What is wrong with the outputs in the page, against the saved cells: (code cell, fault)."
    page.wait_for_function(LOADED, timeout=30_000)
    page.wait_for_timeout(500)                  # a widget is drawn after its cell was run
    shown = page.evaluate(SHOWN)
    found = [(-1, f"a broken picture in the text: {name}") for name in page.evaluate(BROKEN)]
    found += [(-1, f"console: {text.splitlines()[0]}") for text in page.said if "widget" in text]
    for k, (cell, seen) in enumerate(zip(cells, shown, strict=True)):
        if len(seen) != len(cell["outputs"]):
            found.append((k, f"{len(cell['outputs'])} outputs are saved, {len(seen)} appear"))
        for pair in zip(cell["outputs"], seen):
            found += [(k, fault) for fault in output_faults(*pair)]
    return found


NOTEBOOK = ("(document.querySelector('.jp-NotebookPanel-notebook .jp-WindowedPanel-outer')"
            " || document.body)")


def photograph(page, folder, name, most=2000):
    "The whole notebook from top to bottom in pieces, as the page shows it: their paths."
    folder.mkdir(parents=True, exist_ok=True)
    stem, paths = name.removesuffix(".ipynb").replace("/", "-"), []
    tall = page.evaluate(f"{NOTEBOOK}.scrollHeight") + 120       # and the bars of JupyterLab
    page.set_viewport_size({"width": 1300, "height": min(tall, most)})
    page.evaluate(f"{NOTEBOOK}.scrollTop = 0")
    for piece in range(1, 100):
        page.wait_for_timeout(200)
        paths.append(folder/f"{stem}-{piece:02d}.png")
        page.screenshot(path=paths[-1])
        before = page.evaluate(f"{NOTEBOOK}.scrollTop")
        page.evaluate(f"{NOTEBOOK}.scrollTop += {NOTEBOOK}.clientHeight - 40")
        if page.evaluate(f"{NOTEBOOK}.scrollTop") <= before + 1:
            break
    return paths
