#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Train a ControlNet for a finished model of the emoji world: from a map of edges to the picture.

    train_control.py MODEL --work DIR [--minutes M] [--budget cpu|gpu|tiny] [--seed 0] [--threads N]
                     [--eager] [--export FOLDER]

It can be stopped at any moment and started again with the same arguments: it goes on from the last save,
at most 90 seconds back. `--minutes` ends training after so much of it instead of the budget's steps; a later
start may give another number. The net is written to FOLDER (MODEL/controlnets/edges, say) in diffusers'
layout; with `--untrained`, as it is before training.
"""

import argparse
import os
import pathlib
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(pathlib.Path.home() / ".cache" / "inkstone-inductor"))

import torch

from nano.autoencoder import make_autoencoder
from nano.control import ControlNet, ControlStage
from nano.run import BUDGETS, Run
from nano.text import make_nano
from nano.tokenizer import train_tokenizer


def prepare(run):
    """The parts of the model in the form that the stages read."""
    train_tokenizer(run)
    if not run.path("autoencoder.pt").exists():
        autoencoder = make_autoencoder()
        autoencoder.load_state_dict(run.earlier_weights("vae"))
        run.save("autoencoder.pt", autoencoder.state_dict())


def export(run, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run.path("edges"), folder)
    run.say(f"wrote {folder}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, help="of training, over all sittings")
    parser.add_argument("--budget", choices=BUDGETS, default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--eager", action="store_true", help="do not compile, which takes minutes of a busy machine")
    parser.add_argument("--export", type=pathlib.Path, metavar="FOLDER", help="folder to write at the end")
    parser.add_argument("--untrained", action="store_true", help="export the net as it is before training")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    run = Run(arguments.work, arguments.budget, arguments.seed, start_from=arguments.model)
    run.compile = run.compile and not arguments.eager
    prepare(run)
    if arguments.untrained:
        ControlNet(make_nano(run)[1].transformer).save(run.path("edges"))
    elif not run.path("edges").exists():
        ControlStage(run, arguments.minutes).train()
    if arguments.export:
        export(run, arguments.export)
    if arguments.untrained:
        shutil.rmtree(run.path("edges"))


if __name__ == "__main__":
    main()
