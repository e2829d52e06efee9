"""Grades the labs' own editions with nbgrader: what each mistake of the original costs.

    python tools/grade_labs.py                  all labs; writes labs/marks.csv and the two tables
                                                of labs/teacher.md
    python tools/grade_labs.py 02_normalization

Four kinds of hand-ins: the student edition as it is handed out, the instructor edition, every
second task answered, and one with each mistake.
"""
import contextlib
import csv
import logging
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat

import labs

COLUMNS = ["mistake", "lab", "check", "marks", "message"]


def hand_in(course, name, student, book):
    "Put a notebook where nbgrader looks for what a student has handed in."
    path = Path(course)/"submitted"/student/name/f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)


def autograde(course, name, *options):
    "Run `nbgrader autograde` on all that was handed in; the process that ended."
    command = [sys.executable, "-m", "nbgrader", "autograde", name, "--course-dir", str(course)]
    return subprocess.run([*command, *options], capture_output=True, text=True, cwd=course)


def scores(course, name):
    "Of each student whose notebook was graded: check to marks."
    from nbgrader.api import Gradebook
    found = {}
    database = f"sqlite:///{Path(course).resolve().as_posix()}/gradebook.db"
    with contextlib.closing(Gradebook(database)) as book:
        for hand in book.assignment_submissions(name):
            grades = [grade for page in hand.notebooks for grade in page.grades]
            if grades and all(grade.auto_score is not None or not grade.max_score
                              for grade in grades):
                found[hand.student.id] = {g.name: g.score for g in grades if g.max_score}
    return found


def messages(course, name, student):
    "What each check that failed said to a student, one line each."
    graded = Path(course)/"autograded"/student/name/f"{name}.ipynb"
    found = {}
    for cell in nbformat.read(graded, as_version=4).cells:
        errors = [o for o in cell.get("outputs", []) if o.output_type == "error"]
        if errors and cell.metadata.get("nbgrader", {}).get("grade"):
            found[cell.metadata.nbgrader.grade_id] = f"{errors[0].ename}: {errors[0].evalue}"
    return found


def release(course, name):
    "The student edition."
    return nbformat.read(Path(course)/"release"/name/f"{name}.ipynb", as_version=4)


def hand_ins(course, name):
    "What is handed in for one lab: student to notebook."
    mistakes = sorted(set().union(*labs.marks(name).values()))
    return {"as_handed_out": release(course, name),
            "half": labs.instructor(name, unsolved=labs.tasks(name)[1::2]),
            "instructor": labs.instructor(name),
            **{f"mistake_{number:02}": labs.instructor(name, mistake=number)
               for number in mistakes}}


def grade(course, name):
    "Grade the hand-ins of one lab: sums of marks, rows of the mistakes, minutes for each."
    books = hand_ins(course, name)
    for student, book in books.items():
        hand_in(course, name, student, book)
    start = time.perf_counter()
    done = autograde(course, name)
    minutes = (time.perf_counter() - start)/60/len(books)
    if done.returncode:
        sys.exit(f"{name}: nbgrader ended with {done.returncode}\n{done.stderr[-2000:]}")
    found, rows = scores(course, name), []
    for student in books:
        if not student.startswith("mistake"):
            continue
        said, number = messages(course, name, student), int(student[-2:])
        rows += [dict(zip(COLUMNS, [number, name, check, 1, said.get(check, "")]))
                 for check in labs.marks(name) if not found[student][check]]
    return {student: sum(found[student].values()) for student in books}, rows, minutes


def unmeant(name, rows):
    "Marks of one lab that a mistake loses without being meant to, and those it should lose."
    lost = {(row["mistake"], row["check"]) for row in rows if row["lab"] == name}
    meant = {(number, check) for check, numbers in labs.marks(name).items() for number in numbers}
    return sorted(lost ^ meant)


def plan(name):
    "What the head of a lab says: minutes, of tasks and of exercises at home, and all marks."
    said = re.findall(r"(\d+)\s+minutes,\s+(\d+)\s+marks", labs.read_cells(name)[0].source)
    return " + ".join(minutes for minutes, _ in said), sum(int(number) for _, number in said)


def lab_table(seconds):
    "Rows on the labs, in Markdown; `seconds` of each name, for one solved notebook."
    lines = ["| lab | answers | marks | minutes (plan), + at home | machine seconds |",
             "|---|---|---|---|---|"]
    for name in labs.names():
        minutes, number = plan(name)
        lines.append(f"| [{name}](student/{name}.ipynb) | {len(labs.tasks(name))} | {number} | "
                     f"{minutes} | {seconds[name]:.0f} |")
    return "\n".join(lines)


def mistake_table(rows):
    "What each mistake loses in the lab of its lesson and in the lab on mistakes, in Markdown."
    lines = ["| mistake | marks lost | checks | the first message |", "|---|---|---|---|"]
    for number, lab in dict.fromkeys((int(row["mistake"]), row["lab"]) for row in rows):
        own = [row for row in rows if (int(row["mistake"]), row["lab"]) == (number, lab)]
        message = own[0]["message"].split(": ", 1)[1].replace("|", "\\|").replace("\n", " ")
        short = message if len(message) < 150 else message[:150].rsplit(" ", 1)[0] + " …"
        checks = ", ".join(f"`{row['check']}`" for row in own)
        lines.append(f"| {number} | {len(own)} in lab {int(lab[:2])} | {checks} | {short} |")
    return "\n".join(lines)


def write_table(name, table):
    "Put a table between its marks into the teacher's page."
    page = labs.LABS/"teacher.md"
    text = page.read_text(encoding="utf-8")
    marks = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    begin, end = text.index(marks[0]) + len(marks[0]), text.index(marks[1])
    page.write_text(text[:begin] + table + text[end:], encoding="utf-8")


def main():
    logging.disable(logging.WARNING)
    chosen, rows, seconds = sys.argv[1:] or labs.names(), [], {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        for name in chosen:
            labs.make_course(Path(folder)/name, [name])
        graded = {name: pool.submit(grade, Path(folder)/name, name) for name in chosen[::-1]}
        for name in chosen:
            sums, lost, minutes = graded[name].result()
            print(f"{name}: {60*minutes:.0f} seconds each; of {len(labs.marks(name))} marks: "
                  + ", ".join(f"{student} {sums[student]:g}"
                              for student in ("as_handed_out", "half", "instructor")), flush=True)
            for number, check in unmeant(name, lost):
                print(f"  mistake {number}, {check}: lost and not meant, or meant and not lost")
            rows += lost
            seconds[name] = 60*minutes
    rows.sort(key=lambda row: (row["mistake"], row["lab"]))
    for row in rows:
        print(f"{row['mistake']:2} {row['lab']:18} {row['check']:22} {row['message']}")
    if not sys.argv[1:]:
        with (labs.LABS/"marks.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_table("labs", lab_table(seconds))
        write_table("mistakes", mistake_table(rows))


if __name__ == "__main__":
    main()
