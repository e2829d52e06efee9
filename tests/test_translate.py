"The Chinese book is in step with the English one, and what is not in step is told."
import csv
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/"tools"))
import translate  # noqa: E402

FILES = translate.sources()
BOOKS = {name: pair for name, pair in FILES.items() if pair[0].endswith(".ipynb")}
each = pytest.mark.parametrize("name", FILES)
each_book = pytest.mark.parametrize("name", BOOKS)


def english(name): return translate.read_book(ROOT/FILES[name][0])


def chinese(name): return translate.read_book(ROOT/FILES[name][1])


def code_cells(book): return [cell for cell in book.cells if cell.cell_type == "code"]


def test_the_whole_book_is_there():
    "README, tutorial, six lessons, trust, aims and the labs."
    names = {"index", "tutorial", "01_data", "06_evaluation", "trust/12_probes", "aims/25_card",
             "labs/07_mistakes", "labs/teacher"}
    assert names <= set(FILES) and len(BOOKS) == 30
    assert (ROOT/"README.zh.md").is_file()


@each
def test_in_step(name):
    "Each paragraph is translated, in the words of the glossary, with its figures, code and links."
    assert list(translate.check(name, english(name))) == []


@each
def test_files_are_what_the_catalogues_say(name):
    "The Chinese files are written by the tool alone."
    made = translate.translate_book(name, FILES)
    here = chinese(name)
    if name in BOOKS:
        assert [(cell.id, cell.source) for cell in here.cells] == [
            (cell.id, cell.source) for cell in made.cells], f"python tools/translate.py {name}"
    else:
        assert here.cells[0].source == made.cells[0].source, f"python tools/translate.py {name}"


@each_book
def test_code_is_equal(name):
    "But for the directives that export, and the one hidden cell that sets the language."
    exports = r"#\| (default_exp .*|exports?|exporti)"
    wanted = [[line for line in cell.source.splitlines() if not re.fullmatch(exports, line)]
              for cell in code_cells(english(name))]
    found = [cell.source.splitlines() for cell in code_cells(chinese(name))
             if cell.id != "language"]
    assert found == [lines for lines in wanted if any(lines)]
    assert not any(re.match(exports, line) for lines in found for line in lines)


def printed(cell):
    "What a cell stores but for pictures; text that was printed in several parts is one."
    stream = "".join(output.get("text", "") for output in cell.outputs)
    bundles = [output.get("data", {}) for output in cell.outputs]
    texts = [{kind: text for kind, text in bundle.items() if not kind.startswith("image/")}
             for bundle in bundles if bundle]
    return stream, re.sub(r"base64,[A-Za-z0-9+/=]+", "", json.dumps(texts, sort_keys=True))


@each_book
def test_text_outputs_are_equal(name):
    "Pictures are not compared; nor what a training prints, which tests do not compare either."
    there = {cell.id: cell for cell in code_cells(chinese(name))}
    for cell in code_cells(english(name)):
        if cell.id in there and "nbval-ignore-output" not in cell.metadata.get("tags", []):
            assert printed(there[cell.id]) == printed(cell), cell.source


@each
def test_links_lead_somewhere(name):
    "Relative links of the Chinese files are files."
    folder = (ROOT/FILES[name][1]).parent
    for cell in chinese(name).cells:
        if cell.cell_type == "markdown":
            words = translate.CODE.sub(" ", cell.source)
            for _, target, _ in translate.LINK.findall(words):
                if not re.match(r"[a-z]+:|#|/", target):
                    assert (folder/target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("name", [name for name in BOOKS if name.startswith("labs/")])
def test_labs_are_graded_as_the_english_ones(name):
    "The metadata by which nbgrader grades are the same."
    marks = [[(cell.id, cell.metadata.get("nbgrader")) for cell in book.cells]
             for book in (english(name), chinese(name))]
    assert marks[0] == [mark for mark in marks[1] if mark[0] != "language"]


def test_readme():
    "README.zh.md is made from the Chinese index."
    said = translate.translations("index")
    text, pictures = translate.readme(
        ROOT/"nbs"/"zh"/"index.ipynb",
        lambda text: translate.translate_text(text, said, lambda link: link))
    assert (ROOT/"README.zh.md").read_text(encoding="utf-8") == text
    assert all((ROOT/path).read_bytes() == data for path, data in pictures.items())


def test_glossary():
    "At least 120 terms, each once, each with a Chinese word."
    with open(ROOT/"locale"/"zh"/"glossary.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {"AUROC", "softmax"}
    assert len(rows) >= 120 and len({row["english"] for row in rows}) == len(rows)
    for row in rows:
        assert re.search("[\u4e00-\u9fff]", row["chinese"]) or row["english"] in names


def lines(english, name="tutorial"):
    "What the check says of an English notebook that somebody has changed."
    return "\n".join(translate.check(name, english))


def test_a_changed_sentence_is_noticed():
    "The line names the file, the cell and the sentence."
    book = english("tutorial")
    cell = next(cell for cell in book.cells if "In this lesson you train one" in cell.source)
    cell.source = cell.source.replace("you train one", "you train two")
    said = lines(book)
    at = book.cells.index(cell) + 1
    assert f"locale/zh/tutorial.po, cell {at}, 'To read brain scans by eye" in said
    assert "new or changed in English" in said and "no longer in the English text" in said


@pytest.mark.parametrize("before, after, said", [
    ("The validation set has 48 slices.", "验证集有 48 张切片。", ""),
    ("The validation set has 48 slices.", "校验集有 48 张切片。", "validation set = 验证集"),
    ("The validation set has 48 slices.", "验证集有 84 张切片。", "numbers are missing: 48"),
    ("Call `fit` now.", "现在调用 `fitt`。", "code differs"),
    ("See [here](a.ipynb).", "见[这里](b.ipynb)。", "links differ"),
    ("## Loss", "### 损失", "heading, items or rows differ"),
    ("- a loss\n- a loss", "- 损失", "heading, items or rows differ"),
    ("A loss, a mask.", "损失,掩膜。", "half-width"),
    ("**Note:** a loss.", "**注意：**损失。", "** is not read as bold"),
    ("```\nmake demo  # a loss\n```", "```\nmake lab  # 损失\n```", "code in a fence differs"),
    ("```\nmake demo  # a loss\n```", "```\nmake demo  # 损失\n```", "")])
def test_each_rule(before, after, said):
    "What a rule says, and that a right translation passes all."
    found = [line for _, line in translate.faults(before, after)]
    assert (not found) if not said else any(said in line for line in found), found


def test_paragraphs():
    "Cut at blank lines and after a fence, not inside; put together they are the text again."
    text = "# A\n> b\n\nc\nd\n\n```\ne\n\nf\n```\n\n"
    assert "".join(translate.blocks(text)) == text
    assert translate.blocks(text)[::2][:3] == ["# A\n> b\n", "c\nd\n", "```\ne\n\nf\n```\n"]
    text = "- a:\n\n  ```\n  b\n  ```\n- A second item.\n"
    assert "".join(translate.blocks(text)) == text
    assert translate.blocks(text)[4] == "- A second item.\n"


def test_anchors():
    "A heading's anchor holds its code, as on GitHub and on the site."
    assert translate.slug("## Validation: `eval` and `no_grad`") == "validation-eval-and-no_grad"
    assert translate.slug("# **Bold**, [a link](b.ipynb)") == "bold-a-link"
    assert translate.slug("## 验证：`eval`") == "验证eval"


@pytest.mark.parametrize("content, line", [
    ('msgid "a word"\nmsgstr "词\n\nmsgid "b"\nmsgstr "乙"\n'.encode(), "line 9: "),
    ('msgid "a word"\nmsgstr "a "b" c"\n'.encode(), "line 9: "),
    ('msgid "a word"\n\nmsgid "b"\nmsgstr "乙"\n'.encode(), "missing msgstr"),
    ('msgid "a word"\nmsgstr "词"\n'.encode("gbk"), "is no UTF-8")],
    ids=["open", "inner", "missing", "gbk"])
def test_a_damaged_catalogue_is_told_and_kept(tmp_path, monkeypatch, content, line):
    "In one line; an update writes nothing, so no translation is lost."
    monkeypatch.setattr(translate, "LOCALE", tmp_path)
    before = translate.HEADER.encode() + content
    translate.po_file("x").write_bytes(before)
    cell = nbformat.v4.new_markdown_cell("a word")
    with pytest.raises(SystemExit) as end:
        translate.update("x", nbformat.v4.new_notebook(cells=[cell]))
    assert line in end.value.code and len(end.value.code.splitlines()) == 1
    assert translate.po_file("x").read_bytes() == before


def test_update_marks_a_changed_paragraph(tmp_path, monkeypatch):
    "Its translation is kept as fuzzy, and is not used until somebody has looked at it."
    monkeypatch.setattr(translate, "LOCALE", tmp_path)
    monkeypatch.setattr(translate, "ROOT", tmp_path)
    def book(text):
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    translate.update("x", book("The loss falls in each epoch of the training."))
    catalogue = translate.read_catalogue("x")
    catalogue["The loss falls in each epoch of the training."].string = "每轮训练损失都下降。"
    with open(translate.po_file("x"), "wb") as file:
        file.write(translate.HEADER.encode())
        translate.write_po(file, catalogue, width=0, omit_header=True)
    changed = book("The loss falls in every epoch of the training.")
    assert list(translate.check("x", changed))
    translate.update("x", changed)
    assert translate.translations("x") == {}
    assert "changed in English since it was translated" in "".join(translate.check("x", changed))
