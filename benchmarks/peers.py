"""The same training in other libraries.

Each function runs one library's own loop, loaders and mixed precision, with its loggers,
checkpoints and bars off, and returns the seconds from file names to a trained and validated
network. Network, slices, split, batch size, optimiser and augmentation are ours, and each is given
what helps: slices read as grey (a third of the work of RGB), rotated after they are made small,
workers that live from epoch to epoch.
"""
import tempfile, time, warnings
from contextlib import nullcontext
from functools import partial

import torch, torch._dynamo  # the latter is what the first step of an optimizer would import
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from brain_tumor_nb.model import create_model, freeze

warnings.filterwarnings("ignore")

def bf16(precision):
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()

class Three(nn.Module):
    "A network of three channels for slices of one."
    def __init__(self, model):
        super().__init__()
        self.model = model
    def forward(self, x): return self.model(x.expand(-1, 3, -1, -1))

class Slices(Dataset):
    "Files decoded when they are asked for."
    def __init__(self, job, part, tfm):
        self.files,self.labels,self.tfm = [job["files"][i]
                                           for i in part],[job["labels"][i] for i in part],tfm
    def __len__(self): return len(self.files)
    def __getitem__(self, i):
        with Image.open(self.files[i]) as im:
            return self.tfm(im.convert("L")), self.labels[i]

class Rows(Slices):
    "The same as dictionaries, for the Trainer."
    def __getitem__(self, i):
        x,y = super().__getitem__(i)
        return dict(x=x, labels=y)

def transform(job, size, train):
    "Decoded slice to normalised float [1,S,S]; random turns and flips for training."
    random = ([v2.RandomRotation(30, v2.InterpolationMode.BILINEAR), v2.RandomHorizontalFlip()]
              if train else [])
    return v2.Compose([v2.Resize(size), v2.CenterCrop(size), *random, v2.PILToTensor(),
                       v2.ToDtype(torch.float32, scale=True),
                       v2.Normalize(job["mean"], job["std"])])

def datasets(job, size, cls=Slices):
    return cls(job, job["train"], transform(job, size, True)), cls(job, job["valid"],
                                                                   transform(job, size, False))

def loaders(job, size, workers):
    train,valid = datasets(job, size)
    more = dict(num_workers=workers, persistent_workers=workers > 0)
    return DataLoader(train, 32, shuffle=True, **more), DataLoader(valid, 64, **more)

def network(size): return Three(create_model("resnet18", 2, "none", size))
def sgd(params): return torch.optim.SGD(params, lr=1e-4, momentum=.9)

def plain(job, size, precision, workers, epochs):
    "A loop in plain PyTorch."
    start = time.perf_counter()
    (train,valid),model = loaders(job, size, workers),network(size)
    opt = sgd(model.parameters())
    for _ in range(epochs):
        model.train()
        total = 0
        for x,y in train:
            with bf16(precision):
                loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()*len(x)
        model.eval()
        total,right = 0,0
        with torch.no_grad(), bf16(precision):
            for x,y in valid:
                out = model(x)
                total += F.cross_entropy(out, y, reduction="sum").item()
                right += (out.argmax(1) == y).sum().item()
    return time.perf_counter() - start

def lightning(job, size, precision, workers, epochs):
    "PyTorch Lightning."
    import lightning as L
    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = network(size)
        def training_step(self, batch, i): return F.cross_entropy(self.model(batch[0]), batch[1])
        def validation_step(self, batch, i):
            out = self.model(batch[0])
            self.log("loss", F.cross_entropy(out, batch[1]))
            self.log("accuracy", (out.argmax(1) == batch[1]).float().mean())
        def configure_optimizers(self): return sgd(self.parameters())
    start = time.perf_counter()
    quiet_trainer(L, max_epochs=epochs, num_sanity_val_steps=0,
                  precision="bf16-mixed" if precision == "bf16"
                  else "32-true").fit(Module(), *loaders(job, size, workers))
    return time.perf_counter() - start

def quiet_trainer(L, **more):
    return L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False,
                     enable_progress_bar=False, enable_model_summary=False, **more)

def trainer(job, size, precision, workers, epochs):
    "The Trainer of Hugging Face transformers."
    import accelerate  # noqa: F401
    from transformers import Trainer, TrainingArguments
    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = network(size)
        def forward(self, x, labels):
            out = self.model(x)
            return dict(loss=F.cross_entropy(out, labels), logits=out)
    with tempfile.TemporaryDirectory() as tmp:
        start = time.perf_counter()
        (train,valid),model = datasets(job, size, Rows),Module()
        opt = sgd(model.parameters())
        args = TrainingArguments(tmp, num_train_epochs=epochs, per_device_train_batch_size=32,
                                 per_device_eval_batch_size=64, bf16=precision == "bf16",
                                 use_cpu=True, eval_strategy="epoch", save_strategy="no",
                                 logging_strategy="no", report_to="none", disable_tqdm=True,
                                 max_grad_norm=0, dataloader_num_workers=workers,
                                 dataloader_persistent_workers=workers > 0,
                                 remove_unused_columns=False)
        schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: 1)
        def metrics(p):
            return dict(accuracy=float((p.predictions.argmax(1) == p.label_ids).mean()))
        Trainer(model, args, train_dataset=train, eval_dataset=valid, optimizers=(opt, schedule),
                compute_metrics=metrics).train()
        return time.perf_counter() - start

def fastai_loaders(job, train, valid, size, bs, workers, method, random):
    "fastai's data block on our files: it turns and flips whole batches."
    from fastai.vision.all import (CategoryBlock, DataBlock, ImageBlock, IndexSplitter, Normalize,
                                   PILImageBW, Resize)
    part = [*train, *valid]
    stats = ([[s]] for s in (job["mean"][0], job["std"][0]))
    block = DataBlock((ImageBlock(PILImageBW), CategoryBlock(vocab=[0, 1])),
                      get_x=lambda i: job["files"][i], get_y=lambda i: job["labels"][i],
                      splitter=IndexSplitter(range(len(train), len(part))),
                      item_tfms=Resize(size, method, pad_mode="zeros"),
                      batch_tfms=[*random, Normalize.from_stats(*stats, cuda=False)])
    more = dict(persistent_workers=True) if workers else {}
    return block.dataloaders(part, bs=bs, val_bs=64, num_workers=workers, drop_last=False,
                             device=torch.device("cpu"), **more)

def fastai(job, size, precision, workers, epochs):
    "fastai; its mixed precision knows only CUDA, so a callback of five lines does bf16 instead."
    from fastai.vision.all import Callback, Flip, Learner, Rotate, SGD, accuracy
    class Bf16(Callback):
        order = 10
        def before_batch(self):
            self.cast = bf16(precision)
            self.cast.__enter__()
        def after_pred(self): self.learn.pred = self.pred.float()
        def after_loss(self): self.cast.__exit__(None, None, None)
    start = time.perf_counter()
    dls = fastai_loaders(job, job["train"], job["valid"], size, 32, workers,
                         "crop", [Rotate(30, p=1, pad_mode="zeros"), Flip()])
    learn = Learner(dls, network(size), F.cross_entropy, partial(SGD, mom=.9), lr=1e-4, wd=0,
                    metrics=accuracy, cbs=[Bf16()] if precision == "bf16" else [])
    with learn.no_bar(), learn.no_logging():
        learn.fit(epochs)
    return time.perf_counter() - start

def frozen_network(): return Three(freeze(create_model("efficientnet_lite0", 2, "offline", 224)))

def pooled_auroc(job, probs):
    "AUROC of class 1 over the slices of all folds."
    from sklearn.metrics import roc_auc_score
    return roc_auc_score([job["labels"][i] for _,valid in job["folds"] for i in valid],
                         torch.cat(probs).float().numpy())

def frozen_fastai(job, epochs, lr):
    "Pooled AUROC of a frozen network's head, trained in fastai on each fold, epochs not validated."
    from fastai.vision.all import Callback, CancelValidException, Flip, Learner
    class Skip(Callback):
        def before_validate(self): raise CancelValidException
    probs = []
    for train,valid in job["folds"]:
        learn = Learner(fastai_loaders(job, train, valid, 224, 32, 0, "pad", [Flip()]),
                        frozen_network(), F.cross_entropy)
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(epochs, lr, cbs=Skip())
            probs.append(learn.get_preds(act=partial(torch.softmax, dim=1))[0][:,1])
    return pooled_auroc(job, probs)

def frozen_lightning(job, epochs, lr):
    "The same in Lightning."
    import lightning as L
    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = frozen_network()
        def training_step(self, batch, i): return F.cross_entropy(self.model(batch[0]), batch[1])
        def predict_step(self, batch, i): return self.model(batch[0]).softmax(1)[:,1]
        def configure_optimizers(self):
            return torch.optim.Adam([p for p in self.parameters() if p.requires_grad], lr=lr)
    def tfm(*random):
        return v2.Compose([partial(ImageOps.pad, size=(224, 224)), *random, v2.PILToTensor(),
                           v2.ToDtype(torch.float32, scale=True),
                           v2.Normalize(job["mean"], job["std"])])
    probs = []
    for train,valid in job["folds"]:
        module,run = Module(),quiet_trainer(L, max_epochs=epochs)
        run.fit(module,
                DataLoader(Slices(job, train, tfm(v2.RandomHorizontalFlip())), 32, shuffle=True))
        probs += run.predict(module, DataLoader(Slices(job, valid, tfm()), 64))
    return pooled_auroc(job, probs)
