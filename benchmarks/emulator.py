"""How fast the emulator is, and whether its memory stays flat: `python benchmarks/emulator.py [--requests N]`.

The server runs in a process of its own, kept on one core where the system allows that; the client, plain sockets that
are kept open, runs on another. Prints one JSON object: single-record creates per second, records per second in
collections of 200, queries by e-mail per second, the milliseconds of a query that filters 100,000 leads by a field
without an index, and the server's memory before and after the requests, in MB.

`--against FOLDER` compares with another checkout, whose `.venv` has it installed: the two are measured in turn
(`--rounds`, three of each), and the medians and their ratios are printed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

CONNECTIONS = 4
COLLECTION = 200
# What a filter without an index is asked of, and how often each filter is asked.
SCANNED, SCANS = 100_000, 5
FILTERS = ("LastName LIKE '%on 777%'", "City != 'London'", "NumberOfEmployees > 998", "FirstName < 'ada'")
# The memory of a process is looked at after this many requests, when its caches are warm.
WARM_REQUESTS = 2_000

Request = tuple[str, str, bytes]


class Client:
    """Sends requests over connections that stay open, as many at a time as there are connections."""

    def __init__(self, url: str, token: str) -> None:
        self._netloc = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def send(self, requests: list[Request]) -> float:
        """Send all requests and return the seconds it took; raise RuntimeError for an answer that is no success."""
        shares = [requests[start::CONNECTIONS] for start in range(CONNECTIONS)]
        failures: list[str] = []
        threads = [threading.Thread(target=self._send, args=(share, failures)) for share in shares]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - started
        if failures:
            raise RuntimeError(failures[0])
        return seconds

    def _send(self, requests: list[Request], failures: list[str]) -> None:
        connection = http.client.HTTPConnection(self._netloc)
        for method, path, body in requests:
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= http.HTTPStatus.MULTIPLE_CHOICES:
                failures.append(content.decode()[:200])
                break
        connection.close()


def lead(number: int) -> dict[str, object]:
    """Return a lead as an identify makes one: eight fields."""
    return {
        "FirstName": "Ada",
        "LastName": f"Byron {number}",
        "Company": f"Engines {number % 97} Ltd",
        "Email": f"ada{number}@example.com",
        "Phone": "+44 20 7946 0018",
        "City": "London",
        "Website": "https://example.com",
        "NumberOfEmployees": number % 1000,
    }


def creates(count: int) -> list[Request]:
    """Return single-record creates."""
    return [("POST", "/services/data/v66.0/sobjects/Lead", json.dumps(lead(n)).encode()) for n in range(count)]


def collections(count: int, first: int = 0) -> list[Request]:
    """Return collection creates that hold ``count`` records together, the first of that number."""
    bodies = (
        {"records": [{"attributes": {"type": "Lead"}, **lead(n)} for n in range(start, start + COLLECTION)]}
        for start in range(first, first + count, COLLECTION)
    )
    return [("POST", "/services/data/v66.0/composite/sobjects", json.dumps(body).encode()) for body in bodies]


def lookups(count: int) -> list[Request]:
    """Return queries for one e-mail address each."""
    texts = (f"SELECT Id, Email FROM Lead WHERE Email = 'ada{n}@example.com'" for n in range(count))
    return [("GET", f"/services/data/v66.0/query?q={quote(text)}", b"") for text in texts]


def scans() -> list[Request]:
    """Return queries that no index helps."""
    texts = (f"SELECT COUNT() FROM Lead WHERE {condition}" for condition in FILTERS)
    return [("GET", f"/services/data/v66.0/query?q={quote(text)}", b"") for text in texts] * SCANS


def memory_mb(pid: int) -> float:
    """Return what a process holds in memory, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def measure(url: str, pid: int, requests: int) -> dict[str, float]:
    """Run all measurements against a fresh emulator."""
    client = Client(url, token_of(url))
    figures: dict[str, float] = {}

    def rate(name: str, work: list[Request], units: int) -> None:
        figures[name] = round(units / client.send(work))

    few = min(requests, 10_000)
    rate("creates_per_s", creates(few), few)
    rate("collection_records_per_s", collections(few * 4), few * 4)
    rate("queries_per_s", lookups(few), few)
    client.send(collections(SCANNED - few * 5, few * 4))
    work = scans()
    figures["unindexed_query_ms"] = round(client.send(work) / len(work) * 1000, 1)
    post(url, "/_emulator/reset")
    # Updates of one record and reads of it leave no more records behind, so memory that grows would be a leak.
    client.send(creates(1))
    record = json.loads(get(url, "/_emulator/records/Lead"))[0]["Id"]
    address = f"/services/data/v66.0/sobjects/Lead/{record}"
    update: Request = ("PATCH", address, json.dumps({"Company": "Engines"}).encode())
    read: Request = ("GET", address, b"")
    client.send([update, read] * (WARM_REQUESTS // 2))
    figures["memory_before_mb"] = memory_mb(pid)
    seconds = client.send([update, read] * (requests // 2))
    figures["memory_after_mb"] = memory_mb(pid)
    figures["memory_requests"] = requests
    figures["updates_and_reads_per_s"] = round(requests / seconds)
    return figures


def token_of(url: str) -> str:
    """Log in with the default connected app."""
    form = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "secret"}
    answer: dict[str, str] = json.loads(post(url, "/services/oauth2/token", urlencode(form).encode()))
    return answer["access_token"]


def post(url: str, path: str, body: bytes = b"{}") -> bytes:
    """Send one POST on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("POST", path, body)
    return connection.getresponse().read()


def get(url: str, path: str) -> bytes:
    """Send one GET on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", path)
    return connection.getresponse().read()


def keep_on_core(process: int, core: int) -> None:
    """Keep a process, by its id, on a core, where there are several and the system can."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    if len(cores) > core:
        os.sched_setaffinity(process, {sorted(cores)[core]})


def run(folder: Path, requests: int) -> dict[str, float]:
    """Start the server of a checkout, measure it and stop it."""
    own = folder / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else sys.executable
    command = [python, "-m", "pipeline.cli.emulator", "--daily-limit", "100000000"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    keep_on_core(server.pid, 0)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        return measure(url, server.pid, requests)
    finally:
        server.terminate()
        server.wait()


def compared(here: Path, there: Path, requests: int, rounds: int) -> dict[str, dict[str, float]]:
    """Measure two checkouts in turn, and return the medians and what this one's are of the other's."""
    found: dict[Path, list[dict[str, float]]] = {here: [], there: []}
    for number in range(rounds * 2):
        # A B B A: what grows slower over time does so for both.
        folder = (here, there, there, here)[number % 4]
        found[folder].append(run(folder, requests))
    this, other = (
        {name: round(statistics.median(one[name] for one in found[folder]), 1) for name in found[folder][0]}
        for folder in (here, there)
    )
    return {"this": this, "other": other, "ratio": {name: round(this[name] / other[name], 3) for name in this}}


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="requests over which memory must stay flat")
    parser.add_argument("--against", type=Path, help="the folder of another checkout, which is measured in turn")
    parser.add_argument("--rounds", type=int, default=3, help="how often each of the two is measured")
    arguments = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    if arguments.against is None:
        print(json.dumps(run(here, arguments.requests)))
    else:
        print(json.dumps(compared(here, arguments.against.resolve(), arguments.requests, arguments.rounds)))


if __name__ == "__main__":
    main()
