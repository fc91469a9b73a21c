"""Connections to Redis, the meaning of its errors, and scripts kept in files: what queue and coordination share.

redis-py's own retries are off: a command whose reply was lost would be sent twice, and `SET NX` then answers "not acquired"
for a lock that we hold. Whoever calls decides whether a command may be repeated.
"""

import hashlib
import re
import ssl
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final, Literal, cast
from urllib.parse import parse_qs, urlsplit

import redis
from redis import exceptions as driver
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SlaveNotFoundError

from cdc.model.config import Tls, Url, effective_tls
from cdc.model.errors import UsageError

Client = redis.Redis | RedisCluster
Verdict = Literal["unavailable", "refused", "other"]

ERRORS: Final = (driver.RedisError, driver.RedisClusterException, OSError)
"""What a command, and opening a cluster, can raise; `classify` says what it means."""


# --- what an error means -----------------------------------------------------------------------------------------------

VERDICTS: Final[dict[type[Exception], Verdict]] = {
    driver.RedisError: "other",
    driver.ConnectionError: "unavailable",
    driver.TimeoutError: "unavailable",
    driver.AuthenticationError: "refused",
    driver.AuthorizationError: "refused",
    driver.BusyLoadingError: "unavailable",
    driver.InvalidResponse: "other",
    driver.ResponseError: "other",
    driver.DataError: "other",
    driver.PubSubError: "other",
    driver.WatchError: "other",
    driver.NoScriptError: "other",
    driver.OutOfMemoryError: "unavailable",
    driver.ExecAbortError: "other",
    driver.ReadOnlyError: "unavailable",
    driver.NoPermissionError: "refused",
    driver.ModuleError: "other",
    driver.LockError: "other",
    driver.LockNotOwnedError: "other",
    driver.AuthenticationWrongNumberOfArgsError: "refused",
    driver.RedisClusterException: "unavailable",
    driver.ClusterError: "unavailable",
    driver.ClusterDownError: "unavailable",
    driver.AskError: "unavailable",
    driver.TryAgainError: "unavailable",
    driver.ClusterCrossSlotError: "other",
    driver.MovedError: "unavailable",
    driver.MasterDownError: "unavailable",
    driver.SlotNotCoveredError: "unavailable",
    driver.MaxConnectionsError: "unavailable",
    driver.CrossSlotTransactionError: "other",
    driver.InvalidPipelineStack: "other",
    MasterNotFoundError: "unavailable",
    SlaveNotFoundError: "unavailable",
    OSError: "unavailable",
}
"""Every exception class of redis-py 8.1 that a command can raise; a class of a later version has its nearest base's."""

_CODES: Final[dict[str, Verdict]] = {
    "OOM": "unavailable",
    "READONLY": "unavailable",
    "MISCONF": "unavailable",
    "NOREPLICAS": "unavailable",
    "BUSY": "unavailable",
    "LOADING": "unavailable",
    "MASTERDOWN": "unavailable",
    "CLUSTERDOWN": "unavailable",
    "TRYAGAIN": "unavailable",
    "NOAUTH": "refused",
    "WRONGPASS": "refused",
    "NOPERM": "refused",
    "DENIED": "refused",
}
"""Error codes that redis-py has no class for, or that a script's error hides inside its text (before Redis 7)."""

_IN_SCRIPT = re.compile(r"@user_script: ?\d+: -?(?P<code>[A-Z]+) ")
_REFUSING = re.compile(r"The user executing the script|can't run this command|cluster support disabled")
"""Refusals that have no code of their own: rights inside a script (before Redis 7.0.1), a Cluster URL for a plain server."""


def classify(error: Exception) -> Verdict:
    """`unavailable`: may work later; `refused`: needs a person (password, rights, certificate); `other`: our mistake."""
    verdict = _verdict(error)
    seen: BaseException | None = error
    while verdict == "unavailable" and seen is not None:
        # A cluster that cannot be reached hides why in its cause; so does a TLS handshake that failed.
        if isinstance(seen, ssl.SSLCertVerificationError) or (isinstance(seen, ERRORS) and _verdict(seen) == "refused"):
            return "refused"
        seen = seen.__cause__ or seen.__context__
    return verdict


def _verdict(error: BaseException) -> Verdict:
    by_class: Verdict = next((VERDICTS[base] for base in type(error).__mro__ if base in VERDICTS), "other")
    if not isinstance(error, driver.ResponseError) or by_class != "other":
        return by_class
    text = str(error)
    if _REFUSING.search(text):
        return "refused"
    hidden = _IN_SCRIPT.search(text)
    return _CODES.get(hidden["code"] if hidden else text.split(" ", 1)[0], "other")


def explain(error: Exception, url: Url) -> str:
    """The driver's words on one line, without the passwords of `url` (a server may echo the arguments of AUTH)."""
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in (url.password, *_query(url).values()):
        if secret:
            text = text.replace(secret, "***")
    return text


# --- opening -----------------------------------------------------------------------------------------------------------


def open_redis(url: Url, tls: Tls | None, *, timeout_seconds: float = 5.0) -> Client:
    """A client for one of these; replies are bytes, and no command is ever sent twice:

    - `redis://user:password@host:6379/0`, `rediss://` (TLS whatever the host is)
    - `redis+sentinel://user:password@host:26379,host:26379/master-name/0`; user and password are those of the Redis
      servers; the Sentinels' own go into `?sentinel_password=…&sentinel_user=…`
    - `redis+cluster://user:password@host:6379,host:6379`

    Only a cluster is connected to at once (and so raises `ERRORS`). `timeout_seconds` holds for connecting, and for each
    wait for a reply. Without `tls` the rule of `effective_tls` holds for the least trusted of the hosts.
    """
    kind = url.scheme.partition("+")[2]
    options = {**_common(timeout_seconds), **_tls_options(url, tls), **_credentials(url.user, url.password)}
    if kind == "cluster":
        if url.path.strip("/") not in {"", "0"}:
            raise UsageError(f"{url} names a database", hint="a Redis Cluster has only database 0: drop it")
        nodes = [ClusterNode(host, port) for host, port in hosts(url, 6379)]  # type: ignore[no-untyped-call]
        return RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 0), **options)
    if kind == "sentinel":
        return _through_sentinel(url, options, timeout_seconds)
    (host, port), *more = hosts(url, 6379)
    if more:
        raise UsageError(f"{url} names several hosts", hint="use redis+sentinel:// or redis+cluster:// for several")
    return redis.Redis(host=host, port=port, db=_database(url, url.path), retry=Retry(NoBackoff(), 0), **options)


def _through_sentinel(url: Url, options: dict[str, Any], timeout_seconds: float) -> redis.Redis:
    name, _, database = url.path.strip("/").partition("/")
    if not name:
        raise UsageError(
            f"{url} lacks the master's name", hint="write redis+sentinel://host:26379,host:26379/master-name/0"
        )
    query = _query(url)
    own = {key: value for key, value in options.items() if key not in {"username", "password"}}
    own |= _credentials(query.get("sentinel_user", ""), query.get("sentinel_password", ""))
    places = hosts(url, 26379)
    # They are asked one after the other: together they have the time that one answer has.
    share = timeout_seconds / len(places)
    own |= {"retry": Retry(NoBackoff(), 0), "socket_timeout": share, "socket_connect_timeout": share}
    sentinel = Sentinel(places, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    options |= {"db": _database(url, database), "retry": Retry(NoBackoff(), 0)}
    return cast(redis.Redis, sentinel.master_for(name, **options))  # type: ignore[no-untyped-call]


def hosts(url: Url, default_port: int) -> list[tuple[str, int]]:
    """The comma-separated `host:port` of a URL; raises UsageError."""
    found = []
    for place in _netloc(url).split(","):
        match = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]*))(?::(?P<port>\d{1,5}))?", place)
        if match is None or not 0 < int(match["port"] or default_port) < 65536:
            raise UsageError(f"'{place}' in {url} is not host:port", hint="write host:port, hosts separated by commas")
        found.append((match["v6"] or match["host"] or "127.0.0.1", int(match["port"] or default_port)))
    return found


def _netloc(url: Url) -> str:
    return urlsplit(url.get_secret_value()).netloc.rpartition("@")[2]


def _query(url: Url) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(url.get_secret_value()).query).items()}


def _database(url: Url, path: str) -> int:
    text = path.strip("/") or "0"
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"'{text}' in {url} is not the number of a database", hint="write …/0")
    return int(text)


def _common(timeout_seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "decode_responses": False,
        # RESP2: replies have one shape whatever redis-py's default is, and servers before Redis 6 speak it.
        "protocol": 2,
    }


def _credentials(user: str, password: str) -> dict[str, Any]:
    given = {"username": user, "password": password}
    return {name: value for name, value in given.items() if value}


def tls_of(url: Url, tls: Tls | None) -> Tls:
    """What `open_redis` does about TLS; raises UsageError where URL and `tls` contradict each other."""
    wanted = url.scheme.startswith("rediss")
    if tls is not None and wanted and tls.mode == "disabled":
        raise UsageError(f"{url} asks for TLS, and tls.mode is disabled", hint="write redis://, or drop tls.mode")
    if tls is None and wanted:
        return Tls(mode="verify-full", ca=None, cert=None, key=None)
    return tls or _least_trusted(url)


def reach_hint(url: Url, tls: Tls | None) -> str:
    """What to look at when Redis does not answer: a server that speaks plain text lets a TLS handshake run into the timeout."""
    mode = tls_of(url, tls).mode
    if mode == "disabled":
        return "is it running, and reachable from here?"
    return (
        f"is it running, reachable from here, and does it speak TLS ({mode})? If it does not: tls: {{mode: disabled}}"
    )


def _tls_options(url: Url, tls: Tls | None) -> dict[str, Any]:
    chosen = tls_of(url, tls)
    if chosen.mode == "disabled":
        return {}
    return {
        "ssl": True,
        "ssl_cert_reqs": "none" if chosen.mode == "required" else "required",
        "ssl_check_hostname": chosen.mode == "verify-full",
        "ssl_ca_certs": chosen.ca,
        "ssl_certfile": chosen.cert,
        "ssl_keyfile": chosen.key,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }


def _least_trusted(url: Url) -> Tls:
    """`effective_tls` reads one host; with one seed on loopback and one elsewhere, the one elsewhere decides."""
    rules = [
        effective_tls(Url(f"redis://{f'[{host}]' if ':' in host else host}"), None) for host, _ in hosts(url, 6379)
    ]
    return next((rule for rule in rules if rule.mode != "disabled"), rules[0])


# --- scripts -----------------------------------------------------------------------------------------------------------


class Script:
    """A Lua file of a package's `lua` folder; its header names every key, argument and return value.

    Each is called by one typed method of its user. Sent by its hash; the text follows only where the server does not have it
    (NOSCRIPT: nothing was run, so this is not a repetition). https://redis.io/docs/latest/commands/evalsha/
    """

    def __init__(self, package: str, name: str) -> None:
        self.name = name
        self.text = resources.files(package).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
        # Redis names scripts by SHA-1; nothing is protected by it.
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, client: Client, keys: Sequence[str], args: Sequence[str | bytes | int] = ()) -> Any:
        """The reply as redis-py gives it: int, bytes, None or lists of these. Raises `ERRORS`."""
        try:
            return _ask(client, "EVALSHA", self.sha, len(keys), *keys, *args)
        except driver.NoScriptError:
            return _ask(client, "EVAL", self.text, len(keys), *keys, *args)

    def packed(self, keys: Sequence[str], args: Sequence[str | bytes | int] = ()) -> list[bytes]:
        """A call by its hash, as one of a transaction's commands."""
        return packed(("EVALSHA", self.sha, len(keys), *keys, *args))


def _ask(client: Client, *command: str | bytes | int) -> Any:
    """`client.execute_command`; of one server without what that does around it (retries, which are off, and telemetry): it costs
    as much again as the command."""
    if not isinstance(client, redis.Redis):
        return client.execute_command(*command)  # type: ignore[no-untyped-call]
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command(packed(command))
        return connection.read_response()
    except driver.ResponseError:
        raise  # the whole reply was read
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


_APART_BYTES: Final = 8 * 1024


def packed(command: Sequence[str | bytes | int]) -> list[bytes]:
    """As it goes over the wire (RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/), in pieces that are sent one
    after the other: what is large is not copied. redis-py's own way joins anew with each argument."""
    done: list[bytes] = []
    small = [b"*%d\r\n" % len(command)]
    for one in command:
        text = one if isinstance(one, bytes) else str(one).encode()
        if len(text) < _APART_BYTES:
            small.append(b"$%d\r\n%b\r\n" % (len(text), text))
        else:
            small.append(b"$%d\r\n" % len(text))
            done += (b"".join(small), text)
            small = [b"\r\n"]
    done.append(b"".join(small))
    return done
