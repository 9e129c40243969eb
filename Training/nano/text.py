# Part of Inkstone. Licence: see LICENSE.
"""Text pre-training: the encoder learns to tell what is where before there is a picture to learn from.

The five template tokens behind the prompt serve as registers. Throw-away heads read from them the
background, the layout, and for each thing its name and a code of its picture. The same loss stays on,
small, while the transformer trains.
"""

import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from . import places, prompts, world
from .autoencoder import encode, load_autoencoder, to_tensor
from .model import REGISTERS, TEXT_WIDTH, Nano, make_text_encoder, make_transformer
from .optimizer import Optimizer
from .stage import Stage
from .tokenizer import Prompts

CODE = 128
LAYOUTS, COLOURS = list(world.LAYOUTS), list(world.BACKGROUNDS) + places.keys()
MOST = 4  # things in a scene


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        names = len(world.things()) + 1  # the last is the unknown word
        self.background = nn.Linear(TEXT_WIDTH, len(COLOURS) + 1)
        self.layout = nn.Linear(TEXT_WIDTH, len(LAYOUTS))
        self.name = nn.ModuleList([nn.Linear(TEXT_WIDTH, names + 1) for _ in range(MOST)])
        self.code = nn.ModuleList([nn.Linear(TEXT_WIDTH, CODE) for _ in range(MOST)])


def labels(scene, named):
    absent = len(world.things()) + 1
    chosen = list(scene.things) + [absent] * (MOST - len(scene.things))
    background = COLOURS.index(scene.background) if named else len(COLOURS)
    return [background, LAYOUTS.index(scene.layout), *chosen]


def register_loss(features, mask, targets, heads, codes):
    """`(loss, share of first things named right)`; `targets` are rows of `labels`."""
    count, rows = mask.sum(1), torch.arange(len(mask), device=mask.device)
    features = F.rms_norm(features.float(), (TEXT_WIDTH,))
    register = lambda k: features[rows, count - REGISTERS + k]
    loss = 0.3 * (F.cross_entropy(heads.background(register(0)), targets[:, 0])
                  + F.cross_entropy(heads.layout(register(0)), targets[:, 1]))
    for k in range(MOST):
        read, target = register(1 + k), targets[:, 2 + k]
        scores = heads.name[k](read)
        share = 1 if k == 0 else 0.6
        loss = loss + share * F.cross_entropy(scores, target)
        present = target < len(codes)
        # A mean over the present ones without a gather, whose size would differ from step to step.
        error = (heads.code[k](read) - codes[target.clamp(max=len(codes) - 1)]).square().mean(1)
        loss = loss + share * (error * present).sum() / present.sum().clamp(min=1)
        if k == 0:
            accuracy = (scores.argmax(1) == target).float().mean()
    return loss, accuracy


@torch.no_grad()
def sprite_codes(run):
    """`[names + 1, 128]`: principal components of the latents of every sprite, half whitened."""
    path = run.path("codes.pt")
    if not path.exists():
        model = load_autoencoder(run)
        pictures = [world.compose(128, (150, 150, 150), [(world.emoji_of(i), 96, 16, 16)])
                    for i in range(len(world.things()) + 1)]
        x = to_tensor(np.stack(pictures)).to(run.device)
        z = torch.cat([encode(model, part) for part in x.split(32)])[:, :, 2:14, 2:14].flatten(1)
        z = z - z.mean(0)
        kept = torch.linalg.svd(z, full_matrices=False).Vh[:CODE]
        code = z @ kept.T
        spread = code.std(0) / code.std(0).max()
        code = code / code.std(0) * spread.sqrt() / spread.sqrt().mean()
        run.save("codes.pt", code.cpu())
    return torch.load(path, map_location=run.device)


def make_nano(run):
    torch.manual_seed(run.seed)
    tokens = Prompts(run.path("tokenizer"))
    model = Nano(make_transformer(), make_text_encoder(len(tokens)))
    for component, part in (("transformer", model.transformer), ("text_encoder", model.text_encoder)):
        earlier = run.earlier_weights(component)
        if earlier:
            part.load_state_dict(earlier)
    return tokens, model


def scale_at(step, steps, warmup, decay):
    """Linear warm-up, a plateau, and a linear end over the last `decay` of all steps."""
    return min(1, (step + 1) / warmup) * min(1, (1 - step / steps) / decay + 0.01)


class TextStage(Stage):
    name = "text"

    def __init__(self, run):
        super().__init__(run, steps=run.budget.text_steps)
        self.tokens, self.nano = make_nano(run)
        self.heads, self.codes = Heads(), sprite_codes(run)
        self.model = nn.ModuleDict({"text_encoder": self.nano.text_encoder, "heads": self.heads})
        self.nano.to(run.device)
        self.make_average(self.model, 0.98)
        named = [(n, p) for n, p in self.nano.text_encoder.named_parameters()
                 if not n.startswith("layers.3") and n != "norm.weight"]
        matrices = [p for n, p in named if p.ndim == 2 and "embed" not in n]
        others = [p for n, p in named if not (p.ndim == 2 and "embed" not in n)]
        if run.budget.settled:
            self.nano.requires_grad_(False)
            matrices, others = [], []
        rate = 3e-3 if run.start_from else 5e-3
        self.optimizer = Optimizer(matrices, others + list(self.heads.parameters()), rate, rate)
        self.text = torch.compile(self.nano.text, dynamic=False) if run.compile else self.nano.text

    def batch(self, step):
        rng = random.Random(f"{self.run.seed} {self.name} {step}")
        length = (32, 32, 64)[step % 3]
        scenes = [prompts.training_scene(rng, 128, fresh=self.run.fresh_things())
                  for _ in range(4 * self.run.budget.batch)]
        pairs = [prompts.training_caption(scene, rng, self.tokens, length, long=length > 32) for scene in scenes]
        ids, mask = self.tokens.batch([text for text, _ in pairs], length)
        targets = torch.tensor([labels(s, named) for s, (_, named) in zip(scenes, pairs)])
        return ids, mask, targets

    def train_step(self, step, batch):
        ids, mask, targets = (part.to(self.run.device) for part in batch)
        with self.run.autocast():
            features = self.text(ids)
        loss, accuracy = register_loss(features, mask, targets, self.heads, self.codes)
        loss.backward()
        self.optimizer.step(scale_at(step, self.steps, 20, 0.5))
        return {"loss": loss.item(), "accuracy": accuracy.item()}

    def finish(self):
        self.run.save("text.pt", self.average.state_dict())
