"Lets nbval run notebooks that nbdev has cleaned, and skip the cells that `nbdev_test` skips."
import os
from configparser import ConfigParser
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
