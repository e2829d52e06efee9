"""From each source in labs/source: the student edition and the course that nbgrader grades by.

    python tools/labs.py                       labs/student/*.ipynb and the course in labs/course
    python tools/labs.py --course FOLDER       the same, with the course in FOLDER
    python tools/labs.py --only 02_normalization

A source is a notebook as text (py:percent). The marker of a cell says what the cell is:

    # %% task="mean"                   an answer: what is between BEGIN and END SOLUTION is left out
    # %% check="mean_value"            one mark; what is between BEGIN and END HIDDEN TESTS is not
                                       handed out; mistakes="5 6" are lost with this check
    # %% [markdown] hint="mean"        folded; the summary is its first line
    # %% [markdown] answer="why"       a written answer without marks
    # %%                               given, locked (text stays free: a student may take notes)

Between BEGIN and END MISTAKE 5 stands the answer that makes the original's mistake 5. It is in
neither edition: `instructor(name, mistake=5)` has it in place of the solution, for the tests.

Solutions of the exercises of the other notebooks stand in labs/exercises, written in the same way;
they have no student edition, and come as notebooks into the folder exercises of the course.
"""
import argparse
import contextlib
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import jupytext
import nbformat

LABS = Path(__file__).resolve().parents[1]/"labs"
TEXT = "*Your answer here.*"
STUB = ("# Your answer here, in place of this line and the next.\n"
        'raise NotImplementedError("your answer is missing here")')
CONFIG = r'''"The course of the labs, for nbgrader; written by tools/labs.py."
c = get_config()
c.CourseDirectory.course_id = "brain_tumor_nb"
c.ClearSolutions.code_stub = {{"python": {stub!r}}}
c.ClearSolutions.text_stub = {text!r}
c.ExecutePreprocessor.timeout = {timeout}       # seconds per cell; then the cell is stopped
# nbgrader takes the mark of a check that prints a warning, such as numpy's at 0/0, and says nothing
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = "(?s)."
# collected files are named STUDENT_LAB.ipynb, as in li_02_normalization.ipynb
name = r"(.*[/\\])?(?P<student_id>[^/\\]+?)_(?P<file_id>0\d_\w+\.ipynb)"
c.FileNameCollectorPlugin.named_regexp = name
'''
TIMEOUT = 180                           # seconds for a cell: a whole lab takes less than 300
BLOCK = re.compile(r"^[ \t]*### BEGIN MISTAKE (\d+)\n(.*?)^[ \t]*### END MISTAKE\n?", re.S | re.M)
SOLUTION = re.compile(r"^[ \t]*### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION\n?", re.S | re.M)


def names(folder="source"):
    "Names of the labs, in order; or of the sheets of exercises."
    return sorted(path.stem for path in (LABS/folder).glob("*.py"))


def role(meta, number):
    "nbgrader's metadata of a cell, from the marks of its source."
    kind = next((kind for kind in ("task", "check", "answer") if kind in meta), "given")
    found = {"schema_version": 3, "grade": kind in ("check", "answer"),
             "solution": kind in ("task", "answer"), "locked": kind in ("check", "given"),
             "task": False, "grade_id": meta.get(kind, f"given_{number}")}
    if found["grade"]:
        found["points"] = int(kind == "check")
    return found


def with_mistake(code, mistake):
    "A cell without the blocks of mistakes, or with one of them in place of the solution."
    chosen = {int(m[1]): m[2] for m in BLOCK.finditer(code)}.get(mistake)
    code = BLOCK.sub("", code)
    return code if chosen is None else SOLUTION.sub(lambda _: chosen, code)


def instructor(name, mistake=None, unsolved=()):
    "The edition with solutions and hidden tests; with one mistake, or with some tasks left out."
    book = nbformat.v4.new_notebook(cells=read_cells(name))
    book.metadata = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python",
                                    "name": "python3"}}
    answers = False                                         # whether one came before
    for number, cell in enumerate(book.cells):
        meta, cell.id = cell.metadata, f"cell-{number}"
        cell.metadata = {}
        if cell.cell_type == "code" or "answer" in meta:
            cell.metadata["nbgrader"] = {**role(meta, number), "cell_type": cell.cell_type}
        answers |= "task" in meta
        if cell.cell_type == "code" and answers:            # Run All Cells goes on to the end
            cell.metadata["tags"] = ["raises-exception"]
        cell.source = with_mistake(cell.source, mistake).rstrip("\n")
        if "hint" in meta:
            summary, _, rest = cell.source.partition("\n")
            cell.source = (f"<details><summary>{summary.strip()}</summary>\n\n{rest.strip()}\n\n"
                           "</details>")
        if meta.get("task") in unsolved:
            cell.source = SOLUTION.sub(lambda m: indented(m[0]), cell.source)
    return book


def indented(block):
    "The stub, as far to the right as the solution that it replaces."
    space = re.match(r"[ \t]*", block)[0]
    return "".join(f"{space}{line}\n" for line in STUB.splitlines())


def read_cells(name):
    "The cells of a source, marks in their metadata."
    source = LABS/("source" if name in names() else "exercises")/f"{name}.py"
    text = source.read_text(encoding="utf-8")
    return jupytext.reads(text, fmt="py:percent").cells


def marks(name):
    "Each check's id with the numbers of the mistakes that lose it, in the order of the lab."
    return {cell.metadata["check"]: {int(n) for n in cell.metadata.get("mistakes", "").split()}
            for cell in read_cells(name) if "check" in cell.metadata}


def tasks(name):
    "The ids of the tasks, in the order of the lab."
    return [cell.metadata["task"] for cell in read_cells(name) if "task" in cell.metadata]


def graded(folder, name):
    "Whether the course holds graded notebooks of a lab."
    from nbgrader.api import Gradebook
    if not (folder/"gradebook.db").exists():
        return False
    with contextlib.closing(Gradebook(f"sqlite:///{folder.as_posix()}/gradebook.db")) as book:
        return bool(book.assignment_submissions(name))


def make_course(folder, only=()):
    "The course in `folder`: instructor editions, student editions, gradebook; the names made."
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIG.format(stub=STUB, text=TEXT, timeout=TIMEOUT)
    (folder/"nbgrader_config.py").write_text(config, encoding="utf-8")
    made = [name for name in names() if not only or name in only]
    (folder/"exercises").mkdir(exist_ok=True)
    for name in names("exercises"):
        nbformat.write(instructor(name), folder/"exercises"/f"{name}.ipynb")
    c = Config()
    c.CourseDirectory.root = str(folder)
    c.ClearSolutions.code_stub = {"python": STUB}
    c.ClearSolutions.text_stub = TEXT
    # nbgrader calls the program alembic, which lies beside this Python
    os.environ["PATH"] = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
    api = NbGraderAPI(config=c)
    for name in made:
        source = folder/"source"/name/f"{name}.ipynb"
        book = instructor(name)
        if source.exists() and graded(folder, name):
            if nbformat.read(source, as_version=4) != book:
                sys.exit(f"{folder} holds graded notebooks of {name}, which has changed since: "
                         "keep that course for this class and give another folder, --course NEW")
            continue
        source.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, source)
        result = api.generate_assignment(name, force=True, create=True)
        if not result["success"]:
            sys.exit(f"{name}: nbgrader could not make the student edition\n{result['log']}")
    return made


def main():
    ask = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--course", type=Path, default=LABS/"course")
    ask.add_argument("--only", nargs="+", default=(), choices=names())
    args = ask.parse_args()
    try:
        import nbgrader                 # noqa: F401
    except ImportError:
        sys.exit('nbgrader is missing: pip install -e ".[offline,labs,grade]"')
    for name in make_course(args.course, args.only):
        made = args.course/"release"/name/f"{name}.ipynb"
        shutil.copyfile(made, LABS/"student"/f"{name}.ipynb")
        print(f"labs/student/{name}.ipynb: {len(marks(name))} marks")
    print(f"instructor editions, hidden tests and gradebook: {args.course}")


if __name__ == "__main__":
    main()
