"""One page with every stored figure of the notebooks: `python tools/figures.py OUT.html`.

Each figure stands under the name of its notebook with its alternative text. The last line printed
says how many figures there are, and how many have no alternative text."""
import argparse
import re
from pathlib import Path

import nbformat
from jinja2 import Environment

from brain_tumor_nb.core import write_file

ROOT = Path(__file__).resolve().parent.parent
PAGE = """<!doctype html><meta charset="utf-8"><title>All figures</title>
<style>body {font-family: sans-serif} main {display: flex; flex-wrap: wrap; gap: 1em}
figure {margin: 0; padding: .5em; border: 1px solid #999} figcaption {max-width: 40em}
.missing {color: #b00020}</style>
{% for name, figures in notebooks.items() %}<h2>{{ name }}</h2><main>
{% for png, alt in figures %}<figure><img src="data:image/png;base64,{{ png }}" alt="{{ alt }}">
<figcaption>{{ alt }}{% if not alt %}<b class="missing">no alternative text</b>{% endif %}
</figcaption></figure>
{% endfor %}</main>{% endfor %}
"""


def stored_figures(notebook):
    "The pictures that a notebook stores, with their alternative text, empty where there is none."
    found = []
    for cell in nbformat.read(notebook, 4).cells:
        alt = re.search(r"^#\| fig-alt: (.+)", cell.source, re.M)
        pictures = [output.data["image/png"] for output in cell.get("outputs", [])
                    if "image/png" in output.get("data", {})]
        found += [("".join(png.split()), alt[1] if alt else "") for png in pictures]
    return found


def all_figures(folder=ROOT/"nbs"):
    "The figures of each notebook that stores any, by its path."
    notebooks = sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    named = {p.relative_to(folder).as_posix(): stored_figures(p) for p in notebooks}
    return {name: figures for name, figures in named.items() if figures}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="the HTML file to write")
    args = parser.parse_args()
    notebooks = all_figures()
    write_file(args.out, Environment(autoescape=True).from_string(PAGE).render(notebooks=notebooks))
    alts = [alt for figures in notebooks.values() for _, alt in figures]
    print(f"{args.out}: {len(alts)} figures, {alts.count('')} without alternative text")
