#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Measure cost against tokens, steps and threads, and plot it.

    scaling.py measure --out scaling.json [--program .build/release/inkstone] [--precision auto]
               [--subject block|step] [--sizes 256,512,768,1024,1280,1536] [--threads 1,2,4,8]
               [--steps 1,2,4,8,16] [--model NAME] [--repeat 5]
    scaling.py plot scaling.json... --out FOLDER    # scaling-tokens, -threads and -steps as SVG

Tokens and threads are measured with `inkstone benchmark block` (or `step`, the whole transformer of
a model of random weights), steps with `inkstone benchmark image`. More threads than the machine has
processors are left out. Plots show the median as points and the shortest to the longest run as
bars; they need matplotlib, and measuring needs nothing but Python.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

CAPTION = 64  # tokens of a prompt, padding included


def tokens(size):
    """Tokens of a picture with its caption."""
    return (size // 16) ** 2 + CAPTION


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def benchmark(arguments, subject, *options):
    command = [arguments.program, "benchmark", subject, "--json", "--precision",
               arguments.precision, "--repeat", str(arguments.repeat), *map(str, options)]
    print(" ".join(command), file=sys.stderr, flush=True)
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(arguments):
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") \
        else os.cpu_count()

    def part(size, *options):
        chosen = ["--tokens", tokens(size)] if arguments.subject == "block" \
            else ["--size", size, "--random-weights", "z-image-turbo"]
        return benchmark(arguments, arguments.subject, *chosen, *options)

    result = {"processors": processors, "subject": arguments.subject, "tokens": [],
              "threads": [], "steps": []}
    for size in arguments.sizes:
        result["tokens"].append({"size": size, "tokens": tokens(size)} | part(size))
    middle = 512 if 512 in arguments.sizes else arguments.sizes[len(arguments.sizes) // 2]
    for count in arguments.threads:
        if count <= processors:
            result["threads"].append({"size": middle} | part(middle, "--threads", count))
    model = ["--model", arguments.model] if arguments.model else []
    for steps in arguments.steps:
        result["steps"].append(
            {"steps": steps} | benchmark(arguments, "image", "--steps", steps, *model))
    arguments.out.write_text(json.dumps(result, indent=1))
    print(arguments.out)


def label(rows):
    first = rows[0]
    return f"{first['precision']}, {first['kernels']}"


def curve(axes, rows, x, y="seconds"):
    """Medians with bars from the shortest to the longest run."""
    horizontal = [row[x] for row in rows]
    if y == "seconds":
        below = [row["seconds"] - row["seconds_min"] for row in rows]
        above = [row["seconds_max"] - row["seconds"] for row in rows]
        axes.errorbar(horizontal, [row[y] for row in rows], yerr=[below, above], marker="o",
                      capsize=3, label=label(rows))
    else:
        axes.plot(horizontal, [100 * row[y] for row in rows], marker="o", label=label(rows))


def plot(arguments):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    # The same file for the same figures.
    matplotlib.rcParams["svg.hashsalt"] = "inkstone"
    files = [json.loads(path.read_text()) for path in arguments.files]
    arguments.out.mkdir(parents=True, exist_ok=True)

    def save(figure, name):
        path = arguments.out / f"scaling-{name}.{arguments.format}"
        figure.tight_layout()
        metadata = {"Date": None} if arguments.format == "svg" else None
        figure.savefig(path, dpi=144, metadata=metadata)
        pyplot.close(figure)
        print(path)

    def pages(key):
        return [data for data in files if data[key]]

    if pages("tokens"):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
        for data in pages("tokens"):
            curve(left, data["tokens"], "tokens")
            curve(right, data["tokens"], "tokens", "share")
        rows = pages("tokens")[0]["tokens"]
        what = pages("tokens")[0]["subject"]
        for axes in (left, right):
            axes.set_xticks([row["tokens"] for row in rows],
                            [f"{row['tokens']}\n{row['size']}²" for row in rows], fontsize=8)
            axes.set_xlabel("tokens, picture with caption")
            axes.grid(alpha=0.3)
        left.set(ylabel=f"seconds a {what}", ylim=(0, None))
        right.set(ylabel="share of the measured peak, %", ylim=(0, 100))
        left.legend()
        save(figure, "tokens")
    if pages("threads"):
        figure, axes = pyplot.subplots(figsize=(5, 4))
        for data in pages("threads"):
            rows = data["threads"]
            base = rows[0]["seconds"] * rows[0]["threads"]
            counts = [row["threads"] for row in rows]
            axes.plot(counts, [base / row["seconds"] for row in rows], marker="o",
                      label=label(rows))
            axes.plot(counts, counts, color="grey", linestyle=":")
            axes.set_xticks(counts)
        axes.set(xlabel="threads", ylabel="speed, one thread = 1", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()
        save(figure, "threads")
    if pages("steps"):
        figure, axes = pyplot.subplots(figsize=(5, 4))
        for data in pages("steps"):
            curve(axes, data["steps"], "steps")
        axes.set(xlabel="steps", ylabel=f"seconds a picture, {pages('steps')[0]['steps'][0]['model']}",
                 xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()
        save(figure, "steps")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("measure")
    run.add_argument("--program", default=".build/release/inkstone")
    run.add_argument("--out", type=pathlib.Path, required=True)
    run.add_argument("--precision", default="auto")
    run.add_argument("--subject", default="block", choices=["block", "step"])
    run.add_argument("--sizes", type=numbers, default=[256, 512, 768, 1024, 1280, 1536])
    run.add_argument("--threads", type=numbers, default=[1, 2, 4, 8])
    run.add_argument("--steps", type=numbers, default=[1, 2, 4, 8, 16])
    run.add_argument("--model")
    run.add_argument("--repeat", type=int, default=5)
    run.set_defaults(work=measure)
    draw = commands.add_parser("plot")
    draw.add_argument("files", type=pathlib.Path, nargs="+")
    draw.add_argument("--out", type=pathlib.Path, default=pathlib.Path("Docs/images"))
    draw.add_argument("--format", default="svg", choices=["svg", "png"])
    draw.set_defaults(work=plot)
    arguments = parser.parse_args()
    arguments.work(arguments)


if __name__ == "__main__":
    main()
