"""Every form of an address in docs/deployment.md, with a real server: what is said there is what both clients do."""

import re
import socket as sockets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Exchange, Producer, Queue

from pipeline import app
from pipeline.broker import Channel
from pipeline.errors import ConfigurationError
from pipeline.settings import broker, redis_address
from pipeline.state_store import connect_from
from tests.integration.broker.servers import listening_everywhere

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "deployment.md").read_text(encoding="utf-8")
QUEUE = Queue("a", Exchange("ingest"), routing_key="a")


def rows(heading: str) -> list[tuple[str, str]]:
    """Return the rows of the table that has this heading: address and meaning."""
    table = TEXT.partition(f"| {heading} | what it means |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.MULTILINE)


REDIS = rows("address")
TAKEN = [(address, meaning) for address, meaning in REDIS if not meaning.startswith("refused: ")]
REFUSED = [("PIPELINE_REDIS_URL", *row) for row in REDIS if row not in TAKEN]
BROKER = rows("for `PIPELINE_BROKER_URL`")
REFUSED += [("PIPELINE_BROKER_URL", *row) for row in BROKER if row[1].startswith("refused: ")]


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    with listening_everywhere(tmp_path_factory.mktemp("r")) as there:
        yield there


def environment(address: str, port: int, socket: Path) -> Mapping[str, str]:
    there = (
        address.replace("/run/redis.sock", str(socket)).replace(":6379", f":{port}").replace("//host", "//127.0.0.1")
    )
    return {"PIPELINE_REDIS_URL": f" {there.replace('@host', '@127.0.0.1')}\n"}


def test_the_tables_are_read() -> None:
    assert len(TAKEN) >= 20
    assert len(REFUSED) >= 24


@pytest.mark.parametrize(("address", "meaning"), TAKEN, ids=[address for address, _ in TAKEN])
def test_both_clients_are_where_the_address_says(everywhere: tuple[int, Path], address: str, meaning: str) -> None:
    port, socket = everywhere
    if "[::1]" in address and not _has_ipv6():
        pytest.skip("there is no IPv6 here")
    environ = environment(address, port, socket)
    database = int(meaning.removeprefix("database ")[0])
    with redis.Redis(port=port, db=database) as there:
        there.flushall()
        queue, state = broker(environ), connect_from(environ)
        state.set("of the state", 1)
        options = queue.transport_options
        assert app.conf.broker_url
        with app.amqp.Connection(queue.url, ssl=queue.use_ssl or False, transport_options=options) as connection:
            channel = connection.default_channel
            assert type(channel) is Channel
            Producer(channel).publish({"is": "there"}, exchange=QUEUE.exchange, routing_key="a", declare=[QUEUE])
            assert there.exists("of the state", "a") == 2
            message = QUEUE(channel).get()
            assert message is not None
            assert message.payload == {"is": "there"}
            message.ack()
            for name, value in re.findall(r"[?&]((?!db|virtual)[a-z_]+)=([\w.]+)", address):
                assert [in_force(name, pool) for pool in (channel.pool, state.connection_pool)] == [value] * 2
    state.close()
    assert "p@ss" not in redis_address(environ).shown + queue.shown
    assert "p%40ss" not in redis_address(environ).shown + queue.shown


@pytest.mark.parametrize(
    ("variable", "address", "meaning"), REFUSED, ids=[f"{row[0][9:12]}-{row[1]}" for row in REFUSED]
)
def test_what_is_refused_says_what_to_write_and_quotes_nothing(variable: str, address: str, meaning: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        broker({variable: address.replace("host", "s3cret")})
    assert str(refused.value).startswith(variable)
    assert meaning.removeprefix("refused: ") in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "url", "shown"),
    [
        ("amqp://user:password@host:5672//", "amqp://user:password@host:5672//", "amqp://host:5672//"),
        ("amqps://u:p%40@host//", "amqps://u:p%40@host//", "amqps://host//"),
        ("amqp://a//;amqp://b//", "amqp://a//;amqp://b//", "amqp://a//;amqp://b//"),
        ("redis://:p@a/1;redis://b/1", "redis://:p@a:6379/1;redis://b:6379/1", "redis://a:6379/1;redis://b:6379/1"),
        ("memory://", "memory://", "memory://"),
    ],
)
def test_the_broker_may_be_another_one(address: str, url: str, shown: str) -> None:
    read = broker({"PIPELINE_BROKER_URL": address})
    assert (read.url, read.shown) == (url, shown)
    assert "p%40" not in repr(read)


def in_force(name: str, pool: Any) -> str:
    """Return an option as the connections of a pool have it."""
    if name == "max_connections":
        return str(pool.max_connections)
    connection = pool.get_connection()
    try:
        value = connection.get_protocol() if name == "protocol" else getattr(connection, name)
    finally:
        pool.release(connection)
    return str(value).lower().removesuffix(".0")


def _has_ipv6() -> bool:
    try:
        sockets.create_server(("::1", 0), family=sockets.AF_INET6).close()
    except OSError:
        return False
    return True
