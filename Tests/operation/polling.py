# Part of Inkstone. Licence: see LICENSE.
"""Polls `/livez` while clients send requests, and judges how long the answers took."""

import collections
import multiprocessing
import os
import socket
import threading
import time

INTERVAL = 0.02
TIMEOUT = 5.0


def send(port, data):
    """Status of the answer, or what happened instead."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
            try:
                connection.sendall(data)
            except OSError:
                pass  # refused before all was sent: the answer is there
            answer = connection.recv(64)
            while connection.recv(65536):
                pass
    except OSError:
        return "closed"
    return answer[9:12].decode() if answer.startswith(b"HTTP/1.1 ") else "closed"


def load(port, data, clients, ends, results):
    """Sends the same request from several clients until the time is over."""
    os.nice(19)
    counts = collections.Counter()

    def client():
        while time.monotonic() < ends:
            counts[send(port, data)] += 1
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(counts)


def poll(port, path="/livez"):
    """Seconds until a new connection has its answer; `None` without one."""
    start = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            if not connection.recv(64).startswith(b"HTTP/1.1 200"):
                return None
    except OSError:
        return None
    return time.monotonic() - start


class Clients:
    """The same request from several clients."""

    def __init__(self, port, data, clients=8):
        self.port, self.data, self.clients = port, data, clients

    def start(self, seconds):
        self.results = multiprocessing.Queue()
        arguments = self.port, self.data, self.clients, time.monotonic() + seconds, self.results
        self.process = multiprocessing.Process(target=load, args=arguments)
        self.process.start()

    def is_running(self):
        return self.process.is_alive() and self.results.empty()

    def finish(self):
        """The statuses of the answers."""
        counts = self.results.get()
        self.process.join()
        return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))


class Polls:
    """How long `/livez` takes while the server is busy with something."""

    def __init__(self, port):
        self.port, self.times, self.missed = port, [], 0

    def during(self, name, busy, seconds):
        """Polls until `busy`, which is started for some seconds, has finished."""
        times, missed = [], 0
        busy.start(seconds)
        while busy.is_running():
            due = time.monotonic() + INTERVAL
            taken = poll(self.port)
            if taken is None:
                missed += 1
            else:
                times.append(taken)
            time.sleep(max(0, due - time.monotonic()))
        self.times += times
        self.missed += missed
        print(f"     {name:34} {describe(times)}, {missed} missed; {busy.finish()}", flush=True)

    def judge(self, check, goal=0.05):
        worst = percentile(self.times, 0.999)
        print(f"     {'all':34} {describe(self.times)}, {len(self.times)} polls", flush=True)
        check("/livez answers while the worst requests arrive", self.missed == 0, f"{self.missed} missed")
        check("99.9 % of /livez within ten times the goal", worst < 10 * goal,
              f"{1000 * worst:.1f} ms; goal {1000 * goal:.0f} ms {'met' if worst < goal else 'missed'}")


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(share * len(times)))] if times else float("inf")


def describe(times):
    """Percentiles in milliseconds."""
    return " ".join(f"{name} {1000 * percentile(times, share):.1f}" for name, share in
                    (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1))) + " ms"
