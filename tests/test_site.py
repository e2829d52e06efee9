"The documentation site as `make docs` builds it: order, languages, links, names, no other host."
import ast
import importlib.util
import os
import posixpath
import re
import subprocess
import sys
from contextlib import contextmanager
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from bs4 import BeautifulSoup
from browser import BROWSER
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("make_site", ROOT/"tools"/"make_site.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
NOWHERE = "404.html"                # shown at any address that is no page
SECTIONS = "Start Course Trust Aims Teach Engine API Results More".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "The site, built once for all processes of the tests."
    base = tmp_path_factory.getbasetemp()
    out = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)/"site"
    with FileLock(f"{out}.lock"):
        if not out.exists():
            build(out)
    return out/"docs"


def build(out):
    "As `make docs` does it; a single warning of Sphinx ends the tool with 1."
    done = subprocess.run([sys.executable, ROOT/"tools"/"make_site.py", "--out", out/"docs",
                           "--work", out/"work"], capture_output=True, text=True,
                          cwd=ROOT, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]


@pytest.fixture(scope="module")
def site(folder):
    "The pages by their address in the site."
    return {path.relative_to(folder).as_posix(): parse(path.read_text(encoding="utf-8"))
            for path in sorted(folder.rglob("*.html"))
            if path.name != NOWHERE and "_static" not in path.parts}


def parse(text):
    "A page without the marks of coloured code, which are most of it."
    text = re.sub(r"<span (id=[^ >]+)></span>", r"<i \1></i>", text)
    return BeautifulSoup(re.sub(r"</?span[^>]*>", "", text), "html.parser")


def attributes(page, selector, name):
    "One attribute of all elements that a selector finds."
    return [element[name] for element in page.select(f"{selector}[{name}]")]


def address(page, link):
    "Where a relative link of a page leads, as an address in the site, and its anchor."
    path, anchor = urldefrag(urljoin(f"/{page}", link))
    return unquote(path).lstrip("/"), unquote(anchor)


def test_the_order_is_that_of_the_sidebar(site):
    "The bar shows the sections, and beside each page stand the pages of its section, in order."
    assert [names[0] for names, *_ in tool.sections()] == SECTIONS
    pages = {path.relative_to(ROOT).as_posix() for folder in ("docs", "labs/student")
             for path in (ROOT/folder).glob("*.[mi]*")}
    assert len(pages) > 10 and pages <= set(tool.sources())
    for number, language in enumerate(["en", "zh"]):
        start = "zh/"*number
        bar = site[f"{start}index.html"].select(".navbar-header-items li.nav-item > a")
        names = [names[number] for names, _, pages in tool.sections()
                 if list(pages) != ["nbs/index.ipynb"]]
        assert [link.text.strip() for link in bar] == names
        for _, _, sources in tool.sections():
            wanted = [f"{start}{tool.page_of(path)}.html" for path in sources
                      if path != "nbs/index.ipynb"]
            for page in wanted*(len(sources) > 1):
                links = attributes(site[page], ".bd-sidebar-primary nav.bd-links a", "href")
                assert [address(page, link)[0] for link in links] == wanted, page


def test_every_page_is_in_both_languages(site):
    "Each page links to the same page of the other language, and says which language it is in."
    english = {name for name in site if not name.startswith("zh/")}
    assert len(english) > 75
    assert {f"zh/{name}" for name in english} == set(site) - english
    for name, page in site.items():
        other = name.removeprefix("zh/") if name.startswith("zh/") else f"zh/{name}"
        links = attributes(page, "a.language", "href")
        assert links and {address(name, link) for link in links} == {(other, "")}
        assert page.html["lang"] == ("zh-CN" if name.startswith("zh/") else "en")
    for path in tool.sources():
        page = site[f"zh/{tool.page_of(path)}.html"]
        marked = page.select(".untranslated + [lang=en] h1")
        assert bool(marked) == (tool.chinese(path) is None), path


@pytest.mark.parametrize("option", ["--out", "--work"])
def test_no_folder_of_somebody_is_emptied(tmp_path, monkeypatch, option):
    (tmp_path/"mine").write_bytes(b"x")
    monkeypatch.setattr(sys, "argv", ["make_site.py", option, str(tmp_path)])
    with pytest.raises(SystemExit, match="give a new folder"):
        tool.main()
    assert (tmp_path/"mine").exists()


def test_titles_headings_and_pictures(site):
    "One title and one first heading a page; no level left out; each picture says what it shows."
    for name, page in site.items():
        assert "brain_tumor_nb" in page.title.text, name
        levels = [int(heading.name[1]) for heading in page.main.find_all(re.compile("^h[1-6]$"))]
        assert levels[0] == 1 and levels.count(1) == 1, name
        assert all(below - above <= 1 for above, below in zip(levels, levels[1:])), name
        for picture in page.select("article img"):
            assert len(picture.get("alt", "")) >= 20, f"{name}: {picture.get('src')}"


def test_nothing_is_loaded_from_outside(folder, site):
    "No script, style, font or picture has an address elsewhere."
    for name, page in site.items():
        loaded = attributes(page, ":is(script, img, iframe, source)", "src")
        loaded += attributes(page, "link", "href")
        assert [path for path in loaded if "//" in path and path[:5] != "data:"] == [], name
        assert loaded, name
    for style in folder.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"url\([\"']?(https?:)?//|@import \W*http", text), style.name


def leads_nowhere(folder, ids, name, link):
    "Whether a link within the site finds no page, anchor or file."
    path, anchor = address(name, link)
    if path.startswith("zh/") and not name.startswith("zh/"):   # which may not be built
        return path.removeprefix("zh/") not in ids
    if path in ids:
        return anchor and anchor not in ids[path]
    return path.endswith(".html") or not (folder/path).is_file()


def test_links_lead_somewhere(folder, site):
    "Every link to a page of the site finds it, and its anchor."
    ids = {name: set(attributes(page, "", "id")) for name, page in site.items()}
    links = {(name, link) for name, page in site.items() for link in attributes(page, "a", "href")
             if not re.match(r"(https?|mailto):", link)}
    assert len(links) > 5000
    assert sorted(pair for pair in links if leads_nowhere(folder, ids, *pair)) == []


@cache
def functions():
    "The public functions and classes of each module, and what their source says of parameters."
    found = []
    for file in sorted((ROOT/"brain_tumor_nb").glob("[!_]*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        named = [node.value for node in body if isinstance(node, ast.Assign)
                 and ast.unparse(node.targets[0]) == "__all__"]
        public = ast.literal_eval(named[0])
        found += [(file.stem, node) for node in body
                  if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in public]
        defined = {name.id for node in body for name in ast.walk(node)
                   if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
        defined |= {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert set(public) <= defined, file.stem
    return found


def entries(page):
    "The section of each function on a page, by its name."
    return {name.text: name.find_parent("section")
            for name in page.select("article section > :is(h2, h3, h4, h5, h6) > code")}


def test_every_name_has_an_entry(site):
    "Each function and class stands on the page of its notebook, each parameter in its table."
    assert len(functions()) > 500
    found = {name: entries(page) for name, page in site.items() if name[:3] != "zh/"}
    for module, node in functions():
        page = found[f"{posixpath.splitext(tool.entries()[module, node.name])[0]}.html"]
        section = page[node.name]
        cells = section.select("td:first-child code")
        named = {re.match(r"\**(\w*)", cell.text)[1] for cell in cells}
        command = any("command" in ast.unparse(each) for each in node.decorator_list)
        takes = [each.arg for each in node.args.args] if isinstance(node, ast.FunctionDef) else []
        assert command or set(takes) <= named, f"{module}.{node.name}: {named}"
        said = " ".join((ast.get_docstring(node) or "").split())
        assert re.sub(r"\W", "", said)[:20] in re.sub(r"\W", "", section.text), node.name


def test_the_table_of_names_leads_to_the_entries(site):
    "Every public name stands on the page of all names; functions and classes are links."
    page = site["api.html"]
    links = {(link.find_parent("section").h3.a.text, link.text): address("api.html", link["href"])
             for link in page.select("td:first-child a")}
    sections = {name: entries(page) for name, page in site.items()}
    for module, node in functions():
        path, anchor = links[module, node.name]
        assert path == f"{posixpath.splitext(tool.entries()[module, node.name])[0]}.html"
        section = sections[path][node.name]
        assert anchor in [section["id"], *attributes(section, "& > i", "id")]


class Quiet(SimpleHTTPRequestHandler):
    "Says nothing of each request."
    def log_message(self, *args): pass


@contextmanager
def served(folder):
    "The address of the site on this machine."
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.long
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_in_a_browser(folder, site):
    "Search in both languages, pages no wider than a telephone, and no address but this machine's."
    from playwright.sync_api import sync_playwright
    with served(folder) as home, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda line: said.append((page.url, line.type, line.text)))
        page.on("pageerror", lambda error: said.append((page.url, "error", str(error))))
        for name in [name for name in site if "search" not in name][::3]:
            page.goto(f"{home}/{name}")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 391, f"{name} is {wide} pixels wide"
        for query in ("search.html?q=near-duplicate", "zh/search.html?q=切片",
                      "zh/search.html?q=近似重复", "zh/search.html?q=AUROC"):
            page.goto(f"{home}/{query}")
            page.locator("#search-results li").nth(2).wait_for(timeout=20_000)
        browser.close()
    assert all(url.startswith((home, "data:")) for url in asked)
    assert [line for line in said if line[1] == "error"] == []
