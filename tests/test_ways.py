"The ways in, as far as they can be checked without a network: TORCH=cpu, links, Docker, Binder."
import functools
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
make = pytest.mark.skipif(not shutil.which("make") or sys.platform != "linux",
                          reason="needs make on Linux")


class QuietServer(http.server.ThreadingHTTPServer):
    "A client that was killed is no fault to tell of: it would stand in another test's output."
    def handle_error(self, *args):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*args)


def wheel(folder, name, version, needs=()):
    "A tiny wheel: a module that knows its version."
    folder.mkdir(parents=True, exist_ok=True)
    facts = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {words}\n" for words in needs)
    files = {f"{name}.py": f"__version__ = '{version}'\n",
             f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                                  + requires,
             f"{facts}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = "".join(f"{file},,\n" for file in [*files, f"{facts}/RECORD"])
    path = folder/f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{facts}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    "Two package indexes on this machine, /cpu and /pypi, as PyTorch and PyPI have them."
    root = tmp_path_factory.mktemp("indexes")
    for place, versions in {"cpu": ["2.14.1+cpu", "2.15.0+cpu"], "pypi": ["2.14.1"]}.items():
        for full in versions:
            vision = full.replace("2.1", "0.2", 1)
            wheel(root/place/"torch", "torch", full)
            wheel(root/place/"torchvision", "torchvision", vision, [f"torch=={full}"])
        for folder in (root/place).iterdir():
            links = "".join(f'<a href="{path.name.replace("+", "%2B")}">{path.name}</a>\n'
                            for path in folder.glob("*.whl"))
            (folder/"index.html").write_text(links, encoding="utf-8")
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            "Say nothing."
    there = QuietServer(("127.0.0.1", 0), functools.partial(Quiet, directory=root))
    threading.Thread(target=there.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{there.server_port}"
    there.shutdown()
    there.server_close()


BACKEND = """
import shutil
def build_editable(folder, *rest):
    return shutil.copy("ours-1-py3-none-any.whl", folder).rpartition("/")[2]
"""


@pytest.fixture
def checkout(tmp_path):
    "The Makefile beside a package that needs torch and torchvision alone, and an empty .venv."
    shutil.copy(ROOT/"Makefile", tmp_path)
    (tmp_path/"tools").mkdir()
    shutil.copy(ROOT/"tools"/"torch_cpu.py", tmp_path/"tools")
    needs = ["torch>=2.4", "torchvision>=0.19"]
    wheel(tmp_path, "ours", "1", needs)
    project = ('[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
    for name, text in {"settings.ini": f"[DEFAULT]\nrequirements = {' '.join(needs)}\n",
                       "setup.py": "", "pyproject.toml": project, "backend.py": BACKEND,
                       "constraints.txt": "torch==2.14.1\nsympy==0.1\n"}.items():
        (tmp_path/name).write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path/".venv"], check=True)
    site = next((tmp_path/".venv"/"lib").iterdir())/"site-packages"
    shutil.copytree(Path(sysconfig.get_path("purelib"))/"pip", site/"pip")
    (tmp_path/".venv"/"ok").touch()
    return tmp_path


def made(checkout, server, *words, rc=0):
    "What `make .venv/demo …` said, and the version of each package that it installed."
    outer = {"MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "CONSTRAINTS"}   # of make test
    inherited = {name: value for name, value in os.environ.items() if name not in outer}
    env = {**inherited, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{server}/pypi"}
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PYTHONPATH"):
        env.pop(name, None)
    done = subprocess.run(["make", ".venv/demo", *words], cwd=checkout, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == rc, done.stdout
    found = (checkout/".venv").rglob("*.dist-info")
    return done.stdout, dict(path.stem.split("-") for path in found)


@make
@pytest.mark.parametrize("words, torch, vision", [
    (("TORCH=cpu",), "2.15.0+cpu", "0.25.0+cpu"),
    (("TORCH=cpu", "CONSTRAINTS=constraints.txt"), "2.14.1+cpu", "0.24.1+cpu")])
def test_torch_for_cpus(checkout, server, words, torch, vision):
    "TORCH=cpu takes both from its index, by the constraints, and what follows leaves them alone."
    said, packages = made(checkout, server, *words, f"TORCH_INDEX={server}/cpu")
    assert packages == {"ours": "1", "torch": torch, "torchvision": vision}, said


@make
def test_no_index_for_cpus(checkout, server):
    "Where the index cannot be reached one line says so, and PyPI's build is installed."
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/cpu"
    said, packages = made(checkout, server, "TORCH=cpu", f"TORCH_INDEX={address}")
    assert [line for line in said.splitlines() if line.startswith("TORCH=cpu: ")] == [
        f"TORCH=cpu: {address} cannot be reached or holds no PyTorch for this machine (pip: Could "
        "not find a version that satisfies the requirement torch>=2.4 (from versions: none)). "
        "Going on with the default, about 6 GB."]
    assert packages["torch"] == "2.14.1"
    (checkout/".venv"/"demo").unlink()
    said, packages = made(checkout, server, "TORCH=cpu", f"TORCH_INDEX={server}/cpu")
    assert "2.14.1 is there already and stays: remove .venv first" in said
    assert packages["torch"] == "2.14.1"


@make
def test_other_values_of_torch(checkout, server):
    "TORCH=gpu is refused in one line, and nothing is installed."
    said, packages = made(checkout, server, "TORCH=gpu", rc=2)
    assert "TORCH=gpu: the one choice is TORCH=cpu" in said and len(said.splitlines()) == 1
    assert packages == {}


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_small_already(tool, monkeypatch, capsys, system):
    "On macOS and Windows there is nothing to do."
    monkeypatch.setattr(sys, "platform", system)
    assert tool("torch_cpu") == 0
    assert "PyTorch's default build there is for CPUs" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Dockerfile", ".binder/postBuild"])
def test_images_install_what_make_lab_does(name):
    "PyTorch for CPUs before the rest, the extras of `make lab`, and the tutorial at the start."
    text = (ROOT/name).read_text(encoding="utf-8")
    makefile = (ROOT/"Makefile").read_text(encoding="utf-8")
    extras = re.search(r"(?:-e \"\.\[|^ARG EXTRAS=)([\w,]+)", text, re.M)[1]
    assert extras == re.search(r"^\.venv/lab: +extras = (\S+)", makefile, re.M)[1]
    assert text.index("python tools/torch_cpu.py") < text.index("-e \".[")
    assert os.name == "nt" or name == "Dockerfile" or os.access(ROOT/name, os.X_OK)


def test_dockerfile_fits_the_checkout():
    "What is copied is there and not ignored; the Python is that of constraints.txt."
    text = (ROOT/"Dockerfile").read_text(encoding="utf-8")
    pinned = re.search(r"later (3\.\d+)", (ROOT/"constraints.txt").read_text(encoding="utf-8"))[1]
    assert re.search(r"^FROM python:(\S+)-slim$", text, re.M)[1] == pinned
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for word in line.split()]
    ignored = (ROOT/".dockerignore").read_text(encoding="utf-8").split()
    assert len(copied) == 4 and all((ROOT/word).exists() for word in copied)
    assert not set(copied) & set(ignored) and {".git", ".venv", "runs", "data"} <= set(ignored)
    assert "nbs/tutorial.ipynb" in text and re.search(r"^USER 1000$", text, re.M)


def test_binder_python():
    "Binder's Python is one that the workflow tests."
    version = (ROOT/".binder"/"runtime.txt").read_text(encoding="utf-8").strip()
    workflow = (ROOT/".github"/"workflows"/"test.yml").read_text(encoding="utf-8")
    assert f'"{version.removeprefix("python-")}"' in re.search(r"python: (\[.+\])", workflow)[1]


@pytest.mark.parametrize("name", ["README.md", "README.zh.md", ".github/workflows/test.yml"])
def test_without_make_the_same_is_installed(name):
    "On Windows: the extras of `make test`."
    makefile = (ROOT/"Makefile").read_text(encoding="utf-8")
    extras = re.search(r"^\.venv/test: +extras = (\S+)", makefile, re.M)[1]
    text = (ROOT/name).read_text(encoding="utf-8")
    assert f'.venv\\Scripts\\python -m pip install -e ".[{extras}]"' in text
