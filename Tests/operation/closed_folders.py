#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Folders and files that the user may not read: "permission denied" with status 66, and the item that is in the way.

    closed_folders.py [--inkstone PROGRAM]

Needs root, or a user to which permissions apply: root runs the program as the user 65534, with setpriv.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from running_server import PROGRAM, ROOT, Checks

USER = 65534


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    arguments = parser.parse_args()
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="inkstone-closed-") as name:
        top = pathlib.Path(name)
        top.chmod(0o755)
        # Where that user may run it, wherever the checkout is.
        program = shutil.copy(arguments.inkstone, top / "inkstone")
        models = top / "models"
        shutil.copytree(ROOT / "Models/emoji-nano", models / "nano")
        adapter = top / "adapter"
        adapter.mkdir()
        shutil.copy(models / "nano/loras/pixel.safetensors", adapter)
        shutil.copytree(models / "nano/transformer", top / "data/controlnets/net")
        (top / "options.yaml").write_text("port: 0\n", encoding="utf-8")
        for folder in ("out", "home", "data/loras", "backup"):
            (top / folder).mkdir(parents=True, exist_ok=True)
        (top / "backup/jobs.sqlite").write_bytes(b"x" * 100)
        (top / "data/keys.json").write_text("[]", encoding="utf-8")
        if os.geteuid() == 0:
            for path in [top, *top.rglob("*")]:
                os.chown(path, USER, USER)

        def run(*words):
            command = [program, *map(str, words)]
            if os.geteuid() == 0:
                command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                           *command]
            environment = {"PATH": os.environ["PATH"], "HOME": str(top / "home"),
                           "INKSTONE_MODELS": str(models), "INKSTONE_DATA": str(top / "data")}
            return subprocess.run(
                command, env=environment, cwd=top / "out", capture_output=True, text=True,
                timeout=120, check=False)

        small = ("--width", 64, "--height", 64, "--steps", 1)
        generate = ("generate", "a cat", *small, "--model", models / "nano")
        serve = ("serve", "--model", "nano", "--port", 0, "--page-port", 0)
        cases = [
            # What is closed, how, the item that the message names, and the command.
            ("model folder", "models/nano", 0o000, "models/nano", generate),
            ("model folder by name", "models/nano", 0o000, "models/nano",
             ("generate", "a cat", *small, "--model", "nano")),
            ("model folder to be searched", "models/nano", 0o444, "models/nano", generate),
            ("folder above the model", "models", 0o600, "models", generate),
            ("component", "models/nano/text_encoder", 0o000, "models/nano/text_encoder", generate),
            ("component to be searched", "models/nano/vae", 0o600, "models/nano/vae", generate),
            ("file of weights", "models/nano/transformer/diffusion_pytorch_model.safetensors", 0o000,
             "transformer/diffusion_pytorch_model.safetensors", generate),
            ("index of the model", "models/nano/model_index.json", 0o000, "model_index.json", generate),
            ("LoRA folder", "adapter", 0o000, "adapter", (*generate, "--lora", adapter)),
            ("LoRA file", "adapter/pixel.safetensors", 0o000, "pixel.safetensors",
             (*generate, "--lora", adapter / "pixel.safetensors")),
            ("folder of ControlNets", "data/controlnets", 0o000, "controlnets",
             (*generate, "--control", "net=net,image=none.png")),
            ("output folder", "out", 0o555, "out", (*generate, "--output", top / "out/a.png")),
            ("folder above the output", "home", 0o000, "home",
             (*generate, "--output", top / "home/below/a.png")),
            ("configuration", "options.yaml", 0o000, "options.yaml",
             ("serve", "--config", top / "options.yaml")),
            ("data folder", "data", 0o000, "data", serve),
            ("data folder to be written", "data", 0o555, "data", serve),
            ("folder above the data", "home", 0o555, "home", (*serve, "--data", top / "home/data")),
            ("keys", "data/keys.json", 0o000, "keys.json", ("keys", "list")),
            ("data folder of a backup", "data", 0o000, "data", ("backup", top / "copy")),
            ("backup", "backup", 0o000, "backup", ("restore", top / "backup")),
            ("model to verify", "models/nano", 0o000, "models/nano",
             ("verify", models / "nano", "--size", "64x64", "--no-reference")),
            ("model to show", "models/nano/vae", 0o000, "vae", ("models", "show", "nano")),
        ]
        for title, path, mode, item, command in cases:
            item_path = top / path
            before = item_path.stat().st_mode & 0o777
            item_path.chmod(mode)
            try:
                result = run(*command)
            finally:
                item_path.chmod(before)
            message = result.stderr.strip()
            lines = [line for line in message.split("\n") if "permission denied" in line]
            check(title, result.returncode == 66 and len(lines) == 1 and item in lines[0],
                  "" if result.returncode == 66 and lines else
                  f"status {result.returncode}: {message[-300:]}")
    check.end()


if __name__ == "__main__":
    main()
