"""Which client a coordination or queue URL means; nothing is connected to."""

from typing import Any

import pytest
import redis
from redis.sentinel import SentinelConnectionPool

from cdc.connect.redis import Client, hosts, open_redis
from cdc.model.config import Tls, Url
from cdc.model.errors import UsageError


def options(client: Client) -> dict[str, Any]:
    assert isinstance(client, redis.Redis)
    return dict(client.connection_pool.connection_kwargs)


def test_a_plain_url_names_host_port_database_user_and_password() -> None:
    found = options(open_redis(Url("redis://lock%40step:p%3Aw@127.0.0.2:7000/3"), None, timeout_seconds=1.5))
    assert (found["host"], found["port"], found["db"]) == ("127.0.0.2", 7000, 3)
    assert (found["username"], found["password"]) == ("lock@step", "p:w")
    assert (found["socket_timeout"], found["socket_connect_timeout"]) == (1.5, 1.5)


def test_the_drivers_own_retries_are_off() -> None:
    assert options(open_redis(Url("redis://127.0.0.1"), None))["retry"].get_retries() == 0
    sentinel = open_redis(Url("redis+sentinel://127.0.0.1/m"), None)
    assert options(sentinel)["retry"].get_retries() == 0
    pool = sentinel.connection_pool  # type: ignore[union-attr]
    assert isinstance(pool, SentinelConnectionPool)
    assert all(
        one.connection_pool.connection_kwargs["retry"].get_retries() == 0 for one in pool.sentinel_manager.sentinels
    )


def test_replies_are_bytes() -> None:
    assert options(open_redis(Url("redis://127.0.0.1"), None))["decode_responses"] is False


def test_a_sentinel_url_names_sentinels_master_and_database() -> None:
    url = Url("redis+sentinel://u:pw@10.0.0.1:26379,10.0.0.2:26380/shop-master/2?sentinel_password=spw")
    client = open_redis(url, Tls(mode="disabled", ca=None, cert=None, key=None))
    pool = client.connection_pool  # type: ignore[union-attr]
    assert isinstance(pool, SentinelConnectionPool)
    assert pool.service_name == "shop-master"
    assert (options(client)["username"], options(client)["password"], options(client)["db"]) == ("u", "pw", 2)
    asked = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in asked] == [("10.0.0.1", 26379), ("10.0.0.2", 26380)]
    assert {(one.get("username"), one["password"]) for one in asked} == {(None, "spw")}


def test_hosts_have_a_default_port() -> None:
    assert hosts(Url("redis+cluster://u:p@a,b:7001"), 6379) == [("a", 6379), ("b", 7001)]
    assert hosts(Url("redis://u:p@[::1]:7002/1"), 6379) == [("::1", 7002)]


@pytest.mark.parametrize(
    ("url", "tls", "check", "host_name"),
    [
        ("redis://127.0.0.1", None, None, None),
        ("redis://redis.internal", None, "required", True),
        ("rediss://127.0.0.1", None, "required", True),
        ("redis+sentinel://127.0.0.1,10.0.0.9/m", None, "required", True),
        ("redis+sentinel://127.0.0.1,localhost/m", None, None, None),
        ("redis://redis.internal", "disabled", None, None),
        ("rediss://redis.internal", "required", "none", False),
        ("rediss://redis.internal", "verify-ca", "required", False),
    ],
)
def test_tls_is_verified_in_full_off_loopback_unless_told_otherwise(
    url: str, tls: str | None, check: str | None, host_name: bool | None
) -> None:
    given = None if tls is None else Tls.model_validate({"mode": tls})
    found = options(open_redis(Url(url), given))
    assert (found.get("ssl_cert_reqs"), found.get("ssl_check_hostname")) == (check, host_name)


@pytest.mark.parametrize(
    ("url", "tells"),
    [
        ("redis://u:canary@127.0.0.1/orders", "not the number of a database"),
        ("redis://u:canary@a:1,b:2", "several hosts"),
        ("redis://u:canary@a:99999", "not host:port"),
        ("redis://u:canary@a:0", "not host:port"),
        ("redis+sentinel://u:canary@a:1", "lacks the master's name"),
        ("redis+cluster://u:canary@a:1/3", "only database 0"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_its_password(url: str, tells: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_redis(Url(url), Tls(mode="disabled", ca=None, cert=None, key=None))
    assert tells in str(refused.value)
    assert "canary" not in str(refused.value) + repr(refused.value)


def test_rediss_with_tls_disabled_is_a_contradiction() -> None:
    with pytest.raises(UsageError, match=r"tls\.mode is disabled"):
        open_redis(Url("rediss://h"), Tls(mode="disabled", ca=None, cert=None, key=None))
