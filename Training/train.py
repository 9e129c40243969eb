#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Train the embedded model: data, tokenizer, autoencoder, text encoder, transformer, distillation, styles.

    train.py --work DIR [--budget cpu|gpu|continue|larger|tiny] [--seed 0] [--start-from MODEL]
             [--until STAGE] [--export MODEL]

One command from nothing to a model folder. It can be stopped at any moment and started again with the
same arguments: it goes on from the last save, at most 90 seconds back. `log.txt`, a table of losses for
each stage and sheets of sample pictures lie in DIR. README.md says what is needed and how long it takes.
"""

import argparse
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(pathlib.Path.home() / ".cache" / "inkstone-inductor"))

import torch

from nano.autoencoder import AutoencoderStage
from nano.distillation import DistillationStage
from nano.export import export
from nano.joint import JointStage
from nano.run import BUDGETS, Run
from nano.style import STYLES, StyleStage
from nano.text import TextStage
from nano.tokenizer import train_tokenizer

STAGES = [AutoencoderStage, TextStage, JointStage, DistillationStage]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder of the run")
    parser.add_argument("--budget", choices=BUDGETS, default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start-from", type=pathlib.Path, metavar="MODEL",
                        help="an earlier checkpoint whose weights to start from")
    parser.add_argument("--until", choices=[stage.name for stage in STAGES],
                        help="the last stage to run")
    parser.add_argument("--export", type=pathlib.Path, metavar="MODEL", help="folder to write at the end")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    run = Run(arguments.work, arguments.budget, arguments.seed, start_from=arguments.start_from)
    train_tokenizer(run)
    for stage in STAGES:
        if not run.path(f"{stage.name}.pt").exists():
            stage(run).train()
        if stage.name == arguments.until:
            break
    else:
        for style in STYLES:
            if not run.path(f"{style}.safetensors").exists():
                StyleStage(run, style).train()
    if arguments.export:
        export(run, arguments.export)


if __name__ == "__main__":
    main()
