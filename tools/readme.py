"Makes README.md from nbs/index.ipynb and its stored outputs: `python tools/readme.py`."
import posixpath
import re
import shutil
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]
FILES = "README_files"  # where the pictures go


def shown(cell) -> bool:
    "Whether a reader sees this cell at all."
    return not re.match(r"#\| (hide|default_exp)\b", cell.source) and bool(cell.source.strip())


def prepare(cell):
    "The cell without its directives, and without its code where they hide it."
    if cell.cell_type != "code":
        return cell
    directives = re.match(r"(#\|.*\n?)*", cell.source).group()
    cell.source = cell.source[len(directives):]
    if re.search(r"echo: false|hide_input", directives):
        cell.metadata["transient"] = {"remove_source": True}
    alt = re.search(r"fig-alt: (.*)", directives)
    cell.metadata["alt"] = alt[1] if alt else "output"
    return cell


def from_root(match) -> str:
    "A relative link of nbs/index.ipynb as it must stand in README.md."
    before, target, after = match.groups()
    if re.match(r"[a-z]+:|#|/", target) or target.startswith(FILES):
        return match.group()
    return before + posixpath.normpath(posixpath.join("nbs", target)) + after


def readme(source=ROOT/"nbs"/"index.ipynb"):
    "The text of README.md, and its pictures by path."
    nb = nbformat.read(source, 4)
    nb.cells = [prepare(cell) for cell in nb.cells if shown(cell)]
    nb.metadata["language_info"] = {"name": "python"}
    text, resources = MarkdownExporter().from_notebook_node(nb,
                                                            resources={"output_files_dir": FILES})
    for i, cell in enumerate(nb.cells):
        text = text.replace(f"![png]({FILES}/output_{i}_",
                            f"![{cell.metadata.get('alt')}]({FILES}/output_{i}_")
    text = re.sub(r"(\]\(|(?:href|src)=\")([^)\s\"]+)([)\s\"])", from_root, text)
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return ("<!-- made from nbs/index.ipynb by tools/readme.py: edit the notebook -->\n\n" + text,
            resources["outputs"])


if __name__ == "__main__":
    text, pictures = readme()
    shutil.rmtree(ROOT/FILES, ignore_errors=True)
    for name, data in pictures.items():
        (ROOT/name).parent.mkdir(exist_ok=True)
        (ROOT/name).write_bytes(data)
    (ROOT/"README.md").write_text(text, encoding="utf-8", newline="\n")
