#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Where a fleet of 1 to 1,000 workers ends: a simulation with measured service times and costs.

Jobs come at random at 80 % of what the workers can do. Each passes gateway, NATS and a worker, and its picture
and previews pass NATS and the network again. Gateways and NATS are queues with the processor time a job that
Tests/fleet/overhead.py measures; bytes take the cable's time. Printed: how busy each is, what jobs wait, and how
many workers fill one of them.

    Benchmarks/fleet_scaling.py [--service 30] [--gateway-ms 5] [--nats-ms 2] [--gbit 10] [--gateways 2]
"""

import argparse
import heapq
import random
import statistics


class Station:
    """Servers that take jobs in the order of their coming."""

    def __init__(self, servers):
        self.free, self.busy = [0.0] * servers, 0.0

    def serve(self, now, seconds):
        """When a job is done that comes now and takes so long."""
        start = max(now, heapq.heappop(self.free))
        heapq.heappush(self.free, start + seconds)
        self.busy += seconds
        return start + seconds


def simulate(workers, options, dice, jobs):
    """Busy shares of gateways, NATS, cable and workers, and the seconds that jobs waited beside their work."""
    bytes_in = options.png + options.previews * options.preview + options.message * (
        12 + options.steps + 3 * options.gateways)
    cable_seconds = 8 * bytes_in / (options.gbit * 1e9)
    rate = 0.8 * workers / options.service
    gateways, nats = Station(options.gateways), Station(options.nats_threads)
    cable, drawing = Station(1), Station(workers)
    events, now = [], 0.0
    for _ in range(jobs):
        now += dice.expovariate(rate)
        heapq.heappush(events, (now, 0, now))
    last, waits = now, []
    # Half of a job's cost is before the work, half after; what moves is served in the order of time.
    while events:
        now, stage, born = heapq.heappop(events)
        if stage == 0:
            heapq.heappush(events, (gateways.serve(now, options.gateway_ms / 2000), 1, born))
        elif stage == 1:
            heapq.heappush(events, (nats.serve(now, options.nats_ms / 2000), 2, born))
        elif stage == 2:
            work = options.service * dice.lognormvariate(-options.spread ** 2 / 2, options.spread)
            done = drawing.serve(now, work)
            waits.append((born, done - work - born))
            heapq.heappush(events, (done, 3, born))
        elif stage == 3:
            heapq.heappush(events, (nats.serve(now, options.nats_ms / 2000), 4, born))
        elif stage == 4:
            heapq.heappush(events, (cable.serve(now, cable_seconds), 5, born))
        else:
            last = max(last, gateways.serve(now, options.gateway_ms / 2000))
    after = [wait for born, wait in waits[len(waits) // 10:]]
    return {
        "rate": rate, "gateway": gateways.busy / last / options.gateways,
        "nats": nats.busy / last / options.nats_threads, "cable": cable.busy / last,
        "worker": drawing.busy / last / workers, "mbit": 8 * bytes_in * rate / 1e6,
        "preview": options.previews * options.preview / bytes_in,
        "wait": statistics.quantiles(after, n=100)[94],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value, text in [
            ("service", 30.0, "seconds a picture"), ("spread", 0.3, "of the logarithm of the service time"),
            ("gateway-ms", 5.0, "processor ms of a gateway a job"), ("nats-ms", 2.0, "processor ms of NATS a job"),
            ("gbit", 10.0, "cable of the NATS server, each way")]:
        parser.add_argument(f"--{name}", type=float, default=value, help=text)
    for name, value, text in [
            ("gateways", 2, "processors of gateways"), ("nats-threads", 2, "processors of NATS"),
            ("png", 1_500_000, "bytes of a picture"), ("preview", 49_152, "bytes of a preview"),
            ("previews", 8, "a picture"), ("steps", 8, "a picture"), ("message", 1000, "bytes of a small message"),
            ("jobs", 20_000, "simulated for each size")]:
        parser.add_argument(f"--{name}", type=int, default=value, help=text)
    options = parser.parse_args()
    print("| Workers | Jobs/s | Into NATS, Mbit/s | Previews' share | Gateways busy | NATS busy | Cable busy |"
          " Wait, p95 s |")
    print("|---|---|---|---|---|---|---|---|")
    for workers in [1, 3, 10, 30, 100, 300, 1000]:
        row = simulate(workers, options, random.Random(workers), options.jobs)
        print(f"| {workers} | {row['rate']:.3g} | {row['mbit']:.3g} | {row['preview']:.0%} | {row['gateway']:.1%} |"
              f" {row['nats']:.1%} | {row['cable']:.1%} | {row['wait']:.3g} |")
    seconds = {"gateways": options.gateway_ms / 1000 / options.gateways,
               "NATS": options.nats_ms / 1000 / options.nats_threads}
    one = simulate(1, options, random.Random(1), 2)
    seconds["the cable"] = one["mbit"] / one["rate"] / 1000 / options.gbit
    print()
    for name, cost in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"{name}: full at {1 / cost:.0f} jobs/s, which is {options.service / cost / 0.8:.0f} workers"
              f" that work 80 % of the time")


if __name__ == "__main__":
    main()
