"""The head of a report as a picture: `python tools/report_picture.py runs/demo/report.html`.

It writes nbs/report.png, which the README shows; the run is that of `make demo`."""
import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT/"nbs/report.png")
    args = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not args.report.is_file() or not browser:
        missing = f"a browser ({', '.join(BROWSERS)})" if args.report.is_file() else args.report
        raise SystemExit(f"{missing} is not there: make demo makes the report, "
                         "apt install chromium the browser")
    with sync_playwright() as play:
        chrome = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chrome.new_page(viewport={"width": 880, "height": 1390})
        page.goto(args.report.resolve().as_uri())
        page.screenshot(path=args.out)
        chrome.close()
    print(args.out)
