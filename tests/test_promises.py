"What version, citation and pages promise."
import csv
import gzip
import random
import re
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from PIL import Image

from inside import refusal

ROOT = Path(__file__).resolve().parents[1]
config = ConfigParser(delimiters=["="])
config.read(ROOT/"settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]


def text(name): return (ROOT/name).read_text(encoding="utf-8")


def test_one_version(monkeypatch):
    "Settings, package, changelog, CITATION.cff and the page on citing; the dates agree too."
    monkeypatch.syspath_prepend(str(ROOT/"tools"))
    from release import PLACES, versions
    assert versions() == dict.fromkeys(PLACES, cfg["version"])
    date = re.search(r'date-released: "([\d-]+)"', text("CITATION.cff"))[1]
    assert f"## {cfg['version']} ({date})\n" in text("CHANGELOG.md")
    assert f"date    = {{{date}}}" in text("docs/cite.md")


def test_citation_file():
    "What version 1.2.0 of the format asks for, read as YAML."
    cff = yaml.safe_load(text("CITATION.cff"))
    assert cff["cff-version"] == "1.2.0" and cff["type"] == "software"
    assert {"message", "title", "authors"} <= cff.keys()
    assert cff["authors"] == [{"name": cfg["author"]}] and cff["repository-code"] == cfg["git_url"]
    assert cff["license"] == ["Apache-2.0", "CC-BY-4.0"]
    assert [len(r["authors"]) for r in cff["references"]] == [1, 8]


def blocks(name):
    "The Python blocks of a page."
    return re.findall(r"```python\n(.*?)```", text(f"docs/{name}.md"), re.S)


def test_figures_of_the_four_class_page(run, tmp_path):
    "Its scripts print what stands beside them."
    counts, check, drawn = blocks("four_class_patients")
    from_list = re.search(r"test = set\(Path.*\n", check)[0]
    said = run("python", "-c", f"{counts}\n{check.replace(from_list, drawn)}", cwd=tmp_path)
    promised = re.findall(r"print\(.*\) +# (.*)", counts)
    assert len(promised) == 5 and said.splitlines() == [*promised, "783 of 785"]


ROWS = [("random", "frozen", .953, .943, .962), ("patients", "frozen", .892, .871, .911),
        ("random", "nearest", .932, .922, .941), ("patients", "nearest", .761, .730, .792),
        ("random", "border", .767, .737, .793), ("patients", "border", .701, .671, .731)]


def test_scores_of_the_four_class_page():
    "They are those of the committed tables."
    page = text("docs/four_class_patients.md")
    with open(ROOT/"nbs/studies/results.csv", encoding="utf-8", newline="") as f:
        rows = {(r["split"], r["model"]): r for r in csv.DictReader(f)
                if (r["set"], r["fold"]) == ("brain_mri_4class", "all")}
    for split, model, *shown in ROWS:
        columns = ("accuracy", "accuracy_low", "accuracy_high")
        assert [round(float(rows[split, model][c]), 3) for c in columns] == shown
        assert "{:.3f} ({:.3f} to {:.3f})".format(*shown) in page


@pytest.mark.parametrize("words", [
    ("audit", "flat"), ("audit", "one"), ("audit", "parts"), ("audit", "emptyc"),
    ("audit", "slices"), ("slices", "short.nii.gz")], ids=lambda words: words[-1])
def test_messages_of_the_pages(words, tmp_path, monkeypatch):
    "What the page on own slices quotes is what the command says."
    monkeypatch.chdir(tmp_path)
    for name in ("flat/1.png", "one/glioma/1.png", "parts/train/a/1.png", "parts/test/a/1.png",
                 "emptyc/glioma/1.png", "slices/glioma/0209.png", "slices/other/1.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9)).save(name)
    Path("emptyc/none").mkdir()
    Path("slices/manifest.csv").write_text("file,subject\nnothing.png,a\n", encoding="utf-8")
    Path("short.nii.gz").write_bytes(gzip.compress(random.Random(0).randbytes(3000))[:900])
    assert f"`{refusal(*words).removeprefix('btnb: ')}`" in text("docs/own_data.md")
