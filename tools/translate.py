"""The book in Chinese, made from the English one and the translations in locale/zh.

    python tools/translate.py               writes nbs/zh, labs/student/zh, docs/zh and README.zh.md
    python tools/translate.py --update      puts new and changed paragraphs into the .po files
    python tools/translate.py --check       one line for each thing that is not in step
    python tools/translate.py --show        two paragraphs of each beside their translation
    python tools/translate.py --execute     runs what it writes in nbs/zh, so that plots are Chinese
    python tools/translate.py trust/12_probes 01_data      these alone

A message is a paragraph of a markdown cell: what stands between two blank lines. Where a rule does
not fit a paragraph, the translator says so above it:

    # not here: table, numbers             terms of the glossary, or numbers, links, code
"""
import argparse
import csv
import posixpath
import re
import sys
from collections import Counter
from pathlib import Path

import nbformat
from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po, write_po
from markdown_it import MarkdownIt
from readme import LINK, readme, save

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT/"locale"/"zh"
HEADER = ('msgid ""\nmsgstr ""\n"Language: zh_CN\\n"\n"MIME-Version: 1.0\\n"\n'
          '"Content-Type: text/plain; charset=utf-8\\n"\n'
          '"Content-Transfer-Encoding: 8bit\\n"\n\n')
LANGUAGE_CELL = """#| hide
from brain_tumor_nb.figures import plot_language

plot_language("zh")"""
TABLES_CELL = LANGUAGE_CELL.replace("#| hide\n", "#| hide\nimport os\n\n") + """
if os.path.isdir("{up}zh"):
    os.chdir("{up}{folder}")        # where the tables are, beside the English notebook"""
AT_HOME = {"index", "tutorial", "01_data", "02_normalization"}     # need no table beside them
DIRECTIVE = re.compile(r"^#\| ?(default_exp|exporti|exports|export)\b.*\n?", re.M)
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
PO_LINE = re.compile(r'\s*|#.*|(msg(id|str) )?"([^"\\]|\\.)*"\s*')
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORD = re.compile(r"[A-Za-z]{2}")


def sources():
    "Each name with its English file and its Chinese one, as paths from the root."
    found = {}
    for folder in ("", "trust", "aims", "studies"):
        for path in sorted((ROOT/"nbs"/folder).glob("*.ipynb")):
            if path.name != "api.ipynb":
                name = posixpath.join(folder, path.stem)
                found[name] = (f"nbs/{name}.ipynb", f"nbs/zh/{name}.ipynb")
    for path in sorted((ROOT/"labs"/"student").glob("*.ipynb")):
        found[f"labs/{path.stem}"] = (f"labs/student/{path.name}", f"labs/student/zh/{path.name}")
    for path in sorted((ROOT/"docs").glob("*.md")):
        found[f"docs/{path.stem}"] = (f"docs/{path.name}", f"docs/zh/{path.name}")
    found["labs/teacher"] = ("labs/teacher.md", "labs/teacher.zh.md")
    return found


def read_book(path):
    "A notebook; a text file is read as one with a single markdown cell."
    if path.suffix == ".ipynb":
        return nbformat.read(path, 4)
    cell = nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))
    return nbformat.v4.new_notebook(cells=[cell])


# ---------------------------------------------------------------- paragraphs

def blocks(text):
    "A markdown text cut at blank lines and after a fence, not inside: text, gap, text, gap, ..."
    parts, fence = [""], False
    for line in text.splitlines(keepends=True):
        mark = line.lstrip().startswith("```")
        fence ^= mark
        blank = not line.strip() and not fence
        if blank != (len(parts) % 2 == 0):
            parts.append("")
        parts[-1] += line
        if mark and not fence:
            parts.append("")
    return parts


def is_message(block):
    "Whether a block holds words to translate. Code in a fence does where it has comments."
    if block.lstrip().startswith("```"):
        return bool(re.search(r"(^|\s)# ", block))
    return bool(WORD.search(without_code(block)))


def markdown_outputs(cell):
    "What a code cell wrote as markdown. Those of index.ipynb are translated for README.zh.md."
    outputs = [output.get("data", {}).get("text/markdown") for output in cell.get("outputs", [])]
    return [text for text in outputs if text]


def messages(name, book):
    "Each English paragraph of a notebook with the number of its first cell."
    found = {}
    for number, cell in enumerate(book.cells):
        texts = [cell.source] if cell.cell_type == "markdown" else []
        if name == "index":
            texts += markdown_outputs(cell)
        for block in sum(map(blocks, texts), []):
            if is_message(block):
                found.setdefault(block.strip("\n"), number)
    return found


def without_code(text):
    "A paragraph without code, mathematics, addresses and tags: its words."
    text = re.sub(r"```.*?```", " ", text, flags=re.S)
    text = CODE.sub(" ", text)
    text = re.sub(r"\$[^$]+\$", " ", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"<[^>]+>", " ", text)
    return re.sub(r"https?://\S+", " ", text)


# ------------------------------------------------------------------ catalogues

def po_file(name):
    "Where the translation of a notebook is."
    return LOCALE/f"{name}.po"


def read_catalogue(name):
    "The messages of a notebook by their English text; a damaged file ends the tool in one line."
    path = po_file(name)
    if not path.exists():
        return Catalog(locale="zh_CN")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, 1):        # babel drops what it cannot read
            if not PO_LINE.fullmatch(line):
                sys.exit(f"{path}, line {number}: no text between two \": {line[:60]}")
        return read_po(lines, locale="zh_CN", abort_invalid=True)
    except PoFileError as e:
        said = str(e).removesuffix(f" on {e.lineno}")
        sys.exit(f"{path}, line {e.lineno + 1}: {said}")
    except UnicodeDecodeError as e:
        sys.exit(f"{path} is no UTF-8 ({e.reason}): save it as UTF-8")


def update(name, book):
    "Put the paragraphs of a notebook into its .po file; a changed one is marked as fuzzy."
    template = Catalog()
    for text, number in messages(name, book).items():
        template.add(text, locations=[("cell", number + 1)])
    catalogue = read_catalogue(name)
    catalogue.update(template, update_creation_date=False)
    catalogue.obsolete.clear()
    for message in catalogue:       # babel reads what a paragraph was before as a comment
        said = message.user_comments
        message.user_comments = [line for line in said if not line.startswith("|")]
    po_file(name).parent.mkdir(parents=True, exist_ok=True)
    with open(po_file(name), "wb") as file:
        file.write(HEADER.encode())
        write_po(file, catalogue, width=0, omit_header=True, include_previous=True)


def translations(name):
    "Chinese by English, of the messages that are in step."
    return {message.id: message.string for message in read_catalogue(name)
            if message.id and message.string and not message.fuzzy}


# ------------------------------------------------------------------- the rules

def read_glossary():
    "The glossary's terms, longest first, each with the Chinese words allowed."
    with open(LOCALE/"glossary.csv", encoding="utf-8", newline="") as file:
        terms = {row["english"]: row["chinese"].split(";") for row in csv.DictReader(file)}
    return dict(sorted(terms.items(), key=lambda item: -len(item[0])))


def term_pattern(term):
    "A term or its plural, as whole words; in capitals it must be written so."
    ending = r"(?:y|ies)" if term.endswith("y") else re.escape(term[-1]) + r"(?:s|es)?"
    flags = 0 if term.isupper() else re.I
    return re.compile(r"(?<![\w-])" + re.escape(term[:-1]) + ending + r"(?![\w-])", flags)


GLOSSARY = [(term, term_pattern(term), chinese) for term, chinese in read_glossary().items()]


def departures(english, chinese):
    "Terms of the glossary in an English paragraph whose Chinese word is missing."
    words, lower = without_code(english), chinese.lower()
    for term, pattern, allowed in GLOSSARY:
        words, count = pattern.subn(" ", words)
        if count and not any(word.lower() in lower for word in allowed):
            yield term, f"the glossary has {term} = {' or '.join(allowed)}"


def structure(text):
    "What must not change: the level of a heading, and the numbers of items and rows."
    level = re.match(r"(#*)", text)[1]
    items = len(re.findall(r"^\s*(?:[-*]|\d+\.) ", text, re.M))
    return level, items, len(re.findall(r"^\|", text, re.M))


def fenced(text):
    "The code of a fence without its comments."
    return re.sub(r"(^|\s)# .*", "", text) if text.lstrip().startswith("```") else ""


def faults(english, chinese):
    "Each rule that a translated paragraph breaks: its name, and one line."
    yield from departures(english, chinese)
    if Counter(NUMBER.findall(english)) - Counter(NUMBER.findall(chinese)):
        missing = Counter(NUMBER.findall(english)) - Counter(NUMBER.findall(chinese))
        yield "numbers", f"numbers are missing: {' '.join(missing)}"
    if not english.lstrip().startswith("```"):
        codes = [Counter(m[2] for m in CODE.finditer(text)) for text in (english, chinese)]
        if codes[0] != codes[1]:
            differ = (codes[0] - codes[1]) + (codes[1] - codes[0])
            yield "code", f"code differs: {' '.join(differ)}"
    elif fenced(english) != fenced(chinese):
        yield "code", "code in a fence differs"
    if {m[2] for m in LINK.finditer(english)} != {m[2] for m in LINK.finditer(chinese)}:
        yield "links", "links differ"
    if structure(english) != structure(chinese):
        yield "structure", "heading, items or rows differ"
    if re.search(r"[\u4e00-\u9fff][,;:?!](?!\d)", without_code(chinese)):
        yield "punctuation", "a half-width mark stands after a Chinese character"
    if "**" in plain(chinese) and "**" not in plain(english):
        yield "bold", "** is not read as bold: put a space or move the mark outside"


def plain(text):
    "The text that a reader of a markdown paragraph sees, without code."
    inline = [token for token in MarkdownIt("commonmark").parse(text) if token.type == "inline"]
    return " ".join(child.content for token in inline for child in token.children
                    if child.type == "text")


def excused(message):
    "What the translator says does not hold for a paragraph."
    said = [line.split(":", 1)[1] for line in message.user_comments if line.startswith("not here:")]
    return {word.strip() for line in said for word in line.split(",")}


def check(name, book):
    "One line for each thing in which a translation is not in step with its notebook."
    catalogue, wanted = read_catalogue(name), messages(name, book)
    for text, number in wanted.items():
        message = catalogue.get(text)
        begin = f"{po_file(name).relative_to(ROOT).as_posix()}, cell {number + 1}, {text[:50]!r}"
        if message is None:
            yield f"{begin}: new or changed in English, not in the .po file (--update)"
        elif message.fuzzy:
            yield f"{begin}: changed in English since it was translated"
        elif not message.string:
            yield f"{begin}: not translated"
        else:
            fine = excused(message)
            for rule, line in faults(text, message.string):
                if rule not in fine:
                    yield f"{begin}: {line}"
    for message in catalogue:
        if message.id and message.id not in wanted:
            yield f"{name}.po: {message.id[:50]!r} is no longer in the English text (--update)"


# ------------------------------------------------------------------ the output

def heading_text(heading):
    "What a reader sees of a heading, with code."
    inline = MarkdownIt("commonmark").parseInline(heading.lstrip("# "))[0]
    return "".join(child.content for child in inline.children)


def slug(heading):
    "The anchor of a heading, as GitHub and the site make it."
    words = re.sub(r"[^\w\- ]", "", heading_text(heading).strip().lower())
    return words.replace(" ", "-")


def anchors(name, book):
    "Chinese anchors of a notebook by its English ones."
    chinese = translations(name)
    headings = [text for text in messages(name, book) if text.startswith("#")]
    return {slug(text.splitlines()[0]): slug(chinese.get(text, text).splitlines()[0])
            for text in headings}


def map_link(target, english, chinese, files):
    "A relative link of an English file as it must stand in the Chinese one."
    path, _, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:|/", target):
        name = next(name for name, pair in files.items() if pair[0] == english)
        own = anchors(name, read_book(ROOT/english)) if target.startswith("#") else {}
        return f"#{own.get(anchor, anchor)}" if target.startswith("#") else target
    full = posixpath.normpath(posixpath.join(posixpath.dirname(english), path))
    for name, pair in files.items():
        if pair[0] == full and po_file(name).exists():
            full = pair[1]
            anchor = anchors(name, read_book(ROOT/pair[0])).get(anchor, anchor) if anchor else ""
    start = posixpath.dirname(chinese)
    return posixpath.relpath(full, start) + (f"#{anchor}" if anchor else "")


def translate_text(text, chinese, link):
    "A markdown cell in Chinese: paragraphs by the catalogue, links by `link`."
    parts = []
    for block in blocks(text):
        body = block.strip("\n")
        parts.append(block.replace(body, chinese.get(body, body)) if body else block)
    return LINK.sub(lambda m: m[1] + link(m[2]) + m[3], "".join(parts))


def translate_book(name, files):
    "The Chinese notebook, its outputs those of the English one without pictures."
    english, target = files[name]
    book, chinese = read_book(ROOT/english), translations(name)
    cells, added = [], english.endswith(".md")
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = translate_text(cell.source, chinese,
                                         lambda link: map_link(link, english, target, files))
        if cell.cell_type == "code":
            cell.source = DIRECTIVE.sub("", cell.source)
        if cell.source.strip():
            cells.append(cell)
        if not added:
            cells.append(language_cell(name))
            added = True
    book.cells = cells
    return book


def language_cell(name):
    "The one added cell: plots in Chinese, and the folder of the English notebook for its tables."
    folder = posixpath.dirname(name)
    text = LANGUAGE_CELL
    if name not in AT_HOME and not name.startswith("labs/"):
        text = TABLES_CELL.format(up="../../" if folder else "../", folder=folder)
    cell = nbformat.v4.new_code_cell(text.replace('("../")', '("..")'), id="language")
    cell.metadata["jupyter"] = {"source_hidden": True}
    return cell


def keep_outputs(book, path):
    "Take stored outputs from the Chinese notebook as it is, where the code is the same."
    if not path.exists():
        return
    old = {(cell.id, cell.source): cell.outputs for cell in nbformat.read(path, 4).cells
           if cell.cell_type == "code"}
    for cell in book.cells:
        if (cell.id, cell.source) in old:
            cell.outputs = old[cell.id, cell.source]


def execute(path):
    "Run a notebook in its folder and clean it, as every notebook of this book is kept."
    from nbdev.clean import nbdev_clean
    from nbclient import NotebookClient
    book = nbformat.read(path, 4)
    NotebookClient(book, timeout=1200, coalesce_streams=True,
                   resources={"metadata": {"path": path.parent}}).execute()
    for cell in book.cells:
        if cell.cell_type == "code" and "#| eval: false" in cell.source:
            cell.outputs = []
    book.metadata = {"kernelspec": {"display_name": "python3", "language": "python",
                                    "name": "python3"}}
    nbformat.write(book, path)
    nbdev_clean(fname=str(path))


def write(name, files, run=False):
    "Write one Chinese file."
    book, path = translate_book(name, files), ROOT/files[name][1]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".md":
        path.write_text(book.cells[0].source, encoding="utf-8", newline="\n")
        return
    keep_outputs(book, path)
    nbformat.write(book, path)
    if run and files[name][1].startswith("nbs/"):
        execute(path)


def write_readme():
    "README.zh.md, from the Chinese index and its tables translated."
    chinese = translations("index")

    def say(text):
        return translate_text(text, chinese, lambda link: link)

    save(*readme(ROOT/"nbs"/"zh"/"index.ipynb", say), "README.zh.md")


def show(name):
    "Print two paragraphs of a notebook, from a third and from two thirds of it."
    pairs = [(english, chinese) for english, chinese in translations(name).items()
             if english[0] not in "#|<`" and len(english) > 80]
    for english, chinese in pairs[len(pairs)//3::max(1, len(pairs)//3)][:2]:
        print(f"{name}\n{english}\n{chinese}\n")


def main():
    files = sources()
    ask = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    ask.add_argument("--update", action="store_true")
    ask.add_argument("--check", action="store_true")
    ask.add_argument("--show", action="store_true")
    ask.add_argument("--execute", action="store_true")
    args = ask.parse_args()
    if unknown := sorted(set(args.names) - set(files)):
        sys.exit(f"unknown: {' '.join(unknown)}; there are {' '.join(files)}")
    found = []
    for name in args.names or files:
        book = read_book(ROOT/files[name][0])
        if args.update:
            update(name, book)
        elif args.check:
            found += check(name, book)
        elif args.show:
            show(name)
        elif po_file(name).exists():
            write(name, files, args.execute)
            print(files[name][1])
    if not (args.update or args.check or args.show) and "index" in (args.names or files):
        write_readme()
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
