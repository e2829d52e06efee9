"Chinese: the table of texts and its font, what plots and reports say, and what stays the same."
import ast
import csv
import errno
import json
import os
import re
import sys
from html import unescape
from pathlib import Path

import click
import pytest
from conftest import ROOT
from fontTools.ttLib import TTFont
from inside import btnb, refusal
from matplotlib.font_manager import findfont

from brain_tumor_nb.catalogue import read_catalogue, translate
from brain_tumor_nb.figures import FONT_FILE
from brain_tumor_nb.phantom import phantom_folder

sys.path.insert(0, str(ROOT/"tools"))
from plot_text import READ, shown_texts, unknown_words  # noqa: E402

LIB, NBS = ROOT/"brain_tumor_nb", ROOT/"nbs"
CHINESE = read_catalogue("zh")
CARD = ("model_card", "claim2024", "tripod_ai", "card_claims")
# texts that the code puts together from words, so that none of its literals holds them
MADE = {"A batch of slices", "A batch of simulated slices", "Heat maps of slices",
        "Heat maps of simulated slices", "Four slices of each class, black 0 to white 255",
        "Four simulated slices of each class, black 0 to white 255", "only the lesion",
        "least contrast: {}", "least noise: {}", "most contrast: {}", "most noise: {}",
        "Change of the AUROC with simulated faults, with 95 % intervals", "required]"}


def literal(node):
    "A text of the code with `{}` where something is filled in; None for other code."
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def cells(paths):
    "The code of the cells of notebooks."
    for path in paths:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield "".join(cell["source"])


@pytest.fixture(scope="module")
def literals():
    "Every text of the code, of the items of cards, of the page and of click, in lower case."
    code = [*cells(path for path in NBS.rglob("*.ipynb") if "zh" not in path.parts),
            *(path.read_text(encoding="utf-8") for path in LIB.glob("*.py"))]
    found = [literal(node) for text in code for node in ast.walk(ast.parse(text))]
    for name in CARD:
        with open(LIB/"known"/f"{name}.csv", encoding="utf-8") as file:
            found += [cell for row in csv.reader(file) for cell in row]
    found += [path.read_text(encoding="utf-8")
              for path in (LIB/"templates"/"page.html", *Path(click.__file__).parent.glob("*.py"))]
    found += [os.strerror(number) for number in errno.errorcode]
    found = [text for text in found if text]
    return "\n".join([*found, *(t.replace("_", " ") for t in found if len(t) < 60)]).lower()


def test_each_text_is_still_said(literals):
    "A text that was changed in the code must be changed in the table too."
    pieces = re.compile(r"\{\}|\n|(?<=[.,;:)]) |(?<=[a-z]) (?=\()")
    lost = [english for english in CHINESE if english not in MADE
            and any(piece.lower().strip(" ,;:().'×") not in literals
                    for piece in pieces.split(english) if sum(map(str.isalpha, piece)) > 3)]
    assert lost == []
    assert MADE <= set(CHINESE)


def test_table():
    "Sorted, each text once, no stray spaces, and no part that is not there."
    with open(LIB/"languages"/"zh.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["english", "chinese"] and len(rows) == len(CHINESE)
    assert [row[0] for row in rows] == sorted(CHINESE, key=lambda text: (text.lower(), text))
    for english, chinese in rows:
        assert english == english.strip() and chinese == chinese.strip(), english
        there, asked = english.count("{}"), re.findall(r"\{(\d*)(?::s)?\}", chinese)
        numbers = {int(n) for n in asked if n} or set(range(len(asked)))
        plurals = {k for k, before in enumerate(english.split("{}")[:-1]) if before[-1:].isalpha()}
        assert numbers <= set(range(there)) and (not any(asked) or all(asked)), english
        assert set(range(there)) - numbers <= plurals, f"{english}: a part is left out"


def test_lists():
    "A template does not take the rest of a list for one of its parts."
    listed = "accuracy, balanced accuracy, AUROC, sensitivity, specificity, precision, f1"
    said = "准确率，平衡准确率，AUROC，灵敏度，特异度，精确率，F1"
    assert translate(f"The metrics are {listed}.", "zh") == f"指标为：{said}。"
    classes = "80 glioma, 80 meningioma, 80 notumor, 80 pituitary"
    found = translate(f"By class: {classes}.", "zh")
    assert found == "按类别：胶质瘤 80，脑膜瘤 80，无肿瘤 80，垂体瘤 80。"
    people = "3 subjects known for 9 of 9 slices (manifest.csv)."
    assert translate(f"home, 9 slices; {people}", "zh").startswith("home，9 张切片；9 张切片中有")


def test_terms():
    "Words of the glossary are used as it has them."
    with open(ROOT/"locale"/"zh"/"glossary.csv", encoding="utf-8") as table:
        words = {row["english"]: row["chinese"].split(";") for row in csv.DictReader(table)}
    wrong = {english: chinese for english, chinese in CHINESE.items()
             if english in words and not any(word in chinese for word in words[english])}
    assert wrong == {}


def test_font():
    "The font, or matplotlib's own behind it, has every character of the table."
    there = {**TTFont(findfont("DejaVu Sans")).getBestCmap(), **TTFont(FONT_FILE).getBestCmap()}
    lacking = sorted({c for text in CHINESE.values() for c in text if ord(c) not in there} - {"\n"})
    assert lacking == [], "python tools/font.py NotoSansCJK-Regular.ttc adds them"
    assert FONT_FILE.stat().st_size < 1.2e6
    assert "SIL OPEN FONT LICENSE" in (FONT_FILE.parent/"OFL.txt").read_text(encoding="utf-8")


def drawn(tree):
    "The texts that code gives to matplotlib, with 7 where something is filled in."
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = [k.value for k in node.keywords
                 if k.arg in ("title", "xlabel", "ylabel", "label", "suptitle")
                 and name not in ("Table", "write_page", "dict")]
        if name in ("set_title", "set_xlabel", "set_ylabel", "suptitle", "supxlabel", "supylabel"):
            given += node.args[:1]
        if name.startswith(("plot_", "show_")) and name != "plot_effects":
            given += node.args
        yield from (text.replace("{}", "7") for text in map(literal, given) if text)


def test_plots_are_known():
    "Whatever the code draws as a title, an axis or in a legend has a translation."
    notebooks = [path for pattern in READ for path in NBS.glob(pattern)]
    code = [*cells(notebooks), *(p.read_text(encoding="utf-8") for p in LIB.glob("*.py"))]
    texts = {text for part in code for text in drawn(ast.parse(part))}
    assert len(texts) > 100
    made = [text for text in texts if any(re.fullmatch(re.escape(text).replace("7", ".*"), key)
                                          for key in MADE)]
    assert sorted(t for t in texts if unknown_words(translate(t, "zh")) and t not in made) == []


@pytest.mark.long
@pytest.mark.parametrize("pattern", READ)
def test_notebooks_draw_in_chinese(pattern):
    "Every text of every plot of the book, as drawn."
    for path in sorted(NBS.glob(pattern)):
        assert [text for text in shown_texts(path) if unknown_words(text)] == [], path.name


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    "A folder scored by a small run, told in English and in Chinese: two run folders, and it."
    home = tmp_path_factory.mktemp("language")
    data = phantom_folder(subjects=6, slices=2, cache=home)
    options = ["--arch", "mobilenet_v3_small", "--weights", "none", "--size", 32, "--epochs", 1]
    assert btnb("train", data, "--out", home/"run", *options, "--no-probes")[0] == 0
    for name in ("en", "zh"):
        code, said = btnb("evaluate", home/"run", data, "--out", home/name, "--judge", "clinical",
                          "--lang", name)
        assert code == 0 and ("正在评判" in said) == (name == "zh"), said
    assert "BTNB_LANG" not in os.environ
    return home/"en", home/"zh", data


def test_files_are_equal(both):
    "What other programs read does not depend on the language."
    files = [sorted(p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file())
             for run in both[:2]]
    assert files[0] == files[1]
    read = [name for name in files[0] if name.endswith((".json", ".csv"))]
    assert {"metrics.json", "predictions.csv", "sections/score.json"} <= set(read)
    for name in read:
        assert (both[0]/name).read_bytes() == (both[1]/name).read_bytes(), name
    pictures = [name for name in files[0] if name.endswith(".png")]
    assert pictures and all((both[0]/p).read_bytes() != (both[1]/p).read_bytes()
                            for p in pictures)


def english(page):
    "Three English words or more in a row on a page, without tables of settings and of its README."
    text = re.sub(r"<style>.*?</style>|<details>.*?</details>", " ", page, flags=re.S)
    text = unescape(re.sub(r'<[^>]*?alt="(.*?)"[^>]*>', r" ¶\1¶ ", text))
    text = re.sub(r"<[^>]+>", "¶", text)
    text = re.sub(r"btnb [\w -]+|--[\w-]+", "¶", text)
    return re.findall(r"(?:[A-Za-z']{2,}[ ,]+){2,}[A-Za-z']{2,}", text)


def test_report(both):
    "A Chinese report is Chinese throughout, and says what it must."
    page = (both[1]/"report.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page and "不是医疗器械" in page and "模拟" in page
    assert english(page) == []
    assert len(english((both[0]/"report.html").read_text(encoding="utf-8"))) > 20


def test_card_and_audit(both, tmp_path):
    "So are the card and the page of an audit; a card of a Chinese run finds the same facts."
    for name, run in zip(("en", "zh"), both[:2]):
        assert btnb("card", run, "--out", tmp_path/name, "--lang", name)[0] == 0
    page = (tmp_path/"zh"/"card.html").read_text(encoding="utf-8")
    assert [text for text in english(page) if "medical device" not in text
            and "tested on patients" not in text] == []     # places in report.html
    rows = [re.findall("<tr>", (tmp_path/name/"card.html").read_text(encoding="utf-8"))
            for name in ("en", "zh")]
    assert len(rows[0]) == len(rows[1]) and "不是医疗器械" in (tmp_path/"zh"/"card.md").read_text(
        encoding="utf-8")
    assert btnb("audit", both[2], "--html", tmp_path/"audit.html", "--lang", "zh")[0] == 0
    assert english((tmp_path/"audit.html").read_text(encoding="utf-8")) == []


def test_language_is_asked_for(monkeypatch, tmp_path):
    "As an option, wherever it is written, or as a variable; a slip is one line."
    assert "不存在：请给出一个文件夹" in refusal("--lang", "zh", "train", tmp_path/"no")
    assert "不存在" in refusal("train", tmp_path/"no", "--lang=zh")
    assert refusal("--lang", "zh", "tarin") == "btnb: 没有命令 'tarin'。是不是 'train'？"
    assert "'fr' is not one of 'en', 'zh'" in refusal("--lang", "fr", "doctor")
    monkeypatch.setenv("BTNB_LANG", "zh")
    assert "缺少参数" in refusal("predict")
    assert "Missing argument" in refusal("--lang", "en", "predict")
    monkeypatch.setenv("BTNB_LANG", "fr")
    assert refusal("doctor") == "btnb: BTNB_LANG is fr: choose en or zh"
