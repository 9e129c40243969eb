#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""The page in headless Chromium, with a real server and the embedded model.

    page.py [--inkstone PROGRAM] [--only NAME,...]

Each check is a function of a module beside this one and prints its figure; a tab of a check that fails is left as
page-NAME.png in the folder for temporary files. INKSTONE_TEST_TIMEOUT_FACTOR=4 waits four times as long, for a
machine that does other things; from 10, long pictures are smaller, for a software GPU. screenshots.py takes the
pictures of the documentation. Needs Chromium, Pillow, websocket-client and a
package that carries axe-core (axe-playwright-python, --no-deps, or axe-core-python); nginx for the path
prefix.
"""

import argparse
import pathlib
import sys
import tempfile
import time
import traceback

import checks_draw
import checks_form
import checks_look
import checks_more
import checks_service
import checks_work
from browser import Browser
from server import ROOT, Server

CHECKS = [check for module in (checks_draw, checks_form, checks_work, checks_service, checks_more, checks_look)
          for check in module.CHECKS]


class Bench:
    """What the checks share: a browser, a server, and all that pages said and asked for."""

    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.browser = Browser()
        self.server = Server(program, "--benchmarks", str(self.folder / "runs")).start()
        self.pages = []

    def page(self, server=None, path="", waits=True, **options):
        origin = (server or self.server).url
        # Tabs share what the browser keeps: each check begins as a first visit.
        page = self.browser.page(**options)
        page.call("Storage.clearDataForOrigin", origin=origin.rstrip("/"), storageTypes="local_storage")
        page.open(origin + path)
        page.origin = origin
        self.pages.append(page)
        if waits:
            page.wait("!document.getElementById('generate').disabled", 30, "the model")
        return page

    def complaints(self):
        """What a page's console must not report; failed requests to stopped servers are expected there."""
        found = []
        for page in self.pages:
            for text in page.errors:
                # A server without the list of LoRA files.
                if "404" in text and text.rstrip().endswith("api/loras"):
                    continue
                if getattr(page, "expects", None) and any(part in text for part in page.expects):
                    continue
                found.append(text)
        return found

    def strangers(self):
        """Requests that left the origin."""
        return [request["url"] for page in self.pages for request in page.requests.values()
                if not request["url"].startswith((page.origin, "data:", "blob:", "about:"))]

    def close(self):
        self.browser.close()
        self.server.close()


def silence(bench):
    """No console error, no request leaves the origin, in all pages of all checks before."""
    complaints, strangers = bench.complaints(), bench.strangers()
    assert not complaints, complaints[:5]
    assert not strangers, strangers[:5]
    count = sum(len(page.requests) for page in bench.pages)
    return f"{len(bench.pages)} tabs, {count} requests, none outside, no console error"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(ROOT / ".build/release/inkstone"))
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    wanted = [name for name in arguments.only.split(",") if name]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="inkstone-page-") as folder:
        bench = Bench(pathlib.Path(arguments.inkstone).resolve(), folder)
        try:
            for check in [*CHECKS, silence]:
                name = check.__name__
                if wanted and name not in wanted:
                    continue
                start = time.monotonic()
                try:
                    figure = check(bench)
                    print(f"ok    {name}: {figure} ({time.monotonic() - start:.1f} s)", flush=True)
                except Exception as error:
                    failed += 1
                    print(f"FAIL  {name}: {error}", flush=True)
                    if not isinstance(error, AssertionError):
                        traceback.print_exc()
                    if bench.pages:
                        try:
                            pathlib.Path(tempfile.gettempdir(), f"page-{name}.png").write_bytes(bench.pages[-1].screenshot())
                        except Exception:
                            pass
        finally:
            bench.close()
    print("the page holds" if not failed else f"{failed} checks failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
