"""Lets nbval run notebooks that nbdev has cleaned, and skip the cells that `nbdev_test` skips.

On Linux the kernels are forked from a process that has imported PyTorch: to import it took four
seconds of every notebook. A kernel is new in all else, and a notebook still imports what it uses.
"""
import json
import os
import signal
import subprocess
import sys
from configparser import ConfigParser
from functools import cache
from itertools import takewhile
from pathlib import Path

config = ConfigParser(delimiters=["="])
config.read(Path(__file__).parent.parent/"settings.ini", encoding="utf-8")
FLAGS = set(config["DEFAULT"]["tst_flags"].split())
os.environ.pop("BRAIN_TUMOR_DATA", None)  # stored outputs were made on the simulated slices


def skipped(source: str) -> bool:
    "Whether `nbdev_test` would skip a cell with this `source`."
    lines = takewhile(lambda line: line.startswith("#|"), source.splitlines())
    directives = [line[2:].split() for line in lines]
    return ("nbdev_export(" in source
            or any(d[:2] == ["eval:", "false"] or FLAGS.intersection(d[:1]) for d in directives))


def pytest_itemcollected(item):
    "nbval refuses outputs without an execution count, which `nbdev_clean` takes away."
    if not hasattr(item, "cell"):
        return  # not a notebook's
    if item.cell.get("outputs"):
        item.cell["execution_count"] = 1
    if skipped(item.cell.source):
        item.options["skip"] = True


def pytest_configure():
    "Where processes can be forked safely, nbval's kernels are."
    if sys.platform == "linux":
        from jupyter_client.provisioning import local_provisioner
        local_provisioner.launch_kernel = Forked


@cache
def parent_of_kernels():
    "One for all notebooks of this run; it ends when its standard input does."
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)


class Forked:
    "What jupyter_client calls of a `Popen`; `command` ends with `-m ipykernel_launcher …`."
    stdin = stdout = stderr = None

    def __init__(self, command, env=None, cwd=None, **_):
        words = command[command.index("ipykernel_launcher"):]
        parent = parent_of_kernels()
        print(json.dumps([words, dict(env or os.environ), cwd or os.getcwd()]), file=parent.stdin,
              flush=True)
        self.pid = int(parent.stdout.readline())

    def poll(self):
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout=None):       # jupyter_client waits until `poll` says that it has ended
        return self.poll()


def fork_kernels():
    "A kernel for each line of standard input; its process number on standard output."
    sys.path.pop(0)                                     # the folder of this file
    import torchvision  # noqa: F401
    from ipykernel import kernelapp
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)       # nothing stays of a kernel that ended
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            break
        os.setpgid(pid, pid)                            # signals are sent to the kernel's group
        print(pid, flush=True)
    else:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.argv, env, cwd = json.loads(line)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    kernelapp.launch_new_instance()


if __name__ == "__main__":
    fork_kernels()
