#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Kills the upgrade of a data folder, and its way back, at random moments: nothing may be lost.

    upgrade.py [--inkstone PROGRAM] [--rounds N] [--seed N]

The folder is that of version 0.1 (Tests/Fixtures/formats), with its jobs and their sources a thousand times
over, so that the upgrade takes a while. In each round `serve` is killed after a random time and started
again until it has upgraded the folder; then `restore` of the copy of before is killed in the same way.
"""

import argparse
import contextlib
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from running_server import PROGRAM, ROOT, Checks

check = Checks()
COPIES = 1000
# Each further attempt may take this much longer, so that one ends on a busy machine as well.
GROWTH = 1.05


def make(folder):
    """The folder of version 0.1, enlarged, with an image file for each image."""
    folder.mkdir()
    for name in ["jobs.sqlite", "keys.json"]:
        shutil.copy(ROOT / "Tests/Fixtures/formats" / name, folder / name)
    with sqlite3.connect(folder / "jobs.sqlite") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(job)")]
        others = ", ".join(name for name in columns if name not in ("number", "id", "idempotencyKey"))
        for copy in range(COPIES):
            db.execute(f"INSERT INTO job (id, {others}) SELECT id || '-{copy}', {others} FROM job WHERE number <= 8")
        # No job runs when the server starts: only the upgrade is tested here.
        db.execute("UPDATE job SET state = 'cancelled', finished = created WHERE state IN ('queued', 'running')")
        for (name,) in db.execute("SELECT file FROM picture"):
            path = folder / "pictures" / name[:2] / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
    db.close()


@contextlib.contextmanager
def database(folder):
    """The database of a folder, opened as a copy of its files."""
    with tempfile.TemporaryDirectory() as place:
        for name in ["jobs.sqlite", "jobs.sqlite-wal"]:
            if (folder / name).exists():
                shutil.copy(folder / name, place)
        with contextlib.closing(sqlite3.connect(f"{place}/jobs.sqlite")) as db:
            yield db


def tables(db):
    return [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def rows(folder):
    """Everything in the database of a folder."""
    with database(folder) as db:
        found = {table: sorted(map(repr, db.execute(f'SELECT * FROM "{table}"'))) for table in tables(db)}
        found["schema"] = sorted(map(repr, db.execute("SELECT name, sql FROM sqlite_master")))
        return found


def run_killed(command, seconds):
    """Runs a command and kills it after a time; its status, or None if it was killed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, errors = process.communicate(timeout=seconds)
        return process.returncode, errors
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, ""


def migrations(folder):
    with database(folder) as db:
        if "grdb_migrations" not in tables(db):
            return 0
        return db.execute("SELECT count(*) FROM grdb_migrations").fetchone()[0]


def growing(seconds):
    while True:
        yield seconds
        seconds *= GROWTH


def upgrade(program, data, rng, longest):
    """Starts and kills the server until the folder is upgraded; the states that kills left."""
    states = []
    serve = [program, "serve", "--port", "0", "--page-port", "0", "--threads", "1", "--keep-days", "100000", "--data",
             str(data)]
    for longest in growing(longest):
        status, errors = run_killed(serve, rng.uniform(0.02, longest))
        if status is not None:
            raise RuntimeError(f"serve ended with {status}: {errors}")
        has_copy = (data / "before-upgrade").exists()
        done = has_copy and '"isComplete" : true' in (data / "before-upgrade/upgrade.json").read_text()
        states.append((migrations(data), has_copy, done))
        if done:
            return states


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=str(PROGRAM))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    program, rng = str(pathlib.Path(arguments.inkstone).resolve()), random.Random(arguments.seed)
    upgraded, seen, restore_kills, refused = None, {}, 0, 0
    wrong = []
    with tempfile.TemporaryDirectory() as place:
        original = pathlib.Path(place) / "original"
        make(original)
        before = rows(original)
        images = {path.name for path in original.glob("pictures/*/*.png")}
        for number in range(arguments.rounds):
            data = pathlib.Path(place) / "data"
            shutil.copytree(original, data)
            for state in upgrade(program, data, rng, 1):
                seen[state] = seen.get(state, 0) + 1
            after = rows(data)
            upgraded = upgraded or after
            if after != upgraded:
                wrong.append(f"round {number}: the upgraded folder differs")
            if rows(data / "before-upgrade") != before:
                wrong.append(f"round {number}: the copy of before differs")
            restore = [program, "restore", str(data / "before-upgrade"), "--data", str(data)]
            for longest in growing(0.1):
                status, errors = run_killed(restore, rng.uniform(0.005, longest))
                if status == 0:
                    break
                if status is not None:
                    raise RuntimeError(f"restore ended with {status}: {errors}")
                restore_kills += 1
                if (data / "restoring").exists():
                    serve = subprocess.run([program, "serve", "--port", "0", "--page-port", "0", "--data",
                                            str(data)], capture_output=True, text=True, timeout=60)
                    refused += serve.returncode == 65 and "interrupted" in serve.stderr
                    if serve.returncode != 65:
                        wrong.append(f"round {number}: a server started on a part of a restore")
                elif rows(data) not in (before, upgraded):
                    wrong.append(f"round {number}: after a killed restore there are other rows")
            if rows(data) != before:
                wrong.append(f"round {number}: the restored folder differs")
            if {path.name for path in data.glob("pictures/*/*.png")} != images:
                wrong.append(f"round {number}: images are lost")
            shutil.rmtree(data)
    kills = {f"{count} migrations, copy {copy}, complete {done}": times
             for (count, copy, done), times in sorted(seen.items())}
    check("upgrade and way back, killed at random: nothing is lost", not wrong,
          f"{arguments.rounds} rounds; servers killed with {kills}; {restore_kills} restores killed, "
          f"{refused} of them with both parts, where no server started; {wrong[:3] or ''}")
    check.end()


if __name__ == "__main__":
    main()
