"Sphinx's settings. tools/make_site.py builds with them once in each language."
import re
from configparser import ConfigParser
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.search import languages
from sphinx.search.en import SearchEnglish

parser = ConfigParser(delimiters=["="])
parser.read(Path(__file__).parents[1]/"settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]

project = html_title = cfg["lib_name"]
release = cfg["version"]
extensions = ["myst_nb"]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
myst_heading_anchors = 6
smartquotes = False
myst_enable_extensions = ["dollarmath", "html_image"]
suppress_warnings = ["myst.header"]         # a level of headings may be left out

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"       # without one a browser asks for /favicon.ico
templates_path = ["_templates"]
html_use_index = html_copy_source = False
html_math_renderer = "mathml"
html_additional_pages = {"404": "404.html"}
html_theme_options = {
    "logo": {"text": project},
    "navbar_end": [],                       # no dark mode: figures are white
    "navbar_persistent": ["search-button-field", "language"],
    "header_links_before_dropdown": 9,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["disclaimer"],
    "footer_end": [],
    "show_toc_level": 2,
}
html_context = {"default_mode": "light", "git_url": cfg["git_url"], "branch": cfg["branch"],
                "base": cfg["doc_baseurl"]}


class Chinese(SearchEnglish):
    "English words, and each two neighbouring Chinese characters: no dictionary is needed."
    lang = "zh"
    _word_re = re.compile(r"[\u4e00-\u9fff]+|[^\W\u4e00-\u9fff]+")
    js_splitter_code = r"""
var splitQuery = query => (query.match(/[\u4e00-\u9fff]+|[\w]+/g) || []).flatMap(word =>
    word >= "\u4e00" && word.length > 2
        ? [...word.slice(1)].map((character, k) => word[k] + character) : [word]);
"""

    def split(self, text):
        "What is found of a text: words, single Chinese characters and pairs."
        found = []
        for word in super().split(text):
            chinese = word >= "\u4e00"
            found += [*word, *map("".join, zip(word, word[1:]))] if chinese else [word]
        return found


languages["zh"] = Chinese


def show_formula(writer, node):
    "A formula as MathML, which browsers draw without a script."
    block = node.tagname == "math_block"
    formula = tex2mathml(node.astext(), as_block=block)
    writer.body.append(f"<div class='formula'>{formula}</div>" if block else formula)
    raise SkipNode


def mark_language(app, page, template, context, tree):
    "A page that has no Chinese edition says so in the Chinese site, and that it is in English."
    if page in app.config.untranslated:
        note = "<p class='untranslated'>本页尚无中文版，以下为英文原文。</p>"
        context["body"] = f'{note}<div lang="en">{context["body"]}</div>'


def name_once(app, page, template, context, tree):
    "The title of the home page is the name, which other titles end with."
    if page == app.config.root_doc:
        context["docstitle"] = ""


def setup(app):
    app.add_config_value("untranslated", [], "html")
    app.add_html_math_renderer("mathml", (show_formula, None), (show_formula, None))
    app.connect("html-page-context", mark_language)
    app.connect("html-page-context", name_once)
