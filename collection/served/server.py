"""A Qdrant server: one client, made when first needed, and calls that outlast passing faults.

In: an address and a key. Out: `client`, for what to call, and `call`, which
tries again with backoff and jitter while a fault may pass, and raises one
`CollectionError` in the end.
"""

import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import tenacity

from cbir.collection.interface import CollectionError
from cbir.collection.served.address import Address
from cbir.collection.served.faults import Fault, fault
from cbir.core.errors import CbirWarning, first_line

if TYPE_CHECKING:
    import httpx
    from qdrant_client import QdrantClient
    from qdrant_client.grpc import PointsStub

P = ParamSpec("P")
T = TypeVar("T")

#: Older ones lack calls that this module makes.
OLDEST = (1, 15)

#: Seconds to keep trying when a server is first asked: one that is just starting needs a few.
_GREETING = 4.0

#: Seconds for an answer once somebody has pressed Ctrl-C.
_IN_A_HURRY = 2.0


class ServerWarning(CbirWarning):
    """A server that keeps us waiting, or a key that others could read."""


class RefusedError(CollectionError):
    """A call that the server refused or never answered; `status` is HTTP's, or 0."""

    def __init__(self, found: Fault) -> None:
        super().__init__(found.message)
        self.status = found.status


class Server:
    """A server that is asked through qdrant-client.

    Parameters
    ----------
    address : Address
    key : str, optional
        Sent in a header; never shown, logged or put into a URL.
    patience : float
        Seconds to try again while a fault may pass.
    timeout : float
        Seconds to wait for one answer.

    Raises
    ------
    CollectionError
        A key that no header can carry. The message does not repeat it.
    """

    def __init__(
        self, address: Address, key: str | None = None, *, patience: float = 60.0, timeout: float = 30.0
    ) -> None:
        key = (key or "").strip() or None
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise CollectionError("QDRANT_API_KEY holds characters that no key has; set it again")
        self.address = address
        self.location = address.url
        self.patience = patience
        self.timeout = timeout
        self._key = key
        self._lock = threading.Lock()
        self._client: QdrantClient | None = None
        self._grpc: bool | None = None
        self._stopping = threading.Event()
        self._waiting = False
        self._away = False
        self.version: tuple[int, ...] = ()
        if key is not None and not address.secure and not address.local:
            warnings.warn(
                f"the key travels unencrypted to {address.host}, for others to read; use https:// or a tunnel",
                ServerWarning,
                stacklevel=2,
            )

    @property
    def client(self) -> "QdrantClient":
        """The client; made, and the server's version checked, when first asked for."""
        with self._lock:
            if self._client is None:
                try:
                    made = self._made()
                except (OSError, ValueError, ImportError) as error:
                    raise CollectionError(
                        f"no connection to {self.location} can be made ({first_line(error)}); "
                        "see SSL_CERT_FILE, the URL, and the proxy settings (HTTP_PROXY, ...)"
                    ) from error
                try:
                    told = self._try(
                        lambda: made.info().version,
                        min(self.patience, _GREETING),
                        "see that the URL is right and the server runs",
                    )
                    self.version = _version(told)
                    if self.version < OLDEST:
                        raise CollectionError(
                            f"Qdrant at {self.location} is version {told}; cbir needs "
                            f"{'.'.join(map(str, OLDEST))} or newer"
                        )
                except BaseException:
                    made.close()
                    raise
                self._client = made
            return self._client

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of the client, again while a fault may pass.

        Raises
        ------
        RefusedError
            The server refused, or did not answer within our patience.
        """
        # Once it has kept us waiting in vain, what still wants to tidy up does not wait again.
        patience = 0.0 if self._away or self._stopping.is_set() else self.patience
        return self._try(
            lambda: function(*args, **kwargs),
            patience,
            "what is stored stays, and the same again goes on from there",
        )

    def once(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function once, for what must not be done twice; RefusedError as `call`."""
        return self._try(lambda: function(*args, **kwargs), 0.0, "")

    def grpc_points(self) -> "PointsStub | None":
        """Return gRPC's calls for points, or None where only REST is offered."""
        client = self.client
        with self._lock:
            if self._grpc is None:
                self._grpc = self._speaks_grpc()
        return client.grpc_points if self._grpc else None

    def http(self) -> "httpx.Client":
        """Return a plain HTTP client for files, which qdrant-client does not carry; close it."""
        import httpx

        headers = {"api-key": self._key} if self._key else {}
        return httpx.Client(base_url=self.location, headers=headers, timeout=self.timeout, mounts=self._mounts())

    def interrupt(self) -> None:
        """End the calls of other threads, and from now on wait for nothing long: until `close`.

        What tidies up after Ctrl-C still can, if the server answers at once.
        """
        self._stopping.set()
        self._drop_client()

    def close(self) -> None:
        """Close the connections; asking again opens them again."""
        self._drop_client()
        self._stopping.clear()
        self._away = False

    def _drop_client(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _made(self) -> "QdrantClient":
        from qdrant_client import QdrantClient

        timeout = _IN_A_HURRY if self._stopping.is_set() else self.timeout
        with warnings.catch_warnings():
            # Ours, above, is for those whom it concerns.
            warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
            return QdrantClient(
                url=self.location,
                grpc_port=self.address.grpc_port,
                api_key=self._key,
                timeout=max(1, round(timeout)),
                mounts=self._mounts(),
                check_compatibility=False,
                grpc_options={
                    # gRPC would wait up to two minutes before it looks for a server that is back.
                    "grpc.initial_reconnect_backoff_ms": 200,
                    "grpc.min_reconnect_backoff_ms": 200,
                    "grpc.max_reconnect_backoff_ms": 2000,
                    "grpc.enable_http_proxy": int(not self.address.local),
                },
            )

    def _mounts(self) -> "dict[str, httpx.BaseTransport | None] | None":
        """Keep what is for this machine on it, whatever proxy the environment names."""
        return dict.fromkeys(("http://", "https://", "all://")) if self.address.local else None

    def _speaks_grpc(self) -> bool:
        """Tell whether the gRPC port is Qdrant's, without showing it the key."""
        import grpc
        from qdrant_client.grpc import HealthCheckRequest, QdrantStub

        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        target = f"{host}:{self.address.grpc_port}"
        made = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials())
            if self.address.secure
            else grpc.insecure_channel(target)
        )
        with made as channel:
            try:
                reply = QdrantStub(channel).HealthCheck(HealthCheckRequest(), timeout=2)  # type: ignore[no-untyped-call]
            except grpc.RpcError:
                return False
        return _version(reply.version) == self.version

    def _try(self, function: Callable[[], T], patience: float, advice: str) -> T:
        def found(error: BaseException) -> Fault | None:
            return fault(error, self.location, self._key is not None)

        def passing(error: BaseException) -> bool:
            known = found(error)
            return known is not None and known.passing

        backoff = tenacity.wait_random_exponential(multiplier=0.2, max=4)

        def wait(state: tenacity.RetryCallState) -> float:
            known = found(_failure(state))
            return max(backoff(state), known.wait if known else 0.0)

        def say(state: tenacity.RetryCallState) -> None:
            known = found(_failure(state))
            # Once an outage, and not for a hiccup, nor if the error is to follow soon.
            if known and patience > _GREETING and not self._waiting and state.attempt_number > 2:
                self._waiting = True
                warnings.warn(f"{known.message}; trying again for {patience:.0f} s", ServerWarning, stacklevel=2)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(passing),
            stop=tenacity.stop_any(tenacity.stop_before_delay(patience), tenacity.stop_when_event_set(self._stopping)),
            wait=wait,
            before_sleep=say,
            sleep=tenacity.sleep_using_event(self._stopping),
            reraise=True,
        )
        try:
            result = retrying(function)
        except KeyboardInterrupt:
            self.interrupt()
            raise
        except Exception as error:
            known = found(error)
            if known is None:
                raise
            if known.passing and advice:
                self._away = True
                known = replace(known, message=f"{known.message}; given up after {patience:.0f} s: {advice}")
            raise RefusedError(known) from error
        self._waiting = self._away = False
        return result


def _failure(state: tenacity.RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    return error if error is not None else RuntimeError("no outcome")


def _version(told: str) -> tuple[int, ...]:
    """Read `1.18.3` or `1.19.0-dev`."""
    numbers = told.partition("-")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdecimal())
