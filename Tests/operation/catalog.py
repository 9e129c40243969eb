#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""A model comes, is launched, draws, gets more workers and goes again, all over HTTP.

    catalog.py [--inkstone PROGRAM]

The hub is one on this machine; it has a copy of the embedded model, so that its pictures are known.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "support"), str(HERE.parents[1] / "parity")]

from pull_proof import REPOSITORY, Hub
from running_server import PROGRAM, ROOT, Checks, RunningServer, wait


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=str(PROGRAM))
    program = str(pathlib.Path(parser.parse_args().inkstone).resolve())
    check = Checks()
    source = ROOT / "Models/emoji-nano"
    hub = Hub()
    hub.files = {str(path.relative_to(source)): path.read_bytes()
                 for path in source.rglob("*") if path.is_file()}
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="inkstone-models-") as models:
        environment = {"INKSTONE_MODELS": models, "HF_ENDPOINT": hub.address,
                       "MODELSCOPE_ENDPOINT": hub.address}
        with RunningServer(program, "--model", source, environment=environment) as server:
            prove(check, server, hub, pathlib.Path(models))
    hub.shutdown()
    check.end()


def prove(check, server, hub, models):
    def ask(path, body=None, method=None):
        status, _, answer = server.ask(path, body, method)
        return status, json.loads(answer) if answer else None

    def names():
        return {row["name"]: row for row in ask("/api/catalog")[1]["models"]}

    def task(body, path="/api/catalog"):
        """The task's last state, or the status of a refusal."""
        status, row = ask(path, body)
        if status != 202:
            return status
        ended = {}

        def is_over():
            ended.update(ask(f"/api/catalog-tasks/{row['id']}")[1])
            return ended["state"] != "running"
        wait("the task", is_over, seconds=300)
        return ended

    def picture(model):
        status, answer = ask("/v1/images/generations", {
            "model": model, "prompt": "a red apple", "size": "64x64", "steps": 2, "seed": 5,
            "response_format": "b64_json"})
        return answer["data"][0]["pixel_sha256"] if status == 200 else status

    check("the embedded model is listed", names()["emoji-nano"]["launched"])
    full = ask("/api/catalog/emoji-nano")[1]
    check("one model in full", full["parameters"] > 1e6 and full["resident_bytes"] > 1e6,
          f"{full['parameters']} parameters, {full['precision']}")

    hub.faults = {name: ["drop", "503"] for name in hub.files if name.endswith(".safetensors")}
    ended = task({"repository": REPOSITORY, "name": "copy"})
    check("pulled, though connections drop", ended["state"] == "succeeded" and
          ended["bytes"] == ended["total_bytes"] > 1e6 and ended["files"] == ended["total_files"],
          f"{ended['files']} files, {ended['bytes']} bytes")
    check("listed", names()["copy"]["usable"] and names()["copy"]["removable"])
    check("no repository: refused", task({"repository": "nonsense"}) == 400)
    check("a name that leads elsewhere: refused", task({"repository": REPOSITORY, "name": "../x"}) == 400)
    check("the embedded model's name: refused", task({"repository": REPOSITORY, "name": "emoji-nano"}) == 409)
    ended = task({"repository": "owner/nothing"})
    check("an unknown repository: the task says so",
          ended["state"] == "failed" and "owner/nothing" in ended["message"], ended["message"])
    hub.faults = {name: ["bytes"] * 20 for name in hub.files if name.endswith(".safetensors")}
    ended = task({"repository": REPOSITORY, "name": "wrong"})
    check("wrong bytes: the task fails and nothing is there",
          ended["state"] == "failed" and not (models / "wrong").exists(), ended["message"])
    hub.faults = {name: ["slow"] for name in hub.files if name.endswith(".safetensors")}
    status, row = ask("/api/catalog", {"repository": REPOSITORY, "name": "slow"})
    check("the same model twice at once: refused",
          status == 202 and task({"repository": REPOSITORY, "name": "slow"}) == 409)
    ask(f"/api/catalog-tasks/{row['id']}", method="DELETE")
    wait("the cancelled task", lambda: ask(f"/api/catalog-tasks/{row['id']}")[1]["state"] != "running")
    check("cancelled", ask(f"/api/catalog-tasks/{row['id']}")[1]["state"] == "cancelled" and
          not (models / "slow").exists())
    hub.faults = {}

    ended = task({"precision": "bf16"}, "/api/catalog/copy/quantize")
    check("packed", ended["state"] == "succeeded", ended.get("message") or "")
    status, _ = ask("/v1/models", {"model_name": "copy", "model_uid": "second"})
    check("launched", status == 200 and names()["copy"]["launched"])
    check("draws what the embedded model draws", picture("second") == picture("emoji-nano"))
    check("in use: not removed", ask("/api/catalog/copy", method="DELETE")[0] == 409)

    status, rows = ask("/v1/models/second/replicas", {"replica": 1})
    check("one worker more", status == 200 and [row["name"] for row in rows] ==
          ["second/1", "second/2"] and all(row["status"] == "ready" for row in rows))
    check("three processes", len(server.workers()) == 3)
    status, answer = ask("/v1/models/second/replicas/1", method="DELETE")
    check("and one less", (status, answer) == (200, {"remaining_replicas": 1}))
    check("draws as before", picture("second") == picture("emoji-nano"))
    status, answer = ask("/v1/models/second/replicas/2", method="DELETE")
    check("the last one stays", status == 400 and picture("second") == picture("emoji-nano"),
          answer["error"]["message"])

    loras = {row["name"] for row in ask("/api/loras")[1]["loras"]}
    check("terminated", ask("/v1/models/second", method="DELETE")[0] == 200)
    check("LoRA files of models that run", {"pixel", "sketch"} <= loras)
    check("removed", ask("/api/catalog/copy", method="DELETE")[0] == 204 and "copy" not in names()
          and not (models / "copy").exists())
    check("gone is gone", ask("/api/catalog/copy", method="DELETE")[0] == 404)
    check("the embedded model stays", ask("/api/catalog/emoji-nano", method="DELETE")[0] == 409)
    check("still serving", isinstance(picture("emoji-nano"), str))


if __name__ == "__main__":
    main()
