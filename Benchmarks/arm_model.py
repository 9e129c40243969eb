#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Cycles of the innermost loops of the aarch64 kernels on models of processors, as a table.

    Benchmarks/arm_model.py [--asm FOLDER]

Compiles the variants as for the tests in Tests/kernels, takes the innermost loop of each matrix product out of the
assembly, and runs llvm-mca on it. The figures are those of LLVM's models of the processors, with all data in the
first-level cache and no other work: an upper limit of the speed, and no measurement. --asm retains the assembly.

Needs clang, llvm-mca (Debian: llvm-19; or LLVM_MCA) and the headers of libc6-dev-arm64-cross.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

KERNELS = pathlib.Path(__file__).resolve().parent.parent / "Sources/CKernels"
CROSS = "aarch64-linux-gnu"
# Models, and the variants that the processor has.
CORES = {
    "cortex-a55": ["neon", "neondot"],
    "neoverse-n1": ["neon", "neondot"],
    "neoverse-v2": ["neon", "neondot", "neoni8mm", "neonbf16"],
}
# Variant, precision, the instruction by whose number the loop is found, multiply-adds of each.
LOOPS = [
    ("portable", "f32", "fmla", 4),
    ("neon", "f32", "fmla", 4),
    ("neon", "bf16", "fmla", 4),
    ("neon", "int8", "sadalp", 16),
    ("neondot", "f32", "fmla", 4),
    ("neondot", "bf16", "fmla", 4),
    ("neondot", "int8", "sdot", 16),
    ("neoni8mm", "bf16", "fmla", 4),
    ("neoni8mm", "int8", "smmla", 32),
    ("neonbf16", "bf16", "bfmmla", 16),
]


def find_tool(names):
    for name in names:
        if name and shutil.which(name):
            return name
    sys.exit(f"not installed: {names[-1]}")


def compile_variant(variant, folder):
    target = folder / f"{variant}.s"
    subprocess.run(
        [os.environ.get("CLANG", "clang"), f"--target={CROSS}", f"--sysroot=/usr/{CROSS}",
         f"-I/usr/{CROSS}/include", "-std=gnu17", "-O2", f"-I{KERNELS}/include", "-S",
         str(KERNELS / f"{variant}.c"), "-o", str(target)], check=True)
    return target


def function_lines(path, function):
    lines, inside = [], False
    for line in path.read_text().splitlines():
        inside = inside or line.startswith(f"{function}:")
        if inside:
            lines.append(line)
            if line.startswith(".Lfunc_end"):
                break
    return lines


def innermost_loops(lines):
    """Blocks that end with a branch to their own first instruction."""
    label, block = None, []
    for line in lines:
        text = line.split("//")[0].strip()
        start = re.match(r"(\.L\w+):", text)
        if start:
            label, block = start.group(1), []
        elif text and not text.startswith("."):
            block.append(text)
            if label and re.match(rf"(b|cb|tb)\S*\s.*{re.escape(label)}$", text):
                yield [*block[:-1], block[-1].replace(label, "top")]


def count(block, instruction):
    return sum(text.split()[0] == instruction for text in block)


def main_loop(path, precision, instruction):
    """The loop over the depth of the largest tile, of blocks of many rows."""
    task = f"product_task_{precision}"
    lines = function_lines(path, f"{task}_widened") or function_lines(path, task)
    # Only the loops of SiLU divide.
    loops = [block for block in innermost_loops(lines) if not any("div" in text for text in block)]
    return max(loops, key=lambda block: count(block, instruction))


def model(mca, core, block, iterations=500):
    """Cycles of an iteration, and the least that the processor's units allow."""
    report = subprocess.run(
        [mca, "-mtriple=aarch64", f"-mcpu={core}", "-mattr=+dotprod,+i8mm,+bf16",
         f"-iterations={iterations}"], input="top:\n" + "\n".join(block) + "\n",
        capture_output=True, text=True, check=True).stdout
    cycles = int(re.search(r"Total Cycles: +(\d+)", report).group(1)) / iterations
    return cycles, float(re.search(r"Block RThroughput: +([\d.]+)", report).group(1))


def is_multiplication(text):
    return re.match(r"(fmla|bfmmla|smmla|sdot|smull2?|smlal2?|sadalp)\b", text)


def cell(mca, core, block, work):
    cycles, _ = model(mca, core, block)
    # The limit of the units that multiply, if all else cost nothing.
    _, limit = model(mca, core, [text for text in block if is_multiplication(text)])
    return f"{cycles:.1f} of {limit:.1f}, {work / cycles:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--asm", type=pathlib.Path, help="folder for the assembly")
    options = parser.parse_args()
    mca = find_tool([os.environ.get("LLVM_MCA"), "llvm-mca-19", "llvm-mca"])
    print("| Variant | Product | Multiplications | Other instructions | " + " | ".join(CORES) + " |")
    print("|---|---|---|---|" + "---|" * len(CORES))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.asm or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        files = {variant: compile_variant(variant, folder) for variant in {x[0] for x in LOOPS}}
        for variant, precision, instruction, work in LOOPS:
            block = main_loop(files[variant], precision, instruction)
            products = [text for text in block if is_multiplication(text)]
            cells = [
                cell(mca, core, block, work * count(block, instruction))
                if variant in [*variants, "portable"] else ""
                for core, variants in CORES.items()]
            print(f"| `{variant}` | {precision}, {instruction.upper()} | {len(products)} "
                  f"| {len(block) - len(products)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
