"""One measurement, in a process of its own, which prints its result as JSON on the last line.

    python tasks.py NAME '{"argument": value}'

A result is a list of [system, variant, value, unit].
"""
import csv, json, os, statistics, sys, threading, time
from pathlib import Path

def read_job(job): return json.loads(Path(job).read_text(encoding="utf-8"))

def opened(job, size, n=None):
    "Our network, optimizer, transform and loader (first n training slices), as `fit` sets them up."
    import torch._dynamo  # noqa: F401, what the first step of an optimizer would import
    from brain_tumor_nb.data import MRIFolder, PixelStore, make_loader
    from brain_tumor_nb.model import create_model
    from brain_tumor_nb.normalization import Stats, train_transform
    from brain_tumor_nb.device import keep_memory
    from brain_tumor_nb.training import Config, make_optimizer
    job = read_job(job)
    keep_memory()
    store,model = PixelStore(MRIFolder(job["root"]), size),create_model("resnet18", 2, "none", size)
    return (model, make_optimizer(model, Config(), 1000)[0],
            train_transform(Stats(job["mean"], job["std"])),
            make_loader(store, job["train"][:n], 32, shuffle=True))

def prepare(data, out):
    "Not a measurement: split, folds, groups and statistics, made once for everybody."
    from dataclasses import asdict
    from brain_tumor_nb.data import MRIFolder, PixelStore, is_simulated, make_loader
    from brain_tumor_nb.normalization import channel_stats
    from brain_tumor_nb.splitting import find_groups, make_folds, make_split
    folder = MRIFolder(data)
    groups = find_groups(folder)
    split = make_split(folder, groups, seed=0)
    stats = channel_stats(make_loader(PixelStore(folder, 64), split.train))
    job = dict(root=str(data), simulated=is_simulated(data), classes=folder.classes,
               files=[f for f,_ in folder.samples], labels=[int(y) for y in folder.targets],
               split=asdict(split), train=split.train, valid=split.valid,
               folds=[[f.train, f.valid] for f in make_folds(folder, groups, 5, 0)],
               mean=list(stats.mean)[:1], std=list(stats.std)[:1])
    Path(out).write_text(json.dumps(job), encoding="utf-8")
    return [["simulated slices" if job["simulated"] else "slices",
             f"{len(split.train)} to train, {len(split.valid)} to validate, "
             f"{len(set(split.groups))} groups", len(folder), ""]]

def matmul(n=2048, seconds=1.5):
    "How fast this machine multiplies matrices."
    import torch
    out = []
    for name,dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a,b = torch.randn(n, n).to(dtype),torch.randn(n, n).to(dtype)
        a @ b
        start,times = time.perf_counter(),0
        while time.perf_counter() < start + seconds:
            a @ b
            times += 1
        out.append(["matrix product", name, 2e-9*n**3*times/(time.perf_counter()-start), "GFLOP/s"])
    return out

def floor(job, size, precision, n, pairs):
    "Our epoch and the same steps on tensors that lie ready, in turns and in both orders."
    import torch, torch.nn.functional as F
    from brain_tumor_nb.device import autocast
    from brain_tumor_nb.training import train_epoch
    model,opt,tfm,loader = opened(job, size, n)
    ready = [(tfm(x).contiguous(memory_format=torch.channels_last), y) for x,y,_ in loader]
    def ours(): train_epoch(model, loader, tfm, opt, precision=precision)
    def lower():
        model.train()
        for x,y in ready:
            with autocast("cpu", precision):
                loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
    slices = sum(len(y) for _,y in ready)
    def speed(f):
        start = time.perf_counter()
        f()
        return slices/(time.perf_counter()-start)
    ours()
    lower()
    out = []
    for i in range(pairs):
        got = {f: speed(f) for f in ((ours, lower) if i % 2 else (lower, ours))}
        out += [["ours", precision, got[ours], "images/s"],
                ["floor", precision, got[lower], "images/s"],
                ["ours / floor", precision, got[ours]/got[lower], "ratio"]]
    return out

def ours_speed(job, precision, epochs):
    "Images a second of our training epoch, the first one left out."
    from brain_tumor_nb.training import train_epoch
    model,opt,tfm,loader = opened(job, 64)
    seconds = []
    for _ in range(epochs+1):
        start = time.perf_counter()
        train_epoch(model, loader, tfm, opt, precision=precision)
        seconds.append(time.perf_counter() - start)
    return [["ours", f"{precision}, 64 px, batch 32",
             len(read_job(job)["train"])/statistics.median(seconds[1:]), "images/s"]]

def original_speed(job, epochs):
    "The same of the original tutorial's loop, in our own words: batch 4, two workers."
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, SubsetRandomSampler
    from torchvision import transforms as T
    from torchvision.datasets import ImageFolder
    from torchvision.models import resnet18
    job = read_job(job)
    # each file is decoded and turned at full size in every epoch
    tfm = T.Compose([T.RandomRotation(30), T.Resize(64), T.CenterCrop(64), T.RandomHorizontalFlip(),
                     T.ToTensor(), T.Normalize(job["mean"]*3, job["std"]*3)])
    loader = DataLoader(ImageFolder(job["root"], tfm), batch_size=4, num_workers=2,
                        sampler=SubsetRandomSampler(job["train"]))
    model = resnet18()
    model.fc = nn.Linear(512, 2)
    loss_fn,opt = nn.CrossEntropyLoss(),torch.optim.SGD(model.parameters(), lr=1e-4, momentum=.9)
    seconds = []
    for _ in range(epochs+1):
        start = time.perf_counter()
        model.train()
        total = 0.
        for x,y in loader:
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        seconds.append(time.perf_counter() - start)
    return [["the original", "fp32, 64 px, batch 4, 2 workers",
             len(job["train"])/statistics.median(seconds[1:]), "images/s"]]

def ours_epochs(job, size, precision, epochs):
    "Seconds from a folder's name to a trained and validated network."
    import torch._dynamo  # noqa: F401
    from brain_tumor_nb.data import MRIFolder, PixelStore
    from brain_tumor_nb.splitting import Split
    from brain_tumor_nb.learners import make_learner
    from brain_tumor_nb.training import Config
    job = read_job(job)
    split = Split(**job["split"])
    start = time.perf_counter()
    folder = MRIFolder(job["root"])
    store = PixelStore(folder, size)
    config = Config(size=size, batch_size=32, epochs=epochs, precision=precision, device="cpu")
    make_learner(config, folder.classes).train(store, split, progress=False)
    return [["ours", f"{precision}, {size} px, batch 32", time.perf_counter()-start, "s"]]

def peer_epochs(job, system, size, precision, workers, epochs):
    "The same of a peer."
    import peers
    return [[system, f"{precision}, {size} px, batch 32, {workers} workers",
             getattr(peers, system)(read_job(job), size, precision, workers, epochs), "s"]]

def peer_frozen(job, system, epochs, lr):
    "AUROC of a peer's frozen network; the seconds are taken from outside."
    import peers
    return [[system, f"{epochs} epochs",
             getattr(peers, f"frozen_{system}")({**read_job(job), "mean": [.5], "std": [.5]},
                                                epochs, lr), "AUROC"]]

def memory(*names):
    "Lines of /proc/self/status, in MB."
    lines = dict(l.split(":", 1) for l in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[n].split()[0])*1024/1e6 for n in names]

class Peak:
    "Seconds of a block, and its peak of resident and private memory above that before it, in MB."
    def __enter__(self):
        self.base,self.top,self.done = memory("VmRSS", "RssAnon", "VmHWM"),[0, 0],threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        self.start = time.perf_counter()
        return self
    def look(self): self.top = [max(a, b) for a,b in zip(self.top, memory("VmRSS", "RssAnon"))]
    def watch(self):
        while not self.done.wait(.005):
            self.look()
    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.start
        self.done.set()
        self.thread.join()
        self.look()
        high, = memory("VmHWM")
        if high > self.base[2]:
            self.top[0] = max(self.top[0], high)               # a peak between two looks
        self.rss,self.anon = (t-b for t,b in zip(self.top, self.base))
    def rows(self, system, variant):
        return [[system, variant, self.seconds, "s"], [system, variant, self.rss,
                                                       "MB"], [system, variant, self.anon,
                                                               "MB private"]]

def stats_ours(data, size):
    "Mean and standard deviation in one pass."
    from brain_tumor_nb.data import MRIFolder
    from brain_tumor_nb.normalization import folder_stats
    with Peak() as peak:
        folder = MRIFolder(data)
        stats = folder_stats(folder, size)
    what = f"{len(folder)} images, {size} px"
    return peak.rows("ours",
                     what) + [["ours", what, stats.mean[0], "mean"], ["ours", what, stats.std[0],
                                                                      "std"]]

def stats_original(data):
    "As the original: the whole set as one batch, read for the mean, and again for the deviation."
    from torch.utils.data import DataLoader
    from torchvision import transforms as T
    from torchvision.datasets import ImageFolder
    with Peak() as peak:
        folder = ImageFolder(data, T.Compose([T.Resize(255), T.CenterCrop(225), T.ToTensor()]))
        loader = DataLoader(folder, batch_size=len(folder))
        images,_ = next(iter(loader))
        mean = images.mean((0, 2, 3))
        images,_ = next(iter(loader))
        std = images.std((0, 2, 3))
    what = f"{len(folder)} images, 225 px"
    return peak.rows("the original",
                     what) + [["the original", what, mean[0].item(),
                               "mean"], ["the original", what, std[0].item(), "std"]]

def predict_floor(run, folder):
    "The least that predicts a folder: load weights, decode files once, one pass in batches of 64."
    import numpy as np, torch
    from PIL import Image, ImageOps
    from safetensors.torch import load_file
    from torchvision.models import resnet18
    config = json.loads((Path(run)/"config.json").read_text(encoding="utf-8"))
    model = resnet18(num_classes=len(config["classes"]))
    model.load_state_dict(load_file(Path(run)/"model.safetensors"))
    model.eval()
    (mean,*_),(std,*_),out = config["stats"]["mean"],config["stats"]["std"],csv.writer(sys.stdout)
    def pixels(f):
        with Image.open(f) as im:
            return np.asarray(ImageOps.fit(im.convert("L"), (config["size"],)*2,
                                           Image.Resampling.BILINEAR))
    files = sorted(f for f in Path(folder).rglob("*") if f.is_file())
    with torch.inference_mode():
        for i in range(0, len(files), 64):
            x = torch.from_numpy(np.stack([pixels(f) for f in files[i:i+64]]))[:,None]/255
            out.writerows(zip(files[i:i+64],
                              model(((x - mean)/std).expand(-1, 3, -1, -1)).softmax(1).tolist()))
    return []

def scale_make(job, out, n):
    "Not a measurement: n slices at random crop, turn, mirror image, brightness; 128 px, JPEG 90."
    from concurrent.futures import ThreadPoolExecutor
    import numpy as np
    from PIL import Image, ImageOps
    job = read_job(job)
    def small(f):
        with Image.open(f) as im:
            return im.convert("L").resize((192, 192))
    def write(i):
        rng,which = np.random.default_rng(i),i % len(base)
        side = int(rng.uniform(90, 180))
        x,y = rng.integers(0, 192-side, 2)
        im = base[which].rotate(rng.uniform(-180, 180)).crop((x, y, x+side, y+side))
        im = im.resize((128, 128), Image.Resampling.BILINEAR)
        im = ImageOps.mirror(im) if i % 2 else im
        levels = (rng.uniform(.7, 1.3)*np.arange(256)).clip(0, 255).astype(int).tolist()
        to = Path(out)/job["classes"][job["labels"][which]]/f"{i:06}.jpg"
        im.point(levels).save(to, quality=90)
    for c in job["classes"]:
        (Path(out)/c).mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        base = list(pool.map(small, job["files"]))
        list(pool.map(write, range(n)))
    return [["made", str(n), n, "images"]]

def scale(data, budget, n_steps):
    "Open and store a folder, open it again, group near duplicates, train some steps on all of it."
    import torch._dynamo
    from brain_tumor_nb.data import MRIFolder, PixelStore, make_loader
    from brain_tumor_nb.model import create_model
    from brain_tumor_nb.normalization import Stats, train_transform
    from brain_tumor_nb.splitting import find_groups
    from brain_tumor_nb.device import keep_memory
    from brain_tumor_nb.training import Config, make_optimizer, train_epoch
    keep_memory()
    model,tfm = create_model("resnet18", 2, "none", 64),train_transform(Stats((.2,), (.2,)))
    opt = make_optimizer(model, Config(), 1000)[0]
    def clock(f):
        start = time.perf_counter()
        result = f()
        return result, time.perf_counter() - start
    with Peak() as peak:
        (folder,
         store),first = clock(lambda: ((f := MRIFolder(data)),
                                       PixelStore(f, 64, budget=int(budget))))
        (folder,
         store),again = clock(lambda: ((f := MRIFolder(data)),
                                       PixelStore(f, 64, budget=int(budget))))
        groups,grouping = clock(lambda: find_groups(folder))
        def epoch(steps):
            return train_epoch(model,
                               make_loader(store, torch.randint(len(folder), (32*steps,)), 32,
                                           shuffle=True), tfm, opt)
        epoch(3)
        _,training = clock(lambda: epoch(n_steps))
    values = [(first, "s to open and store"), (again, "s to open again"),
              (grouping, "s to group"), (n_steps*32/training, "images/s"),
              (peak.rss, "MB"), (peak.anon, "MB private"), (len(set(groups.tolist())), "groups")]
    return [["ours", str(len(folder)), v, unit] for v,unit in values]

if __name__ == "__main__":
    result = globals()[sys.argv[1]](**json.loads(sys.argv[2]))
    print("\n" + json.dumps(result))
