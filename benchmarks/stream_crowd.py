"""A crowd of stream clients in one process: real sockets, every one checks that positions have no gap, some decode everything."""

import os
import selectors
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.stream_client import CrowdClient

_BUFFER = 1 << 20


@dataclass
class Crowd:
    """What a crowd is made of.

    Args:
        port: of the server.
        sse: how many read Server-Sent Events.
        websocket: how many read a WebSocket.
        decoding: how many of each kind decode everything.
    """

    port: int
    sse: int
    websocket: int
    decoding: int = 2


def run_crowd(crowd: Crowd, pipe: Connection) -> None:
    """Connect, say `ready` when all know where they are, read until a position is named and all have reached it, tell what they saw."""
    clients = list(_connect(crowd))
    selector = selectors.EpollSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    buffer = bytearray(_BUFFER)
    _read_until(
        selector, buffer, lambda: all(client.position is not None for client in clients), 60
    )
    began = _cpu_seconds()
    pipe.send("ready")
    _read_until(selector, buffer, pipe.poll, 600)
    upto = pipe.recv()
    used = _cpu_seconds() - began
    reached = _read_until(
        selector,
        buffer,
        lambda: all((client.position or 0) >= upto or client.is_over for client in clients),
        30,
    )
    pipe.send(
        {
            "reached": reached,
            "cpu_seconds": used,
            "received": sum(client.received for client in clients),
            "faults": [fault for client in clients for fault in client.faults],
            "arrivals": [
                (client.arrivals.tobytes(), client.positions.tobytes()) for client in clients
            ],
            "views": [client.view for client in clients if client.view is not None],
        }
    )


def _connect(crowd: Crowd) -> Iterator[CrowdClient]:
    for number in range(max(crowd.sse, crowd.websocket)):
        if number < crowd.sse:
            yield CrowdClient(crowd.port, is_sse=True, decodes=number < crowd.decoding)
        if number < crowd.websocket:
            yield CrowdClient(crowd.port, is_sse=False, decodes=number < crowd.decoding)


def _read_until(
    selector: selectors.EpollSelector, buffer: bytearray, holds: Callable[[], bool], seconds: float
) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        for key, _ in selector.select(0.05):
            client: CrowdClient = key.data
            client.receive(buffer)
            if client.is_over:
                selector.unregister(client.socket)
    return True


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
