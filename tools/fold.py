"""Fold the hidden cells of all notebooks, so that JupyterLab shows a bar in place of their code.

    python tools/fold.py

The documentation leaves out a cell that begins with `#| hide`; JupyterLab knows nothing of that."""
from pathlib import Path

import nbformat

NBS = Path(__file__).resolve().parent.parent/"nbs"


def fold(nb):
    "Fold the code of the cells that begin with `#| hide`, and unfold all others."
    for cell in nb.cells:
        cell.metadata.pop("jupyter", None)
        if cell.cell_type == "code" and cell.source.startswith("#| hide\n"):
            cell.metadata["jupyter"] = {"source_hidden": True}


if __name__ == "__main__":
    for path in sorted(NBS.rglob("*.ipynb")):
        if ".ipynb_checkpoints" not in path.parts:
            nb = nbformat.read(path, 4)
            fold(nb)
            nbformat.write(nb, path)
