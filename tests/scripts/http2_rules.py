"""Breaks rules of HTTP/2, with python's hyperframe and hpack: `http2_rules.py HOST PORT`.

Each case has a connection of its own. What the server must do is the RFC's: an error of the connection
(GOAWAY with this code and the end), an error of the stream (RST_STREAM with this code, and the connection
goes on), or a response."""

import socket
import struct
import sys

import hpack
import hyperframe.frame as frames

host, port = sys.argv[1], int(sys.argv[2])

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 1, 3, 5, 6
COMPRESSION_ERROR, CALM = 9, 11
GET = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/hello")]
POST = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/read")]


def raw(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def head(stream, fields, *flags):
    frame = frames.HeadersFrame(stream, hpack.Encoder().encode(fields, huffman=False))
    for flag in flags or ("END_HEADERS", "END_STREAM"):
        frame.flags.add(flag)
    return frame.serialize()


def data(stream, content, *flags):
    frame = frames.DataFrame(stream, content)
    for flag in flags:
        frame.flags.add(flag)
    return frame.serialize()


def without(name, fields=GET):
    return [field for field in fields if field[0] != name]


OPEN = head(1, POST, "END_HEADERS")
DONE = head(1, GET)
CONNECTION, STREAM, RESPONSE, NOTHING = "connection", "stream", "response", "nothing"
CASES = [
    # The connection and its frames (RFC 9113 §4).
    ("even stream", head(2, GET), CONNECTION, PROTOCOL_ERROR),
    ("stream 0", raw(1, 5, 0, b"\x82"), CONNECTION, PROTOCOL_ERROR),
    ("smaller stream", head(5, GET) + head(3, GET), CONNECTION, PROTOCOL_ERROR),
    ("too large", raw(0x33, 0, 0, bytes(16385)), CONNECTION, FRAME_SIZE_ERROR),
    ("interrupted block", raw(1, 0, 1, b"\x82") + raw(6, 0, 0, bytes(8)), CONNECTION, PROTOCOL_ERROR),
    ("block of another stream", raw(1, 0, 1, b"\x82") + raw(9, 4, 3), CONNECTION, PROTOCOL_ERROR),
    ("CONTINUATION alone", raw(9, 4, 1), CONNECTION, PROTOCOL_ERROR),
    ("index 0", raw(1, 5, 1, b"\x80"), CONNECTION, COMPRESSION_ERROR),
    ("index beyond the tables", raw(1, 5, 1, b"\xff\x00"), CONNECTION, COMPRESSION_ERROR),
    ("table too large", raw(1, 5, 1, b"\x3f\xff\xff\x03"), CONNECTION, COMPRESSION_ERROR),
    ("bad Huffman", raw(1, 5, 1, b"\x00\x81\x00\x81\xff"), CONNECTION, COMPRESSION_ERROR),
    ("cut string", raw(1, 5, 1, b"\x00\x7f"), CONNECTION, COMPRESSION_ERROR),
    # Streams (§5).
    ("DATA before HEADERS", data(1, b"x"), CONNECTION, PROTOCOL_ERROR),
    ("DATA after the end", OPEN + data(1, b"x", "END_STREAM") + data(1, b"x"), None, STREAM_CLOSED),
    ("HEADERS after the end", DONE + head(1, GET), None, STREAM_CLOSED),
    ("DATA after RST_STREAM", OPEN + raw(3, 0, 1, bytes(4)) + data(1, b"x"), STREAM, STREAM_CLOSED),
    ("window of an idle stream", raw(8, 0, 1, b"\0\0\0\1"), CONNECTION, PROTOCOL_ERROR),
    ("reset of an idle stream", raw(3, 0, 1, bytes(4)), CONNECTION, PROTOCOL_ERROR),
    # Frames by type (§6).
    ("padding too long", OPEN + raw(0, 8, 1, b"\x05abc"), CONNECTION, PROTOCOL_ERROR),
    ("padding in HEADERS too long", raw(1, 0xD, 1, b"\x05\x82"), CONNECTION, PROTOCOL_ERROR),
    ("RST_STREAM too short", OPEN + raw(3, 0, 1, bytes(3)), CONNECTION, FRAME_SIZE_ERROR),
    ("SETTINGS on a stream", raw(4, 0, 1), CONNECTION, PROTOCOL_ERROR),
    ("SETTINGS too short", raw(4, 0, 0, bytes(5)), CONNECTION, FRAME_SIZE_ERROR),
    ("SETTINGS ack with payload", raw(4, 1, 0, bytes(6)), CONNECTION, FRAME_SIZE_ERROR),
    ("ENABLE_PUSH 2", raw(4, 0, 0, struct.pack(">HI", 2, 2)), CONNECTION, PROTOCOL_ERROR),
    ("window above 2^31-1", raw(4, 0, 0, struct.pack(">HI", 4, 1 << 31)), CONNECTION, FLOW_CONTROL_ERROR),
    ("MAX_FRAME_SIZE below", raw(4, 0, 0, struct.pack(">HI", 5, 16383)), CONNECTION, PROTOCOL_ERROR),
    ("MAX_FRAME_SIZE above", raw(4, 0, 0, struct.pack(">HI", 5, 1 << 24)), CONNECTION, PROTOCOL_ERROR),
    ("PUSH_PROMISE", OPEN + raw(5, 4, 1, bytes(4)), CONNECTION, PROTOCOL_ERROR),
    ("PING on a stream", raw(6, 0, 1, bytes(8)), CONNECTION, PROTOCOL_ERROR),
    ("PING too short", raw(6, 0, 0, bytes(7)), CONNECTION, FRAME_SIZE_ERROR),
    ("GOAWAY on a stream", raw(7, 0, 1, bytes(8)), CONNECTION, PROTOCOL_ERROR),
    ("WINDOW_UPDATE too short", raw(8, 0, 0, bytes(3)), CONNECTION, FRAME_SIZE_ERROR),
    ("WINDOW_UPDATE by 0", raw(8, 0, 0, bytes(4)), CONNECTION, PROTOCOL_ERROR),
    ("stream's WINDOW_UPDATE by 0", OPEN + raw(8, 0, 1, bytes(4)), STREAM, PROTOCOL_ERROR),
    ("window overflow", raw(8, 0, 0, b"\x7f\xff\xff\xff"), CONNECTION, FLOW_CONTROL_ERROR),
    ("stream's window overflow", OPEN + raw(8, 0, 1, b"\x7f\xff\xff\xff"), STREAM, FLOW_CONTROL_ERROR),
    ("depends on itself", OPEN + raw(2, 0, 1, b"\0\0\0\1\0"), STREAM, PROTOCOL_ERROR),
    # More than the windows: that of the stream is smaller than the connection's.
    ("window exceeded", head(1, POST[:3] + [(":path", "/never")], "END_HEADERS")
        + b"".join(data(1, bytes(16384)) for _ in range(4)), STREAM, FLOW_CONTROL_ERROR),
    # Messages (§8).
    ("no :method", head(1, without(":method")), STREAM, PROTOCOL_ERROR),
    ("no :scheme", head(1, without(":scheme")), STREAM, PROTOCOL_ERROR),
    ("no :path", head(1, without(":path")), STREAM, PROTOCOL_ERROR),
    ("no :authority", head(1, without(":authority")), STREAM, PROTOCOL_ERROR),
    ("empty :path", head(1, without(":path") + [(":path", "")]), STREAM, PROTOCOL_ERROR),
    ("twice :path", head(1, GET + [(":path", "/")]), STREAM, PROTOCOL_ERROR),
    (":status", head(1, GET + [(":status", "200")]), STREAM, PROTOCOL_ERROR),
    (":unknown", head(1, GET + [(":unknown", "")]), STREAM, PROTOCOL_ERROR),
    ("pseudo after field", head(1, GET[:3] + [("a", "b"), GET[3]]), STREAM, PROTOCOL_ERROR),
    ("upper case", head(1, GET + [("Name", "")]), STREAM, PROTOCOL_ERROR),
    ("space in name", head(1, GET + [("na me", "")]), STREAM, PROTOCOL_ERROR),
    ("colon in name", head(1, GET + [("na:me", "")]), STREAM, PROTOCOL_ERROR),
    ("empty name", head(1, GET + [("", "")]), STREAM, PROTOCOL_ERROR),
    ("NUL in value", head(1, GET + [("name", "a\0b")]), STREAM, PROTOCOL_ERROR),
    ("line feed in value", head(1, GET + [("name", "a\nb")]), STREAM, PROTOCOL_ERROR),
    ("space around value", head(1, GET + [("name", "a ")]), STREAM, PROTOCOL_ERROR),
    ("connection", head(1, GET + [("connection", "close")]), STREAM, PROTOCOL_ERROR),
    ("transfer-encoding", head(1, POST + [("transfer-encoding", "chunked")]), STREAM, PROTOCOL_ERROR),
    ("te: gzip", head(1, GET + [("te", "gzip")]), STREAM, PROTOCOL_ERROR),
    ("host differs", head(1, GET + [("host", "b")]), STREAM, PROTOCOL_ERROR),
    ("content-length: x", head(1, POST + [("content-length", "x")]), STREAM, PROTOCOL_ERROR),
    ("content too short", head(1, POST + [("content-length", "5")], "END_HEADERS")
        + data(1, b"1234", "END_STREAM"), STREAM, PROTOCOL_ERROR),
    ("content too long", head(1, POST + [("content-length", "5")], "END_HEADERS")
        + data(1, b"123456", "END_STREAM"), STREAM, PROTOCOL_ERROR),
    ("second HEADERS without END_STREAM", OPEN + head(1, [("a", "b")], "END_HEADERS"), STREAM, PROTOCOL_ERROR),
    ("pseudo in trailers", OPEN + head(1, [(":path", "/")]), STREAM, PROTOCOL_ERROR),
    ("content-length in trailers", OPEN + head(1, [("content-length", "0")]), STREAM, PROTOCOL_ERROR),
    ("CONNECT with :path", head(1, [(":method", "CONNECT"), (":authority", "a:1"), (":path", "/")]),
        STREAM, PROTOCOL_ERROR),
    ("expect: something", head(1, POST + [("expect", "something")]), RESPONSE, "417"),
    ("long :path", head(1, without(":path") + [(":path", "/" + "p" * 9000)]), RESPONSE, "414"),
    ("many fields", head(1, GET + [("a", "b")] * 101), RESPONSE, "431"),
    # What must be ignored.
    ("unknown frame", raw(0x42, 0xFF, 9, b"?") + DONE, RESPONSE, "200"),
    ("unknown setting", raw(4, 0, 0, struct.pack(">HI", 0x1234, 1)) + DONE, RESPONSE, "200"),
    ("reserved bit", raw(6, 0, 1 << 31, bytes(8)) + DONE, RESPONSE, "200"),
    ("priority in HEADERS", raw(1, 0x25, 1, b"\0\0\0\0\x10" + hpack.Encoder().encode(GET)), RESPONSE, "200"),
    ("padded HEADERS", raw(1, 0xD, 1, b"\x03" + hpack.Encoder().encode(GET) + bytes(3)), RESPONSE, "200"),
    ("te: trailers", head(1, GET + [("te", "trailers")]), RESPONSE, "200"),
    ("host alone", head(1, without(":authority") + [("host", "a")]), RESPONSE, "200"),
    ("GOAWAY", raw(7, 0, 0, bytes(8)) + DONE, RESPONSE, "200"),
]


def run(payload):
    """What came: the code of GOAWAY, of RST_STREAM, and the status, on stream 1; and whether a PING that
    was sent after it was answered, or the connection ended."""
    connection = socket.create_connection((host, port), timeout=20)
    connection.sendall(PREFACE + raw(4, 0, 0) + payload + raw(6, 0, 0, b"ping-end"))
    decoder, received = hpack.Decoder(), b""
    seen = {"goaway": None, "reset": None, "status": None, "alive": False, "ended": False}
    while True:
        while len(received) >= 9:
            frame, length = frames.Frame.parse_frame_header(memoryview(received[:9]))
            if len(received) < 9 + length:
                break
            body, received = received[9 : 9 + length], received[9 + length :]
            frame.parse_body(memoryview(body))
            if isinstance(frame, frames.GoAwayFrame):
                seen["goaway"] = frame.error_code
            elif isinstance(frame, frames.RstStreamFrame) and frame.stream_id == 1:
                seen["reset"] = frame.error_code
            elif isinstance(frame, frames.HeadersFrame):
                seen["status"] = dict(decoder.decode(frame.data))[":status"]
            elif isinstance(frame, frames.PingFrame) and "ACK" in frame.flags:
                if frame.opaque_data == b"ping-end":
                    seen["alive"] = True
        # A response and a reset come before the PING is answered.
        if seen["alive"]:
            return seen
        piece = connection.recv(1 << 16)
        if not piece:
            seen["ended"] = True
            return seen
        received += piece


failures = []
for name, payload, effect, code in CASES:
    seen = run(payload)
    is_connection = seen["goaway"] == code and seen["ended"]
    is_stream = seen["reset"] == code and seen["alive"] and seen["goaway"] is None
    right = {
        CONNECTION: is_connection,
        STREAM: is_stream,
        # Which of the two depends on whether the response was faster.
        None: is_connection or is_stream,
        RESPONSE: seen["status"] == code and seen["goaway"] is None,
    }[effect]
    if not right:
        failures.append(f"{name}: {effect} {code} expected: {seen}")

print("\n".join(failures) or "ok")
