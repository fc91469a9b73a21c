"""What errors of Redis mean: every class that redis-py has is in the table."""

import importlib
import inspect
import pkgutil
import socket
import ssl

import pytest
import redis
from redis import exceptions as driver

from cdc.connect.redis import VERDICTS, classify, explain
from cdc.model.config import Url

# Classes of redis-py that no command of ours can raise, and why.
NOT_OURS = {
    "redis.exceptions.NoSuchFieldsetError": "answers HIMPORT only",
    "redis.exceptions.ChildDeadlockedError": "raised by asyncio pools after a fork",
    "redis.exceptions.IncorrectPolicyType": "a mistake in redis-py's own tables of commands",
    "redis.exceptions.ExternalAuthProviderError": "of credential providers, which are not offered",
}
OTHER_PARTS = ("redis.asyncio", "redis.multidb", "redis.http", "redis.auth", "redis.event")


def driver_classes() -> set[type[Exception]]:
    """Every exception class that a module of redis-py defines, without the parts that we do not use."""
    found: set[type[Exception]] = set()
    for module in pkgutil.walk_packages(redis.__path__, "redis."):
        if module.name.startswith(OTHER_PARTS):
            continue
        try:
            content = vars(importlib.import_module(module.name))
        except ImportError:
            continue  # needs a library that redis-py calls optional
        found |= {
            one
            for one in content.values()
            if inspect.isclass(one) and issubclass(one, Exception) and one.__module__.startswith("redis.")
        }
    return {one for one in found if not one.__module__.startswith(OTHER_PARTS)}


def test_every_exception_class_of_the_driver_has_a_verdict() -> None:
    missing = {f"{one.__module__}.{one.__name__}" for one in driver_classes() - set(VERDICTS)} - set(NOT_OURS)
    assert not missing, f"redis-py {redis.__version__} has classes without a verdict in cdc/connect/redis.py"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (driver.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused."), "unavailable"),
        (driver.TimeoutError("Timeout reading from socket"), "unavailable"),
        (driver.BusyLoadingError("Redis is loading the dataset in memory"), "unavailable"),
        (driver.ReadOnlyError("You can't write against a read only replica."), "unavailable"),
        (driver.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "unavailable"),
        (driver.ClusterDownError("Hash slot not served"), "unavailable"),
        (driver.MasterDownError("Link with MASTER is down"), "unavailable"),
        (driver.ResponseError("NOREPLICAS Not enough good replicas to write."), "unavailable"),
        (driver.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "unavailable"),
        (driver.ResponseError("BUSY Redis is busy running a script."), "unavailable"),
        (driver.AuthenticationError("invalid username-password pair"), "refused"),
        (driver.NoPermissionError("this user has no permissions"), "refused"),
        (driver.ResponseError("NOPERM this user has no permissions"), "refused"),
        (driver.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), "other"),
        (
            driver.ResponseError(
                "Error running script (call to f_00): @user_script:32: @user_script: 32: -OOM command not allowed"
            ),
            "unavailable",
        ),
        (
            driver.ResponseError(
                "Error running script (call to f_00): @user_script:1: @user_script: 1: -NOPERM this user has no permissions"
            ),
            "refused",
        ),
        (
            driver.ResponseError("The user executing the script can't run this command or subcommand script: 00, on"),
            "refused",
        ),
        (driver.LockError("Cannot release"), "other"),
        (driver.RedisClusterException("Redis Cluster cannot be connected."), "unavailable"),
        (socket.gaierror(-2, "Name or service not known"), "unavailable"),
        (ConnectionResetError(104, "reset"), "unavailable"),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:24]}" if isinstance(value, Exception) else value,
)
def test_an_error_is_unavailable_refused_or_other(error: Exception, verdict: str) -> None:
    assert classify(error) == verdict


def test_a_class_of_a_later_driver_has_the_verdict_of_its_base() -> None:
    class Newer(driver.AuthenticationError):
        pass

    assert classify(Newer("new")) == "refused"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_cluster_that_refuses_the_password_is_not_called_unavailable() -> None:
    hidden = driver.AuthenticationError("invalid username-password pair")
    assert classify(caused(driver.RedisClusterException("cannot be connected"), hidden)) == "refused"


def test_a_certificate_that_cannot_be_trusted_is_refused() -> None:
    hidden = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    assert classify(caused(driver.ConnectionError("Error 1 connecting to h:1."), hidden)) == "refused"


def test_what_a_server_says_is_told_on_one_line_and_without_the_password() -> None:
    url = Url("redis+sentinel://u:canary-pw%21@h:1/m/0?sentinel_password=other-canary")
    said = driver.ResponseError("unknown command 'AUTH', with args beginning with: 'u' 'canary-pw!'\r\n'other-canary'")
    assert explain(said, url) == "unknown command 'AUTH', with args beginning with: 'u' '***' '***'"
    assert explain(driver.TimeoutError(), url) == "TimeoutError"
