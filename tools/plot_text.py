"""What plots show and `languages/zh.csv` does not know: `python tools/plot_text.py NOTEBOOK …`.

Each notebook is run in Chinese, without the cells that a test skips; every text that matplotlib
draws is looked up. One line for each text that is unknown and holds English words: its notebook,
a tab, the text. Without a notebook: tutorial, lessons, trust, aims, studies (about ten minutes)."""
import argparse
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
READ = ("tutorial.ipynb", "0?_*.ipynb", "trust/*.ipynb", "aims/*.ipynb", "studies/*.ipynb")
SKIPPED = r"#\| (eval: false|slow|gpu|download|real)|.*nbdev_export\("
RECORDER = '''
from brain_tumor_nb import figures as _figures
_shown, _translate = set(), _figures.translate
def _recorded(text, name):
    shown = _translate(text, name)
    if shown not in _shown:
        _shown.add(shown)
        with open({file!r}, "a", encoding="utf-8") as f:
            f.write(repr(shown) + "\\n")
    return shown
_figures.translate = _recorded
_figures.plot_language("zh")
'''
# words that Chinese texts hold too: names, units, signs of mathematics, folders and files
SAME = set("""adamw adc ai api auroc bce brier btnb by cam cc cheng claim cm convnext crop csv
delong dice dicom doi ece efficientnet efficientnet_lite enter exif figshare flair gb gpu grad
grad-cam hog holm id ids imagenet iou ippv jpeg json jun layer layercam lgg lite logit lr macro
make_loader mb mcnemar mib min mm mni mobilenet mri mrifolder ms msssim net no one-cycle onnx
pad pca per pixels pixelstore png pr prob px relu resize_image resnet rgb roc roi se sgd shap
squash ssim std svm swin tcga torch torchvision tripod vgg vit widen wilson yes""".split())


# formulas, files, commands, networks and settings
NAMES = re.compile(r"\$.*?\$|\S*[/\\]\S*|\w+\.\w+|btnb \w+|EfficientNet-Lite|"
                   r"\S+-(frozen|random|finetuned)")


def unknown_words(text):
    "English words of a text that a Chinese reader would not expect there."
    words = re.findall(r"[A-Za-z][A-Za-z'_-]+", NAMES.sub(" ", text))
    return [word for word in words if word.lower().strip("_-") not in SAME]


def shown_texts(notebook):
    "Every text that the plots of a notebook show, in Chinese where the table knows it."
    book = nbformat.read(notebook, 4)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder)/"shown.txt"
        book.cells = [nbformat.v4.new_code_cell(RECORDER.format(file=str(file))),
                      *(c for c in book.cells if not re.match(SKIPPED, c.source, re.S))]
        NotebookClient(book, timeout=1200, kernel_name="python3",
                       resources={"metadata": {"path": str(notebook.parent)}}).execute()
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [eval(line) for line in lines]       # written by `repr` above


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("notebooks", nargs="*", type=Path)
    arguments.add_argument("--all", action="store_true", help="also what is known")
    asked = arguments.parse_args()
    notebooks = asked.notebooks or [f for p in READ for f in sorted((ROOT/"nbs").glob(p))]
    found = 0
    for path in notebooks:
        for text in shown_texts(path):
            if asked.all or unknown_words(text):
                found += 1
                print(f"{path.name}\t{text!r}", flush=True)
    sys.exit(found > 0)
