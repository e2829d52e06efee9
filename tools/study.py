"""Measure the cells of a plan in nbs/aims, row by row: NAME.csv and NAME_pairs.csv beside it.

    python tools/study.py ladder cheng FOLDER                    all that are not there yet
    python tools/study.py ladder cheng FOLDER --cell resnet18-random   one; may be repeated
    python tools/study.py ladder cheng FOLDER --prices           milliseconds and memory anew

NAME.toml is a plan as `btnb sweep` takes it (or give a file of another folder); the second word is
the name of the set. A row is left
alone that is there with the same fingerprints (of the data, of the settings), and a training that
was stopped goes on from its last epoch. Predictions are kept in nbs/aims/predictions/NAME, and
every pair of them is tested anew at the end, so that no slices are needed to test them again.
Seconds are of the training, without validation, on the `machine` that trained; milliseconds and
memory of the machine `priced_on`. So that all rows have the same, --prices measures them anew, with
networks of the same size from random weights: weights do not change them.
"""
import argparse
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from brain_tumor_nb.comparison import Model, compare_pairs, measure_cost, model_rows
from brain_tumor_nb.data import MRIFolder, data_hash
from brain_tumor_nb.duplicates import thumbnail
from brain_tumor_nb.evaluation import score
from brain_tumor_nb.learners import save_settings
from brain_tumor_nb.model import create_model
from brain_tumor_nb.normalization import Stats
from brain_tumor_nb.runs import Run
from brain_tumor_nb.splitting import find_groups
from brain_tumor_nb.sweep import read_plan, train_cell
from brain_tumor_nb.training import History, save_model
from rows import (ROOT, commit, fingerprint, keep, keep_groups, load_groups, load_kept, machine,
                  put, read, write)

AIMS = ROOT/"nbs/aims"
SAME = ("data", "settings")             # where these agree, nothing is measured again


def text(value):
    "A value of a table: fractions with six digits, nothing for None."
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def settings(cell):
    "A fingerprint of what a cell is trained with, wherever that is."
    found = {k: v for k,v in asdict(cell.config).items() if k != "device"}
    return fingerprint([found, cell.share, list(cell.only), cell.probe])


def price(config, classes):
    "What a network costs on this machine, see `Cost`; its weights are random."
    with tempfile.TemporaryDirectory() as out:
        model = create_model(config.arch, classes, "none", config.size)
        save_settings(Path(out)/"config.json", config, classes, Stats((.5,), (.25,)))
        save_model(out, model.state_dict(), History())
        return measure_cost(Run(out))


class Study:
    "The tables of one plan on one set."
    def __init__(self, plan, data, folder, out, work, networks=False):
        self.name,self.data,self.folder,self.out,self.work = plan.stem,data,folder,out,work
        self.networks = networks
        self.cells = read_plan(plan, len(folder))
        self.groups = find_groups(folder, self.cells[0].config.split)
        self.table,self.commit = out/f"{plan.stem}.csv",commit()
        self.kept = out/"predictions"/plan.stem

    def facts(self, cell):
        "What tells whether a row is there already."
        return dict(model=cell.name, data=data_hash(self.folder)[:12], settings=settings(cell))

    def there(self, cell):
        "Whether the table has the row of a cell."
        new = self.facts(cell)
        return any(all(r[k] == v for k,v in new.items()) for r in read(self.table))

    def measure(self, cell):
        "Train a cell, write its row, keep its predictions."
        run = train_cell(self.folder, self.groups, cell, self.work,
                         say=lambda line: print(line, flush=True))
        model = Model(cell.name, run, run.predictions)
        row, = model_rows([model], [score(model.pred)], [measure_cost(run)])
        command = f"python tools/study.py {self.name} {self.data} FOLDER --cell {cell.name}"
        found = {k: text(v) for k,v in row.items()} | self.facts(cell)
        keep(model.pred, self.kept/f"{cell.name}.csv.gz")
        priced_on = machine() if found["milliseconds"] else ""
        put(self.table, dict(found, machine=machine(), priced_on=priced_on, commit=self.commit,
                             command=command), ("model",))
        print(f"{cell.name}: accuracy {found['accuracy']}  AUROC {found['auroc']}", flush=True)
        if not self.networks:
            shutil.rmtree(run.path)

    def prices(self):
        "Measure what the networks of all rows cost, on this machine."
        config_of = {cell.name: cell.config for cell in self.cells if not cell.probe}
        rows = read(self.table)
        for row in rows:
            row.setdefault("priced_on", "")
            if row["model"] in config_of:
                cost = price(config_of[row["model"]], tuple(self.folder.classes))
                row.update(milliseconds=text(cost.milliseconds), megabytes=text(cost.megabytes),
                           priced_on=machine())
                print(row["model"], row["milliseconds"], row["megabytes"], flush=True)
        write(self.table, rows)

    def pairs(self):
        "Test every pair of the cells of the plan that are there."
        cells = [cell.name for cell in self.cells if self.there(cell)]
        write_pairs(self.name, self.data, cells, self.out, self.kept.parent)


def write_pairs(name, data, cells, out, kept):
    "Test every pair of kept predictions, on the slices that all of them hold."
    files = [kept/name/f"{cell}.csv.gz" for cell in cells]
    found = {f.name.removesuffix(".csv.gz"): load_kept(f) for f in files if f.exists()}
    if len(found) < 2:
        return
    both = set.intersection(*(set(p.paths) for p in found.values()))
    group_of = load_groups(data, kept)
    models = []
    for cell,pred in found.items():
        pred = pred[np.isin(pred.paths, list(both))]
        pred.groups = np.array([group_of[p] for p in pred.paths])
        models.append(Model(cell, None, pred))
    write(out/f"{name}_pairs.csv",
          [{k: text(v) for k,v in vars(p).items()} for p in compare_pairs(models)])


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="of the plan, nbs/aims/NAME.toml, or a file")
    p.add_argument("data", help="name of the set, such as cheng")
    p.add_argument("folder", type=Path, help="with one sub-folder per class")
    p.add_argument("--cell", action="append", help="which; may be repeated  [default: all]")
    p.add_argument("--prices", action="store_true",
                   help="train nothing; measure milliseconds and memory of all rows anew")
    p.add_argument("--out", type=Path, default=AIMS, help="folder of the tables")
    p.add_argument("--work", type=Path,
                   help="folder for networks, each removed once its row is written  "
                        "[default: runs/study-NAME]")
    p.add_argument("--networks", action="store_true", help="leave the networks in --work")
    a = p.parse_args()
    try:
        plan = Path(a.name) if a.name.endswith(".toml") else AIMS/f"{a.name}.toml"
        study = Study(plan, a.data, MRIFolder(a.folder, scan=(thumbnail,)), a.out,
                      a.work or ROOT/f"runs/study-{plan.stem}", a.networks)
        unknown = set(a.cell or ()) - {c.name for c in study.cells}
        if unknown:
            p.error(f"{a.name} has no cell {min(unknown)}: it has "
                    f"{', '.join(c.name for c in study.cells)}")
        if a.prices:
            study.prices()
            return
        keep_groups(a.data, study.folder.paths, study.groups, a.out/"predictions")
        for cell in study.cells:
            if not study.there(cell) and (not a.cell or cell.name in a.cell):
                study.measure(cell)
        study.pairs()
    except (ValueError, OSError, RuntimeError) as e:
        raise SystemExit(f"study.py: {e}") from None


if __name__ == "__main__":
    main()
