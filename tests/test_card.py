"A card tells what files say: every trace is followed by other code than the card's own."
import csv
import json
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from brain_tumor_nb.calibration import judge_calibration
from brain_tumor_nb.card import (CHECKLISTS, STATES, card_table, count_states, fill_card,
                                 judge_card, write_card)
from brain_tumor_nb.core import Section, save_section
from brain_tumor_nb.phantom import make_phantom
from brain_tumor_nb.runs import Run, evaluate_run, judge_score, score_predictions, train_run
from brain_tumor_nb.training import Config
from brain_tumor_nb.tumour_types import judge_types
from inside import btnb, refusal

JUDGES = [judge_score, judge_types, judge_calibration, judge_card]
# names that a folder may have, and that Markdown and HTML would obey
HOSTILE = ["a|b", "<script>alert(1)</script>", "`*_x_*`", "{}{class}", "x.y: z", "# [l](http://e)"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    "A run in two folds, its networks on other slices, and predictions made elsewhere."
    home = tmp_path_factory.mktemp("card")
    slices, others = (make_phantom(home/name, subjects=8, slices=2, seed=seed)
                      for name, seed in (("slices", 0), ("others", 1)))
    config = Config(arch="mobilenet_v3_small", size=32, batch_size=16, epochs=1, folds=2)
    train_run(slices, home/"trained", config, judges=JUDGES)
    evaluate_run(home/"trained", others, home/"evaluated", judges=JUDGES[1:])
    score_predictions(home/"trained/predictions.csv", slices, home/"elsewhere", judges=JUDGES[1:])
    return home


@pytest.fixture
def trained(home, tmp_path):
    "A copy of the run, to be changed."
    return shutil.copytree(home/"trained", tmp_path/"run")


def claims_of(run):
    return [claim for answers in fill_card(run).values() for a in answers for claim in a.claims]


def item(run, number, name="claim2024"):
    return next(a for a in fill_card(run)[name] if a.number == number)


def change(file, **values):
    "Other values in a JSON file."
    found = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**found, **values}), encoding="utf-8")


def three(metric, ranked):
    "A metric as a reader would write it."
    def text(v):
        return f"{v:.3f}" if ranked else f"{100*v:.1f}"
    unit = "" if ranked else " %"
    if metric["low"] is None:
        return f"{text(metric['value'])}{unit} (no interval)"
    ends = f"{text(metric['low'])} to {text(metric['high'])}{unit}"
    return f"{text(metric['value'])}{unit} (95 % interval {ends})"


def expected(claim, folder):
    "The figure that a file holds, for the forms that are numbers; else what it must hold."
    path = folder/claim.file
    if path.suffix not in (".json", ".csv", ".html"):
        assert path.stat().st_size > 0
        return claim.file
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        assert claim.key[0] in text
        return claim.key[0]
    if claim.form == "file":
        return claim.file
    if path.suffix == ".csv":
        return str(len(list(csv.reader(text.splitlines()))) - 1)
    value = json.loads(text)
    for k in claim.key:
        value = value[int(k)] if isinstance(value, list) else value[k]
    if claim.form in ("metric", "interval"):
        return three(value, "auroc" in claim.key[-1])
    if claim.form == "brier":
        return three(value, True)
    if claim.form == "share":
        return f"{100*value:.1f} %"
    if claim.form == "count":
        return str(len(value))
    if claim.form == "plain" and isinstance(value, dict):
        return ", ".join(f"{n} {name}" for name, n in value.items())
    if claim.form == "plain" and isinstance(value, list):
        return ", ".join(map(str, value))
    if claim.form == "plain" and isinstance(value, float):
        assert float(claim.figure) == pytest.approx(value, rel=1e-3)
        return claim.figure
    if claim.form in ("plain", "measured", "partial"):
        return str(value)
    if claim.form == "worst stratum":
        most = max(v["value"] for v in value.values())
        name = next(name for name, v in value.items() if v["value"] == most)
        return f"{100*most:.1f} % of {value[name]['slices']} slices ({name})"
    if claim.form == "firsts":
        return ", ".join(row[0] for row in value)
    if claim.form == "near":
        return f"{value['slices']} of {value['of']}"
    held = dict(once=1, simulated=True).get(claim.form)
    assert value == held or claim.form == "unlooked" and claim.figure in value, claim
    return claim.figure


@pytest.mark.parametrize("kind", ["trained", "evaluated", "elsewhere"])
def test_every_trace_leads_to_its_figure(home, kind):
    "For each claim of each list: the file is there, the place is there, the figure is its value."
    folder = home/kind
    found = claims_of(folder)
    assert len(found) > 40 and len({c.file for c in found}) > 3
    for claim in found:
        assert claim.figure == expected(claim, folder), claim
        assert claim.figure in claim.sentence


@pytest.mark.parametrize("kind", ["trained", "evaluated", "elsewhere"])
def test_states(home, kind):
    "What is met has a claim, what is not met says how, and nobody fills in ethics or money."
    card = fill_card(home/kind)
    assert [len(card[name]) for name in CHECKLISTS] == [15, 44, 52]
    for answer in (a for answers in card.values() for a in answers):
        assert answer.state in STATES
        assert bool(answer.claims) == (answer.state in ("met", "partly met")
                                       or answer.words == ""), answer
        assert (answer.state == "met") <= (answer.words == ""), answer
        assert (answer.state == "partly met") <= answer.words.startswith("Missing: "), answer
    assert item(home/kind, "44").state == item(home/kind, "18a", "tripod_ai").state == "not known"
    assert item(home/kind, "33").state == dict(trained="not met", evaluated="partly met",
                                               elsewhere="not known")[kind]
    division = item(home/kind, "12a", "tripod_ai").state
    assert division == ("met" if kind == "trained" else "not known")
    assert item(home/kind, "25").state == ("not known" if kind == "elsewhere" else "met")
    assert item(home/kind, "41").state == "not met" and "clinical" in item(home/kind, "41").words


def test_the_report_says_what_the_card_says(home):
    "The judge, asked while the run is judged, counts what the files hold afterwards."
    for kind in ("trained", "evaluated", "elsewhere"):
        run = Run(home/kind)
        assert run.section("card").facts == {name: count_states(answers) for name, answers
                                             in fill_card(run).items() if name != "model_card"}
        page = (home/kind/"report.html").read_text(encoding="utf-8")
        assert 'id="card"' in page and "what was not met" in page
        names = [s.name for s in run.sections]
        assert names.index("calibration") < names.index("card") < names.index("data")


def test_simulated_slices(home, tmp_path):
    "They are called so at the top of both files, and items about people do not apply."
    write_card(home/"trained", tmp_path)
    for name in ("card.md", "card.html"):
        text = (tmp_path/name).read_text(encoding="utf-8")
        assert text.index("SIMULATED") < text.index("CLAIM 2024")
        assert text.index("Not a medical device") < text.index("CLAIM 2024")
    assert item(home/"trained", "36").state == "not applicable"
    assert item(home/"trained", "17", "tripod_ai").state == "not applicable"


def test_what_learnt(trained):
    "Settings that a head alone does not use are not told of it."
    tuned = [c.sentence for c in item(trained, "25").claims]
    assert "Optimizer: sgd." in tuned and "Epochs that were trained: 1." in tuned
    change(trained/"config.json", trainable=0, weights="offline", arch="efficientnet_lite0")
    answer = item(trained, "25")
    assert answer.state == "partly met" and len(answer.claims) == 1
    assert "logistic regression" in answer.claims[0].sentence and "penalty" in answer.words
    assert [c.key for c in item(trained, "26").claims] == [("trainable",)]


def test_real_slices(trained):
    "People count, and an unknown patient or a random split is not passed over."
    change(trained/"data.json", simulated=False, readme="",
           people="No subject is known: only near-duplicates can be kept together.")
    assert item(trained, "36").state == "not known"
    assert "wording not checked" in item(trained, "36").title
    assert item(trained, "20").state == "partly met" and "patient" in item(trained, "20").words
    assert "name them in README.txt" in item(trained, "7").words
    change(trained/"data.json", people="9 subjects known for 9 of 9 slices (manifest.csv).")
    assert item(trained, "20").state == "met"
    change(trained/"config.json", split="random")
    assert item(trained, "20").state == "partly met" and "--split" in item(trained, "20").words


def test_what_other_judges_found(trained):
    "A section that is there fills its items; one that says it was not measured does not."
    assert "clinical" in item(trained, "38").words
    save_section(Section("clinical", "Clinical", ["At 90 % sensitivity, 7 of 9."]), trained)
    assert "clinical" not in item(trained, "38").words
    assert item(trained, "41").claims[0].source == "sections/clinical.json: sentences.0"
    save_section(Section("robustness", "Faults", ["Not measured: too few slices."]), trained)
    assert item(trained, "30").state == "not met"
    rows = [dict(corruption="gibbs_ringing", severity=5, auroc_change=-.25),
            dict(corruption="clean", severity=0, auroc_change=0)]
    save_section(Section("robustness", "Faults", ["9 slices."], facts=dict(rows=rows)), trained)
    assert item(trained, "30").state == "met"
    assert item(trained, "30").claims[1].figure == "−0.250 (gibbs ringing, severity 5)"
    save_section(Section("explanation", "Heat", ["9 slices."], warning="Noise decides."), trained)
    assert [c.figure for c in item(trained, "31").claims] == ["9 slices.", "Noise decides."]


def rendered(text):
    "The text of each row of the tables in a Markdown file, as a browser would show it."
    page = MarkdownIt("commonmark").enable("table").render(text)
    assert "<script" not in page and "href" not in page
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S) for row in rows]


def test_hostile_names(trained):
    "Whatever a class or a folder is called, it is shown as it is."
    change(trained/"data.json", name="<b>|`x`", counts=dict.fromkeys(HOSTILE, 4))
    change(trained/"config.json", classes=HOSTILE)
    metric = dict(value=.5, low=.4, high=.6)
    change(trained/"metrics.json", **{f"{m}_{name}": metric for name in HOSTILE
                                      for m in ("auroc", "sensitivity", "specificity")})
    page = write_card(trained).read_text(encoding="utf-8")
    assert "<script" not in page and "<b>|" not in page
    rows = rendered((trained/"card.md").read_text(encoding="utf-8"))
    assert {len(row) for row in rows} == {3, 5}
    shown = {row[-2] for row in rows}
    for name in HOSTILE:
        plain = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert f"Sensitivity to {plain}: 50.0 % (95 % interval 40.0 to 60.0 %)." in shown


@pytest.mark.parametrize("name, content", [
    ("metrics.json", '{"accuracy": {'), ("data.json", "[]"), ("data.json", "\x00"),
    ("config.json", "{"), ("sections/types.json", "{")])
def test_damaged_runs(trained, name, content):
    "One line, and no card."
    (trained/name).write_text(content)
    said = refusal("card", trained)
    assert "damaged" in said or "no finished run" in said
    assert not (trained/"card.md").exists() and not (trained/"card.html").exists()


def test_odd_contents(trained):
    "A file that holds something else where a value should be fills nothing, and stops nothing."
    change(trained/"data.json", counts=7, people=None, readme=None, left_out="x", groups=[])
    change(trained/"sections/calibration.json", facts=None, warning=3)
    change(trained/"sections/types.json", facts=[1, 2])
    assert item(trained, "39").state == "partly met"            # the picture is still there
    assert item(trained, "12e", "tripod_ai").state == "partly met"
    assert item(trained, "35").claims[-1].figure != "1"         # of a text of one letter


def test_slips(home, tmp_path):
    assert "no finished run" in refusal("card", tmp_path)
    assert "no finished run" in refusal("card", tmp_path/"nowhere")
    (tmp_path/"file").touch()
    assert "is a file" in refusal("card", home/"trained", "--out", tmp_path/"file")


def test_the_command(trained, home, tmp_path):
    "It writes two files and touches no other; again it replaces them; a new run clears them."
    before = {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()}
    for _ in range(2):
        assert btnb("card", trained)[0] == 0
        after = {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()}
        assert {p.name for p in after.keys() - before.keys()} == {"card.md", "card.html"}
        assert {p: after[p] for p in before} == before
    Run(trained).clear()
    assert not trained.exists() or list(trained.iterdir()) == []
    if os.name == "posix":
        assert btnb("card", home/"evaluated", "--out", tmp_path/"new"/"folder")[0] == 0
        assert (tmp_path/"new/folder/card.html").is_file()


def test_old_runs(root, tmp_path):
    "A run of an earlier version has a card of what it holds."
    with tarfile.open(root/"tests"/"old_runs.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    card = fill_card(tmp_path/"frozen")
    assert item(tmp_path/"frozen", "25").state == "partly met"
    assert count_states(card["claim2024"])["met"] > 3
    assert "no finished run" in refusal("card", tmp_path/"finetuned")


def test_tables():
    "Each item once, in words of our own that fit a line, and `checked` says yes or no."
    for name in CHECKLISTS:
        rows = card_table(name)
        assert len({row["number"] for row in rows}) == len(rows)
        for row in rows:
            assert 5 < len(row["title"]) < 80 and row["checked"] in ("yes", "no"), row
            asks = row["filler"] not in STATES and row["filler"] != ""
            assert asks or row["missing"] or row["otherwise"], row
    sources = (Path(__file__).parents[1]/"brain_tumor_nb/known/SOURCES.txt").read_text("utf-8")
    for doi in ("10.1148/ryai.240300", "10.1136/bmj-2023-078378", "10.1145/3287560.3287596"):
        assert doi in sources
    for row in card_table("card_claims"):
        assert row["sentence"].count("{}") == (row["form"] != "absent"), row


WORDS = dict(auroc="AUROC is", accuracy="he accuracy is", balanced_accuracy="balanced accuracy is",
             sensitivity="sensitivity is", specificity="specificity is", seed="seed",
             epochs="Epochs:", batch_size="batch", optimizer="Optimizer", lr="rate", folds="Folds",
             size="pixels", views="Views", scales="shares", mixup="Mixup", flip="flip",
             degrees="rotation", weight_decay="decay", schedule="Schedule", arch="network is",
             train="train", valid="scored", ece="calibration error is", brier="Brier")


def test_a_sentence_is_about_its_place():
    "No sentence on the accuracy reads another metric, none on an epoch another setting."
    found = set()
    for row in card_table("card_claims"):
        name = row["key"].split("/")[-1]
        name = "class" if "{class}" in name else name
        if name in WORDS:
            found.add(name)
            assert WORDS[name] in row["sentence"], row
            others = [n for n in ("accuracy", "auroc", "sensitivity", "specificity")
                      if n != name and WORDS[n] in row["sentence"]]
            assert not others, row
        if name == "class":
            assert row["key"].split("_")[0] in row["sentence"].lower(), row
    assert found == set(WORDS)
