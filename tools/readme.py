"Makes README.md from nbs/index.ipynb and its stored outputs: `python tools/readme.py`."
import posixpath
import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]
FILES = "README_files"  # where the pictures go
LINK = re.compile(r"(\]\(|(?:href|src)=\")([^)\s\"]+)([)\s\"])")


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


def from_root(match, folder="nbs") -> str:
    "A relative link of a notebook in `folder` as it must stand in README.md."
    before, target, after = match.groups()
    if re.match(r"[a-z]+:|#|/", target) or target.startswith(FILES):
        return match.group()
    return before + posixpath.normpath(posixpath.join(folder, target)) + after


def readme(source=ROOT/"nbs"/"index.ipynb", say=str):
    "The text of README.md, and its pictures by path; `say` puts what tables say into Chinese."
    folder = source.parent.relative_to(ROOT).as_posix()
    files = posixpath.join(FILES, posixpath.relpath(folder, "nbs")).removesuffix("/.")
    nb = nbformat.read(source, 4)
    nb.cells = [prepare(cell) for cell in nb.cells if shown(cell)]
    nb.metadata["language_info"] = {"name": "python"}
    for cell in nb.cells:
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if "text/markdown" in data:
                data["text/markdown"] = say(data["text/markdown"])
    text, resources = MarkdownExporter().from_notebook_node(nb,
                                                            resources={"output_files_dir": files})
    for i, cell in enumerate(nb.cells):
        text = text.replace(f"![png]({files}/output_{i}_",
                            f"![{cell.metadata.get('alt')}]({files}/output_{i}_")
    text = LINK.sub(lambda match: from_root(match, folder), text)
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    made = source.relative_to(ROOT).as_posix()
    tool = "readme" if folder == "nbs" else "translate"
    return (f"<!-- made from {made} by tools/{tool}.py: edit the notebook -->\n\n" + text,
            resources["outputs"])


def save(text, pictures, name="README.md"):
    "Write a README and its pictures."
    for path, data in pictures.items():
        (ROOT/path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT/path).write_bytes(data)
    (ROOT/name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    save(*readme())
