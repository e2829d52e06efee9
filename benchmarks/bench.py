"""How fast, how small, against whom? Measures what `make bench` reports.

    python benchmarks/bench.py [--only FIGURE] [--quick] [--repeats 5]
                               [--data FOLDER] [--data4 FOLDER] [--out FOLDER]

Every measurement runs in a fresh process, and the systems compared take turns: the first repeat of
all, then the second of all. Each is a row of raw.csv as soon as it is there; table.md and the plots
are drawn from raw.csv at the end. Runs on the CPU of a Linux machine. See tasks.py for what is
measured, peers.py for the other libraries, draw.py for what is required.
"""
import argparse, csv, json, os, re, subprocess, sys, tempfile, time
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
PEERS,PRECISIONS = ("plain", "lightning", "fastai", "trainer"),("fp32", "bf16")
COLUMNS = ("figure", "system", "variant", "repeat", "value", "unit")

def command(args, **env):
    "Seconds a process takes and its output; on the CPU, cache empty, unless `env` says otherwise."
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1",
               "BRAIN_TUMOR_CACHE": cache, **env}
        start = time.perf_counter()
        p = subprocess.run([str(a) for a in args], env=env, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True)
        seconds = time.perf_counter() - start
    if p.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))[:300]}\n"
                           f"{p.stdout[-500:]}\n{p.stderr[-3000:]}")
    return seconds, p.stdout

def btnb(*args, **env): return command([sys.executable, "-m", "brain_tumor_nb", *args], **env)

def task(name, **kw):
    return json.loads(command([sys.executable, HERE/"tasks.py", name,
                               json.dumps(kw)])[1].splitlines()[-1])

class Results:
    "The rows of raw.csv."
    def __init__(self, out):
        self.file = out/"raw.csv"
        out.mkdir(parents=True, exist_ok=True)
        with open(self.file, newline="",
                  encoding="utf-8") if self.file.exists() else open(os.devnull) as f:
            self.rows = list(csv.DictReader(f))

    def clear(self, figures):
        "Forget some figures."
        self.rows = [r for r in self.rows if r["figure"] not in figures]
        with open(self.file, "w", newline="", encoding="utf-8") as f:
            w = csv.DictWriter(f, COLUMNS, lineterminator="\n")
            w.writeheader()
            w.writerows(self.rows)

    def add(self, figure, repeat, rows):
        "Write measurements as they come."
        with open(self.file, "a", newline="", encoding="utf-8") as f:
            for system,variant,value,unit in rows:
                row = dict(zip(COLUMNS, (figure, system, variant, repeat, f"{value:.6g}", unit)))
                self.rows.append(row)
                csv.DictWriter(f, COLUMNS, lineterminator="\n").writerow(row)
                print(f"  {repeat+1:2} {system:16} {variant:40} {value:10.4g} {unit}", flush=True)

    def turns(self, figure, repeats, systems, slow=()):
        "Measure each system once, then each once more, and so on; `slow` ones three times at most."
        for repeat in range(repeats):
            for measure in [*systems, *(slow if repeat < 3 else ())]:
                self.add(figure, repeat, measure())

def idle(o):
    o.results.add("idle", 0, [["load", "before", o.load, "processes"]])
    o.results.turns("idle", o.repeats, [partial(task, "matmul")])

def floor64(o):
    o.results.turns("floor64",
                    o.repeats, [partial(task, "floor", job=o.job, size=64, precision=p,
                                        n=64 if o.quick else None, pairs=1 if o.quick else 4)
                                for p in PRECISIONS])

def original(o):
    epochs = 1 if o.quick else 2
    o.results.turns("original",
                    o.repeats, [partial(task, "ours_speed", job=o.job, precision=p, epochs=epochs)
                                for p in PRECISIONS] + [partial(task, "original_speed", job=o.job,
                                                                epochs=epochs)])

def against_peers(o, figure, size, epochs, trial_epochs):
    "Ours and the peers, each at the better of 0 and 2 workers as found in a trial."
    trials = {(s, w): partial(task, "peer_epochs", job=o.job, system=s, size=size, precision="fp32",
                              workers=w, epochs=trial_epochs) for s in PEERS for w in (0, 2)}
    seconds = {}
    for (s,w),measure in trials.items():
        rows = measure()
        o.results.add(f"{figure}, trial of {trial_epochs} epochs", 0, rows)
        seconds[s,w] = rows[0][2]
    workers = {s: min((0, 2), key=lambda w: seconds[s,w]) for s in PEERS}
    def systems(p):
        return [partial(task, "ours_epochs", job=o.job, size=size, precision=p, epochs=epochs),
                *(partial(task, "peer_epochs", job=o.job, system=s, size=size, precision=p,
                          workers=workers[s], epochs=epochs) for s in PEERS)]
    o.results.turns(figure, o.repeats, systems("fp32"), slow=systems("bf16"))

def tenepochs64(o): against_peers(o, "tenepochs64", 64, 1 if o.quick else 10, 1 if o.quick else 2)

def floor224(o):
    o.results.turns("floor224",
                    o.repeats, [partial(task, "floor", job=o.job, size=224, precision=p, n=64,
                                        pairs=1 if o.quick else 2) for p in PRECISIONS])

def peers224(o): against_peers(o, "peers224", 224, 1, 1)

def frozen(o):
    def ours():
        with tempfile.TemporaryDirectory() as tmp:
            start = time.time()
            total,_ = btnb("train", o.data, "--freeze", "--folds", 5, "--out", f"{tmp}/run")
            metrics = Path(f"{tmp}/run/metrics.json")
            seconds = metrics.stat().st_mtime - start
            auroc = json.loads(metrics.read_text(encoding="utf-8"))["auroc"]["value"]
        return [["ours", "5 folds", seconds, "s"], ["ours", "5 folds", auroc,
                                                    "AUROC"], ["ours and report", "5 folds", total,
                                                               "s"]]
    def peer(system, lr):
        start = time.perf_counter()
        (_,variant,auroc,_), = task("peer_frozen", job=o.job, system=system,
                                    epochs=1 if o.quick else 2, lr=lr)
        return [[system, f"5 folds, {variant}", time.perf_counter()-start,
                 "s"], [system, f"5 folds, {variant}", auroc, "AUROC"]]
    o.results.turns("frozen", o.repeats, [ours],
                    slow=[partial(peer, "lightning", 5e-3), partial(peer, "fastai", 1e-2)])

def stats(o):
    data = o.data if o.quick else o.data4
    systems = [partial(task, "stats_ours", data=str(data), size=224)]
    if o.quick or o.free > 12:
        systems.append(partial(task, "stats_original", data=str(data)))
    else:
        print(f"  the original is left out: it takes 10.6 GB, and {o.free:.0f} are free")
    o.results.turns("stats", o.repeats, systems)

def imports(o):
    def seconds(system, modules):
        code = (f"import time; start = time.perf_counter(); import {modules}; "
                "print(time.perf_counter()-start)")
        return [[system, modules, float(command([sys.executable, "-c", code])[1]), "s"]]
    o.results.turns("import",
                    o.repeats if o.quick
                    else max(9, o.repeats), [partial(seconds, "ours", "brain_tumor_nb.training"),
                                             partial(seconds, "floor", "torch, torchvision")])

def predict(o):
    run,folder,one = (o.tmp/n for n in ("run", "thousand", "one"))
    btnb("train", o.data, "--recipe", "tutorial", "--weights", "none", "--epochs", 1, "--out", run)
    files = [Path(f) for f in json.loads(Path(o.job).read_text(encoding="utf-8"))["files"]]
    for i,f in enumerate(islice(cycle(files), 100 if o.quick else 1000)):
        for to in [folder] + [one]*(i == 0):
            to.mkdir(exist_ok=True)
            (to/f"{i:04}{f.suffix}").write_bytes(f.read_bytes())
    def ours(to, variant): return [["ours", variant, btnb("predict", run, to)[0], "s"]]
    def floor(to, variant):
        return [["floor", variant,
                 command([sys.executable, HERE/"tasks.py", "predict_floor",
                          json.dumps(dict(run=str(run), folder=str(to)))])[0], "s"]]
    o.results.turns("predict",
                    o.repeats, [partial(f, to, v)
                                for to,v in ((folder, "1000 images"), (one, "1 image"))
                                for f in (ours, floor)])

def scale(o):
    sizes = (100, 250) if o.quick else (250, 2_500, 25_000, 100_000)
    with tempfile.TemporaryDirectory() as tmp:
        top = Path(tmp)/str(sizes[-1])
        print("  writing the pictures", flush=True)
        task("scale_make", job=o.job, out=str(top), n=sizes[-1])
        for n in sizes[:-1]:
            for f in top.rglob("*.jpg"):
                if int(f.stem) < n:
                    to = Path(tmp)/str(n)/f.parent.name
                    to.mkdir(parents=True, exist_ok=True)
                    os.link(f, to/f.name)
        for n in sizes:
            o.results.turns("scale",
                            o.repeats if n <= 2_500
                            else 1, [partial(task, "scale", data=f"{tmp}/{n}", budget=64e6,
                                             n_steps=3 if o.quick else 30)])

def ddp(o):
    def probabilities(run):
        with open(run/"predictions.csv", newline="", encoding="utf-8") as f:
            return [float(v) for r in csv.DictReader(f) for k,v in r.items()
                    if k.startswith("prob_")]
    def both(arch):
        with tempfile.TemporaryDirectory() as tmp:
            args = ["brain_tumor_nb", "train", o.data, "--recipe", "tutorial", "--weights", "none",
                    "--arch", arch, "--batch-size", 32, "--lr", .01, "--epochs", 2, "--out"]
            one,_ = command([sys.executable, "-m", *args, f"{tmp}/one"], OMP_NUM_THREADS="1")
            two,_ = command([sys.executable, "-m", "torch.distributed.run", "--standalone",
                             "--nproc-per-node", 2, "-m", *args, f"{tmp}/two"], OMP_NUM_THREADS="1")
            differ = max(abs(a-b)
                         for a,b in zip(probabilities(Path(tmp)/"one"),
                                        probabilities(Path(tmp)/"two"), strict=True))
        return [["1 process", arch, one, "s"], ["2 processes", arch, two,
                                                "s"], ["difference", arch, differ, "probability"]]
    o.results.turns("ddp", 1, [partial(both, "vit_b_32"), partial(both, "resnet18")])

# how it is measured, and in about how many minutes on two cores with nothing else running
FIGURES = {"idle": (idle, .5), "floor64": (floor64, 4), "original": (original, 4),
           "tenepochs64": (tenepochs64, 20), "floor224": (floor224, 6), "peers224": (peers224, 20),
           "frozen": (frozen, 6), "stats": (stats, 5), "import": (imports, 1),
           "predict": (predict, 3), "scale": (scale, 6), "ddp": (ddp, 1)}

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=FIGURES, action="append",
                        help="measure one figure, keep what is there of the others; may be "
                        "repeated")
    parser.add_argument("--quick", action="store_true",
                        help="try everything once, on little: the numbers mean nothing")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", type=Path,
                        default=HERE.parents[1]/"shared/data/brain_tumor_dataset",
                        help="folder with the 253 slices; the simulated ones if it is not there")
    parser.add_argument("--data4", type=Path,
                        default=HERE.parents[1]/"shared/data/brain_mri_4class/Training",
                        help="folder with the 5,708 slices of four classes; --data if it is not "
                        "there")
    parser.add_argument("--out", type=Path,
                        help="where the results go  [default: benchmarks/results, with --quick a "
                        "temporary folder]")
    a = parser.parse_args()
    out = (a.out
           or (Path(tempfile.gettempdir())/"bench_quick" if a.quick else HERE/"results")).resolve()
    if not a.data.is_dir():
        from brain_tumor_nb.phantom import phantom_folder
        a.data = phantom_folder()
        print(f"no real slices there: SIMULATED ones of {a.data}")
    if not a.data4.is_dir():
        a.data4 = a.data
    free = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1])*1024/1e9
    failed = []
    with tempfile.TemporaryDirectory() as tmp:
        o = SimpleNamespace(quick=a.quick, repeats=1 if a.quick else a.repeats,
                            data=a.data.resolve(), data4=a.data4.resolve(), tmp=Path(tmp),
                            job=f"{tmp}/job.json", free=free, load=os.getloadavg()[0],
                            results=Results(out))
        names = a.only or FIGURES
        total = sum(FIGURES[n][1] for n in names)
        print(f"{'a trial' if a.quick else f'about {total:.0f} minutes'}; results in {out}")
        o.results.clear({"data"})
        o.results.add("data", 0, task("prepare", data=str(o.data), out=o.job))
        for name in names:
            measure,minutes = FIGURES[name]
            print(f"{name}: {'a trial' if a.quick else f'about {minutes} min'}, from "
                  f"{time.strftime('%H:%M')}", flush=True)
            o.results.clear({r["figure"] for r in o.results.rows
                             if r["figure"].split(",")[0] == name})
            try:
                measure(o)
            except Exception as e:
                failed.append(name)
                print(f"  {name} failed: {e}", file=sys.stderr, flush=True)
        from draw import draw  # matplotlib stays out of this process while it measures
        draw(o, out)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")

if __name__ == "__main__":
    main()
