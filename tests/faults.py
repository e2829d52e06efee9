"What test_faults.py runs in processes of its own, to be killed, starved and watched."
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from brain_tumor_nb import parallel
from brain_tumor_nb.checkpoints import checkpoints
from brain_tumor_nb.data import MRIFolder, PixelStore, make_loader
from brain_tumor_nb.device import seeded
from brain_tumor_nb.learners import make_learner
from brain_tumor_nb.normalization import channel_stats, valid_transform
from brain_tumor_nb.processes import join_world
from brain_tumor_nb.splitting import make_split
from brain_tumor_nb.training import Config, State, fit, make_optimizer

CONFIG = Config(arch="mobilenet_v3_small", size=32, batch_size=8, epochs=3, lr=1e-2,
                schedule="one-cycle", mixup=.2)


def noise_folder(root, n=40, size=32):
    "Two classes of noise, one a little brighter."
    rng = np.random.default_rng(0)
    for i in range(n):
        path = Path(root)/("no", "yes")[i % 2]/f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((rng.integers(0,
                                      200, (size, size)) + 50*(i % 2)).astype(np.uint8)).save(path)
    return MRIFolder(root)


# --- killed at any moment

def train_until(out, folder, store, split, kill, dead=None):
    "Train and predict, or die by SIGKILL when `kill`, a call's name and a number, comes round."
    torch.set_num_threads(1)
    what, when = kill or (None, 0)
    count, fsync = 0, os.fsync
    def die_at(call, after):
        def wrapped(*args, **kwargs):
            nonlocal count
            count += 1
            if count == when and not after:
                if call is fsync:
                    # only so much had reached the disk
                    os.ftruncate(args[0], os.fstat(args[0]).st_size*when//20)
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **kwargs)
            if count == when and after:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return wrapped
    if what == "step":
        torch.optim.SGD.step = die_at(torch.optim.SGD.step, True)
    if what == "written":
        os.fsync = die_at(fsync, False)
    if what == "renamed":
        os.replace = die_at(os.replace, random.Random(when).random() < .5)
    learner, resume = make_learner(CONFIG, folder.classes), bool(checkpoints(out))
    pred, _ = parallel.train_fold(folder, store, split, learner, store.pixels, out, resume=resume)
    pred.save(Path(out)/"predictions.csv")


def killed(times):
    "Kill as many runs as asked, resume each, and compare its end to that of a run never stopped."
    home = Path(tempfile.mkdtemp())
    fork = multiprocessing.get_context("fork")
    folder = noise_folder(home/"data")
    store = PixelStore(folder, 32)
    split = make_split(folder, np.arange(len(folder)))
    def go(out, kill=None):
        process = fork.Process(target=train_until, args=(out, folder, store, split, kill))
        process.start()
        process.join()
        return process.exitcode
    assert go(home/"whole") == 0
    rng = random.Random(0)
    for trial in range(times):
        what, out = ("step", "written", "renamed")[trial % 3], home/f"run{trial}"
        when = rng.randint(1, {"step": 12, "written": 14, "renamed": 14}[what])
        code = go(out, (what, when))
        assert code == -signal.SIGKILL, (what, when, code)
        left = [p.name[:15] for p in reversed(checkpoints(out))]
        assert go(out) == 0
        for name in ("model.safetensors", "history.csv", "predictions.csv"):
            assert (out/name).read_bytes() == (home/"whole"/name).read_bytes(), (what, when, name)
        print(f"killed at {what} {when:2}: resumed from {left[-1] if left else 'the start'}, same "
              "bytes", flush=True)
    shutil.rmtree(home)


# --- two processes

def plain_net():
    "A network without batch normalisation or dropout."
    with seeded(0):
        return nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4),
                             nn.Flatten(), nn.Linear(128, 2))


def normal_net():
    "The same with batch normalisation."
    net = plain_net()
    net.insert(1, nn.BatchNorm2d(8))
    return net


def shared_fit(make, root):
    "Three epochs of `make()` in as many processes as there are: what rank 0 ends with."
    with join_world() as team:
        folder = MRIFolder(root)
        store = PixelStore(folder, 32)
        shared = dict(rank=team.rank, world=team.size)
        train = list(range(31))
        stats = channel_stats(make_loader(store, train))             # 31: batches of 8, 8, 8 and 7
        seen = []
        config = Config(size=32, epochs=3, batch_size=8, lr=.02, keep="last", device="cpu")
        class Watched(PixelStore):
            def __init__(self): self.__dict__.update(store.__dict__)
            def __getitem__(self, idx):
                seen.extend(idx)
                return super().__getitem__(idx)
        loader = make_loader(Watched(), train, 8, shuffle=True, least=2*team.size, **shared)
        valid = make_loader(store, range(31, 40), 4, least=team.size, **shared)
        net = make()
        state = State(net, *make_optimizer(net, config, config.epochs*len(loader)))
        history = fit(state, loader, valid, config, stats, team)
        x = valid_transform(stats)(store.pixels[31:])
        return dict(stats=stats, loss=history.column("train_loss"),
                    valid=history.column("valid_loss"), seen=seen, logits=net.eval()(x).tolist())


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
