"Package metadata, read from settings.ini: change things there, not here."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=["="])
parser.read(here/"settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]

statuses = ["", "1 - Planning", "2 - Pre-Alpha", "3 - Alpha", "4 - Beta", "5 - Production/Stable"]
licenses = {"apache2": "Apache-2.0 AND CC-BY-4.0"}  # the code, and the slices in sample/
package_data = ["known/*.csv", "known/*.npz", "known/*.txt", "templates/*.html",
                "templates/*.mplstyle", "languages/*.csv", "fonts/*", "sample/*", "sample/*/*.png",
                "sample/.masks/*/*.png"]
extras = {key.removesuffix("_requirements"): value.split() for key, value in cfg.items()
          if key.endswith("_requirements")}
setup(name=cfg["lib_name"], version=cfg["version"], description=cfg["description"],
      keywords=cfg["keywords"], author=cfg["author"], author_email=cfg["author_email"] or None,
      license=licenses[cfg["license"]], url=cfg["git_url"],
      project_urls={"Documentation": cfg["doc_host"] + cfg["doc_baseurl"]},
      long_description=(here/"README.md").read_text(encoding="utf-8"),
      long_description_content_type="text/markdown",
      packages=find_packages(include=[cfg["lib_path"] + "*"]),
      package_data={cfg["lib_path"]: package_data}, include_package_data=False, zip_safe=False,
      python_requires=">=" + cfg["min_python"], install_requires=cfg["requirements"].split(),
      extras_require=extras, entry_points={"console_scripts": cfg["console_scripts"].split()},
      classifiers=[f"Development Status :: {statuses[int(cfg['status'])]}",
                   f"Intended Audience :: {cfg['audience']}",
                   f"Natural Language :: {cfg['language']}", "Programming Language :: Python :: 3",
                   "Topic :: Scientific/Engineering :: Medical Science Apps."],)
