#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""What the fleet costs against the embedded queue: one worker, the embedded model, 28 steps.

Pictures are asked of both in turn, so that both see the same moods of the machine. A program built with
--traits Fleet runs as both.

    Tests/fleet/overhead.py [--pictures 60] [--program FILE]
"""

import argparse
import pathlib
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from fleet_net import LocalFleet  # noqa: E402
from running_server import ROOT, RunningServer  # noqa: E402


def body(seed):
    return {"prompt": "a red apple", "seed": seed, "steps": 28, "response_format": "b64_json"}


def many(ask, count, users=4):
    """Pictures a second of several users at once."""
    numbers, begin = iter(range(count)), time.monotonic()
    lock = threading.Lock()

    def use():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            assert ask("/v1/images/generations", body(number))[0] == 200

    threads = [threading.Thread(target=use) for _ in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.monotonic() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / ".build/release/inkstone")
    options = parser.parse_args()
    with RunningServer(options.program) as server, LocalFleet(options.program) as fleet:
        both = {"embedded": server.ask, "fleet": fleet.ask}
        times = {name: [] for name in both}
        for number in range(options.pictures + 5):
            for name, ask in both.items():
                begin = time.monotonic()
                status = ask("/v1/images/generations", body(number))[0]
                took = time.monotonic() - begin
                assert status == 200, status
                if number >= 5:
                    times[name].append(took)
        medians = {name: statistics.median(took) * 1000 for name, took in times.items()}
        for name, took in times.items():
            quarter = statistics.quantiles(took, n=4)
            print(f"{name:9} {medians[name]:.1f} ms a picture, quartiles"
                  f" {quarter[0] * 1000:.1f} to {quarter[2] * 1000:.1f}")
        print(f"overhead  {medians['fleet'] - medians['embedded']:.1f} ms a picture (under 5 wanted)")
        before, asked = fleet.processor_seconds(), 0
        rates = {name: [] for name in both}
        for _ in range(3):
            for name, ask in both.items():
                rates[name].append(many(ask, options.pictures))
                asked += options.pictures if name == "fleet" else 0
        middle = {name: statistics.median(rate) for name, rate in rates.items()}
        for name, rate in rates.items():
            print(f"{name:9} {middle[name]:.2f} pictures/s with 4 users"
                  f" ({', '.join(f'{one:.2f}' for one in rate)})")
        for name, seconds in fleet.processor_seconds().items():
            print(f"{name:9} {1000 * (seconds - before[name]) / asked:.2f} ms of processor time a picture")
        print(f"throughput {100 * (middle['fleet'] / middle['embedded'] - 1):+.1f} %"
              " (above -3 wanted)")


if __name__ == "__main__":
    main()
