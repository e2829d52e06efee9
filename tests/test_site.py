"The documentation site, built as `make docs` does: order, languages, links, names, nothing from outside."
import ast
import importlib.util
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from bs4 import BeautifulSoup
from browser import BROWSER

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("make_site", ROOT/"tools"/"make_site.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
NOWHERE = "404.html"                # shown at any address that is no page
SECTIONS = "Start Course Trust Aims Teach Engine API Results More".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "The built site; a single warning of Sphinx ends the tool with 1."
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, ROOT/"tools"/"make_site.py", "--out", out/"docs",
                           "--work", out/"work"], capture_output=True, text=True, cwd=ROOT,
                          encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
    return out/"docs"


@pytest.fixture(scope="module")
def site(folder):
    "The pages by their address in the site."
    return {path.relative_to(folder).as_posix():
            BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
            for path in sorted(folder.rglob("*.html")) if path.name != NOWHERE}


def address(page, link):
    "Where a relative link of a page leads, as an address in the site, and its anchor."
    path, anchor = urldefrag(urljoin(f"/{page}", link))
    return unquote(path).lstrip("/"), unquote(anchor)


def test_the_order_is_that_of_the_sidebar(site):
    "The bar shows the sections, and beside each page stand the pages of its section, in order."
    assert [names[0] for names, *_ in tool.sections()] == SECTIONS
    for number, start in enumerate(("", "zh/")):
        bar = site[f"{start}index.html"].select("header .navbar-nav .nav-item > a")
        names = [names[number] for names, _, pages in tool.sections()
                 if list(pages) != ["nbs/index.ipynb"]]
        assert [link.text.strip() for link in bar] == names
        for _, _, sources in tool.sections():
            wanted = [f"{start}{tool.page_of(path)}.html" for path in sources
                      if path != "nbs/index.ipynb"]
            for page in wanted*(len(sources) > 1):
                links = site[page].select(".bd-sidebar-primary .bd-links__list a")
                assert [address(page, link["href"])[0] for link in links] == wanted, page


def test_every_page_is_in_both_languages(site):
    "Each page links to the same page of the other language, and says which language it is in."
    english = {name for name in site if not name.startswith("zh/")}
    assert {f"zh/{name}" for name in english} == set(site) - english and len(english) > 75
    for name, page in site.items():
        other = name.removeprefix("zh/") if name.startswith("zh/") else f"zh/{name}"
        assert [address(name, link["href"])[0] for link in page.select("a.language")] == [other]
        assert page.html["lang"] == ("zh-CN" if name.startswith("zh/") else "en")
    for path in tool.sources():
        page = site[f"zh/{tool.page_of(path)}.html"]
        marked = bool(page.select(".untranslated")) and bool(page.select("[lang=en] h1"))
        assert marked == (tool.chinese(path) is None), path


def test_titles_headings_and_pictures(site):
    "One title and one first heading a page, none without text; each picture says what it shows."
    titles = [page.title.text.strip() for page in site.values()]
    assert all("brain_tumor_nb" in title for title in titles)
    for name, page in site.items():
        assert len(page.select("h1")) == 1 and page.h1.text.strip("# \n"), name
        levels = [int(heading.name[1]) for heading in page.select("article :is(h1, h2, h3, h4)")]
        assert all(below - above <= 1 for above, below in zip(levels, levels[1:])), name
        assert all(len(image.get("alt", "")) >= 20 for image in page.select("article img")), name


def test_nothing_is_loaded_from_outside(folder, site):
    "No script, style, font or picture has an address elsewhere."
    for name, page in site.items():
        for tag, key in (("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")):
            for element in page.find_all(tag):
                path = element.get(key) or ""
                if not path.startswith("data:") and element.get("rel") != ["canonical"]:
                    assert "//" not in path, f"{name}: {path}"
    for style in folder.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert "url(http" not in text.replace('"', "") and "@import" not in text, style.name


def test_links_lead_somewhere(folder, site):
    "Every link to a page of the site finds it, and its anchor; no link shows a machine's path."
    ids = {name: {tag["id"] for tag in page.select("[id]")} for name, page in site.items()}
    broken = []
    for name, page in site.items():
        for link in page.select("a[href]"):
            if ":" in link["href"].partition("/")[0]:
                assert not link["href"].startswith("file:"), name
                continue
            path, anchor = address(name, link["href"])
            there = path in site and (not anchor or anchor in ids[path]) or (
                not path.endswith(".html") and (folder/path).is_file())
            if not there:
                broken.append(f"{name}: {link['href']}")
    assert broken == []


def functions():
    "The public functions and classes of each module, and what their source says of parameters."
    for file in sorted((ROOT/"brain_tumor_nb").glob("[!_]*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        named = [node.value for node in body if isinstance(node, ast.Assign)
                 and ast.unparse(node.targets[0]) == "__all__"]
        public = ast.literal_eval(named[0])
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in public:
                yield file.stem, node
        defined = {name.id for node in body for name in ast.walk(node)
                   if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
        defined |= {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert set(public) <= defined, file.stem


def entry(page, name):
    "The heading of a function and what stands below it up to the next heading."
    for heading in page.select("article :is(h2, h3, h4, h5)"):
        if heading.code and heading.code.text == name:
            return heading.parent


def test_every_name_has_an_entry(site):
    "Each function and class stands on the page of its notebook with docstring and parameters."
    assert len(list(functions())) > 500
    for module, node in functions():
        page = site[f"{tool.page_of(tool.entries()[module, node.name])}.html"]
        found = entry(page, node.name)
        assert found, f"{module}.{node.name}"
        text = " ".join(found.get_text(" ").split())
        command = any("command" in ast.unparse(each) for each in node.decorator_list)
        takes = [a.arg for a in node.args.args] if isinstance(node, ast.FunctionDef) else []
        cells = [code.text.partition(":")[0].partition("=")[0].strip("*")
                 for code in found.select("td:first-child code")]
        assert command or set(takes) <= set(cells), f"{module}.{node.name}: {cells}"
        assert "Source" in text, f"{module}.{node.name}"


def test_the_table_of_names_leads_to_the_entries(site):
    "Every public name stands on the page of all names; functions and classes are links."
    page = site["api.html"]
    links = {link.text: address("api.html", link["href"]) for link in page.select("td a")}
    named = [cell.text for cell in page.select("td:first-child")]
    for module, node in functions():
        assert node.name in named
        path, anchor = links[node.name]
        assert anchor and path in site, f"{module}.{node.name}"


@contextmanager
def served(folder):
    "The address of the site on this machine."
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *args: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
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
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        for name in [name for name in site if "search" not in name][::3]:
            page.goto(f"{home}/{name}")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 391, f"{name} is {wide} pixels wide"
        for query in ("search.html?q=near-duplicate", "zh/search.html?q=切片",
                      "zh/search.html?q=近重复", "zh/search.html?q=AUROC"):
            page.goto(f"{home}/{query}")
            page.locator("#search-results li").first.wait_for(timeout=20_000)
            assert page.locator("#search-results li").count() > 2, query
        browser.close()
    assert all(url.startswith((home, "data:")) for url in asked)
