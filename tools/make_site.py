"""The documentation site: `python tools/make_site.py` writes _docs, and in Chinese _docs/zh.

The pages and their order stand in nbs/sidebar.yml. No cell is run: outputs are those that the
notebooks store, and what a function takes and returns is read from the modules.
"""
import argparse
import ast
import inspect
import posixpath
import re
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from configparser import ConfigParser
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path

import click
import nbformat
import yaml
from fastcore.docments import DocmentText
from sphinx.application import Sphinx
from sphinx.util.console import nocolor

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = {"en": "en", "zh": "zh_CN"}
WORDS = {"en": {"search": "Search", "source": "Source", "parameter": "parameter",
                "meaning": "meaning", "returns": "returns"},
         "zh": {"search": "搜索", "source": "源代码", "parameter": "参数",
                "meaning": "含义", "returns": "返回"}}
LINK = re.compile(r"(\]\(|(?:href|src)=\")([^)\s\"]+)([)\s\"])")
SWITCH = re.compile(r"^(English \| \[中文\]\(.+\)|\[English\]\(.+\) \| 中文)\n+", re.M)
parser = ConfigParser(delimiters=["="])
parser.read(ROOT/"settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]


# ------------------------------------------------------------------ the pages

def read(path):
    "The text of a file of the repository."
    return (ROOT/path).read_text(encoding="utf-8")


@cache
def sections():
    "Names and sentences of each section in two languages, its sources with titles in Chinese."
    found = []
    for part in yaml.safe_load(read("nbs/sidebar.yml")):
        rows = [row if isinstance(row, dict) else {row: None} for row in part["contents"]]
        pages = {posixpath.normpath(f"nbs/{path}"): title
                 for row in rows for path, title in row.items()}
        found.append((part["section"], part["says"], pages))
    return found


def sources():
    "The English source of every page, in the order of the site."
    return [path for _, _, pages in sections() for path in pages]


@cache
def chinese(path):
    "The Chinese source of a page; none if there is none."
    stem, ending = posixpath.splitext(path)
    inside = re.sub(r"^(nbs|docs|labs/student)/", r"\1/zh/", path)
    for there in (inside, f"{stem}.zh{ending}"):
        if there != path and (ROOT/there).exists():
            return there


def page_of(path):
    "The page of a source in either language: nbs/zh/trust/12_probes.ipynb is trust/12_probes."
    path = re.sub(r"^(nbs|docs)/(zh/)?|(?<=^labs/)student/(zh/)?|\.zh(?=\.md$)", "", path)
    return posixpath.splitext(path)[0].lower()


@cache
def files():
    "The file of its page in the folder that Sphinx reads, for each source in either language."
    found = {}
    for path in sources():
        for source in filter(None, (path, chinese(path))):
            found[source] = page_of(path) + posixpath.splitext(path)[1]
    return found


# ------------------------------------------------------------- links and names

def link_from(source, folder):
    "What a link in a source must be on the site; pictures are copied into `folder`."
    def place(match):
        before, target, after = match.groups()
        if re.match(r"[a-z]+:|#|/", target):
            return match[0]
        path, mark, anchor = target.partition("#")
        full = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if full in files():
            to = posixpath.relpath(files()[full], posixpath.dirname(files()[source]))
            if before.startswith("href"):               # Sphinx leaves what is HTML as it is
                to = posixpath.splitext(to)[0] + ".html"
        elif full.endswith(".png"):
            (folder/full).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT/full, folder/full)
            to = posixpath.relpath(full, posixpath.dirname(files()[source]))
        else:
            kind = "tree" if (ROOT/full).is_dir() else "blob"
            to = f"{cfg['git_url']}/{kind}/{cfg['branch']}/{full}"
        return f"{before}{to}{mark}{anchor}{after}"
    return lambda text: LINK.sub(place, text)


def split_directives(cell):
    "The directives at the top of a code cell, and its code."
    head = re.match(r"(?:#\|.*\n?)*", cell.source)[0]
    return head, cell.source[len(head):]


def definitions(code):
    "The public functions and classes that a cell defines."
    return [node.name for node in ast.parse(code).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"]


@cache
def exports(path):
    "The module that an English notebook makes, and its exported code."
    cells = [split_directives(cell) for cell in nbformat.read(ROOT/path, 4).cells
             if cell.cell_type == "code"]
    module = re.search(r"#\| default_exp (\w+)", "".join(head for head, _ in cells))
    return module and module[1], [code for head, code in cells if "#| export" in head]


@cache
def entries():
    "The page of each public function and class, by module and name."
    return {(exports(path)[0], name): files()[path] for path in sources() if path[-3:] == "ynb"
            for code in exports(path)[1] for name in definitions(code)}


def link_names(text):
    "The table of all names, each linked to its entry."
    module = None
    lines = text.splitlines()
    for k, line in enumerate(lines):
        heading, row = re.match(r"### \[(\w+)\]", line), re.match(r"\| `(\w+)` ", line)
        module = heading[1] if heading else module
        if row and (module, row[1]) in entries():
            lines[k] = line.replace(f"`{row[1]}`", f"[`{row[1]}`](#{module}.{row[1]})", 1)
    return "\n".join(lines)


def options(command):
    "What a command takes: each option with its help."
    return [(f"`{', '.join(option.opts)}`", option.help) for option in command.params
            if isinstance(option, click.Option)]


def parameters(thing):
    "What a function takes and returns: (name, type and default, meaning)."
    known = DocmentText(thing, docstring=False)
    rows = [(f"`{text}`", said or "") for text, said in known.params]
    result = known.dm.get("return", {})
    kind, said = result.get("anno"), result.get("docment")
    kind = "" if kind in (None, inspect.Parameter.empty) else getattr(kind, "__name__", kind)
    if (kind or said) and not inspect.isclass(thing):
        rows.append(("**returns** " + f"`{kind}`"*bool(kind), said or ""))
    return rows


@cache
def documented(module, name):
    "A function, class or command, and what it takes and returns."
    thing = getattr(import_module(f"{cfg['lib_name']}.{module}"), name)
    return thing, options(thing) if isinstance(thing, click.Command) else parameters(thing)


def entry(module, name, level, words):
    "What a function or class does, takes and returns, by its docstring and comments."
    thing, rows = documented(module, name)
    command = isinstance(thing, click.Command)
    takes = [re.sub(r"^`(\W*\w+):[^=`]*|`", r"\1", text) for text, _ in rows if text[0] == "`"]
    call = "" if command else f"```python\n{name}({', '.join(takes)})\n```"
    rows = [[text.replace("|", "\\|").replace("\n", " ") for text in row] for row in rows]
    table = [f"| {text} | {said} |".replace("| **returns**", f"| **{words['returns']}**")
             for text, said in rows]
    if table:
        table = [f"| {words['parameter']} | {words['meaning']} |", "|---|---|", *table]
    head = f"({module}.{name})=\n{'#'*level} `{name}`"
    return "\n\n".join([head, inspect.getdoc(thing) or "", call, "\n".join(table)])


# ------------------------------------------------------------------- the cells

def with_tags(cell, head, code):
    "A code cell as Sphinx shows it."
    cell.source = code
    alt = re.search(r"fig-alt: (.*)", head)
    cell.metadata = {"tags": ["remove-input"]} if "echo: false" in head else {}
    if alt:
        cell.metadata["mystnb"] = {"image": {"alt": alt[1]}}
    return nbformat.from_dict(cell)


def written(cell, head):
    "The markdown that a cell without code writes, which then has headings as any text."
    data = [output.get("data", {}) for output in cell.outputs]
    if "echo: false" in head and len(data) == 1:
        return data[0].get("text/markdown")


def exported_cells(cell, module, code, level, words):
    "The entries of an exported cell, and its code, which opens by a click."
    names = definitions(code)
    if names:
        cell.source, cell.metadata = code, nbformat.from_dict({"tags": ["hide-input"]})
        text = "\n\n".join(entry(module, name, level, words) for name in names)
        return [nbformat.v4.new_markdown_cell(text), cell]
    cell.source = code
    imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(code).body)
    return [] if imports else [cell]


def last_level(text, before):
    "The level of the last heading in a markdown cell."
    found = re.findall(r"^(#+) ", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return len(found[-1]) if found else before


def notebook(source, english, folder, words):
    "A notebook for Sphinx."
    book, level, cells = nbformat.read(ROOT/source, 4), 1, []
    (module, exported), link = exports(english), link_from(source, folder)
    for cell in book.cells:
        head, code = split_directives(cell)
        text = written(cell, head) if cell.cell_type == "code" else cell.source
        if text:
            text = link_names(text) if page_of(english) == "api" else text
            text = SWITCH.sub("", text)         # the README's: the site has its own
            cells.append(nbformat.v4.new_markdown_cell(link(text)))
            level = last_level(text, level)
        elif not code.strip() or re.search(r"#\| (hide|default_exp)\b", head):
            continue
        elif code in exported:
            cells += exported_cells(cell, module, code, level + 1, words)
        else:
            cells.append(with_tags(cell, head, code))
    book.cells, book.metadata = cells, {"language_info": {"name": "python"}}
    return book


# -------------------------------------------------------------------- the site

def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def opening(book):
    "The title of a page and the sentence below it."
    text = book if isinstance(book, str) else book.cells[0].source
    return re.search(r"^# (.+)\n(?:> (.+))?", text + "\n").groups()


def write_page(path, language, folder):
    "One page for Sphinx: its title, and the sentence below."
    source = (language == "zh" and chinese(path)) or path
    if path.endswith(".ipynb"):
        page = notebook(source, path, folder, WORDS[language])
        write(folder/files()[path], nbformat.writes(page))
    else:
        page = link_from(source, folder)(read(source))
        write(folder/files()[path], page)
    return opening(page)


def contents(rows):
    "A list of pages, hidden, which makes the navigation: (title, page)."
    lines = [f"{title} </{page}>" for title, page in rows]
    return "\n".join(["", "```{toctree}", ":hidden:", "", *lines, "```", ""])


def write_sources(language, folder):
    "All that Sphinx reads for one language, a page for each section among it."
    number, top = list(LANGUAGES).index(language), []
    for names, says, pages in sections():
        rows, lines = [], [f"# {names[number]}", "", says[number], ""]
        for path, title in pages.items():
            heading, sentence = write_page(path, language, folder)
            if language == "zh" and not chinese(path):
                heading, sentence = title, None
            rows.append((heading, page_of(path)))
            link = f"- [{heading}](/{files()[path]})"
            lines.append(f"{link}\\\n  {sentence}" if sentence else link)
        rows = [row for row in rows if row[1] != "index"]
        if len(pages) == 1:
            top += [(names[number], page) for _, page in rows]
        else:
            write(folder/f"{names[0].lower()}.md", "\n".join(lines) + "\n" + contents(rows))
            top.append((names[number], names[0].lower()))
    start = nbformat.read(folder/"index.ipynb", 4)
    start.cells.append(nbformat.v4.new_markdown_cell(contents(top)))
    nbformat.write(start, folder/"index.ipynb")


def build(language, out, work):
    "The site in one language: what Sphinx warned of."
    write_sources(language, work/"source")
    settings = {"language": LANGUAGES[language], "nb_code_prompt_show": WORDS[language]["source"],
                "nb_code_prompt_hide": WORDS[language]["source"],
                "html_theme_options.search_bar_text": WORDS[language]["search"],
                "untranslated": [page_of(path) for path in sources()
                                 if language == "zh" and not chinese(path)]}
    alone = [page_of(path) for _, _, pages in sections() for path in pages if len(pages) == 1]
    settings["html_sidebars"] = {"**": ["sidebar-nav-bs"], **dict.fromkeys(["index", *alone], [])}
    warned = StringIO()
    nocolor()
    app = Sphinx(work/"source", ROOT/"docs", work/"html", work/"doctrees", "html", settings,
                 status=None, warning=warned, freshenv=True)
    app.build()
    shutil.copytree(work/"html", out, dirs_exist_ok=True)
    return warned.getvalue()


def main():
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--out", type=Path, default=ROOT/cfg["doc_path"])
    ask.add_argument("--work", type=Path, default=ROOT/"_proc", help="what Sphinx reads")
    ask.add_argument("--language", choices=LANGUAGES, action="append", help="default: both")
    args = ask.parse_args()
    for folder, ours in ((args.out, ROOT/cfg["doc_path"]), (args.work, ROOT/"_proc")):
        if folder.resolve() != ours and folder.exists():
            sys.exit(f"make_site: {folder} is there already, give a new folder")
    for folder in (args.out, args.work):
        shutil.rmtree(folder, ignore_errors=True)
    begun = time.time()
    for key in entries():                               # once for both, where processes fork
        documented(*key)
    with ProcessPoolExecutor(2) as pool:            # Sphinx builds once in a process
        chosen = args.language or list(LANGUAGES)
        folders = [args.out/"zh" if language == "zh" else args.out for language in chosen]
        warned = list(pool.map(build, chosen, folders, [args.work/name for name in chosen]))
    print(*warned, file=sys.stderr, sep="", end="")
    pages = [path for path in args.out.rglob("*.html") if "_static" not in path.parts]
    print(f"{args.out}: {len(pages)} pages in {time.time() - begun:.0f} s")
    sys.exit(any(warned))


if __name__ == "__main__":
    main()
