"What the rows of raw.csv amount to: table.md, and a plot for each comparison."
import importlib.metadata, os, platform, re, subprocess, time
from pathlib import Path
from statistics import median

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

PACKAGES = ("torch", "torchvision", "lightning", "fastai", "transformers", "accelerate", "numpy",
            "pillow")
NAMES = {"plain": "plain PyTorch", "lightning": "Lightning", "fastai": "fastai",
         "trainer": "HF Trainer"}
# Okabe and Ito's, told apart by colour-blind readers too
BLUE,ORANGE,GREEN,RED,PURPLE,GREY = "#0072B2","#E69F00","#009E73","#D55E00","#CC79A7","#8C8C8C"
COLOURS = {"ours": BLUE, "floor": GREEN, "the original": RED}

def values(rows, figure, system, variant, unit):
    "The values of one system, in the order of its repeats; `variant` is how it begins."
    return [float(r["value"]) for r in rows
            if (r["figure"], r["system"], r["unit"]) == (figure, system, unit)
            and r["variant"].startswith(variant)]

def ratios(rows, figure, over, under, unit, variants=("", "")):
    "The first system's values divided by the second's of the same repeat."
    return [a/b
            for a,b in zip(values(rows, figure, over, variants[0], unit),
                           values(rows, figure, under, variants[1], unit))]

def criteria(rows):
    "Each requirement as (figure, what, values, sign, limit, unit, against what)."
    v,r = lambda *a: values(rows, *a),lambda *a: ratios(rows, *a)
    ready = "the same steps on tensors that lie ready, same process, in turns"
    for p in ("fp32", "bf16"):
        yield "floor64", f"training at 64 px, {p}", v("floor64", "ours / floor", p,
                                                      "ratio"), ">=", .95, "of the floor", ready
    for p,limit in (("fp32", 3), ("bf16", 4.5)):
        speed = r("original", "ours", "the original", "images/s", (p, ""))
        yield ("original", f"training at 64 px, {p}", speed, ">=", limit, "×",
               "the original's loop, fp32, batch 4, 2 workers")
    for figure,what,limit in (("tenepochs64", "ten epochs at 64 px",
                               1.25), ("peers224", "one epoch at 224 px", 1)):
        if figure == "peers224":
            for p in ("fp32", "bf16"):
                yield ("floor224", f"training at 224 px, {p}",
                       v("floor224", "ours / floor", p, "ratio"), ">=", .97, "of the floor", ready)
        for p in ("fp32", "bf16"):
            for peer in NAMES:
                workers = next((m[1] for row in rows if row["figure"] == figure
                                and row["system"] == peer
                                and (m := re.search(r"(\d) workers", row["variant"]))), "?")
                yield (figure, f"{what}, {p}", r(figure, peer, "ours", "s", (p, p)), ">=", limit,
                       "× as fast", f"{NAMES[peer]}, {workers} workers")
    yield "frozen", "frozen features, five folds", v("frozen", "ours", "",
                                                     "s"), "<=", 15, "s", "from nothing"
    yield "frozen", "the same", v("frozen", "ours", "",
                                  "AUROC"), ">=", .9, "AUROC", "pooled over folds"
    for peer in ("lightning", "fastai"):
        auroc = v("frozen", peer, "", "AUROC")
        against = f"{NAMES[peer]}, AUROC {median(auroc):.3f}" if auroc else NAMES[peer]
        yield "frozen", "the same", r("frozen", peer, "ours", "s"), ">=", 3, "× as fast", against
    yield "stats", "mean and std, time", r("stats", "ours", "the original",
                                           "s"), "<=", .2, "of the time", "the original's one batch"
    yield "stats", "mean and std, memory", v("stats", "ours", "",
                                             "MB"), "<=", 150, "MB", "the imported libraries"
    extra = [a-b for a,b in zip(v("import", "ours", "", "s"), v("import", "floor", "", "s"))]
    yield ("import", "import of the training module", extra, "<=", .3, "s",
           "import torch, torchvision")
    yield ("predict", "btnb predict, 1,000 slices",
           r("predict", "floor", "ours", "s", ("1000", "1000")), ">=", .9, "of the floor",
           "a script that imports, decodes and computes, nothing else")
    net = [(a-b)/(c-d)
           for a,b,c,d in zip(*(v("predict", s, n, "s") for s in ("floor", "ours")
                                for n in ("1000", "1 ")))]
    yield ("predict", "the same without its start-up", net, ">=", .9, "of the floor",
           "both less the same command on one slice")

def show(x):
    "A number as a reader wants it."
    return (f"{x:.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"
            if abs(x) >= 1 else f"{x:.3f}" if abs(x) >= .01 or x == 0 else f"{x:.1g}")

def spread(v):
    return f"{show(median(v))} [{show(min(v))} – {show(max(v))}]" if len(v) > 1 else show(v[0])

def machine(o):
    "Where the numbers come from."
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    ram = int(re.search(r"MemTotal: +(\d+)", Path("/proc/meminfo").read_text())[1])*1024/1e9
    def git(*args):
        return subprocess.run(["git", "--no-optional-locks", "-C", Path(__file__).parents[1],
                               *args], capture_output=True, text=True).stdout.strip()
    dirty = (" with uncommitted changes"
             if git("status", "--porcelain", "--untracked-files=no", "--", "brain_tumor_nb",
                    "benchmarks/*.py") else "")
    versions = []
    for p in PACKAGES:
        try:
            versions.append(f"{p} {importlib.metadata.version(p)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {p}")
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return [f"{model[1] if model else platform.processor()}, {os.cpu_count()} cores, {ram:.0f} GB "
            f"of memory, no GPU used; {system}, Python {platform.python_version()}; "
            f"{', '.join(versions)}.", f"Drawn on {time.strftime('%d %B %Y')} at commit "
            f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{dirty}."]

def notes(o, rows):
    "What a reader must know beside the numbers."
    out,product = [],{p: values(rows, "idle", "matrix product", p, "GFLOP/s")
                      for p in ("fp32", "bf16")}
    if o.quick:
        out.append("**A trial with --quick: these numbers mean nothing.**")
    data = next((r for r in rows if r["figure"] == "data"), None)
    if data:
        simulated = data["system"].startswith("simulated")
        kind = " SIMULATED ones, the real ones were not there" if simulated else ""
        out.append(f"Slices: {data['value']}{kind}, {data['variant']}.")
    if all(product.values()):
        fp32,bf16 = (median(product[p]) for p in ("fp32", "bf16"))
        out.append(f"Product of two matrices of 2048 × 2048: {fp32:.0f} GFLOP/s in fp32, "
                   f"{bf16:.0f} in bf16." + (f" This processor is slower in bf16 ({bf16/fp32:.2f} "
                                             "of fp32): what is required of bf16 as a gain over "
                                             "fp32 (4.5 × the original) cannot be met on it."
                                             if bf16 < fp32 else ""))
    load = values(rows, "idle", "load", "", "processes")
    if load:
        out.append(f"Other processes running before it started: {load[0]:.1f}.")
    out.append("Each value is the median [least – most] of n runs in fresh processes, the systems "
               "in turns; ratios are of runs of the same turn. "
               "Peers have their loggers, checkpoints and bars off, and the better of 0 and 2 "
               "workers; their bf16 is their own, but for fastai, whose mixed precision knows only "
               "CUDA. What takes longest is run three times.")
    if values(rows, "frozen", "fastai", "", "s"):
        out.append("frozen: ours is timed to the scores on the disk (with the report: `ours and "
                   "report` below), opening and grouping the folder included; the peers are given "
                   "the folds, do not validate between epochs, "
                   "and their epochs and learning rates were chosen on these slices.")
    if values(rows, "scale", "ours", "", "MB"):
        out.append("scale: pictures made for the purpose from the slices above (random crop, turn, "
                   "mirror image and brightness; 128 px, JPEG 90), removed afterwards; folders of "
                   "more than 2,500 are measured once.")
    return out

def scale_values(rows, n, unit):
    return [float(r["value"]) for r in rows
            if (r["figure"], r["variant"], r["unit"]) == ("scale", str(n), unit)]

def scale_sizes(rows): return sorted({int(r["variant"]) for r in rows if r["figure"] == "scale"})

def scale_table(rows):
    "One line for each size of folder."
    units = ("s to open and store", "s to open again", "s to group", "groups", "images/s", "MB",
             "MB private")
    head = ("images", "open and store, s", "open again, s", "group, s", "groups", "train, images/s",
            "peak memory, MB", "of it private, MB", "n")
    lines = [[f"{n:,}", *(spread(scale_values(rows, n, u)) for u in units),
              str(len(scale_values(rows, n, "MB")))] for n in scale_sizes(rows)]
    return ["## Larger folders", "", *table(head, lines), ""] if lines else []

def table(head, lines):
    return ["| " + " | ".join(head) + " |",
            "|" + "---|"*len(head)] + ["| " + " | ".join(l) + " |" for l in lines]

def write_table(o, out, rows):
    "table.md: requirements first, then everything measured."
    lines = []
    for figure,what,v,sign,limit,unit,against in criteria(rows):
        met = ("not measured" if not v else "yes"
               if (median(v) >= limit if sign == ">=" else median(v) <= limit) else "no")
        lines.append([figure, what, f"{'≥' if sign == '>=' else '≤'} {limit:g} {unit}",
                      spread(v) if v else "–", str(len(v)), met, against])
    seen = {}
    for r in rows:
        if r["figure"] not in ("data", "scale"):
            seen.setdefault((r["figure"], r["system"], r["variant"],
                             r["unit"]), []).append(float(r["value"]))
    text = ["# Benchmarks", "", *machine(o), "", *(f"- {n}" for n in notes(o, rows)), "",
            "## What is required", "",
            *table(("figure", "what", "required", "measured", "n", "met", "against"), lines), "",
            *scale_table(rows), "## Everything measured", "",
            *table(("figure", "system", "variant", "median [least – most]", "unit",
                    "n"), [[f, s, v, spread(x), u, str(len(x))] for (f,s,v,u),x in seen.items()]),
            ""]
    (out/"table.md").write_text("\n".join(text), encoding="utf-8")

def bars(ax, found, xlabel, title):
    "One bar for each (label, values, colour): the median, and a line from the least to the most."
    found = [f for f in found if f[1]]
    if not found:
        ax.set_title(f"{title}: not measured")
        ax.axis("off")
        return
    for i,(_,v,colour) in enumerate(found):
        m = median(v)
        ax.barh(i, m, color=colour, xerr=[[m-min(v)], [max(v)-m]], error_kw=dict(capsize=3, lw=1))
        ax.text(max(v), i, f" {show(m)}", va="center")
    ax.set_yticks(range(len(found)), [f[0] for f in found])
    ax.invert_yaxis()
    ax.margins(x=.15)
    ax.set(xlabel=xlabel, title=title)
    ax.spines[["top", "right"]].set_visible(False)

def panels(rows, out, name, draw):
    "A file of two panels; `draw` fills them."
    fig,axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    draw(*axes)
    if any(r["system"] == "simulated slices" for r in rows):
        fig.suptitle("simulated slices")
    fig.savefig(out/f"{name}.png", dpi=150)
    plt.close(fig)

def peers_bars(rows, figure):
    return [(f"{NAMES.get(s, s)}, {p}",
             values(rows, figure, s, p, "s"), (BLUE if s == "ours" else GREY) if p == "fp32"
             else ("#56B4E9" if s == "ours" else "#C8C8C8")) for p in ("fp32", "bf16")
            for s in ("ours", *NAMES)]

def floor_bars(rows, figure):
    return [(f"{s}, {p}", values(rows, figure, s, p, "images/s"), COLOURS[s])
            for p in ("fp32", "bf16") for s in ("ours", "floor")]

def plots(out, rows):
    "A picture for each comparison there are rows of."
    have,v = {r["figure"] for r in rows},lambda *a: values(rows, *a)
    if have & {"tenepochs64", "peers224"}:
        def draw(left, right):
            bars(left, peers_bars(rows, "tenepochs64"), "seconds (less is better)",
                 "Ten epochs, 64 px, decoding included")
            bars(right, peers_bars(rows, "peers224"), "seconds (less is better)",
                 "One epoch, 224 px, decoding included")
        panels(rows, out, "peers", draw)
    if have & {"floor64", "floor224", "original"}:
        def draw(left, right):
            bars(left,
                 floor_bars(rows,
                            "floor64") + [("the original",
                                           v("original", "the original", "", "images/s"), RED)],
                 "images a second (more is better)", "Training ResNet18, 64 px")
            bars(right, floor_bars(rows, "floor224"), "images a second (more is better)",
                 "Training ResNet18, 224 px")
        panels(rows, out, "floors", draw)
    if "stats" in have:
        def draw(left, right):
            for ax,unit,label in ((left, "s",
                                   "seconds (less is better)"), (right, "MB",
                                                                 "peak memory above the libraries, "
                                                                 "MB (less is better)")):
                bars(ax, [(s, v("stats", s, "", unit), COLOURS[s])
                          for s in ("ours", "the original")], label,
                     "Mean and standard deviation of a folder")
        panels(rows, out, "stats", draw)
    if have & {"frozen", "predict"}:
        def auroc(s):
            return f"\nAUROC {median(a):.3f}" if (a := v("frozen", s, "", "AUROC")) else ""
        def draw(left, right):
            bars(left, [(NAMES.get(s, s) + auroc(s), v("frozen", s, "", "s"), COLOURS.get(s, GREY))
                        for s in ("ours", "lightning", "fastai")],
                 "seconds from nothing (less is better)", "Frozen network, five folds")
            bars(right, [(s, v("predict", s, "1000", "s"), COLOURS[s]) for s in ("ours", "floor")],
                 "seconds from nothing (less is better)", "Predicting 1,000 slices")
        panels(rows, out, "commands", draw)
    if "scale" in have:
        panels(rows, out, "scale", lambda left, right: draw_scale(left, right, rows))

def draw_scale(left, right, rows):
    "Speed and memory against the number of images."
    n = scale_sizes(rows)
    def at(unit): return [median(scale_values(rows, k, unit)) for k in n]
    for unit,label,colour,mark in (("s to open and store", "open, decode, store", BLUE,
                                    "o"), ("s to open again", "open again", GREEN,
                                           "s"), ("s to group", "group near duplicates", ORANGE,
                                                  "^")):
        left.plot(n, [k/s for k,s in zip(n, at(unit))], color=colour, marker=mark, label=label)
    left.plot(n, at("images/s"), color=RED, marker="D", label="train")
    left.set(xscale="log", yscale="log", xlabel="images in the folder",
             ylabel="images a second (more is better)", title="Speed")
    left.legend()
    for unit,label,colour,mark in (("MB", "resident", BLUE, "o"), ("MB private", "of it private",
                                                                   RED, "D")):
        right.plot(n, at(unit), color=colour, marker=mark, label=label)
    right.set(xscale="log", ylim=(0, 1.15*max(at("MB"))), xlabel="images in the folder",
              ylabel="peak memory above the libraries, MB", title="Memory")
    right.legend()
    for ax in (left, right):
        ax.grid(alpha=.3)

def draw(o, out):
    "Everything that is drawn from the rows."
    plt.rcParams.update({"font.size": 12})
    rows = o.results.rows
    write_table(o, out, rows)
    plots(out, rows)
    print(f"{out/'table.md'}")
