# Part of Inkstone. Licence: see LICENSE.
"""Distillation to eight steps without guidance.

A frozen teacher with guidance takes two steps for each of the student's eight, both along the teacher's
own way from pure noise; the student learns the teacher's displacement over its interval. A pool of
pictures stands at mixed places of the way. The text encoder and what only text passes through stay.
"""

import copy
import random

import torch

from . import prompts
from .joint import JointStage, sigmas
from .autoencoder import load_autoencoder
from .optimizer import Optimizer
from .stage import Stage, generator_for
from .text import make_nano, scale_at

STEPS, SUBSTEPS, GUIDANCE = 8, 2, 2.0


class DistillationStage(Stage):
    name = "distillation"

    def __init__(self, run):
        super().__init__(run, steps=run.budget.distillation_steps)
        self.tokens, self.model = make_nano(run)
        self.model.load_state_dict(torch.load(run.path("joint.pt"), map_location="cpu"))
        self.make_average(self.model, 0.98)
        self.average.tables = {}
        self.teacher = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.teacher.tables = {}
        self.model.text_encoder.requires_grad_(False)
        named = [(n, p) for n, p in self.model.trained_parameters() if n.startswith("transformer.")
                 and "cap_" not in n and "context_refiner" not in n]
        is_matrix = self.model.is_matrix
        self.optimizer = Optimizer([p for n, p in named if is_matrix(n, p)],
                                   [p for n, p in named if not is_matrix(n, p)], 6e-4, 4e-4)
        compiled = lambda f: torch.compile(f, dynamic=False) if run.compile else f
        self.student_predict, self.teacher_predict = (
            compiled(self.model.predict), compiled(self.teacher.predict))
        self.count = run.budget.batch // 2
        self.levels = sigmas(STEPS).to(run.device)
        self.pool = None
        self.autoencoder = load_autoencoder(run)

    def newcomer(self, step, row):
        rng = random.Random(f"{self.run.seed} {self.name} {step} {row}")
        text, _ = prompts.training_caption(prompts.training_scene(rng, 128), rng, self.tokens)
        noise = torch.randn(16, 16, 16, generator=generator_for(self, step, row))
        return text, noise

    def batch(self, step):
        if self.pool is None:
            drawn = [self.newcomer(-1, row) for row in range(self.count)]
            # Staggered: who starts at place p waits until the others have come there.
            self.pool = {"texts": [t for t, _ in drawn], "x": torch.stack([n for _, n in drawn]),
                         "place": [0] * self.count}
        pool = self.pool
        for row in range(self.count):
            early = step < STEPS and row % STEPS == step
            if pool["place"][row] >= STEPS or early:
                pool["texts"][row], pool["x"][row] = self.newcomer(step, row)
                pool["place"][row] = 0
        return self.tokens.batch(pool["texts"] + [""] * self.count, 32)

    def train_step(self, step, batch):
        device, pool, count = self.run.device, self.pool, self.count
        ids, mask = (part.to(device) for part in batch)
        x, place = pool["x"].to(device), torch.tensor(pool["place"], device=device)
        start, end = self.levels[place], self.levels[place + 1]
        with torch.no_grad(), self.run.autocast():
            features = self.teacher.text(ids)
            y = x
            for j in range(SUBSTEPS):
                now, after = (start + (end - start) * k / SUBSTEPS for k in (j, j + 1))
                both = self.teacher_predict(torch.cat([y, y]), torch.cat([1 - now, 1 - now]),
                                            features, mask).float()
                v = both[:count] + GUIDANCE * (both[:count] - both[count:])
                y = y - (after - now)[:, None, None, None] * v
        target = -(y - x) / (end - start)[:, None, None, None]
        loss = torch.zeros(())
        if step >= STEPS:
            with self.run.autocast():
                v = self.student_predict(x, 1 - start, features[:count], mask[:count])
            loss = (v - target).square().mean()
            loss.backward()
            self.optimizer.step(scale_at(step, self.steps, 20, 0.8))
        pool["x"], pool["place"] = y.cpu(), [p + 1 for p in pool["place"]]
        return {"loss": loss.item()}

    report = JointStage.report

    def extra_state(self):
        return {"pool": self.pool}

    def load_extra_state(self, state):
        self.pool = state["pool"]

    def finish(self):
        self.run.save(f"{self.name}.pt", self.average.state_dict())
