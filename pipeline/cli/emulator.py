"""pipeline emulator: a local Salesforce org over HTTP."""

from __future__ import annotations

import signal

import click

from pipeline.errors import ConfigurationError


@click.command(
    epilog="""\b
Covered                                              Not covered
  login by SOAP and OAuth, the web server flow       the device flow, SAML
  describe, rows, upsert, collections                blobs, the content of layouts
  composite, batch, tree, graph                      binary parts of a batch
  SOQL, queryAll, search                             relevance
  Bulk API 2.0 and 1.0, ingest and query             PK chunking
  the partner API by SOAP                            its other calls
  validation on write, duplicate rules               Apex, flows, sharing, formulas
  limits, faults on request                          governor limits, storage
  the objects of sales, your own by --org            Metadata, Streaming

\b
Example:
  pipeline emulator --port 8080 --latency-ms 120 --daily-limit 15000
  curl -s -d grant_type=client_credentials -d client_id=key -d client_secret=secret \\
    http://127.0.0.1:8080/services/oauth2/token
"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--latency-ms", default=0.0, show_default=True, help="Time that every request takes, in milliseconds.")
@click.option("--daily-limit", default=100_000, show_default=True, help="API calls allowed in 24 hours.")
@click.option(
    "--org",
    "org_path",
    type=click.Path(exists=True, dir_okay=False),
    help="YAML file with custom objects and fields, users and records.",
)
@click.option("--tls", is_flag=True, help="Serve https, with a certificate for *.salesforce.com and localhost.")
@click.option(
    "--ca-file",
    type=click.Path(dir_okay=False, writable=True),
    default="emulator-ca.pem",
    show_default=True,
    help="Where --tls writes the certificate of the authority that clients must trust.",
)
@click.option("--file", "path", type=click.Path(dir_okay=False), help="SQLite file to keep the org in; else in memory.")
def emulator(
    *,
    host: str,
    port: int,
    latency_ms: float,
    daily_limit: int,
    org_path: str | None,
    tls: bool,
    ca_file: str,
    path: str | None,
) -> None:
    """Run a local Salesforce org until interrupted.

    It takes the user admin@example.com (password "password", security token "token") and the connected app "key"
    (secret "secret"), and holds what is written to it in memory. Its address, opened in a browser, shows what that is.
    docs/emulator.md has the whole table of what is covered.
    """
    from pipeline.cli.connection import check_is_free, end_well

    try:
        from pipeline.emulator.org import InvalidSeed
        from pipeline.emulator.server import serve
    except ImportError as missing:
        raise ConfigurationError(
            f"the emulator needs {missing.name}: pip install 'event-pipeline-salesforce[local]'"
        ) from None
    check_is_free(host, port)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):  # which uvicorn raises again once it has ended
            signal.signal(number, end_well)
        serve(
            host=host,
            port=port,
            latency_ms=latency_ms,
            daily_limit=daily_limit,
            org_path=org_path,
            path=path,
            authority_file=ca_file if tls else None,
            ready=lambda url: click.echo(f"emulator listening on {url}"),
        )
    except InvalidSeed as problem:
        raise click.ClickException(str(problem)) from None
    except OSError as problem:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({problem.strerror}): give another --host or --port"
        ) from None


if __name__ == "__main__":
    emulator()
