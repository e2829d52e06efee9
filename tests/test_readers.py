"Answers of people: awkward files, no front end, the tool that measures the table."
import csv
import subprocess
import sys

import numpy as np
import pandas
import pytest

from brain_tumor_nb.data import MRIFolder, find_data
from brain_tumor_nb.desk import (COLUMNS, DESK_JS, Session, draw_study, load_readings,
                                 read_answers, reading_desk)
from brain_tumor_nb.predictions import Predictions
from brain_tumor_nb.readers import kappa, share_difference


@pytest.fixture(scope="module")
def study():
    "Six slices of the sample."
    return draw_study(MRIFolder(find_data("sample")), 6)


@pytest.fixture
def answered(study, tmp_path):
    "The file of two readers, each with all six slices read."
    file = tmp_path/"answers.csv"
    for reader in ("anna", "Ben, O'Hara \"jr\""):
        session = Session(study, reader, file)
        while session.case is not None:
            session.answer("glioma", 4, 1.5)
    return file


def test_other_tools_read_the_answers(answered, study):
    "A name with commas and quotation marks survives; pandas agrees."
    table = pandas.read_csv(answered, keep_default_na=False)
    assert list(table) == COLUMNS and len(table) == 12
    assert set(table["reader"]) == {"anna", "Ben, O'Hara \"jr\""}
    assert [len(r.pred) for r in load_readings(answered, study)] == [6, 6]


def model_of(study):
    "A model's predictions, another of each slice."
    probs = np.array([[.9 - .02*k, .05 + .01*k, .05 + .01*k] for k in range(len(study.cases))])
    return Predictions([study.folder.paths[i] for i in study.cases], ["glioma"]*len(probs),
                       tuple(study.folder.classes), probs, [0]*len(probs))


@pytest.mark.filterwarnings("ignore:.*the last line is cut off")
@pytest.mark.parametrize("aided", [False, True])
def test_file_cut_anywhere(aided, study, tmp_path):
    "Whatever a power failure leaves of a file, reading goes on and ends with the same answers."
    file, helps = tmp_path/"answers.csv", model_of(study) if aided else None

    def read(reader):
        session = Session(study, reader, file, helps)
        done = session.done
        while session.case is not None:
            session.answer("glioma", 4, 1.5)
        return done
    read("Zoë")
    whole = file.read_bytes()
    for end in range(len(whole) - 1):
        file.write_bytes(whole[:end])
        lines = whole[:end + 1].count(b"\n") - 1            # a whole line may lack its end
        assert read("Zoë") == max(0, lines), end
        assert file.read_bytes() == whole, end


def test_answers_without_the_last_line_end(answered, study):
    "An editor took the last line end: no answer is lost. Half a line is left out, which is said."
    data = answered.read_bytes()
    answered.write_bytes(data[:-1])
    assert [len(r.pred) for r in load_readings(answered, study)] == [6, 6]
    Session(study, "eve", answered).answer("glioma", 4, 1.5)
    assert answered.read_bytes().startswith(data)
    answered.write_bytes(data[:-12])
    with pytest.warns(UserWarning, match="the last line is cut off and was left out$"):
        assert [len(r.pred) for r in load_readings(answered, study)] == [5, 6]


def test_other_files_are_not_erased(study, tmp_path):
    "A file of one line that holds no answers stays as it is."
    file = tmp_path/"notes.txt"
    file.write_text("not to be lost")
    with pytest.raises(ValueError, match="its columns must be"):
        Session(study, "anna", file)
    assert file.read_text() == "not to be lost"


def test_help_of_another_model(study, tmp_path):
    "A session keeps the model with which it was begun."
    file, model = tmp_path/"answers.csv", model_of(study)
    Session(study, "anna", file, model).answer("glioma", 4, 1.5)
    assert Session(study, "anna", file, model).done == 1
    model.probs = model.probs[::-1]
    with pytest.raises(ValueError, match="begun with another model's help: take another file"):
        Session(study, "anna", file, model)
    assert Session(study, "anna", file).done == 0           # alone is another session


def test_lesson_shows_no_slice_that_it_asks_for():
    "The pictures of both notebooks are not among the slices that a student is given."
    sample = MRIFolder(find_data("sample"))
    shown = draw_study(sample, 21)
    cases = shown.order("anna")[0], shown.order("script B", True)[7]
    assert not {shown.cases[k] for k in cases} & set(draw_study(sample, 21, seed=1).cases)


def test_study_that_cannot_be_drawn():
    "The largest number is right, and the class that is short is named."
    sample = MRIFolder(find_data("sample"))
    with pytest.raises(ValueError, match="for lack of .*: ask for at most") as e:
        draw_study(sample, 600)
    most = int(str(e.value).split("at most ")[1].split(",")[0])
    assert len(draw_study(sample, most).cases) == most
    with pytest.raises(ValueError, match=f"ask for at most {most},"):
        draw_study(sample, most + 1)
    some = [p for p in sample.paths if not p.startswith("meningioma")]
    with pytest.raises(ValueError, match="for lack of meningioma: ask for at most 1,"):
        draw_study(sample, 21, among=some)


LINE = "{key},anna,1,{name},glioma,4,1.5,"
WRONG = {"of another study": ("00000000,anna,1,{name},glioma,4,1.5,", "is of another study"),
         "too few cells": ("{key},anna,1,{name},glioma,4,1.5", "line 2 is no answer"),
         "no last columns": ("{key},anna,1,{name},glioma,4", "it has not 8 columns"),
         "no such help": (LINE + "glioma 9", "line 2 is no answer"),
         "endless cell": (LINE + "x"*140_000, "field larger than field limit"),
         "too many cells": (LINE + ",", "line 2 is no answer"),
         "no such slice": ("{key},anna,1,../x,glioma,4,1.5,", "line 2 is no answer"),
         "no such class": ("{key},anna,1,{name},<b>,4,1.5,", "'<b>' is none of"),
         "half a confidence": ("{key},anna,1,{name},glioma,4.5,1.5,", "is not 1, 2, 3, 4 or 5"),
         "endless": ("{key},anna,1,{name},glioma,4,inf,", "no time"),
         "no number": ("{key},anna,one,{name},glioma,4,1.5,", "line 2 is no answer")}


@pytest.mark.parametrize("name", WRONG)
def test_awkward_lines(name, study, tmp_path):
    "One line says what is wrong, and the file stays as it was."
    line, words = WRONG[name]
    file = tmp_path/"answers.csv"
    text = ",".join(COLUMNS) + "\n" + line.format(key=study.key, name=study.names[0]) + "\n"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as e:
        Session(study, "anna", file)
    assert words in str(e.value) and "\n" not in str(e.value)
    assert file.read_text(encoding="utf-8") == text


def test_awkward_files(study, tmp_path):
    "A picture, a table saved with semicolons, and another encoding are refused; a BOM is not."
    file = tmp_path/"answers.csv"
    for data, words in ((b"\x89PNG\r\n\x1a\n\xff\n", "not UTF-8"),
                        (";".join(COLUMNS).encode() + b"\n", "its columns must be")):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=words):
            read_answers(file, study)
    file.write_bytes(b"\xef\xbb\xbf" + ",".join(COLUMNS).encode() + b"\r\n")
    assert read_answers(file, study) == []


def test_truth_does_not_reach_the_page(study, tmp_path):
    "Neither a path nor the name of a file nor a label is in what the browser is sent."
    session = Session(study, "anna", tmp_path/"answers.csv")
    desk = reading_desk(session)
    while session.case is not None:
        sent = str({k: v for k, v in desk.get_state().items() if k not in ("_esm", "_css")})
        shown = study.folder.paths[study.cases[session.case]]
        assert shown not in sent and shown.split("/")[1].removesuffix(".png") + "." not in sent
        assert sent.count(shown.split("/")[0]) == 1         # among the names of all classes
        session.answer("glioma", 4, 1.5)
        desk = reading_desk(session)
    assert desk.case["end"] and "innerHTML" not in DESK_JS


def test_without_the_widget(tmp_path):
    "Plain Python without anywidget gets a picture and the way out."
    code = ("import sys; sys.modules['anywidget'] = None\n"
            "import matplotlib; matplotlib.use('Agg')\n"
            "from brain_tumor_nb.desk import reading_study\n"
            f"print(reading_study('sample', {str(tmp_path/'a.csv')!r}, n=6).get_title())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "brain_tumor_nb[labs]" in done.stdout and "one case of 6" in done.stdout


def test_difference_of_unequal_patients():
    "Thirty patients of one slice and ten of twenty: the interval holds the truth."
    groups = np.repeat(np.arange(40), np.repeat([1, 20], [30, 10]))
    n, rng = len(groups), np.random.default_rng(0)

    def table(share):
        right = rng.random(n) < share
        return Predictions([f"{k:03}" for k in range(n)], ["yes"]*n, ("no", "yes"),
                           np.stack([~right, right], 1).astype(float), [0]*n, groups)
    found = [share_difference(table(.95), table(.6)) for _ in range(1000)]
    assert .93 < np.mean([m["low"] <= .35 <= m["high"] for m in found]) < .97
    assert .14 < np.mean([m["high"] - m["low"] for m in found]) < .18


def test_kappa_of_the_rare():
    "No end lies outside -1 to 1, and none is given where the answers show no error."
    rare = np.arange(1000) == 0
    assert kappa(rare, rare, rare)["low"] == -1
    assert kappa(rare, ~rare)["value"] == pytest.approx(-.002, abs=1e-4)
    same = np.zeros(1000)
    assert kappa(rare, same) == dict(value=0, low=None, high=None)
    assert kappa(same, same) == dict(value=None, low=None, high=None)


def test_tool(tool, root, tmp_path):
    "The tool writes the rows of the committed table, from fewer studies."
    assert tool("readers", "--out", tmp_path/"few.csv", "--studies", 3) == 0
    both = []
    for file in (tmp_path/"few.csv", root/"nbs/aims/readers_coverage.csv"):
        with open(file, newline="", encoding="utf-8") as f:
            both.append(list(csv.DictReader(f)))
    kinds = [[[row[k] for k in ("what", "interval", "readers", "slices", "truth")] for row in rows]
             for rows in both]
    assert kinds[0] == kinds[1] and list(both[0][0]) == list(both[1][0])
