"The labs, graded with nbgrader itself."
import csv
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/"tools"))
pytest.importorskip("nbgrader")
import grade_labs                                           # noqa: E402
import labs                                                 # noqa: E402

TINY = '''# %% [markdown]
# # A lab of three marks

# %% task="double"
def double(x):
    ### BEGIN SOLUTION
    return 2*x
    ### END SOLUTION
    ### BEGIN MISTAKE 1
    return x*x
    ### END MISTAKE

# %% task="triple"
def triple(x):
    ### BEGIN SOLUTION
    return 3*x
    ### END SOLUTION

# %% [markdown] hint="double"
# Hint: multiply
# By two.

# %% check="double_two" mistakes="1"
assert double(3) == 6, "double(3) should be 6"

# %% check="double_hidden"
assert double(2) == 4
### BEGIN HIDDEN TESTS
assert double(0) == 0, "double(0) should be 0"
### END HIDDEN TESTS

# %% check="triple_three"
assert triple(3) == 9, "triple(3) should be 9"
'''


def write(folder, text):
    "The source of the tiny lab."
    (folder/"labs/source").mkdir(parents=True, exist_ok=True)
    (folder/"labs/source/tiny.py").write_text(text, encoding="utf-8")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    "A course of one small lab."
    write(tmp_path, TINY)
    monkeypatch.setattr(labs, "LABS", tmp_path/"labs")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")             # the environment is not activated
    labs.make_course(tmp_path/"course")
    return tmp_path/"course"


def test_marks_and_time_limit(tiny, tmp_path):
    """None, half, full marks; an answer that never ends loses its marks and holds up nobody.

    A warning costs no mark."""
    loop = nbformat.from_dict(labs.instructor("tiny"))
    loop.cells[1].source = ("import warnings\ndef double(x):\n    warnings.warn('a warning')\n"
                            "    return 2*x")
    loop.cells[2].source = "def triple(x):\n    while True: pass"
    stubborn = nbformat.from_dict(labs.instructor("tiny"))
    stubborn.cells[2].source = ("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                                "while True: pass")
    for student, book in {"a_loop": loop, "b_stubborn": stubborn}.items():
        grade_labs.hand_in(tiny, "tiny", student, book)
    for student, book in grade_labs.hand_ins(tiny, "tiny").items():
        grade_labs.hand_in(tiny, "tiny", student, book)
    done = grade_labs.autograde(tiny, "tiny", "--ExecutePreprocessor.timeout=3")
    found = grade_labs.scores(tiny, "tiny")
    sums = {student: sum(found[student].values()) for student in found}
    assert sums == {"a_loop": 2, "as_handed_out": 0, "half": 2, "instructor": 3, "mistake_01": 2}
    assert done.returncode == 1 and "'b_stubborn'" in done.stderr   # named, and left out
    said = grade_labs.messages(tiny, "tiny", "mistake_01")
    assert said == {"double_two": "AssertionError: double(3) should be 6"}
    out = "".join(cell.source for cell in grade_labs.release(tiny, "tiny").cells)
    assert "2*x" not in out and "x*x" not in out and "double(0)" not in out
    assert out.count("raise NotImplementedError(") == 2 and "<summary>Hint: multiply" in out

    labs.make_course(tiny)                                          # again: marks stay
    write(tmp_path, TINY.replace("double_hidden", "double_other"))
    with pytest.raises(SystemExit, match="graded notebooks of tiny, which has changed"):
        labs.make_course(tiny)
    assert grade_labs.scores(tiny, "tiny") == found and grade_labs.release(tiny, "tiny").cells


def test_student_editions(tmp_path):
    "What is committed is what the sources make, and every task has a hint."
    labs.make_course(tmp_path)
    for name in labs.names():
        committed = (ROOT/f"labs/student/{name}.ipynb").read_text(encoding="utf-8")
        made = (tmp_path/f"release/{name}/{name}.ipynb").read_text(encoding="utf-8")
        assert committed == made, f"{name}: make labs"
        hints = {cell.metadata["hint"] for cell in labs.read_cells(name)
                 if "hint" in cell.metadata}
        assert set(labs.tasks(name)) <= hints, f"{name}: a task without a hint"
    assert sorted(p.stem for p in (ROOT/"labs/student").glob("*.ipynb")) == labs.names()


def run_solved(names, tmp_path):
    "The instructor editions run in one process, far from the checkout, each in its own names."
    for name in names:
        code = "\n\n".join(cell.source for cell in labs.instructor(name).cells
                           if cell.cell_type == "code")
        (tmp_path/f"{name}.py").write_text(code, encoding="utf-8")
    run = f"import runpy\nfor name in {names}: runpy.run_path(name + '.py')"
    done = subprocess.run([sys.executable, "-c", run], cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_solutions(tmp_path):
    "The solutions of the labs pass their checks."
    run_solved(labs.names(), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", labs.names("exercises"))
def test_exercises(name, tmp_path):
    "So do those of the exercises of the other notebooks."
    run_solved([name], tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", labs.names())
def test_grading(name, tmp_path):
    "Graded: 0 as handed out, full marks, less with half; each mistake loses what it should."
    labs.make_course(tmp_path, [name])
    sums, rows, minutes = grade_labs.grade(tmp_path, name)
    full = len(labs.marks(name))
    assert sums["as_handed_out"] == 0 and sums["instructor"] == full
    assert 0 < sums["half"] < full
    assert not grade_labs.unmeant(name, rows)
    with (ROOT/"labs/marks.csv").open(newline="", encoding="utf-8") as file:
        kept = [row for row in csv.DictReader(file) if row["lab"] == name]
    assert kept == [{key: str(value) for key, value in row.items()}
                    for row in sorted(rows, key=lambda row: row["mistake"])], "grade_labs.py"
    assert minutes < 5


@pytest.mark.long
@pytest.mark.parametrize("name", labs.names())
def test_chinese_edition_is_graded(name, tmp_path):
    "By the same course: 0 as handed out, full marks with the solutions in its cells."
    labs.make_course(tmp_path, [name])
    book = nbformat.read(ROOT/"labs/student/zh"/f"{name}.ipynb", as_version=4)
    grade_labs.hand_in(tmp_path, name, "as_handed_out", book)
    solved = {cell.metadata.nbgrader.grade_id: cell.source
              for cell in labs.instructor(name).cells if "nbgrader" in cell.metadata}
    for cell in book.cells:
        role = cell.metadata.get("nbgrader", {})
        if role.get("solution") and cell.cell_type == "code":
            cell.source = solved[role["grade_id"]]
    grade_labs.hand_in(tmp_path, name, "solved", book)
    assert grade_labs.autograde(tmp_path, name).returncode == 0
    sums = {who: sum(marks.values()) for who, marks in grade_labs.scores(tmp_path, name).items()}
    assert sums == {"as_handed_out": 0, "solved": len(labs.marks(name))}


def exercises(path):
    "The exercises of a notebook, each as one line."
    for cell in nbformat.read(path, as_version=4).cells:
        parts = re.split(r"^(?:#+ |\*\*)Exercises", cell.source, maxsplit=1, flags=re.M)
        for line in parts[1].splitlines() if len(parts) == 2 else []:
            if re.match(r"\d+\. ", line):
                yield line.strip()


def test_exercises_have_solutions():
    "Every exercise of trust, aims, results and engine is quoted where it is solved."
    quoted = set()
    for name in labs.names("exercises"):
        for cell in labs.read_cells(name):
            text = " ".join(line.removeprefix("> ") for line in cell.source.splitlines()
                            if line.startswith("> "))
            quoted |= {part.strip() for part in re.split(r"(?=\b\d+\. )", text)}
            quoted.add(text.strip())
    asked = [(path, line) for folder in ("trust", "aims", "engine", "studies")
             for path in sorted((ROOT/"nbs"/folder).glob("*.ipynb")) if path.stem != "mistakes"
             for line in exercises(path)]
    missing = [f"{path.stem} {line[:60]}" for path, line in asked if line not in quoted]
    assert len(asked) > 100 and not missing, missing


def test_all_mistakes_have_marks():
    "Each of the fifteen mistakes loses marks in a lab of a lesson and in the lab on mistakes."
    with (ROOT/"labs/marks.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lessons = {int(row["mistake"]) for row in rows if row["lab"] != "07_mistakes"}
    museum = {int(row["mistake"]) for row in rows if row["lab"] == "07_mistakes"}
    assert lessons == museum == set(range(1, 16))
    assert all(len(row["message"]) > 30 for row in rows), "a message that teaches"
    page = (ROOT/"labs/teacher.md").read_text(encoding="utf-8")
    assert grade_labs.mistake_table(rows) in page
    for name in labs.names():
        minutes, number = grade_labs.plan(name)
        assert number == len(labs.marks(name)) and 50 <= int(minutes[:2]) <= 90
        assert f"| {len(labs.tasks(name))} | {number} | {minutes} |" in page
    declared = {(name, check, number) for name in labs.names()
                for check, numbers in labs.marks(name).items() for number in numbers}
    assert declared == {(row["lab"], row["check"], int(row["mistake"])) for row in rows}
