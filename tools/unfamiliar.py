"""Count what is called unfamiliar, and write the rows of nbs/aims/unfamiliar.csv.

    python tools/unfamiliar.py DATA RUN --model NAME

DATA is the folder with cheng, ixi, lgg and the others; RUN a run on DATA/cheng by patients. The
known slices are those that each network was trained on. The limit is set on one half of the
patients of its fold, and false alarms are counted on the other half, whom neither saw; then the
other way round. All other sets are judged by every network of the run, with limits from whole
folds; cheng's slices upside down or on their side by the network of their own fold. Photographs and
pictures of other organs are those that scikit-image and scikit-learn bring along; no chest film is
among them. Intervals are over subjects where a manifest names them, else over pictures.
"""
import argparse
from pathlib import Path

import numpy as np
import skimage.data
import torch
from sklearn.datasets import load_sample_images
from PIL import Image

from brain_tumor_nb.data import PixelStore, data_hash, read_image, read_manifest, resize_image
from brain_tumor_nb.familiar import FALSE_ALARMS, MOST, fit_familiar, is_unfamiliar
from brain_tumor_nb.files import list_pictures
from brain_tumor_nb.learners import stack_pixels
from brain_tumor_nb.robustness import pick_slices
from brain_tumor_nb.runs import Run, open_folder
from brain_tumor_nb.splitting import find_groups
from rows import ROOT, commit, machine, put
from transfer import share

TABLE = ROOT/"nbs/aims/unfamiliar.csv"
MEDICAL = ("retina.jpg", "microaneurysms.png", "cell.png", "ihc.png")
PHOTOS = ("camera.png", "astronaut.png", "coffee.png", "chelsea.png", "coins.png", "rocket.jpg",
          "horse.png", "moon.png", "grass.png", "brick.png", "gravel.png", "page.png",
          "motorcycle_left.png", "clock_motion.png")


def opened(files, config):
    "Pictures as a network takes them."
    return stack_pixels([resize_image(read_image(f), config.size, config.framing) for f in files])


def subjects(files, folder):
    "A number per file: of its subject where a manifest tells, else of its own."
    home = next((d for d in (folder, folder.parent) if (d/"manifest.csv").exists()), None)
    if home is None:
        return np.arange(len(files))
    rows = read_manifest(home)
    names = [rows[f.relative_to(home).as_posix()]["subject"] for f in files]
    return np.unique(names, return_inverse=True)[1]


def elsewhere(data, config):
    "Name to pixels and groups of what the network was not trained on."
    home = Path(skimage.data.__file__).parent
    generator,size = torch.Generator().manual_seed(0),config.size
    blank = torch.tensor([0, 128, 255], dtype=torch.uint8)[:,None,None,None]
    more = [Image.fromarray(a).convert("L") for a in load_sample_images().images]
    photos = torch.cat([opened([home/f for f in PHOTOS], config),
                        stack_pixels([resize_image(im, size) for im in more])])
    pictures = {"photographs": photos,
                "other organs, stained tissue": opened([home/f for f in MEDICAL], config),
                "noise": torch.randint(0, 256, (100, 1, size, size), generator=generator).byte(),
                "blank": blank.expand(3, 1, size, size).contiguous()}
    found = {name: (pixels, np.arange(len(pixels))) for name,pixels in pictures.items()}
    for name,folder in (("ixi: T1, healthy", "ixi/no_tumor"), ("lgg: FLAIR", "lgg"),
                        ("the 253: mixed", "brain_tumor_dataset")):
        files = list_pictures(data/folder)[0]
        people = subjects(files, data/folder)
        rows = pick_slices(people, 300, 3)
        found[name] = opened([files[i] for i in rows], config),people[rows]
    return found


class Halves:
    "A fold's network: its features of known slices and of two halves of its patients."
    def __init__(self, learner, split, store, groups, seed=0):
        self.learner = learner
        rng = np.random.default_rng(seed)
        train = np.sort(rng.permutation(split.train)[:MOST])
        self.valid = np.array(split.valid)
        self.valid = self.valid[pick_slices(groups[self.valid], 400, 8)]
        self.groups = groups[self.valid]
        people = rng.permutation(np.unique(self.groups))
        self.first = np.isin(self.groups, people[:len(people)//2])
        self.known = self.features(store.pixels[train])
        self.held = self.features(store.pixels[self.valid])
        self.familiar = fit_familiar(self.known, self.held)

    def features(self, pixels):
        "What the head is given."
        return self.learner.features(self.learner.prepare(pixels))

    def alarms(self):
        "bool [n], false alarms on each half, the limit from the other."
        found = np.zeros(len(self.valid), bool)
        for half in (self.first, ~self.first):
            familiar = fit_familiar(self.known, self.held[~half])
            found[half] = familiar.distance(self.held[half]) > familiar.limit
        return found

    def calls(self, pixels):
        "bool [n], what is unfamiliar to this network alone."
        return is_unfamiliar([self.familiar], [self.features(pixels)])


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path)
    p.add_argument("run", type=Path)
    p.add_argument("--out", type=Path, default=TABLE, help="the table")
    p.add_argument("--model", required=True, help="a name for the table")
    a = p.parse_args()
    try:
        measure(a)
    except (ValueError, OSError, KeyError) as e:
        raise SystemExit(f"unfamiliar.py: {e}") from None


def measure(a):
    "Write a row per set."
    folder,run = open_folder(a.data/"cheng"),Run(a.run)
    groups,config = find_groups(folder, "patients"),run.config
    store = PixelStore(folder, config.size, config.framing)
    parts = [Halves(learner, split, store, groups)
             for learner,split in zip(run.learners(), run.splits(folder))]
    about = dict(data=data_hash(folder)[:12], networks=len(parts), rate=FALSE_ALARMS,
                 machine=machine(), commit=commit(),
                 command=f"python tools/unfamiliar.py DATA RUN --model {a.model}")
    def record(name, called, of):
        found = {k: f"{v:.4f}" for k,v in share(called.astype(float), np.asarray(of)).items()}
        put(a.out, dict(model=a.model, shown=name, slices=len(called), groups=len(set(list(of))),
                        **found, **about), ("model", "shown"))
        print(a.model, name, len(called), found, flush=True)
    of = np.concatenate([part.groups for part in parts])
    record("cheng: new patients", np.concatenate([part.alarms() for part in parts]), of)
    for name,change in (("cheng, upside down", lambda x: x.flip(2)),
                        ("cheng, on its side", lambda x: x.rot90(1, (2, 3)))):
        called = [part.calls(change(store.pixels[part.valid])) for part in parts]
        record(name, np.concatenate(called), of)
    for name,(pixels,people) in elsewhere(a.data, config).items():
        called = is_unfamiliar([part.familiar for part in parts],
                               [part.features(pixels) for part in parts])
        record(name, called, people)


if __name__ == "__main__":
    main()
