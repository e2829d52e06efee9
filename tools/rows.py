"What the tools that measure rows share: the commit they were measured at, fingerprints, and how rows get into a table."
import csv, hashlib, json, subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLES = ("nbs/results.csv", "nbs/recipe.csv", "nbs/transfer.csv")


def commit():
    "The commit measured at, with `-dirty` where anything but the tables differs from it."
    git = lambda *words: subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + "-dirty"*bool(git("status", "--porcelain", "--", ".", *(f":!{t}" for t in TABLES)))


def folds_hash(folder, splits):
    "A fingerprint of the validation parts of some splits."
    return hashlib.sha256(json.dumps([[folder.paths[i] for i in s.valid] for s in splits]).encode()).hexdigest()[:12]


def values(found, prefix=""):
    "Columns of some metrics, see `score`, with their intervals; empty where there is none."
    ends = dict(value="", low="_low", high="_high")
    return {f"{prefix}{m}{end}": "" if v[key] is None else f"{v[key]:.6f}"
            for m, v in found.items() for key, end in ends.items()}


def read(file):
    "The rows of a table; none where there is no file."
    if not file.exists(): return []
    with file.open(encoding="utf-8", newline="") as f: return list(csv.DictReader(f))


def write(file, rows):
    "Write a table anew."
    with file.open("w", encoding="utf-8", newline="") as f: w = csv.DictWriter(f, list(rows[0]), lineterminator="\n"); w.writeheader(); w.writerows(rows)


def put(file, row, keys):
    "Put a row at the end of a table, in place of the one with the same values of `keys`."
    write(file, [r for r in read(file) if any(r[k] != row[k] for k in keys)] + [{k: str(v) for k,v in row.items()}])
