"""Score a table of predictions that any program may have made, with intervals over patients.

    python examples/score_csv.py predictions.csv

Columns: path,label,fold,group,prob_CLASS,... with a column per class. `group` is the number of the
patient; without that column each slice counts by itself, and the intervals are too narrow.
`btnb evaluate --predictions` also compares the table with the folder of slices.
"""
import argparse
import sys

from brain_tumor_nb.core import metric_texts
from brain_tumor_nb.evaluation import score
from brain_tumor_nb.predictions import Predictions


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    pred = Predictions.load(parser.parse_args(words).table)
    groups = pred.groups
    if groups is None:
        groups = range(len(pred))
        print("no column group: each slice counts by itself", file=sys.stderr)
    for name, metric in score(pred, list(groups)).items():
        value, interval = metric_texts(name, metric)
        print(f"{name:28} {value:8} {interval}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as e:                  # a slip of the user: one line
        sys.exit(f"score_csv: {e}")
