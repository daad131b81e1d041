"""A client of HTTP/3, with python's aioquic: `http3_client.py HOST PORT [dynamic]`.

With `dynamic` the server has announced a table for QPACK, which aioquic then uses. Prints one line for each case that went
as it should, and ends with an error at the first that did not."""

import asyncio
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StopSendingReceived, StreamReset

host, port = sys.argv[1], int(sys.argv[2])
is_dynamic = sys.argv[3:] == ["dynamic"]
PATIENCE = 20


class Answer:
    def __init__(self):
        self.heads, self.content, self.trailers = [], b"", None
        self.done = asyncio.get_running_loop().create_future()
        # Nobody waits for those that are given up.
        self.done.add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def status(self):
        return int(dict(self.heads[-1])[b":status"])

    @property
    def interim(self):
        return [int(dict(head)[b":status"]) for head in self.heads[:-1]]

    def field(self, name):
        return dict(self.heads[-1]).get(name.encode(), b"").decode()

    def text(self):
        return self.content.decode()


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.http = H3Connection(self._quic)
        self.answers, self.stopped = {}, {}

    def quic_event_received(self, event):
        if isinstance(event, StreamReset) and event.stream_id in self.answers:
            self.end(event.stream_id, Exception(f"reset {event.error_code:#x}"))
        if isinstance(event, StopSendingReceived):
            self.stopped[event.stream_id] = event.error_code
        if isinstance(event, ConnectionTerminated):
            for stream in list(self.answers):
                self.end(stream, Exception(f"closed {event.error_code:#x} {event.reason_phrase}"))
        for event in self.http.handle_event(event):
            answer = self.answers.get(event.stream_id)
            if isinstance(event, HeadersReceived):
                if answer.heads and int(dict(answer.heads[-1])[b":status"]) >= 200:
                    answer.trailers = event.headers
                else:
                    answer.heads.append(event.headers)
            elif isinstance(event, DataReceived):
                answer.content += event.data
            if event.stream_ended:
                self.end(event.stream_id, None)

    def end(self, stream, error):
        done = self.answers[stream].done
        if not done.done():
            done.set_exception(error) if error else done.set_result(None)

    def open(self, method, target, fields=(), end=True):
        stream = self._quic.get_next_available_stream_id()
        self.answers[stream] = Answer()
        head = [
            (b":method", method.encode()),
            (b":scheme", b"https"),
            (b":authority", f"localhost:{port}".encode()),
            (b":path", target.encode()),
        ]
        self.http.send_headers(stream, head + list(fields), end_stream=end)
        self.transmit()
        return stream

    def send(self, stream, content, end=True):
        self.http.send_data(stream, content, end_stream=end)
        self.transmit()

    async def answer(self, stream):
        await asyncio.wait_for(self.answers[stream].done, PATIENCE)
        return self.answers[stream]

    async def ask(self, method, target, fields=(), content=b""):
        stream = self.open(method, target, fields, end=not content)
        if content:
            self.send(stream, content)
        return await self.answer(stream)


def fnv1a(content):
    value = 0xCBF29CE484222325
    for byte in content:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def pattern(length):
    period = bytes((at % 251) ^ (at // 251) & 0xFF for at in range(251 * 256))
    return (period * (length // len(period) + 1))[:length]


async def simple(client):
    answer = await client.ask("GET", "/hello")
    assert (answer.status, answer.text()) == (200, "Hello, world!\n"), answer.heads
    assert answer.field("content-length") == "14"
    # Not HEAD: aioquic takes its Content-Length for that of content that is missing.
    assert (await client.ask("GET", "/nowhere")).status == 404


async def many(client):
    answers = await asyncio.gather(*(client.ask("GET", f"/target?{n}") for n in range(200)))
    for n, answer in enumerate(answers):
        assert answer.text() == f"GET /target?{n}\n", answer.text()


async def uploads(client):
    for length in (1, 1000, 70_000, 1_000_000):
        content = pattern(length)
        answer = await client.ask("POST", "/read", content=content)
        assert answer.text() == f"{length} {fnv1a(content):016x} 0\n", answer.text()
        answer = await client.ask("POST", "/echo", content=content)
        assert answer.content == content, length


async def downloads(client):
    for length in (0, 1, 8193, 3_000_000):
        answer = await client.ask("GET", f"/big?bytes={length}")
        assert answer.content == pattern(length), length
    answer = await client.ask("GET", "/stream?n=300&bytes=1000")
    assert answer.content == pattern(1000) * 300


async def trailers(client):
    answer = await client.ask("GET", "/stream-trailers?n=3&bytes=10")
    assert answer.trailers == [(b"x-pieces", b"3")], answer.trailers
    stream = client.open("POST", "/read", end=False)
    client.send(stream, b"abc", end=False)
    client.http.send_headers(stream, [(b"x-one", b"1"), (b"x-two", b"2")], end_stream=True)
    client.transmit()
    answer = await client.answer(stream)
    assert answer.text().endswith(" 2\n"), answer.text()


async def interim(client):
    stream = client.open("POST", "/read", [(b"expect", b"100-continue")], end=False)
    for _ in range(200):
        if client.answers[stream].heads:
            break
        await asyncio.sleep(0.02)
    assert int(dict(client.answers[stream].heads[0])[b":status"]) == 100
    client.send(stream, b"abc")
    assert (await client.answer(stream)).text().startswith("3 ")
    answer = await client.ask("GET", "/hints?n=3&pause=10")
    assert (answer.interim, answer.text()) == ([103, 103, 103], "hinted\n"), answer.heads


async def large_heads(client):
    answer = await client.ask("GET", "/hello", [(b"x-large", b"x" * 12_000)])
    assert answer.status == 200
    # It is not allowed to send one that is too large, and does not know.
    answer = await client.ask("GET", "/hello", [(b"x-large", b"x" * 16_500)])
    assert answer.status == 431, answer.status
    answer = await client.ask("GET", "/target?" + "x" * 9000)
    assert answer.status == 414, answer.status


async def early(client):
    stream = client.open("POST", "/ignore", end=False)
    # More than is thrown away for the sake of peace.
    client.send(stream, b"x" * 300_000, end=False)
    answer = await client.answer(stream)
    assert answer.status == 200, answer.status
    for _ in range(100):
        if stream in client.stopped:
            break
        await asyncio.sleep(0.02)
    assert client.stopped.get(stream) == 0x100, client.stopped


async def key_updates(client):
    for _ in range(3):
        client.request_key_update()
        assert (await client.ask("GET", "/big?bytes=100000")).content == pattern(100_000)


async def other_ids(client):
    for _ in range(3):
        client.change_connection_id()
        assert (await client.ask("GET", "/hello")).status == 200


async def other_port(client):
    for _ in range(3):
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: client, local_addr=("::ffff:127.0.0.1", 0)
        )
        assert (await client.ask("GET", "/big?bytes=50000")).content == pattern(50_000)


async def resets(client):
    for _ in range(20):
        stream = client.open("POST", "/read", end=False)
        client._quic.reset_stream(stream, 0x10C)
        client._quic.stop_stream(stream, 0x10C)
        client.transmit()
    assert (await client.ask("GET", "/hello")).status == 200


async def table(client):
    fields = [(f"x-field-{n}".encode(), b"value" * 10) for n in range(20)]
    # The second time aioquic refers to what it has inserted.
    for _ in range(5):
        answers = await asyncio.gather(
            *(client.ask("GET", "/fields", fields) for _ in range(10))
        )
        for answer in answers:
            assert answer.text().count("valuevalue") == 100, answer.text()


CASES = [
    simple, many, uploads, downloads, trailers, interim, large_heads, early, key_updates, other_ids, resets, table,
    other_port,
]  # fmt: skip


def configuration(**more):
    return QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE, server_name="localhost", **more
    )


async def resumption():
    tickets = []
    async with connect(
        host, port, configuration=configuration(), create_protocol=Client, session_ticket_handler=tickets.append
    ) as client:
        await client.ask("GET", "/hello")
        assert not client._quic.tls.session_resumed
    assert tickets, "no ticket came"
    async with connect(
        host, port, configuration=configuration(session_ticket=tickets[0]), create_protocol=Client
    ) as client:
        assert (await client.ask("GET", "/hello")).status == 200
        assert client._quic.tls.session_resumed


async def main():
    async with connect(host, port, configuration=configuration(), create_protocol=Client) as client:
        await client.ask("GET", "/hello")
        capacity = (client.http.received_settings or {}).get(1, 0)
        assert (capacity > 0) == is_dynamic, client.http.received_settings
        for case in CASES:
            await case(client)
            print(case.__name__, flush=True)
        if is_dynamic:
            assert client.http._encoder_bytes_sent > 100, "nothing was inserted"
    await resumption()
    print("resumption")


asyncio.run(main())
