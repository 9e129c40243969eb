# Part of Inkstone. Licence: see LICENSE.
"""A stage of training: steps, averages, a log, and a state on disk that a killed run goes on from.

Whatever a step draws at random is a function of the seed, the stage and the number of the step, so a
run that was killed repeats the steps since its last save and then goes on as if nothing had been.
"""

import copy
import csv
import hashlib
import time

import torch


def seed_for(*words):
    digest = hashlib.sha256(" ".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:7], "big")


def generator_for(stage, step, purpose=""):
    """A torch generator of its own for every step (and purpose)."""
    return torch.Generator().manual_seed(seed_for(stage.run.seed, stage.name, step, purpose))


class Stage:
    name = ""

    def __init__(self, run, steps):
        self.run, self.steps, self.done = run, steps, 0
        # The first weights are drawn from torch's own generator.
        torch.manual_seed(seed_for(run.seed, self.name, "weights"))
        self.seconds = 0.0  # of training, over all sittings
        self.sums = {}  # of what the next line of the log is the mean of

    def make_average(self, model, factor):
        model.to(self.run.device)
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        self.factor = factor

    @torch.no_grad()
    def update_average(self):
        factor = min(self.factor, (self.done + 1) / (self.done + 12))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - factor)

    # What a stage provides.
    def batch(self, step): raise NotImplementedError
    def train_step(self, step, batch): raise NotImplementedError
    def progress(self): return min(1, self.done / self.steps) if self.steps else 1
    def report(self): return {}
    def finish(self): pass
    def extra_state(self): return {}
    def load_extra_state(self, state): pass

    def save(self):
        self.run.save(f"{self.name}.state", {
            "done": self.done, "seconds": self.seconds, "steps": self.steps, "sums": self.sums,
            "model": self.model.state_dict(), "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "extra": self.extra_state()})

    def load(self):
        path = self.run.path(f"{self.name}.state")
        if not path.exists():
            return
        state = torch.load(path, map_location=self.run.device, weights_only=False)
        self.done, self.seconds = state["done"], state["seconds"]
        self.sums = state.get("sums", {})
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.load_extra_state(state["extra"])
        self.run.say(f"{self.name}: going on from step {self.done} of {self.steps}")

    def train(self):
        self.load()
        saved = reported = time.monotonic()
        while self.progress() < 1:
            start = time.monotonic()
            values = self.train_step(self.done, self.batch(self.done))
            self.done += 1
            self.update_average()
            self.seconds += time.monotonic() - start
            for key, value in values.items():
                self.sums.setdefault(key, []).append(value)
            if self.done % self.run.log_every == 0 or self.progress() >= 1:
                self.log({key: sum(v) / len(v) for key, v in self.sums.items()})
                self.sums = {}
            now = time.monotonic()
            if now - reported > self.run.report_seconds:
                reported = now
                self.run.say(f"{self.name} {self.done}: {format_values(self.report())}")
            if now - saved > self.run.save_seconds:
                self.save()
                saved = time.monotonic()
        self.save()
        self.run.say(f"{self.name} done: {format_values(self.report())}")
        self.finish()

    def log(self, values):
        remaining = (1 / self.progress() - 1) * self.seconds
        self.run.say(f"{self.name} {self.done}/{self.steps} {self.seconds:.0f} s "
                     f"{format_values(values)} | {remaining / 60:.0f} min left")
        path = self.run.path(f"{self.name}.csv")
        new = not path.exists()
        with open(path, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "seconds", *values])
            writer.writerow([self.done, f"{self.seconds:.1f}", *(f"{v:.5g}" for v in values.values())])


def format_values(values):
    return " ".join(f"{key} {value:.4g}" for key, value in values.items())
