"""Breaks rules of HTTP/3 and QPACK, with python's aioquic: `http3_rules.py HOST PORT`.

Each case has a connection of its own. What the server must do is the RFCs': an error of the connection (CONNECTION_CLOSE with
this code), an error of the stream (reset with this code, and the connection goes on), or a response."""

import asyncio
import ssl
import sys

import pylsqpack
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import encode_uint_var as number
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived, StreamReset

host, port = sys.argv[1], int(sys.argv[2])

NO_ERROR, STREAM_CREATION, CLOSED_CRITICAL, UNEXPECTED, FRAME = 0x100, 0x103, 0x104, 0x105, 0x106
EXCESSIVE_LOAD, ID, SETTINGS_ERROR, MISSING_SETTINGS = 0x107, 0x108, 0x109, 0x10A
INCOMPLETE, MESSAGE, DECOMPRESSION, ENCODER, DECODER = 0x10D, 0x10E, 0x200, 0x201, 0x202
CONNECTION, STREAM, RESPONSE = "connection", "stream", "response"


def frame(kind, payload=b""):
    return number(kind) + number(len(payload)) + payload


def head(fields, more=b""):
    """HEADERS with these lines, and some that the encoder would not write."""
    _, block = pylsqpack.Encoder().encode(0, [(name.encode(), value.encode()) for name, value in fields])
    return frame(1, block + more)


GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/hello")]
POST = [(":method", "POST"), (":scheme", "https"), (":authority", "a"), (":path", "/read")]


def without(name, fields=GET):
    return [field for field in fields if field[0] != name]


def with_(*fields, to=GET):
    return to + list(fields)


SETTINGS = frame(4)
CONTROL = number(0) + SETTINGS
HELLO = head(GET)


class Case:
    """What is sent on unidirectional streams, and on one of a request."""

    def __init__(self, name, effect, code, *, uni=(CONTROL,), request=HELLO, end=True, ends=(), resets=()):
        self.name, self.effect, self.code = name, effect, code
        self.uni, self.request, self.end, self.ends, self.resets = uni, request, end, ends, resets


def control(name, code, *frames, **more):
    return Case(name, CONNECTION, code, uni=(CONTROL + b"".join(frames),), **more)


def request(name, code, *frames, effect=CONNECTION, **more):
    return Case(name, effect, code, request=b"".join(frames), **more)


def message(name, fields, *frames, **more):
    return request(name, MESSAGE, head(fields), *frames, effect=STREAM, **more)


def encoder(name, code, *instructions):
    return Case(name, CONNECTION, code, uni=(CONTROL, number(2) + b"".join(instructions)))


def decoder(name, code, *instructions):
    return Case(name, CONNECTION, code, uni=(CONTROL, number(3) + b"".join(instructions)))


def pairs(*settings):
    return b"".join(number(name) + number(value) for name, value in settings)


GREASE = 0x21 + 0x1F * 7
CASES = [
    # Streams (RFC 9114 §6.2).
    Case("nothing is wrong", RESPONSE, 200),
    Case("no control stream yet", RESPONSE, 200, uni=()),
    Case("two control streams", CONNECTION, STREAM_CREATION, uni=(CONTROL, CONTROL)),
    Case("two encoder streams", CONNECTION, STREAM_CREATION, uni=(CONTROL, number(2), number(2))),
    Case("two decoder streams", CONNECTION, STREAM_CREATION, uni=(CONTROL, number(3), number(3))),
    Case("a push stream", CONNECTION, STREAM_CREATION, uni=(CONTROL, number(1) + number(0))),
    Case("the control stream ends", CONNECTION, CLOSED_CRITICAL, ends=(0,)),
    Case("the control stream is reset", CONNECTION, CLOSED_CRITICAL, resets=(0,)),
    Case("the encoder stream ends", CONNECTION, CLOSED_CRITICAL, uni=(CONTROL, number(2)), ends=(1,)),
    Case("the decoder stream is reset", CONNECTION, CLOSED_CRITICAL, uni=(CONTROL, number(3)), resets=(1,)),
    Case("unknown streams", RESPONSE, 200, uni=(CONTROL, number(GREASE) + b"abc", number(GREASE + 0x1F))),
    # The control stream (§7.2).
    Case("GOAWAY before SETTINGS", CONNECTION, MISSING_SETTINGS, uni=(number(0) + frame(7, number(0)),)),
    Case("DATA before SETTINGS", CONNECTION, MISSING_SETTINGS, uni=(number(0) + frame(0, b"a"),)),
    Case("an unknown frame before SETTINGS", CONNECTION, MISSING_SETTINGS, uni=(number(0) + frame(GREASE),)),
    control("SETTINGS again", UNEXPECTED, SETTINGS),
    control("DATA on the control stream", UNEXPECTED, frame(0, b"abc")),
    control("HEADERS on the control stream", UNEXPECTED, HELLO),
    control("PUSH_PROMISE of a client", UNEXPECTED, frame(5, number(0))),
    control("PRIORITY of HTTP/2", UNEXPECTED, frame(2, bytes(5))),
    control("PING of HTTP/2", UNEXPECTED, frame(6, bytes(8))),
    control("WINDOW_UPDATE of HTTP/2", UNEXPECTED, frame(8, bytes(4))),
    control("CONTINUATION of HTTP/2", UNEXPECTED, frame(9, b"")),
    control("GOAWAY increases", ID, frame(7, number(4)), frame(7, number(8))),
    control("GOAWAY without a number", FRAME, frame(7)),
    control("GOAWAY with too much", FRAME, frame(7, number(0) + b"a")),
    control("MAX_PUSH_ID decreases", ID, frame(13, number(4)), frame(13, number(3))),
    control("MAX_PUSH_ID without a number", FRAME, frame(13)),
    control("CANCEL_PUSH of nothing", ID, frame(3, number(9))),
    control("PRIORITY_UPDATE of no request", ID, frame(0xF0700, number(2) + b"u=1")),
    control("PRIORITY_UPDATE of no push", ID, frame(0xF0701, number(1) + b"u=1")),
    Case("unknown frames", RESPONSE, 200, uni=(CONTROL + frame(GREASE, b"abc") + frame(0xF0700, number(0) + b"u=1"),)),
    # SETTINGS (§7.2.4).
    *(
        Case(f"setting {name:#x} of HTTP/2", CONNECTION, SETTINGS_ERROR, uni=(number(0) + frame(4, pairs((name, 1))),))
        for name in (2, 3, 4, 5)
    ),
    Case("a setting twice", CONNECTION, SETTINGS_ERROR, uni=(number(0) + frame(4, pairs((6, 1), (6, 1))),)),
    Case("an unknown setting twice", CONNECTION, SETTINGS_ERROR, uni=(number(0) + frame(4, pairs((GREASE, 1), (GREASE, 2))),)),
    Case("a setting without a value", CONNECTION, FRAME, uni=(number(0) + frame(4, number(6)),)),
    Case("extended CONNECT is 2", CONNECTION, SETTINGS_ERROR, uni=(number(0) + frame(4, pairs((8, 2))),)),
    Case("unknown settings", RESPONSE, 200, uni=(number(0) + frame(4, pairs((GREASE, 1), (0x33, 0))),)),
    # Requests (§4.1, §7.1).
    request("DATA before HEADERS", UNEXPECTED, frame(0, b"abc"), HELLO),
    request("SETTINGS on a request", UNEXPECTED, SETTINGS),
    request("GOAWAY on a request", UNEXPECTED, HELLO, frame(7, number(0)), end=False),
    request("MAX_PUSH_ID on a request", UNEXPECTED, frame(13, number(0)), HELLO),
    request("CANCEL_PUSH on a request", UNEXPECTED, frame(3, number(0)), HELLO),
    request("PUSH_PROMISE on a request", UNEXPECTED, frame(5, number(0)), HELLO),
    request("PING of HTTP/2 on a request", UNEXPECTED, frame(6, bytes(8)), HELLO),
    request("DATA after trailers", UNEXPECTED, head(POST), frame(0, b"a"), head([("x-a", "b")]), frame(0, b"b")),
    request("HEADERS after trailers", UNEXPECTED, head(POST), head([("x-a", "b")]), head([("x-a", "b")])),
    request("a frame that is cut off", FRAME, head(POST), number(0) + number(10) + b"abc"),
    request("a length that is cut off", FRAME, head(POST), number(0) + b"\x40"),
    request("nothing", INCOMPLETE, b"", effect=STREAM),
    request("unknown frames only", INCOMPLETE, frame(GREASE, b"abc"), effect=STREAM),
    request("unknown frames around", 200, frame(GREASE), HELLO, frame(GREASE, b"abc"), effect=RESPONSE),
    # Fields and control data (§4.2, §4.3).
    message("a capital letter", with_(("X-A", "b"))),
    message("a name that is no token", with_(("x a", "b"))),
    request("an empty name", MESSAGE, head(GET, b"\x20\x01b"), effect=STREAM),
    message("a line feed in a value", with_(("x-a", "b\nc"))),
    message("a NUL in a value", with_(("x-a", "b\0c"))),
    *(
        message(f"{name} in HTTP/3", with_((name, value)))
        for name, value in [
            ("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"), ("upgrade", "h2c"),
        ]
    ),
    message("TE beside trailers", with_(("te", "gzip"))),
    request("TE: trailers", 200, head(with_(("te", "trailers"))), effect=RESPONSE),
    message("no :method", without(":method")),
    message("no :scheme", without(":scheme")),
    message("no :path", without(":path")),
    message("no :authority and no Host", without(":authority")),
    message("an empty :path", without(":path") + [(":path", "")]),
    message("a :path without a slash", without(":path") + [(":path", "hello")]),
    message(":authority and Host differ", with_(("host", "b"))),
    message("userinfo in :authority", without(":authority") + [(":authority", "u@a")]),
    message("an unknown pseudo-header", [(":colour", "red")] + GET),
    message(":status in a request", [(":status", "200")] + GET),
    message(":protocol was not announced", [(":protocol", "websocket")] + GET),
    message(":path twice", GET + [(":path", "/hello")]),
    message("a pseudo-header after a field", [GET[0], ("x-a", "b"), *GET[1:]]),
    message("CONNECT with a path", [(":method", "CONNECT"), (":authority", "a:1"), (":path", "/")]),
    message("CONNECT without a port", [(":method", "CONNECT"), (":authority", "a")]),
    message("a pseudo-header in trailers", POST, frame(0, b"a"), head([(":path", "/")])),
    # The message (§4.1.2).
    message("more content than its length", with_(("content-length", "1"), to=POST), frame(0, b"ab")),
    message("less content than its length", with_(("content-length", "3"), to=POST), frame(0, b"ab")),
    message("a length that is no number", with_(("content-length", "1x"), to=POST), frame(0, b"a")),
    message("two lengths", with_(("content-length", "1"), ("content-length", "2"), to=POST), frame(0, b"a")),
    request("the length is right", 200, head(with_(("content-length", "2"), to=POST)), frame(0, b"ab"), effect=RESPONSE),
    # QPACK (RFC 9204).
    request("a static index of 99", DECOMPRESSION, frame(1, b"\0\0\xff\x24")),
    request("a dynamic entry", DECOMPRESSION, frame(1, b"\x02\0\x80")),
    request("an entry that no count covers", DECOMPRESSION, frame(1, b"\0\0\x80")),
    request("a section of one byte", DECOMPRESSION, frame(1, b"\0")),
    request("a section without a prefix", DECOMPRESSION, frame(1)),
    request("a line that is cut off", DECOMPRESSION, frame(1, b"\0\0\x23abc\x05ab")),
    request("an integer without end", DECOMPRESSION, frame(1, b"\0\0\xff" + b"\xff" * 12)),
    request("bad Huffman padding", DECOMPRESSION, frame(1, b"\0\0\x29\x00\x01a")),
    encoder("a capacity beyond the limit", ENCODER, b"\x3f\xff\xff\x03"),
    encoder("an entry without a table", ENCODER, b"\xc0\x01a"),
    encoder("a duplicate of nothing", ENCODER, b"\x00"),
    encoder("a name of nothing", ENCODER, b"\x80\x01a"),
    encoder("a static name of 99", ENCODER, b"\xff\x24\x01a"),
    decoder("an increment of zero", DECODER, b"\x00"),
    decoder("an increment beyond what was inserted", DECODER, b"\x01"),
    decoder("an acknowledgment of nothing", DECODER, b"\x80"),
    Case("a cancellation of nothing", RESPONSE, 200, uni=(CONTROL, number(3) + b"\x40")),
]  # fmt: skip


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.closed, self.resets, self.received, self.ended = None, {}, {}, set()
        self.changed = asyncio.Event()

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.closed = event.error_code
        elif isinstance(event, StreamReset):
            self.resets[event.stream_id] = event.error_code
        elif isinstance(event, StreamDataReceived):
            self.received[event.stream_id] = self.received.get(event.stream_id, b"") + event.data
            if event.end_stream:
                self.ended.add(event.stream_id)
        self.changed.set()

    async def until(self, is_there):
        async with asyncio.timeout(10):
            while not is_there():
                self.changed.clear()
                await self.changed.wait()

    def send(self, stream, content, end):
        self._quic.send_stream_data(stream, content, end)
        self.transmit()

    def ask(self, content, end):
        stream = self._quic.get_next_available_stream_id()
        self.send(stream, content, end)
        return stream

    def status(self, stream):
        """Of the first frame of a response, which is HEADERS."""
        content = self.received[stream]
        assert content[0] == 1, content
        length, at = content[1], 2
        if length >= 0x40:
            length, at = (length & 0x3F) << 8 | content[2], 3
        decoder = pylsqpack.Decoder(0, 0)
        _, fields = decoder.feed_header(stream, content[at : at + length])
        return int(dict(fields)[b":status"])


async def run(case):
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE, server_name="localhost"
    )
    async with connect(host, port, configuration=configuration, create_protocol=Client) as client:
        streams = []
        for content in case.uni:
            stream = client._quic.get_next_available_stream_id(is_unidirectional=True)
            client.send(stream, content, False)
            streams.append(stream)
        try:
            # The server has seen what a reset would take away.
            await client.ping()
        except ConnectionError:
            assert client.closed is not None
        for at in case.ends:
            if client.closed is None:
                client.send(streams[at], b"", True)
        for at in case.resets:
            client._quic.reset_stream(streams[at], 0x100)
            client.transmit()
        stream = client.ask(case.request, case.end) if client.closed is None else None
        is_over = lambda: client.closed is not None or stream in client.resets or stream in client.ended
        if case.effect == CONNECTION:
            await client.until(lambda: client.closed is not None)
            assert client.closed == case.code, f"closed with {client.closed:#x}"
            return
        await client.until(is_over)
        assert client.closed is None, f"closed with {client.closed:#x}"
        if case.effect == STREAM:
            assert client.resets.get(stream) == case.code, (client.resets, client.received)
        else:
            assert stream in client.ended, client.resets
            assert client.status(stream) == case.code, client.status(stream)
        other = client.ask(HELLO, True)
        await client.until(lambda: other in client.ended)
        assert client.status(other) == 200


async def main():
    failed = 0
    for case in CASES:
        try:
            await run(case)
        except Exception as error:
            failed += 1
            print(f"{case.name}: {type(error).__name__} {error}; wanted {case.effect} {case.code:#x}")
    print(f"{len(CASES) - failed} of {len(CASES)} as they should be")
    sys.exit(1 if failed else 0)


asyncio.run(main())
