#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Schemathesis on the served OpenAPI document: generated requests, good and bad, against a server.

    openapi.py [--inkstone PROGRAM] [--examples 100] [--seed 1]

No answer may be a server error, and every answer must be as the document says. Needs schemathesis.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from running_server import PROGRAM, Checks, RunningServer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", default="1")
    arguments = parser.parse_args()
    check = Checks()
    # Jobs that are good are drawn, though not for long; a full queue would be 503, and rightly.
    # Models that it pulls come from nowhere and go to a folder of their own.
    with tempfile.TemporaryDirectory(prefix="inkstone-models-") as models, RunningServer(
            arguments.inkstone, "--deadline", 1, "--waiting", 1000000,
            environment={"INKSTONE_MODELS": models, "HF_ENDPOINT": "http://127.0.0.1:9",
                         "MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"}) as server:
        workers = server.workers()
        status = subprocess.run(
            [pathlib.Path(sys.executable).parent / "schemathesis", "run",
             server.base + "/api/openapi.json", "--checks",
             "not_a_server_error,status_code_conformance,content_type_conformance,"
             "response_schema_conformance", "--max-examples", str(arguments.examples),
             "--seed", arguments.seed, "--suppress-health-check", "all", "--no-color"],
            cwd=server.folder.name, check=False).returncode
        check("schemathesis finds nothing", status == 0)
        check("the same workers", server.workers() == workers)
    check.end()


if __name__ == "__main__":
    main()
