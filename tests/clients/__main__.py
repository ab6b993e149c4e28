"""`make clients`: run other people's Salesforce clients against the emulator, and write what works into its page.

Each client is installed in a folder of its own below .clients, at the version named here, and its check runs there with
the client's own interpreter: none of this project's code is near it. The emulator speaks https; clients are told by
environment variables alone, as `pipeline emulator --tls` prints them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests

ROOT = Path(__file__).resolve().parents[2]
CHECKS = Path(__file__).parent / "checks"
PAGE = ROOT / "docs" / "emulator.md"
TABLE = re.compile(r"(<!-- make clients -->\n).*?(<!-- end of make clients -->)", re.DOTALL)
ORG = """
records:
  Lead:
    - {LastName: Byron, Company: Engines, City: London}
    - {LastName: King, Company: Engines}
    - {LastName: Babbage, Company: Engines}
  Task:
    - {Subject: Call}
    - {Subject: Write}
"""
TIMEOUT_S = 1_200


@dataclass(frozen=True)
class Client:
    """A client: its name, what is installed, and its check with what it is given."""

    name: str
    packages: tuple[str, ...]
    check: str
    arguments: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The version of the first package."""
        return re.split(r"==|(?<=.)@", self.packages[0])[-1]

    @property
    def is_node(self) -> bool:
        """Whether npm installs it."""
        return "==" not in self.packages[0]

    @property
    def folder(self) -> Path:
        """Where it is installed."""
        return ROOT / ".clients" / f"{self.name.lower().replace(' ', '-')}-{self.version}"


CLIENTS = (
    Client("Salesforce CLI", ("@salesforce/cli@2.150.6", "node@22.23.3"), "cli_check.py"),
    Client("jsforce", ("jsforce@1.11.1",), "jsforce_check.cjs", ("1",)),
    Client("jsforce", ("jsforce@2.0.0-beta.29",), "jsforce_check.cjs", ("2",)),
    Client("jsforce", ("jsforce@3.10.26", "node@22.23.3"), "jsforce_check.cjs", ("3",)),
    Client("simple-salesforce", ("simple-salesforce==1.12.10",), "simple_salesforce_check.py"),
    Client("salesforce-bulk", ("salesforce-bulk==2.2.0",), "salesforce_bulk_check.py"),
    Client("django-salesforce", ("django-salesforce==6.0", "django==5.1.15"), "django_salesforce_check.py"),
    Client("CumulusCI", ("cumulusci==4.10.1",), "cumulusci_check.py"),
    Client("tap-salesforce", ("tap-salesforce==2.8.1",), "tap_salesforce_check.py"),
    Client("Airbyte source", ("airbyte-source-salesforce==2.10.3",), "airbyte_check.py"),
)


def install(client: Client) -> None:
    """Install a client unless it is there already."""
    done = client.folder / ".installed"
    wanted = "\n".join(client.packages)
    if done.exists() and done.read_text() == wanted:
        return
    shutil.rmtree(client.folder, ignore_errors=True)
    client.folder.mkdir(parents=True)
    _say(f"installing {client.name} {client.version}")
    if client.is_node:
        (client.folder / "package.json").write_text("{}")
        npm = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([*npm, *client.packages], cwd=client.folder, check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", client.folder], check=True)
        pip = [str(client.folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *client.packages], check=True)
    done.write_text(wanted)


@contextmanager
def emulator(folder: Path) -> Iterator[dict[str, str]]:
    """Run an emulator by https, and give the environment that leads clients to it."""
    (folder / "org.yaml").write_text(ORG)
    authority = folder / "ca.pem"
    command = [sys.executable, "-m", "pipeline.cli.emulator", "--tls", "--ca-file", str(authority)]
    command += ["--org", str(folder / "org.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        told = "".join(process.stdout.readline() for _ in range(6))
        try:
            settings = dict(re.findall(r"(\w+)=(\S+)", told))
            port = urlsplit(told.split("\n", 1)[0].split()[-1]).port
            settings |= {"EMULATOR_URL": f"https://localhost:{port}", "NO_PROXY": "localhost,127.0.0.1"}
            settings |= {"https_proxy": settings["HTTPS_PROXY"], "no_proxy": settings["NO_PROXY"]}
            yield settings | tokens(settings["EMULATOR_URL"], str(authority))
        finally:
            process.terminate()


def tokens(url: str, authority: str) -> dict[str, str]:
    """Log in by the web server flow, as a browser would, and return both tokens."""
    callback = "http://localhost:1717/OauthRedirect"
    asked = {"response_type": "code", "client_id": "key", "redirect_uri": callback}
    login = {"username": "admin@example.com", "password": "password"}
    with requests.Session() as http:
        http.trust_env, http.verify = False, authority
        address = f"{url}/services/oauth2"
        led = http.post(f"{address}/authorize", params=asked, data=login, allow_redirects=False, timeout=30)
        code = parse_qs(urlsplit(led.headers["Location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "client_id": "key", "client_secret": "secret", "code": code}
        told = http.post(f"{address}/token", data={**form, "redirect_uri": callback}, timeout=30).json()
    return {"EMULATOR_TOKEN": told["access_token"], "EMULATOR_REFRESH_TOKEN": told["refresh_token"]}


def check(client: Client) -> list[tuple[bool, str]]:
    """Run a client's check against an org of its own; return what works and what does not."""
    with tempfile.TemporaryDirectory() as name, emulator(Path(name)) as settings:
        environment = {**os.environ, **settings, "CLIENT_FOLDER": str(client.folder)}
        if client.is_node and client.check.endswith("js"):
            # Node.js looks for packages above the script.
            script = shutil.copy(CHECKS / client.check, client.folder)
            own = client.folder / "node_modules" / ".bin" / "node"
            command = [str(own) if own.exists() else "node", script, *client.arguments]
        else:
            python = sys.executable if client.is_node else client.folder / "bin" / "python"
            command = [str(python), str(CHECKS / client.check), *client.arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=name
        )
    found = [(kind == "works", what) for kind, what in re.findall(r"^(works|fails): (.*)$", done.stdout, re.MULTILINE)]
    if done.returncode or not found:
        found.append((False, f"the check ended with {done.returncode}: {done.stderr[-500:]}"))
    return found


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Install, check, write the table; fail when anything does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these clients; the table is then left as it is")
    names = parser.parse_args().names
    rows, failed = [], False
    for client in CLIENTS:
        if names and client.name not in names:
            continue
        install(client)
        found = check(client)
        for works, what in found:
            _say(f"{client.name} {client.version}: {'works' if works else 'FAILS'}: {what}")
        failed = failed or not all(works for works, _ in found)
        rows.append(f"| {client.name} | {client.version} | {', '.join(what for works, what in found if works)} |")
    if not names and not failed:
        table = "\n".join(["| client | version | what works |", "| --- | --- | --- |", *rows, ""])
        PAGE.write_text(TABLE.sub(lambda match: match.group(1) + table + match.group(2), PAGE.read_text()))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
