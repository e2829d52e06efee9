"""Rehearse a release on a package index of this machine: the steps of CONTRIBUTING.md, *Release*.

    python tools/release.py FOLDER           # FOLDER: new, with 8 GB free for PyTorch
    python tools/release.py FOLDER --check   # without index, installation and demonstration

Built is what is committed, not what lies around. Each step prints its command and the last lines of
what it said. The tools of a release (build, twine, pypiserver) go into an environment in FOLDER.
"""
import argparse
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = "Scripts" if os.name == "nt" else "bin"
# file, and what its version stands in; of the changelog the newest heading counts
PLACES = {"settings.ini": r"(?m)^version = (\S+)$",
          "brain_tumor_nb/__init__.py": r'__version__ = "([^"]+)"',
          "CHANGELOG.md": r"(?m)^## (\S+)", "CITATION.cff": r"(?m)^version: (\S+)$",
          "docs/cite.md": r"version = \{([^}]+)\}"}


def versions(root=ROOT):
    "The version that each place names; None where it names none."
    found = {name: re.search(pattern, (Path(root)/name).read_text(encoding="utf-8"))
             for name, pattern in PLACES.items()}
    return {name: match and match[1] for name, match in found.items()}


def step(title, *command, cwd=ROOT, lines=3):
    "Run one command, say what it is and how it ends; stop where it fails."
    command = [str(word) for word in command]
    print(f"\n{title}\n$ {' '.join(command)}", flush=True)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          encoding="utf-8", errors="replace")
    said = done.stdout.strip().splitlines()
    print("\n".join(said[-lines if done.returncode == 0 else -30:]), flush=True)
    if done.returncode:
        sys.exit(f"release: step failed with status {done.returncode}")


def build(folder):
    "sdist and wheel of the last commit, checked."
    tools = folder/"tools"/BIN
    step("1 tools", sys.executable, "-m", "venv", folder/"tools")
    step("1 tools", tools/"python", "-m", "pip", "install", "-q", "build", "twine", "pypiserver")
    step("2 the last commit", "git", "archive", "-o", folder/"source.tar", "HEAD")
    with tarfile.open(folder/"source.tar") as archive:
        archive.extractall(folder/"source", filter="data")
    step("3 build", tools/"python", "-m", "build", "--outdir", folder/"dist", folder/"source",
         lines=1)
    files = sorted((folder/"dist").iterdir())
    step("4 check", tools/"twine", "check", "--strict", *files)
    return files


def rehearse(folder, files, version, port):
    "Upload to an index of this machine, install from there, run the demonstration."
    tools, empty = folder/"tools"/BIN, folder/"empty"/BIN
    (folder/"index").mkdir()
    index = f"http://127.0.0.1:{port}"
    server = [tools/"pypi-server", "run", "-i", "127.0.0.1", "-p", str(port), "-P", ".", "-a", ".",
              folder/"index"]
    print("\n5 an index on this machine\n$", *server, flush=True)
    with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        time.sleep(10)                                  # until it listens
        if running.poll() is not None:
            sys.exit(f"release: the index ended, is port {port} taken? --port takes another")
        try:
            step("6 upload", tools/"twine", "upload", "--disable-progress-bar", "--repository-url",
                 index, "-u", "nobody", "-p", "none", *files)
            step("7 an empty environment", sys.executable, "-m", "venv", folder/"empty")
            step("7 install", empty/"python", "-m", "pip", "install", "--index-url",
                 f"{index}/simple/", "--extra-index-url", "https://pypi.org/simple/",
                 f"brain_tumor_nb[offline]=={version}", lines=1)
        finally:
            running.terminate()
    (folder/"work").mkdir()
    step("8 version", empty/"btnb", "--version", cwd=folder/"work")
    step("9 demonstration", empty/"btnb", "demo", "--no-open", cwd=folder/"work", lines=60)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="new, outside the checkout")
    parser.add_argument("--check", action="store_true", help="steps 0 to 4 alone")
    parser.add_argument("--port", type=int, default=8399, help="of the index [%(default)s]")
    args = parser.parse_args()
    found = versions()
    print("0 versions", *(f"{version}  {name}" for name, version in found.items()), sep="\n")
    if len(set(found.values())) > 1:
        sys.exit("release: they differ, see CONTRIBUTING.md, Release")
    folder = args.folder.resolve()
    if folder.exists():
        sys.exit(f"release: {folder} is there already, give a new folder")
    folder.mkdir(parents=True)
    files = build(folder)
    if not args.check:
        rehearse(folder, files, found["settings.ini"], args.port)


if __name__ == "__main__":
    main()
