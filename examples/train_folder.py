"""Train on a folder of slices: what `btnb train FOLDER --freeze` does, in one function.

    python examples/train_folder.py FOLDER RUN --folds 5

FOLDER has one sub-folder per class (docs/own_data.md), or is `sample`, the slices of the package.
RUN is a new folder, for networks, predictions.csv, metrics.json and report.html.
For teaching, not a medical device.
"""
import argparse
import sys
from pathlib import Path

from brain_tumor_nb.config import Config
from brain_tumor_nb.core import metric_texts
from brain_tumor_nb.judges import pick_judges
from brain_tumor_nb.runs import train_run


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("run", type=Path)
    parser.add_argument("--folds", type=int, default=5, help="[%(default)s]")
    parser.add_argument("--size", type=int, default=224, help="pixels [%(default)s]")
    args = parser.parse_args(words)
    config = Config.recommended(freeze=True, folds=args.folds, size=args.size)
    run = train_run(args.folder, args.run, config, say=print, judges=pick_judges())
    value, interval = metric_texts("accuracy", run.metrics["accuracy"])
    print(f"accuracy {value}, 95 % interval {interval}; report: {args.run/'report.html'}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, RuntimeError) as e:    # a slip of the user: one line
        sys.exit(f"train_folder: {e}")
