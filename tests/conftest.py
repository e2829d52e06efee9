"What several test files share."
import os
import runpy
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# real MRI slices, beside the checkout where there are any: never copied into it
REAL = ROOT.parent/"shared"/"data"


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true",
                     help="also slow cells, long tests, and every notebook in the browser")


def pytest_collection_modifyitems(config, items):
    "What takes long runs with --all alone."
    long = [item for item in items if item.get_closest_marker("long")]
    if long and not config.getoption("--all"):
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    spread(items)


def spread(items):
    "Each of two processes begins with half of the folders of notebooks, which take longest."
    heavy = [item for item in items if item.name.endswith(("-simulated]", "-data]"))]
    light = [item for item in items if item not in heavy]
    first = len(items)//2 - len(heavy[::2])                 # a process gets half of all
    items[:] = [*heavy[::2], *light[:first], *heavy[1::2], *light[first:]]


@pytest.fixture
def tool(monkeypatch):
    "Runs a tool in this process: the status it ends with."
    monkeypatch.syspath_prepend(str(ROOT/"tools"))
    def run(name, *args):
        monkeypatch.setattr(sys, "argv", [name, *map(str, args)])
        try:
            runpy.run_path(str(ROOT/f"tools/{name}.py"), run_name="__main__")
        except SystemExit as e:
            return e.code
        return 0
    return run


@pytest.fixture(scope="session")
def root() -> Path:
    "The checkout."
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    "The tutorial's own 253 slices, in folders no and yes."
    folder = REAL/"brain_tumor_dataset"
    if not folder.is_dir():
        pytest.skip(f"no real slices at {os.path.relpath(folder, ROOT)}")
    return folder


@pytest.fixture(autouse=True)
def _temporary(tmp_path_factory, monkeypatch):
    "Temporary files of notebooks and commands go when their test ends: a whole run left gigabytes."
    tmp_path_factory.getbasetemp()  # pytest's own folder is not to lie in this one
    with tempfile.TemporaryDirectory(prefix="btnb-", ignore_cleanup_errors=True) as folder:
        for name in ("TMPDIR", "TEMP", "TMP"):
            monkeypatch.setenv(name, folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture
def disk(tmp_path):
    "Mounts a file system in memory of so many kilobytes, returns its folder; `options` such as ro."
    mounted = []
    def mount(kilobytes, options="rw"):
        folder = tmp_path/"disk"
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,{options}",
                               "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder
    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def run():
    "Runs a command of this environment by its name (or `python`) and returns what it printed."
    # `rc` is the status it must end with, a variable set to None is removed
    def _run(command, *args, rc=0, cwd=ROOT, **env):
        folder = Path(sysconfig.get_path("scripts"))
        program = sys.executable if command == "python" else str(folder/command)
        variables = {key: value
                     for key, value in {**os.environ, "PYTHONIOENCODING": "utf-8", **env}.items()
                     if value is not None}
        done = subprocess.run([program, *map(str, args)], cwd=cwd, env=variables,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              encoding="utf-8", errors="replace")
        out = done.stdout + done.stderr
        assert rc is None or done.returncode == rc, (
            f"{command} {' '.join(map(str, args))} ended with {done.returncode}:\n{out[-6000:]}")
        return out
    return _run
