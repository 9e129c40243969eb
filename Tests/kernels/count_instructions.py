#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Compares the operations that the peak loops count with the instructions of their machine code.

    kernel-checks --operations | Tests/kernels/count_instructions.py FOLDER

FOLDER has the object files of the variants. Standard input has lines of a variant, a precision, and the operations of
one iteration of its peak loop, two a multiply-add. Each must be the multiply-adds of the instructions in the loop, times
its passes: the compiler has then left none out, and `spin` counts none that is not executed.

The loops of products are checked too: they must hold their sums in registers and thus store nothing.

Needs objdump of LLVM or of binutils; OBJDUMP names another one.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

# Multiply-adds of an instruction for each bit of its register.
X86 = [
    (r"vfmadd\d+ps", 1 / 32),
    (r"vdpbf16ps", 1 / 16),
    (r"vpmaddwd", 1 / 16),
    (r"vpdpbusd", 1 / 8),
    (r"mulps", 1 / 32),
    (r"pmaddwd", 1 / 16),
]
ARM = [
    (r"fmla", 1 / 32),
    (r"sdot", 1 / 8),
    (r"smmla", 1 / 4),
    (r"bfmmla", 1 / 8),
    (r"smull|smlal2", 1 / 16),
    (r"mla|mul", 1 / 32),
]


def find_objdump(is_arm, files):
    """The first objdump that knows all instructions of the files: those of old releases do not."""
    names = [os.environ.get("OBJDUMP"), "llvm-objdump", "llvm-objdump-19",
             "aarch64-linux-gnu-objdump" if is_arm else "objdump"]
    for name in names:
        if name and shutil.which(name) and not any(
                "<unknown>" in disassembly(name, file) for file in files):
            return name
    return None


def disassembly(objdump, path):
    return subprocess.run([objdump, "-d", "--no-show-raw-insn", str(path)], capture_output=True,
                          text=True, check=True).stdout


class Instruction:
    def __init__(self, address, text):
        self.address = address
        self.name, _, self.operands = text.partition(" ")

    def target(self, start):
        """The address that a branch names, as an offset of its function."""
        found = re.search(r"<[\w.]+(?:\+0x([0-9a-f]+))?>", self.operands)
        is_branch = re.match(r"(j\w+|b\.\w+|cbn?z|tbn?z|b)$", self.name)
        return start + int(found[1] or "0", 16) if found and is_branch else None

    def multiply_adds(self, is_arm):
        for pattern, share in ARM if is_arm else X86:
            if re.fullmatch(pattern, self.name):
                wide = "%zmm" in self.operands, "%ymm" in self.operands
                return round((512 if wide[0] else 256 if wide[1] else 128) * share)
        return 0

    def is_store(self, is_arm):
        if is_arm:
            return bool(re.match(r"st", self.name))
        # The last operand is the destination.
        return bool(re.match(r"v?mov|v?extract|vpextr", self.name)) and self.operands.endswith(")")


def functions(objdump, path):
    """Instructions of each function of an object file."""
    result, current = {}, []
    for line in disassembly(objdump, path).splitlines():
        if start := re.match(r"[0-9a-f]+ <([\w.]+)>:", line):
            current = result.setdefault(start[1], [])
        elif found := re.match(r"\s*([0-9a-f]+):\s+(\S.*)", line):
            words = " ".join(found[2].removeprefix("{vex}").replace(",", ", ").split())
            current.append(Instruction(int(found[1], 16), words.split(" //")[0].split(" # ")[0]))
    return result


def innermost_loops(code):
    """(index of the first instruction, index of the branch back) of each loop without another inside."""
    at = {instruction.address: i for i, instruction in enumerate(code)}
    ranges = []
    for i, instruction in enumerate(code):
        target = instruction.target(code[0].address)
        if target in at and at[target] <= i:
            ranges.append((at[target], i))
    return [a for a in ranges
            if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in ranges)]


def passes(code, loop):
    """Passes of a loop that counts a register down, or up to a constant."""
    first, last = loop
    body = code[first:last + 1]
    for instruction in reversed(body):
        if found := re.fullmatch(r"(?:sub\w*|add\w*|dec\w*) (?:\$(-?\w+), )?(%\w+)",
                                 f"{instruction.name} {instruction.operands}"):
            step, register = int(found[1] or "1", 0), found[2]
        elif found := re.fullmatch(r"subs? (\w+), \1, #(\w+)",
                                   f"{instruction.name} {instruction.operands}"):
            step, register = int(found[2], 0), found[1]
        else:
            continue
        for before in reversed(code[:first]):
            text = f"{before.name} {before.operands}"
            if found := re.fullmatch(rf"mov\w* \$(\w+), {register}|mov {register}, #(\w+)", text):
                return int(found[1] or found[2], 0) // abs(step)
            if register in before.operands.split(", ")[-1]:
                break
    return None


def check_peak(name, code, operations, is_arm):
    """A fault, or nothing."""
    def work(loop):
        return sum(i.multiply_adds(is_arm) for i in code[loop[0]:loop[1] + 1])

    loop = max(innermost_loops(code), key=work, default=None)
    if loop is None or work(loop) == 0:
        return f"{name}: no loop of multiply-adds"
    count = passes(code, loop)
    if count is None:
        return f"{name}: the number of passes of its loop is not known"
    if 2 * work(loop) * count != operations:
        return (f"{name}: its loop executes {2 * work(loop)} operations {count} times, but it counts"
                f" {operations:g}")
    return None


def check_products(variant, code_of, is_arm):
    """Faults of the innermost loop of each product: stores in it."""
    if variant == "portable":
        return  # SSE2 overwrites a factor in each multiplication: there are too few registers.
    for precision in ("f32", "bf16", "int8"):
        # Where factors are widened, blocks of few rows have another task; their weights come from memory.
        function = f"product_task_{precision}"
        code = code_of.get(f"{function}_widened") or code_of[function]
        # Only the loops of SiLU divide.
        loops = [body for body in (code[a:b + 1] for a, b in innermost_loops(code))
                 if not any("div" in i.name for i in body)]
        body = max(loops, key=lambda x: sum(i.multiply_adds(is_arm) for i in x), default=[])
        stores = sum(i.is_store(is_arm) for i in body)
        if stores:
            yield f"{variant}: {stores} stores in the innermost loop of {function}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    folder = pathlib.Path(sys.argv[1])
    lines = [line.split() for line in sys.stdin if line.strip()]
    is_arm = any(line[0].startswith("neon") for line in lines)
    variants = dict.fromkeys(line[0] for line in lines)
    objdump = find_objdump(is_arm, [folder / f"{variant}.o" for variant in variants])
    if objdump is None:
        print("The instructions of the peak loops were not counted: no objdump that is installed knows"
              " all of them.")
        return
    faults, checked = [], 0
    for variant in variants:
        code_of = functions(objdump, folder / f"{variant}.o")
        for _, precision, operations in (line for line in lines if line[0] == variant):
            fault = check_peak(f"{variant} {precision}", code_of[f"spin_{precision}"],
                               float(operations), is_arm)
            faults += [fault] if fault else []
            checked += 1
        faults += check_products(variant, code_of, is_arm)
    for fault in faults:
        print(f"FAILED: {fault}")
    print(f"{checked} peak loops execute the operations that they count, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
