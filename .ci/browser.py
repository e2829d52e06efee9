"Puts Playwright's chromium on the path of the steps after it, by the name that the tests look for."
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

with sync_playwright() as driver:
    program = Path(driver.chromium.executable_path)
if sys.platform == "win32":                         # it needs the files beside it
    folder = program.parent
    shutil.copy(program, folder/"chromium.exe")
else:                                               # on macOS the files around it
    folder = Path(os.environ["RUNNER_TEMP"])/"bin"
    folder.mkdir(exist_ok=True)
    (folder/"chromium").write_text(f'#!/bin/sh\nexec "{program}" "$@"\n', encoding="utf-8")
    (folder/"chromium").chmod(0o755)
with open(os.environ["GITHUB_PATH"], "a", encoding="utf-8") as file:
    print(folder, file=file)
