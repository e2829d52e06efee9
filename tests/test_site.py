"The documentation site, built as `make docs` does: order, languages, links, names, no address outside."
import ast
import importlib.util
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

ROOT = Path(__file__).resolve().parents[1]
LIB = ROOT/"brain_tumor_nb"
spec = importlib.util.spec_from_file_location("make_site", ROOT/"tools"/"make_site.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    "The built site; a warning of Sphinx ends the tool with 1."
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, ROOT/"tools"/"make_site.py", "--out", folder/"docs",
                           "--work", folder/"work"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and done.stderr == "", done.stderr[-3000:]
    return folder/"docs"


@cache
def soup(path): return BeautifulSoup(path.read_text(encoding="utf-8"), "lxml")


def pages(site):
    "The pages of the site by their address in it, but for the one that is shown where none is."
    found = {path.relative_to(site).as_posix(): soup(path) for path in site.rglob("*.html")}
    return {name: page for name, page in found.items() if not name.endswith("404.html")}


def test_order_and_pages(site):
    "The sections and the pages of each stand in the order of nbs/sidebar.yml, in both languages."
    assert len(tool.sources()) > 70
    for number, folder in enumerate((site, site/"zh")):
        home = soup(folder/"index.html")
        sections = [part for part in tool.sections() if list(part[2]) != ["nbs/index.ipynb"]]
        bar = [a.text.strip() for a in home.select(".bd-header .navbar-nav .nav-item a")]
        assert bar == [names[number] for names, *_ in sections]
        for names, _, sources in sections:
            first = soup(folder/f"{tool.page_of(next(reversed(sources)))}.html")
            links = [a["href"] for a in first.select(".bd-sidebar-primary .bd-links a")]
            listed = [unquote(urljoin(f"/{tool.page_of(next(reversed(sources)))}", link))
                      for link in links]
            wanted = [f"/{tool.page_of(path)}.html" for path in sources
                      if path != "nbs/index.ipynb"]
            assert [link.partition("#")[0] or wanted[-1] for link in listed] == wanted*(
                len(sources) > 1), names
