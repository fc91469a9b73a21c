"""Connections to Redis: through TLS, through Sentinel, and what a script's call sends."""

import datetime
import ipaddress
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cdc.connect.redis import Script, open_redis
from cdc.coordination.redis import RedisCoordination
from cdc.local import Server
from cdc.local.ports import free_port
from cdc.model.config import Tls, Url
from cdc.model.errors import CoordinationRefused, CoordinationUnavailable
from tests.support.doctor import about, only
from tests.support.own_redis import start_own_redis
from tests.support.relay import Relay
from tests.support.wait import until

# --- TLS: the server's side is spoken by the relay, since not every Redis is built with TLS


class Certificate(NamedTuple):
    path: str
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Self-signed, for `redis.internal` and 127.0.0.2: not for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis.internal")])
    now = datetime.datetime.now(datetime.UTC)
    places = [
        x509.DNSName("redis.internal"),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.2")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "redis.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return Certificate(str(path), context)


@pytest.fixture
def tls_relay(redis_server: Server, certificate: Certificate) -> Iterator[Relay]:
    with Relay(redis_server.url, certificate.context) as one:
        yield one


def check(url: str, mode: str | None, ca: str | None) -> list[str]:
    tls = None if mode is None else Tls.model_validate({"mode": mode, "ca": ca})
    one = RedisCoordination("shop", Url(url), tls)
    try:
        return one.check()
    finally:
        one.close()


@pytest.mark.parametrize(
    ("host", "mode", "trusts"),
    [
        ("localhost", "verify-full", True),
        ("127.0.0.1", "verify-ca", True),
        ("127.0.0.1", "required", False),
    ],
)
def test_redis_is_reached_through_tls(
    tls_relay: Relay, certificate: Certificate, host: str, mode: str, trusts: bool
) -> None:
    assert check(f"rediss://{host}:{tls_relay.port}/0", mode, certificate.path if trusts else None)


@pytest.mark.parametrize(
    ("mode", "trusts", "tells"),
    [
        (None, False, "self-signed|self signed"),
        ("verify-ca", False, "self-signed|self signed"),
        ("verify-full", True, "IP address mismatch|not valid for"),
    ],
)
def test_a_certificate_that_does_not_prove_the_server_is_refused(
    tls_relay: Relay, certificate: Certificate, mode: str | None, trusts: bool, tells: str
) -> None:
    with pytest.raises(CoordinationRefused, match=tells) as told:
        check(f"rediss://127.0.0.1:{tls_relay.port}/0", mode, certificate.path if trusts else None)
    assert "tls" in told.value.hint


def test_tls_asked_of_a_plain_server_fails_within_the_timeout_and_says_what_to_do(redis_server: Server) -> None:
    url = Url(f"rediss://127.0.0.1:{urlsplit(redis_server.url).port}")
    with pytest.raises(CoordinationUnavailable) as told:
        RedisCoordination("shop", url, timeout_seconds=1).check()
    assert "tls: {mode: disabled}" in told.value.hint


# --- Sentinel


class Watched(NamedTuple):
    """A master, its replica, and the Sentinel that watches them."""

    master: Server
    url: str


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Watched]:
    started: list[Server] = []
    process = None
    try:
        for name in ("master", "replica"):
            started += [start_own_redis(tmp_path / name, programs_only=True)]
        master, replica = started
        with redis.Redis.from_url(replica.url) as client:
            client.replicaof("127.0.0.1", urlsplit(master.url).port)
            until(lambda: client.info("replication")["master_link_status"] == "up", 20, "the replica follows")
        port = free_port()
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor shop 127.0.0.1 {urlsplit(master.url).port} 1\n"
            "sentinel down-after-milliseconds shop 500\nsentinel failover-timeout shop 3000\n"
        )
        with (tmp_path / "sentinel.log").open("wb") as log:
            process = subprocess.Popen(
                [*master.commands["redis-server"], str(configuration), "--sentinel"], stdout=log, stderr=log
            )
        with redis.Redis(port=port) as client:
            until(lambda: client.sentinel_master("shop")["num-slaves"] == 1, 20, "the Sentinel knows both")
        yield Watched(master, f"redis+sentinel://127.0.0.1:{port}/shop/0")
    finally:
        if process is not None:
            process.terminate()
            process.wait(10)
        for server in started:
            server.remove()


def test_tokens_grow_over_a_failover(sentinel: Watched) -> None:
    one = RedisCoordination("shop", Url(sentinel.url))
    lease = one.acquire("reader", "a", 30)
    assert lease is not None
    assert one.check()
    sentinel.master.kill()
    with pytest.raises(CoordinationUnavailable):
        one.renew(lease, 30)
    after = until(
        lambda: one.acquire("reader", "a", 30, floor=lease.token), 30, "the replica is master, and grants a lease"
    )
    assert after is not None
    assert after.token > lease.token
    one.close()


def test_sentinels_that_could_bring_no_failover_about_are_a_finding(sentinel: Watched) -> None:
    one = RedisCoordination("shop", Url(sentinel.url))
    assert [found.level for found in about(one.findings(), "sentinel")] == ["ok"]
    one.close()
    # A second one, that is not there.
    one = RedisCoordination("shop", Url(sentinel.url.replace("/shop/", f",127.0.0.1:{free_port()}/shop/")))
    assert "1 of 2" in only(one.findings(), "sentinel", "warning").text
    port = urlsplit(sentinel.url).port or 0
    with redis.Redis(port=port) as client:
        client.execute_command("SENTINEL SET", "shop", "quorum", 2)
    alone = RedisCoordination("shop", Url(sentinel.url))
    assert "NOQUORUM" in only(alone.findings(), "sentinel", "warning").text
    for opened in (one, alone):
        opened.close()


def test_a_master_that_no_sentinel_knows_is_unavailable(sentinel: Watched) -> None:
    one = RedisCoordination("shop", Url(sentinel.url.replace("/shop/", "/other/")), timeout_seconds=1)
    with pytest.raises(CoordinationUnavailable, match="other"):
        one.check()


# --- Cluster


def test_a_cluster_that_is_not_there_is_unavailable_at_once() -> None:
    with pytest.raises(CoordinationUnavailable):
        RedisCoordination("shop", Url(f"redis+cluster://127.0.0.1:{free_port()}"), timeout_seconds=1)


def test_a_redis_that_is_no_cluster_is_told_from_one(redis_server: Server) -> None:
    with pytest.raises(CoordinationRefused, match="Cluster mode is not enabled"):
        RedisCoordination("shop", Url(f"redis+cluster://{urlsplit(redis_server.url).netloc}"))


# --- scripts


def test_a_scripts_text_is_sent_once(redis_url: str) -> None:
    script = Script("cdc.coordination", "release")
    client = open_redis(Url(redis_url), None)
    with redis.Redis.from_url(redis_url) as watcher:
        watcher.script_flush()
        before = _calls(watcher)
        for _ in range(3):
            assert script(client, ["{shop}:lease:reader"], ["a", 1]) == 0
        after = _calls(watcher)
    client.close()
    assert {name: after[name] - before[name] for name in after} == {"eval": 1, "evalsha": 3}


def _calls(client: redis.Redis) -> dict[str, int]:
    stats = client.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha")}
