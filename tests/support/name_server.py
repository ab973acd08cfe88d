"""A name server that can fall silent: every name is 127.0.0.1; after SIGUSR1 nothing is answered any more, until SIGUSR2.

``python -m tests.support.name_server ADDRESS``; while it is silent it prints each name that is asked for.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys

A, IN = 1, 1
ANSWERED = 0x8180
"""A response without an error, to a question for which recursion was desired."""


def name_in(question: bytes) -> tuple[str, int]:
    """The name, and where the question's type stands."""
    labels, at = [], 12
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode())
        at += size + 1
    return ".".join(labels), at + 1


def answer_to(question: bytes) -> bytes:
    _, at = name_in(question)
    kind = struct.unpack_from(">H", question, at)[0]
    head = struct.pack(">HHHHHH", struct.unpack_from(">H", question)[0], ANSWERED, 1, int(kind == A), 0, 0)
    record = struct.pack(">HHHIH", 0xC00C, A, IN, 1, 4) + socket.inet_aton("127.0.0.1")
    return head + question[12 : at + 4] + (record if kind == A else b"")


def serve(address: str) -> None:
    silent = False

    def obey(number: int, _: object) -> None:
        nonlocal silent
        silent = number == signal.SIGUSR1
        print("silent" if silent else "answering", flush=True)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        signal.signal(signal.SIGUSR1, obey)
        signal.signal(signal.SIGUSR2, obey)
        print("listening", flush=True)
        while True:
            question, client = server.recvfrom(4_096)
            if silent:
                print(name_in(question)[0], flush=True)
            else:
                server.sendto(answer_to(question), client)


if __name__ == "__main__":
    serve(sys.argv[1])
