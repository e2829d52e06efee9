"""PyTorch's CPU build for Linux, a much smaller download: what `make demo TORCH=cpu` does first.

`.venv/bin/python tools/torch_cpu.py` puts it into the environment of this Python, before
`pip install -e .`, which then leaves it alone. Needs the standard library and pip alone.
"""
import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

INDEX = "https://download.pytorch.org/whl/cpu"
SETTINGS = Path(__file__).resolve().parents[1]/"settings.ini"
OURS = re.compile(r"torch(vision)?\b(?!-)", re.I)


def wanted():
    "What settings.ini asks of torch and torchvision."
    config = ConfigParser(delimiters=["="])
    config.read(SETTINGS, encoding="utf-8")
    return [words for words in config["DEFAULT"]["requirements"].split() if OURS.match(words)]


def pins(file):
    "The lines of a constraints file that speak of the two: others may not be on the CPU index."
    lines = Path(file).read_text(encoding="utf-8").splitlines() if file else []
    return "\n".join(line for line in lines if OURS.match(line))


def needless():
    "Why there is nothing to do, or None."
    if sys.platform != "linux":
        return f"{platform.system()} needs none: PyTorch's default build there is for CPUs"
    try:
        there = version("torch")
    except PackageNotFoundError:
        return None
    if "+cpu" in there:
        return f"torch {there} is there already"
    return f"torch {there} is there already and stays: remove .venv first for the CPU build"


def install(index, constraints):
    "pip's last words where the two could not be had from this index, else None."
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder)/"constraints.txt"
        held.write_text(pins(constraints), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check",
                   "--retries", "1", "--timeout", "15", "--index-url", index, "-c", str(held)]
        # this index alone: another one of the user's would bring the CUDA build back
        done = subprocess.run(command + wanted(), env={**os.environ, "PIP_EXTRA_INDEX_URL": index},
                              stderr=subprocess.PIPE, text=True, errors="replace")
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return None if done.returncode == 0 else (errors or ["ERROR: unknown"])[0][7:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", default=INDEX, help="the package index [%(default)s]")
    parser.add_argument("--constraints", help="a file of pins, of which torch's are obeyed")
    args = parser.parse_args()
    if reason := needless():
        print(f"TORCH=cpu: {reason}")
    elif failure := install(args.index, args.constraints):
        print(f"TORCH=cpu: {args.index} cannot be reached or holds no PyTorch for this machine "
              f"(pip: {failure}). Going on with the default, about 6 GB.")


if __name__ == "__main__":
    main()
