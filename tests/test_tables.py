"The tools that measure the reference table run, and their committed results agree with each other."
import csv
import io
import json
import runpy
import shutil
import sys
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.evaluation import all_metrics
from brain_tumor_nb.known import known_rows
from brain_tumor_nb.phantom import phantom_folder
from brain_tumor_nb.splitting import Split, refuse_withdrawn
from brain_tumor_nb.runs import train_run
from brain_tumor_nb.training import Config
from conftest import ROOT

sys.path.append(str(ROOT/"tools"))
import compare  # noqa: E402
import exhibits  # noqa: E402
import mistakes  # noqa: E402
import recipe  # noqa: E402
import reference  # noqa: E402
import rows  # noqa: E402
from study import write_pairs  # noqa: E402


def read(file):
    with file.open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def said(name, *args, rc=0):
    "All that a tool prints in this process, after the status `rc`: another would cost its start."
    status, out = 0, io.StringIO()
    with (pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(out)):
        patch.setattr(sys, "argv", [f"tools/{name}.py", *map(str, args)])
        try:
            runpy.run_path(str(ROOT/f"tools/{name}.py"), run_name="__main__")
        except SystemExit as e:
            status = e.code or 0
    if isinstance(status, str):                             # printed at the end, as Python does
        status, out = 1, io.StringIO(out.getvalue() + status)
    assert status == rc, out.getvalue()
    return out.getvalue()


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    "A few SIMULATED slices, with subjects."
    folder = phantom_folder(classes=("no", "yes"), subjects=10, slices=2, seed=3)
    return shutil.copytree(folder, tmp_path_factory.mktemp("slices")/"few")


@pytest.fixture(scope="module")
def measured(slices, tmp_path_factory):
    "Rows of these slices, and a function that measures more."
    folder = tmp_path_factory.mktemp("measured")
    places = ["--out", folder/"results.csv", "--kept", folder/"kept", "--work", folder/"work"]

    def reference(*words, rc=0):
        return said("reference", "few", slices, *words, *places, rc=rc)
    reference("--model", "probes", "--model", "frozen", "--split", "random", "--split", "patients")
    return folder, reference


def test_every_row_names_how_it_was_measured(measured):
    folder, _ = measured
    found = read(folder/"results.csv")
    assert {r["split"] for r in found} == {"random", "patients"}
    assert len({(r["set"], r["split"], r["model"]) for r in found}) == len(found) == 16
    for r in found:
        assert all(r[k]
                   for k in ("data", "folds", "units", "settings", "machine", "commit",
                             "command")), r
        # patients, whatever the split
        assert r["groups"] == "20" and r["slices"] == "40" and r["fold"] == "all"
    assert len({r["folds"] for r in found}) == 2 and len({r["units"] for r in found}) == 1


def test_what_is_measured_is_left_alone(measured):
    folder, reference = measured
    before = (folder/"results.csv").read_bytes()
    assert "accuracy" not in reference("--model", "probes", "--model", "frozen", "--split",
                                       "patients", "--resume")
    assert (folder/"results.csv").read_bytes() == before


@pytest.mark.long
def test_one_fold_never_replaces_all(measured):
    folder, reference = measured
    reference("--model", "tutorial", "--split", "patients", "--fold", 1)
    row = next(r for r in read(folder/"results.csv")
               if (r["split"], r["model"]) == ("patients", "tutorial"))
    assert row["fold"] == "1" and row["slices"] == "8" and int(row["seconds"]) > 0
    assert set(rows.load_kept(rows.kept_file("few", "patients", "tutorial",
                                             folder/"kept")).folds) == {1}
    assert compare.compare("few", "patients/tutorial", "patients/frozen",
                           folder/"kept")["slices"] == 8
    assert "accuracy" not in reference("--model", "tutorial", "--model", "frozen", "--split",
                                       "patients", "--fold", 1, "--resume")
    assert not any((folder/"work").iterdir())


def test_kept_predictions_say_what_the_rows_say(measured):
    folder, _ = measured
    agree(folder/"results.csv", folder/"kept", .005)
    said("compare", "few", "--kept", folder/"kept", "--out", folder/"paired.csv")
    pairs = {(r["a"], r["b"]): r for r in read(folder/"paired.csv")}
    accuracy = {f"{r['split']}/{r['model']}": r["accuracy"] for r in read(folder/"results.csv")}
    a, b = "random/frozen", "patients/frozen"
    assert (pairs[a, b]["accuracy_a"], pairs[a, b]["accuracy_b"]) == (accuracy[a], accuracy[b])
    same = compare.compare("few", "patients/frozen", "patients/frozen", folder/"kept")
    assert float(same["auroc_difference"]) == 0 and float(same["p_accuracy"]) == 1


def test_slips_are_answered_in_one_line(measured):
    folder, reference = measured
    assert "is not split by patients" in said("reference", "brain_tumor_dataset", folder,
                                              "--split", "patients", rc=2)
    assert "Traceback" not in said("reference", "few", folder/"nowhere", rc=1)
    assert "measure that row" in said("compare", "few", "patients/few", "patients/frozen",
                                      "--kept", folder/"kept", rc=2)


@pytest.fixture
def study(slices, tmp_path, monkeypatch):
    "Two small candidates on the few slices: a function of the number of slices that counts as few."
    sizes = {f"{n} pixels": replace(recipe.HEAD, size=n, views=1) for n in (32, 64)}

    def make(few):
        monkeypatch.setattr(recipe, "FEW", few)
        monkeypatch.setattr(recipe, "CANDIDATES_FEW", sizes)
        monkeypatch.setattr(recipe, "CANDIDATES_MANY", sizes)
        return recipe.Study(MRIFolder(slices), 2, tmp_path/f"work{few}", 1)
    return make


def test_a_recipe_is_chosen_without_the_fold_it_predicts(study):
    few = study(1000)
    for folds in few.divisions:
        for s, (k, j) in zip(recipe.without(folds, few.pairs), few.pairs):
            assert s.valid == sorted(folds[k].valid + folds[j].valid)
            assert not set(few.groups[s.train]) & set(few.groups[s.valid])
    few.inner_aurocs("32 pixels")
    splits = sum((recipe.without(folds, few.pairs) for folds in few.divisions), [])
    found = few.predictions("32 pixels", "inner", splits)  # kept: nothing is trained again
    own = [few.folder.paths[i] for i in few.divisions[0][2].valid]
    spoiled = replace(found,
                      probs=np.where(np.isin(found.paths, own)[:, None], found.probs[:, ::-1],
                                     found.probs))
    # fold 2 has no part in its own choice
    assert few.inner_auroc(spoiled, 0, 2) == few.inner_auroc(found, 0, 2)
    assert few.inner_auroc(spoiled, 0, 3) != few.inner_auroc(found, 0, 3)


@pytest.mark.parametrize("limit", [1000, 1])
def test_the_chosen_candidates_are_pooled(study, tmp_path, limit):
    "As for few slices, with all pairs of folds, and for many, where only the chosen train further."
    some = study(limit)
    inner, best = recipe.choose(some)
    chosen, outer = recipe.predict(some, best)
    assert best.shape == (2, 5) and len(chosen) == 2 and (limit == 1 or list(outer) == list(inner))
    for d, pred in enumerate(chosen):
        assert sorted(pred.paths) == sorted(some.folder.paths)
        for k in range(5):
            of_fold = pred[np.array(pred.folds) == k]
            assert set(of_fold.paths) == {some.folder.paths[i] for i in some.divisions[d][k].valid}
            folds = [f for f in range(5) if limit == 1000 or best[d, k] in best[:, f]]
            one = some.outer(best[d, k], folds)[d]
            assert (of_fold.probs == one[np.array(one.folds) == k].probs).all()
    recipe.measure("few", some, tmp_path/"recipe.csv", tmp_path/"kept", "this test")
    found = {r["candidate"]: r for r in read(tmp_path/"recipe.csv")}
    assert list(found) == [*inner, "chosen"]
    assert sum(int(found[c]["chosen_in"]) for c in inner) == 10  # two divisions of five folds
    nested(tmp_path/"recipe.csv", tmp_path/"kept")
    if limit == 1:
        assert [bool(found[c]["accuracy"]) for c in inner] == [c in outer for c in inner]


def test_a_candidate_may_not_look_at_what_it_predicts():
    with pytest.raises(ValueError, match="keep='accuracy' and patience=0 look at the fold"):
        recipe.check_candidates({"tutorial": Config.tutorial(weights="none")})


def test_settings_added_later_change_old_rows_only_where_used():
    old = {r["settings"] for r in read(ROOT/"nbs/studies/results.csv") if r["model"] == "frozen"}
    assert old == {reference.settings(recipe.HEAD)}
    assert reference.settings(replace(recipe.HEAD, jitter=1)) not in old


def test_rounding_keeps_the_class_on_top():
    probs = np.array([[.49999, .50001], [.50001, .49999], [.2, .8]])
    assert (rows.rounded(probs).argmax(1) == probs.argmax(1)).all()
    assert np.abs(rows.rounded(probs) - probs).max() < 2e-4


@pytest.fixture(scope="module")
def trained(slices, tmp_path_factory):
    "A run as btnb train leaves it for few slices."
    out = tmp_path_factory.mktemp("run")/"few"
    train_run(slices, out, Config.recommended(len(MRIFolder(slices)), folds=2))
    return out


def test_transfer_to_a_set_of_two_classes(trained, slices, tmp_path):
    other = phantom_folder(classes=("no", "yes"), subjects=4, slices=2, seed=4)
    said("transfer", trained, slices, other, "--out", tmp_path/"transfer.csv")
    row, = read(tmp_path/"transfer.csv")
    assert int(row["tested"]) + int(row["left_out"]) == 16 and 0 <= float(row["auroc"]) <= 1


def test_transfer_to_slices_without_tumour_counts_false_alarms(trained, slices, tmp_path):
    other = phantom_folder(classes=("no", "yes"), subjects=4, slices=2, seed=4)
    shutil.copytree(f"{other}/no", tmp_path/"healthy/none")
    shutil.copy(next((slices/"no").iterdir()), tmp_path/"healthy/none/seen.png")
    said("transfer", trained, slices, tmp_path/"healthy", "--map", "none=no", "--out",
         tmp_path/"transfer.csv")
    row, = read(tmp_path/"transfer.csv")
    # a training slice is never a test slice
    assert int(row["tested"]) + int(row["left_out"]) == 9 and int(row["left_out"]) >= 1
    assert row["positive"] == "0" and row["auroc"] == "" and 0 <= float(row["specificity"]) <= 1


def test_exhibit_shows_a_planted_leak():
    "Slices like their patient's alone are recognised only while that patient is trained on."
    rng = np.random.default_rng(0)
    patient = np.arange(400)//4
    y = (patient % 2).astype(int)
    x = rng.normal(size=(100, 8))[patient] + rng.normal(size=(400, 8))/100
    train, valid = np.arange(400)[np.arange(400) % 4 > 0], np.arange(400)[::4]
    right, sizes = exhibits.predict_fold(exhibits.fitter(x, y, "nearest"), y, train, valid,
                                         patient//2 % 10, rng)
    assert all(right[name].min() > 1 - 1e-9 for name in ("all", "other slices", "other patients"))
    assert .3 < right["patient"].mean() < .7
    assert sizes["patient"] == sizes["other slices"] == [270]*10 and sizes["all"] == [300]


def test_control_leaves_out_as_many_of_each_class():
    y, train = np.repeat([0, 1, 2], 40), np.arange(0, 120, 2)
    mine = np.isin(np.arange(120), [0, 2, 4, 50, 51])
    some = exhibits.without_others(y, train, mine, np.random.default_rng(0))
    assert {0, 2, 4, 50} <= set(some.tolist()) <= set(train.tolist())
    assert np.bincount(y[some]).tolist() == [17, 19, 20]


@pytest.mark.long
def test_exhibit_is_measured_twice_the_same(run, slices, tmp_path):
    for name in ("a", "b"):
        run("python", "tools/exhibits.py", "few", slices, "--seeds", 1, "--out",
            tmp_path/f"{name}.csv")
    assert (tmp_path/"a.csv").read_bytes() == (tmp_path/"b.csv").read_bytes()
    found = read(tmp_path/"a.csv")
    assert {(r["model"], r["measure"]) for r in found} == {(m, f) for m in ("frozen", "nearest")
                                                           for f in ("accuracy", "sensitivity, no",
                                                                     "sensitivity, yes")}
    assert len(found) == 54
    assert all(float(r["low"]) <= float(r["value"]) <= float(r["high"]) for r in found)
    assert "must be 1 or more" in run("python", "tools/exhibits.py", "few", slices, "--seeds", 0,
                                      rc=2)


def test_mistakes_are_measured_with_their_controls(tool, slices, tmp_path):
    "Rows of the committed table, from fewer seeds and SIMULATED slices; what must be exact is."
    assert tool("mistakes", "few", slices, "--quick", "--out", tmp_path/"few.csv") == 0
    found = {r["figure"]: r for r in read(tmp_path/"few.csv")}
    committed = [r for r in read(ROOT/"nbs/studies/mistakes_real.csv")
                 if r["set"] == "brain_tumor_dataset"]
    absent = {r["figure"] for r in committed if r["mistake"] not in ("8", "9", "10")} - set(found)
    assert absent == set(), "measured once, and no longer"
    for figure in ("standard deviation without random transforms (control)",
                   "accuracy: same seed twice, difference (control)"):
        assert float(found[figure]["value"]) == 0
    assert all(r["command"].endswith("--quick") for r in found.values())


def test_full_batches_leave_the_loss_right(monkeypatch):
    losses = np.random.default_rng(0).random(203)
    monkeypatch.setattr(mistakes, "slice_losses", lambda runs: losses)
    few,_,one,full = (r.value for r in mistakes.batch_means(None, 50))
    assert full < 1e-9 < few < one


def test_copies_that_were_planted_are_what_random_folds_gain_from(tmp_path):
    "Pictures of noise, each with a copy: a nearest neighbour recognises the copies and no more."
    rng = np.random.default_rng(0)
    for k in range(60):
        file = tmp_path/("no", "yes")[k % 2]/f"{k}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12), np.uint8)).resize((96, 96)).save(file)
        shutil.copy(file, file.with_name(f"{k}_copy.png"))
    folder = MRIFolder(tmp_path)
    found = {r.figure: r for r in mistakes.copies_leak(folder, mistakes.thumbnails(folder),
                                                       "nearest", "nearest", 2)}
    gain = found["nearest, accuracy, slices with a copy: random less near-duplicates"]
    assert gain.n == 120 and gain.low > .2
    assert found["nearest, accuracy in folds by near-duplicates"].value < .7


def test_committed_mistakes_have_intervals_around_their_values():
    for r in read(ROOT/"nbs/studies/mistakes_real.csv"):
        assert 1 <= int(r["mistake"]) <= 15 and not r["commit"].endswith("dirty"), r
        if r["low"]:
            assert float(r["low"]) <= float(r["value"]) <= float(r["high"]), r


def agree(table, kept, close=.001):
    "Accuracy and AUROC of every row whose predictions are kept."
    for r in read(table):
        file = rows.kept_file(r["set"], r["split"], r["model"], kept)
        if not file.exists():
            continue
        pred = rows.load_kept(file)
        found = all_metrics(pred)
        assert len(pred) == int(r["slices"]), r
        assert set(pred.paths) <= set(rows.load_groups(r["set"], kept)), r
        assert abs(found["accuracy"][0] - float(r["accuracy"])) < 1e-6, r
        assert abs(found["auroc"][0] - float(r["auroc"])) < close, r


def nested(table, kept, close=.001):
    "The figures of every choice, as means over the divisions, are those of the kept predictions."
    for r in read(table):
        if r["candidate"] != "chosen":
            continue
        pred = rows.load_kept(kept/r["set"]/"nested.csv.gz")
        division = np.array(pred.folds)//5
        every = [all_metrics(pred[division == d]) for d in range(int(r["seeds"]))]
        assert len(pred) == int(r["slices"])*int(r["seeds"]), r
        for m in ("accuracy", "auroc"):
            assert abs(np.mean([found[m][0] for found in every]) - float(r[m])) < close, (r, m)


def test_committed_predictions_say_what_the_table_says():
    agree(ROOT/"nbs/studies/results.csv", rows.KEPT)
    nested(ROOT/"nbs/studies/recipe.csv", rows.KEPT)
    assert sum(f.stat().st_size for f in rows.KEPT.rglob("*.gz")) < 3e6
    there = {(r["set"], f"{r['split']}-{r['model']}") for r in read(ROOT/"nbs/studies/results.csv")}
    kept = {(f.parent.name, f.name.removesuffix(".csv.gz")) for f in rows.KEPT.rglob("*-*.csv.gz")}
    assert kept <= there, "predictions without a row"


def test_committed_tests_are_of_the_committed_predictions():
    for r in rows.read(ROOT/"nbs/studies/paired.csv"):
        new = compare.compare(r["set"], r["a"], r["b"])
        assert new["predictions"] == r["predictions"], f"again: {r['command']}"


def test_committed_exhibit_adds_up():
    found = {tuple(r[k] for k in exhibits.KEYS): r for r in read(ROOT/"nbs/studies/exhibits.csv")}
    assert {s for s, *_ in found} <= {"cheng", "brain_mri_4class"}
    for (*which, name), r in found.items():
        assert float(r["low"]) <= float(r["value"]) <= float(r["high"]), r
        assert not r["commit"].endswith("dirty"), r
        if " less " in name:
            a, b = (float(found[*which, side]["value"]) for side in name.split(" less "))
            assert abs(a - b - float(r["value"])) < 2e-6, r


def test_readme_shows_the_figure_of_the_results():
    def picture(name):
        cells = json.loads((ROOT/"nbs"/name).read_text(encoding="utf-8"))["cells"]
        outputs = [o.get("data", {}) for cell in cells for o in cell.get("outputs", [])]
        return next("".join("".join(d["image/png"]).split()) for d in outputs if "image/png" in d)
    index, results = picture("index.ipynb"), picture("studies/results.ipynb")
    assert index == results, "run index.ipynb after results.ipynb"


def test_lessons_quote_the_tables():
    "The scores that lessons 3 and 4 tell are those of their rows."
    def row(table, **values):
        return next(r for r in read(ROOT/"nbs"/table) if values.items() <= r.items())
    def text(name):
        cells = json.loads((ROOT/"nbs"/name).read_text(encoding="utf-8"))["cells"]
        return "".join("".join(cell["source"]) for cell in cells)
    lgg = [row("studies/results.csv", set="lgg", model="nearest", fold="all", split=split)
           for split in ("random", "patients")]
    random, patients = (f"{float(r['accuracy']):.0%}".replace("%", " %") for r in lgg)
    lesson = text("03_splitting.ipynb")
    assert f"right for {random} with a random split, and for {patients} when" in lesson
    assert {(r["slices"], r["groups"]) for r in lgg} == {("1792", "110")}
    ladder = [row("aims/ladder.csv", model=f"lite0-{way}") for way in ("frozen", "finetuned")]
    assert {(r["slices"], r["groups"]) for r in ladder} == {("1226", "82")}
    frozen, tuned = (f"{float(r['accuracy']):.3f}" for r in ladder)
    lesson = text("04_model.ipynb")
    assert f"accuracy of {frozen} with a frozen body" in lesson and f"it was {tuned} (" in lesson


def test_withdrawn_folds_are_refused(tmp_path):
    "The first published four-class folds, withdrawn_folds.txt: a digit per slice, in table order."
    rows = known_rows("brain_mri_4class")
    paths = list(rows)
    digits = "".join((ROOT/"tests/withdrawn_folds.txt").read_text(encoding="utf-8").split())
    assert len(digits) == len(paths) == 5708
    folds = {}                                  # of each known subject, as lesson 3 says
    for row, digit in zip(rows.values(), digits):
        folds.setdefault(row["subject"], set()).add(digit)
    folds.pop("")
    assert (len(folds), sum(len(of) > 1 for of in folds.values())) == (209, 199)
    for fold in "01234":
        valid = [i for i, d in enumerate(digits) if d == fold]
        train = [i for i, d in enumerate(digits) if d != fold]
        file = tmp_path/f"{fold}.json"
        Split(train, valid, paths, [0]*len(paths), 0, "").save(file)
        with pytest.raises(ValueError, match="34bce4, withdrawn because mirror images"):
            Split.load(file)
        with pytest.raises(ValueError, match="34bce4"):
            refuse_withdrawn([paths[i] for i in valid[::-1]])
        refuse_withdrawn([paths[i] for i in valid[1:]])


def test_published_folds_keep_patients_together():
    "The committed folds: no subject, and no copy of one slice of cheng, stands in two of them."
    folds = {"subject": {}, "cheng_file": {}, "group": {}}
    for r in known_rows("brain_mri_4class").values():
        for key, seen in folds.items():
            if r[key]:
                assert seen.setdefault(r[key], r["fold"]) == r["fold"], r
    assert len(folds["subject"]) == 209 and len(folds["cheng_file"]) == 2800


@pytest.mark.parametrize("name", sorted(plan.stem for plan in (ROOT/"nbs/aims").glob("*.toml")
                                        if plan.with_suffix(".csv").exists()))
def test_committed_pairs_are_of_the_committed_predictions(name, tmp_path):
    "Scores and tests of a study follow from its kept predictions; each row names its command."
    aims = rows.ROOT/"nbs/aims"
    table = read(aims/f"{name}.csv")
    kept = {f.name.removesuffix(".csv.gz") for f in (aims/"predictions"/name).glob("*.csv.gz")}
    assert {r["model"] for r in table} == kept
    for row in table:
        pred = rows.load_kept(aims/"predictions"/name/f"{row['model']}.csv.gz")
        accuracy = (pred.probs.argmax(1) == pred.y).mean()
        assert abs(accuracy - float(row["accuracy"])) < 1e-5
        assert row["command"].endswith(row["model"])
    if len(table) > 1:
        cells = list(tomllib.loads((aims/f"{name}.toml").read_text())["cells"])
        write_pairs(name, "cheng", cells, tmp_path, aims/"predictions")
        made, committed = (read(at/f"{name}_pairs.csv") for at in (tmp_path, aims))
        assert [(p["a"], p["b"]) for p in made] == [(p["a"], p["b"]) for p in committed]
        for new,old in zip(made, committed):
            assert abs(float(new["auroc"]) - float(old["auroc"])) < 1e-4
            assert abs(float(new["p_auroc"]) - float(old["p_auroc"])) < 1e-3
