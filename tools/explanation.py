"""Score heat maps on real lesions, and write the tables of nbs/aims/23_explanation.

    python tools/explanation.py cheng FOLDER RUN --model finetuned [--method occlusion]
    python tools/explanation.py lgg FOLDER RUN --model frozen [--quick]

The runs of the committed tables were made by `btnb train FOLDER --folds 5 --no-probes --out RUN`
with --fine-tune or --freeze, and those of the simulated slices by
`btnb train phantom --folds 3 --no-probes --out RUN`, which fine-tunes.

The first word is the name of the set; RUN the folder of a run on FOLDER by patients. The slices are
those of nbs/aims/explanation_SET.csv, two of a patient at most, 300 of cheng and up to 220 of lgg,
all with a lesion and called a class with lesions: drawn once and written where the file is not
there. Each is explained by the network that did not see it. Writes nbs/aims/explanation.csv (a row
per map and score), nbs/aims/explanation_random.csv (the maps with random weights) and
nbs/aims/explanation_parts.csv (errors without a part of the picture). What is there of the same
slices and run is left alone.
"""
import argparse
import csv
from pathlib import Path

import numpy as np

from brain_tumor_nb.core import write_rows
from brain_tumor_nb.data import data_hash
from brain_tumor_nb.explanation import (METHODS, baseline_maps, errors_without_parts, heat_scores,
                                        map_similarity, mean_interval, randomised, score_maps,
                                        slices_to_explain)
from brain_tumor_nb.runs import Run, open_folder
from rows import ROOT, commit, fingerprint, machine, put, read

AIMS = ROOT/"nbs/aims"
MOST = dict(cheng=300, lgg=220)
SHARES = dict(head=0, half=.5, all=1)


def text(row):
    "Values of a table: six digits, nothing for None."
    def short(value):
        return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return {k: short(v) for k,v in row.items()}


class Tables:
    "Where rows go, and which are there."
    def __init__(self, out, **about):
        self.out,self.about = out,about

    def there(self, name, **what):
        "Whether a table has a row of this run."
        wanted = {k: str(v) for k,v in (self.about | what).items()
                  if k in ("set", "model", "data", "answers", *what)}
        return any(all(r[k] == v for k,v in wanted.items()) for r in read(self.out/f"{name}.csv"))

    def put(self, name, keys, row):
        "Write a row at once."
        put(self.out/f"{name}.csv", text(self.about | row | dict(machine=machine(),
                                                                 commit=commit())),
            ("set", "model", *keys))
        print(text(row), flush=True)


def maps_scored(asked, methods, tables, curves):
    "Every method and every guess; `curves`: with deletion and insertion."
    todo = {m: lambda m=m: asked.heat(m) for m in methods}
    guessed = baseline_maps(asked)
    todo |= {name: lambda name=name: guessed[name] for name in guessed}
    for name,make in todo.items():
        faithful = curves and (name in METHODS or name == "chance")
        last = "insertion" if faithful else "overlap"       # the score that is written last
        if not tables.there("explanation", map=name, score=last):
            for row in score_maps(asked, {name: make()}, faithful):
                tables.put("explanation", ("map", "score"), row)


def random_weights(asked, methods, tables):
    "What is left of a map when weights are random."
    for method in methods:
        if tables.there("explanation_random", method=method, random="all"):
            continue
        trained = asked.heat(method)
        for name,share in SHARES.items():
            heat = asked.heat(method, lambda learner, s=share: randomised(learner, s))
            scores = {k: float(v.mean()) for k,v in heat_scores(heat, asked.masks).items()}
            alike = mean_interval(map_similarity(trained, heat), asked.pred.groups)
            empty = int((heat.amax((1, 2)) == 0).sum())
            floor = float(map_similarity(trained, trained.roll(1, 0)).mean())   # the next listed
            tables.put("explanation_random", ("method", "random"),
                       dict(method=method, random=name, **scores, similarity=alike["value"],
                            similarity_low=alike["low"], similarity_high=alike["high"],
                            different_slices=floor, empty=empty))


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("set", help="name, such as cheng")
    p.add_argument("folder", type=Path)
    p.add_argument("run", type=Path)
    p.add_argument("--model", required=True, help="name in the tables")
    p.add_argument("--method", action="append", choices=list(METHODS),
                   help="which; may be repeated  [default: layer_cam, grad_cam]")
    p.add_argument("--quick", action="store_true",
                   help="no deletion and insertion, which take 22 predictions a slice and map")
    p.add_argument("--out", type=Path, default=AIMS, help="folder of the tables and the list")
    a = p.parse_args()
    methods = a.method or ["layer_cam", "grad_cam"]
    try:
        folder,run = open_folder(a.folder),Run(a.run)
        file = a.out/f"explanation_{a.set}.csv"
        if not file.exists():
            drawn = slices_to_explain(run, folder, MOST.get(a.set, 300), 2)
            write_rows(file, [dict(path=path) for path in drawn.pred.paths])
        with file.open(newline="", encoding="utf-8") as f:
            asked = slices_to_explain(run, folder, paths=[row["path"] for row in csv.DictReader(f)])
        tables = Tables(a.out, set=a.set, model=a.model, slices=len(asked.pred),
                        groups=len(np.unique(asked.pred.groups)), data=data_hash(folder)[:12],
                        answers=fingerprint(asked.pred.probs.round(3).tolist()),
                        command=f"python tools/explanation.py {a.set} FOLDER RUN "
                                f"--model {a.model}"
                                + "".join(f" --method {m}" for m in a.method or ())
                                + " --quick"*a.quick)
        maps_scored(asked, methods, tables, not a.quick)
        cheap = [m for m in methods if m.endswith("cam")]
        random_weights(asked, cheap, tables)
        if not tables.there("explanation_parts", part="all but the lesion"):
            for row in errors_without_parts(asked):
                tables.put("explanation_parts", ("part",), row)
    except (ValueError, OSError, RuntimeError) as e:
        raise SystemExit(f"explanation.py: {e}") from None


if __name__ == "__main__":
    main()
