# Part of Inkstone. Licence: see LICENSE.
"""One training run: its folder, its budget, its device."""

import dataclasses
import functools
import json
import os
import pathlib
import time

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from . import world


@dataclasses.dataclass(frozen=True)
class Budget:
    """Lengths of the stages, in steps."""
    autoencoder_steps: int
    text_steps: int
    cached_scenes: int  # encoded pictures of 128 pixels
    cached_large: int  # and of 192
    joint_steps: int
    distillation_steps: int
    style_steps: int
    batch: int = 48
    large_from: float = 0.35  # of the joint steps: the larger picture joins when the sprites are known
    large_singles: float = 0.36  # share of single things, which have a size of their own there
    large_thirds: int = 2  # of the steps from then on, how many in three
    settled: bool = False  # the checkpoint to start from knows the words: text and latents stay as they are
    control_steps: int = 3500  # of a ControlNet, which `train_control.py` trains
    control_scenes: int = 4000  # encoded pictures with their maps of edges
    control_batch: int = 16


BUDGETS = {
    # Two minutes: shows that the recipe runs, learns nothing worth keeping.
    "tiny": Budget(30, 10, 256, 64, 20, 4, 10, batch=16, control_steps=12, control_scenes=64,
                   control_batch=8),
    "cpu": Budget(4600, 700, 32000, 8000, 7000, 300, 700),
    # On from an earlier checkpoint (`--start-from`): another sitting of about two hours.
    "continue": Budget(1500, 300, 16000, 4000, 3150, 120, 250, batch=64),
    # Another sitting for a checkpoint whose autoencoder already holds the pictures: new words, things, places.
    "world": Budget(0, 300, 20000, 5000, 2400, 0, 250, batch=64, large_from=0.2, large_thirds=1),
    # A last sitting for the larger picture, about an hour.
    "larger": Budget(0, 300, 4000, 6000, 1500, 0, 300, batch=64,
                     large_from=0, large_singles=0.7, settled=True),
    "gpu": Budget(40000, 4000, 200000, 50000, 120000, 4000, 6000, batch=512),
}


class Run:
    def __init__(self, folder, budget, seed=0, device=None, start_from=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.budget = BUDGETS[budget]
        self.seed = seed
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        tiny = budget == "tiny"
        self.report_seconds, self.save_seconds, self.log_every = 300, 1 if tiny else 90, 1 if tiny else 25
        self.compile = not tiny  # compiling takes minutes
        self.start_from = pathlib.Path(start_from) if start_from else None

    def path(self, name):
        return self.folder / name

    def earlier_weights(self, component, file="*.safetensors"):
        """Weights of the checkpoint to start from, or nothing."""
        if not self.start_from:
            return {}
        files = sorted((self.start_from / component).glob(file))
        return {name: value.float() for file in files for name, value in load_file(file).items()}

    @functools.cache
    def fresh_things(self):
        """Indices of things that the checkpoint to start from was not trained on."""
        if not self.start_from:
            return frozenset()
        known = {row["emoji"] for row in json.loads((self.start_from / "names.json").read_text(encoding="utf-8"))}
        return frozenset(i for i, thing in enumerate(world.things()) if thing.emoji not in known)

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16)

    def say(self, text):
        line = f"{time.strftime('%H:%M:%S')} {text}"
        print(line, flush=True)
        with open(self.path("log.txt"), "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def save(self, name, value):
        """Whole or not at all: a kill while writing leaves the file of before."""
        temporary = self.path(name + ".partial")
        torch.save(value, temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, self.path(name))

    def save_grid(self, name, pictures, columns):
        """uint8 `[n, h, w, 3]` as a sheet."""
        folder = self.path("grids")
        folder.mkdir(exist_ok=True)
        n, height, width, _ = pictures.shape
        rows = -(-n // columns)
        sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
        for i, picture in enumerate(pictures):
            y, x = divmod(i, columns)
            sheet[y * height:(y + 1) * height, x * width:(x + 1) * width] = picture
        Image.fromarray(sheet).save(folder / name)
