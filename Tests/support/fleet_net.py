# Part of Inkstone. Licence: see LICENSE.
"""A fleet in network namespaces of its own: NATS, gateways and workers, each with an address."""

import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from running_server import ROOT, TIMEOUT_FACTOR

NETWORK = "10.77.0"
NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def shell(*words):
    subprocess.run(list(map(str, words)), check=True)


class Network:
    """A bridge in a namespace that this process moves into; every node hangs on it by a cable."""

    def __init__(self):
        if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
            sys.exit("network namespaces need root: run this as root")
        self.prefix, self.nodes = f"ink{os.getpid()}", {}
        shell("ip", "link", "set", "lo", "up")
        shell("ip", "link", "add", "hub", "type", "bridge")
        shell("ip", "addr", "add", f"{NETWORK}.1/24", "dev", "hub")
        shell("ip", "link", "set", "hub", "up")

    def add(self, name, number):
        space, cable = f"{self.prefix}-{name}", f"to{number}"
        shell("ip", "netns", "add", space)
        shell("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        shell("ip", "link", "set", cable, "master", "hub", "up")
        for words in (["addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0"],
                      ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            shell("ip", "-n", space, *words)
        self.nodes[name] = (space, cable)
        return f"{NETWORK}.{number}"

    def command(self, name, *words):
        return ["ip", "netns", "exec", self.nodes[name][0], *map(str, words)]

    def cut(self, name):
        shell("ip", "link", "set", self.nodes[name][1], "down")

    def join(self, name):
        shell("ip", "link", "set", self.nodes[name][1], "up")

    def remove(self):
        for space, _ in self.nodes.values():
            subprocess.run(["ip", "netns", "del", space], check=False)


class Node:
    """A program that runs in a namespace and can be ended and begun again."""

    def __init__(self, fleet, name, words, host=None):
        self.fleet, self.name, self.words, self.host = fleet, name, words, host
        self.process, self.starts = None, 0

    def start(self):
        self.starts += 1
        log = open(self.fleet.place / f"{self.name}.log", "a", encoding="utf-8")
        self.process = subprocess.Popen(
            self.fleet.network.command(self.name, *self.words), stdout=log, stderr=log, cwd=ROOT)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(90)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def text(self):
        return (self.fleet.place / f"{self.name}.log").read_text(encoding="utf-8")


class Fleet:
    """NATS, a cluster of it or one, gateways `g1`… and workers `w1`…."""

    def __init__(self, program, gateways=2, workers=3, window=3, arguments=(), jobs=4, servers=1):
        self.folder = tempfile.TemporaryDirectory(prefix="inkstone-fleet-")
        self.place = pathlib.Path(self.folder.name)
        self.network = Network()
        self.servers = self.make_servers(servers)
        self.nats = self.servers[0]
        self.address = ",".join(f"nats://{node.host}:4222" for node in self.servers)
        common = ["--queue", self.address, "--queue-window", window]
        self.gateways, self.workers, self.bases, self.others = [], [], [], []
        for number in range(1, gateways + 1):
            host = self.network.add(f"g{number}", 10 + number)
            self.gateways.append(Node(self, f"g{number}", [
                program, "serve", "--host", host, "--port", "9997", "--page-port", "7860",
                "--allow-remote-without-keys", "--data", self.place / f"g{number}", *common,
                *arguments]))
            self.bases.append(f"http://{host}:9997")
        for number in range(1, workers + 1):
            self.network.add(f"w{number}", 20 + number)
            self.workers.append(Node(self, f"w{number}", [
                program, "worker", "--jobs", jobs, "--threads", "1", *common]))

    def make_servers(self, count):
        """NATS servers `nats`, `nats2`…; more than one make a cluster."""
        names = ["nats", *(f"nats{number}" for number in range(2, count + 1))]
        hosts = [self.network.add(name, 2 + number) for number, name in enumerate(names)]
        servers = []
        for name, host in zip(names, hosts):
            words = ["nats-server", "-a", host, "-p", 4222, "-js", "-sd", self.place / f"store-{name}"]
            if count > 1:
                words += ["-n", name, "-m", 8222, "--cluster_name", "fleet",
                          "--cluster", f"nats://{host}:6222",
                          "--routes", ",".join(f"nats://{other}:6222" for other in hosts)]
            servers.append(Node(self, name, words, host))
        return servers

    def add(self, name, number, words):
        """Another program in a namespace of its own, ended with the fleet."""
        node = Node(self, name, words, self.network.add(name, number))
        self.others.append(node)
        return node

    @property
    def nodes(self):
        return [*self.servers, *self.gateways, *self.workers, *self.others]

    def start(self):
        for node in self.servers:
            node.start()
        time.sleep(0.5)
        for node in [*self.workers, *self.gateways]:
            node.start()
        self.wait_until_ready()

    def wait_until_ready(self, seconds=90):
        end = time.monotonic() + seconds * TIMEOUT_FACTOR
        while True:
            if all(self.status(base, "/readyz") == 200 for base in self.bases):
                return
            if time.monotonic() > end:
                self.show()
                sys.exit("the fleet was not ready in time")
            time.sleep(0.1)

    def ask(self, base, path, body=None, method=None, timeout=60, **headers):
        """Status, headers and bytes of an answer; status 0 where there is none."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            base + path, data, {"content-type": "application/json"} | headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except (OSError, ValueError) as error:
            return 0, {}, str(error).encode()
        except Exception as error:  # a connection that ends within an answer
            return 0, {}, str(error).encode()

    def status(self, base, path):
        return self.ask(base, path, timeout=5)[0]

    def show(self):
        for node in self.nodes:
            print(f"--- {node.name}\n{node.text()[-3000:]}", file=sys.stderr)

    def stop(self):
        for node in reversed(self.nodes):
            if node.is_running():
                node.kill()
        self.network.remove()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Disturbance:
    """Ends workers and gateways of a fleet with kill -9, one every few seconds, and NATS once, and starts them again.

    `kills` counts them by kind.
    """

    def __init__(self, fleet, period=2.5):
        self.fleet, self.period = fleet, period
        self.kills = {"worker": 0, "gateway": 0, "nats": 0}
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def end(self, kind, node, seconds):
        node.kill()
        self.kills[kind] += 1
        time.sleep(seconds)
        node.start()

    def run(self):
        turn, fleet = 0, self.fleet
        while not self.stop.wait(self.period):
            turn += 1
            if turn == 4:
                self.end("nats", fleet.nats, 3)
            elif turn % 4 == 2:
                self.end("gateway", fleet.gateways[turn // 4 % len(fleet.gateways)], 1)
            else:
                self.end("worker", fleet.workers[self.kills["worker"] % len(fleet.workers)], 0.5)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


class LocalFleet:
    """NATS, one gateway and one worker on this machine's own loopback address."""

    def __init__(self, program, port=42220):
        self.folder = tempfile.TemporaryDirectory(prefix="inkstone-fleet-")
        place = pathlib.Path(self.folder.name)
        queue = ["--queue", f"nats://127.0.0.1:{port}"]
        self.errors = open(place / "errors", "w", encoding="utf-8")

        def run(*words, **more):
            return subprocess.Popen(list(map(str, words)), stderr=self.errors, cwd=ROOT, **more)

        self.processes = [run(
            "nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", place / "store")]
        self.processes.append(run(program, "worker", *queue, stdout=subprocess.DEVNULL))
        gateway = run(program, "serve", "--port", "0", "--page-port", "0", "--data", place / "data",
                      *queue, stdout=subprocess.PIPE, text=True)
        self.processes.append(gateway)
        for line in gateway.stdout:
            if match := re.search(r"API +(http://\S+:\d+)/v1/images/generations", line):
                self.base = match.group(1)
                break
        end = time.monotonic() + 60
        while self.ask("/readyz")[0] != 200:
            if time.monotonic() > end:
                sys.exit(f"the fleet was not ready in time: {(place / 'errors').read_text()}")
            time.sleep(0.1)

    def processor_seconds(self):
        """What each process has used so far."""
        def seconds(process):
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        return dict(zip(["NATS", "worker", "gateway"], map(seconds, self.processes)))

    def ask(self, path, body=None, method=None, **headers):
        return Fleet.ask(self, self.base, path, body, method, 300, **headers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.folder.cleanup()
