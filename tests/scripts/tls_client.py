"""TLS by hand, over OpenSSL: `tls_client.py WHAT PORT AUTHORITY`. Prints `ok`, or what was seen.

WHAT is the name of a function below."""

import hashlib
import socket
import ssl
import sys
import time

import h2.config
import h2.connection
import h2.events
import hyperframe.frame

what, port, authority = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def context(alpn=("http/1.1",), version=None):
    context = ssl.create_default_context(cafile=authority)
    # Python takes an end without close_notify for a good one unless it is told not to.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def connect(session=None, room=None, **options):
    raw = socket.socket()
    raw.settimeout(20)
    if room:
        # What the kernel takes without being asked.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    raw.connect(("127.0.0.1", port))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # An end without close_notify is an error.
    return context(**options).wrap_socket(
        raw, server_hostname="localhost", session=session, suppress_ragged_eofs=False
    )


def request(target, *lines, method="GET"):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def read_all(tls):
    """Up to close_notify; raises where the end comes without it."""
    received = bytearray()
    while piece := tls.recv(1 << 16):
        received += piece
    return bytes(received)


def close_notify_after_the_last_response():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        tls = connect(version=version)
        assert tls.version() == {771: "TLSv1.2", 772: "TLSv1.3"}[version], tls.version()
        tls.sendall(request("/big?bytes=300000", "Connection: close"))
        answer = read_all(tls)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and len(answer) > 300000, len(answer)
        tls.close()


def close_notify_at_a_deadline():
    """The server is started with a short idle_timeout."""
    tls = connect()
    tls.sendall(request("/hello"))
    started = time.monotonic()
    answer = read_all(tls)
    assert answer.endswith(b"Hello, world!\n")
    assert 0.6 < time.monotonic() - started < 3


def close_notify_after_an_error():
    tls = connect()
    tls.sendall(b"BAD\r\n\r\n")
    assert read_all(tls).startswith(b"HTTP/1.1 400 ")


def no_close_notify_inside_a_response():
    """A response that is broken off must not end as if it were whole."""
    tls = connect()
    tls.sendall(request("/stream-abort?n=3&bytes=10&pause=20"))
    try:
        answer = read_all(tls)
    except (ssl.SSLEOFError, ConnectionResetError):
        return
    raise AssertionError(f"a clean end after {answer!r}")


def pipelined():
    tls = connect()
    count = 500
    tls.sendall(b"".join(request(f"/target?{number}") for number in range(count)))
    received = b""
    for number in range(count):
        expected = f"GET /target?{number}\n".encode()
        while expected not in received:
            piece = tls.recv(1 << 16)
            assert piece, received[-200:]
            received += piece
        received = received[received.index(expected) + len(expected) :]
    tls.sendall(request("/hello", "Connection: close"))
    assert (received + read_all(tls)).endswith(b"Hello, world!\n")


def byte_by_byte():
    """Everything the client sends, from the ClientHello to the request, one byte at a time."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        raw = socket.create_connection(("127.0.0.1", port), timeout=20)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(version=version).wrap_bio(incoming, outgoing, server_hostname="localhost")

        def drip():
            for byte in outgoing.read():
                raw.sendall(bytes([byte]))

        def until_done(step):
            while True:
                try:
                    result = step()
                    drip()
                    return result
                except ssl.SSLWantReadError:
                    drip()
                    # One byte at a time in this direction too.
                    piece = raw.recv(1)
                    incoming.write(piece) if piece else incoming.write_eof()

        until_done(tls.do_handshake)
        until_done(lambda: tls.write(request("/hello", "Connection: close")))
        received = b""
        while not received.endswith(b"Hello, world!\n"):
            received += until_done(lambda: tls.read(1 << 16))
        raw.close()


def resumed_in_every_process():
    """The server has two processes: a session of one is resumed in the other."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        made = context(version=version)

        def ask(session):
            raw = socket.create_connection(("127.0.0.1", port), timeout=20)
            with made.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
                tls.sendall(request("/pid", "Connection: close"))
                answer = read_all(tls)
                return tls.session, tls.session_reused, answer.split()[-1]

        session, reused, first = ask(None)
        assert not reused
        processes = {first}
        for _ in range(40):
            _, reused, process = ask(session)
            assert reused, f"not resumed in {process}, made in {first}"
            processes.add(process)
        assert len(processes) == 2, processes


def drained():
    """The server is told to stop while requests are under way."""
    tls = connect()
    tls.sendall(request("/slow?ms=500"))
    idle = connect()
    idle.sendall(request("/hello"))
    print("ready", flush=True)
    answer = read_all(tls)
    assert answer.endswith(b"slow\n") and b"\r\nConnection: close\r\n" in answer, answer
    assert read_all(idle).endswith(b"Hello, world!\n")


class Http2:
    def __init__(self):
        self.tls = connect(alpn=("h2", "http/1.1"))
        assert self.tls.selected_alpn_protocol() == "h2"
        self.core = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.core.initiate_connection()
        self.flush()
        self.answers = {}

    def flush(self):
        self.tls.sendall(self.core.data_to_send())

    def get(self, target):
        stream = self.core.get_next_available_stream_id()
        fields = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", target)]
        self.core.send_headers(stream, fields, end_stream=True)
        self.flush()
        return stream

    def step(self):
        data = self.tls.recv(1 << 16)
        if not data:
            return False
        for event in self.core.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.core.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.answers[event.stream_id] = self.answers.get(event.stream_id, b"") + event.data
        self.flush()
        return True


def http2_is_drained():
    client = Http2()
    stream = client.get("/slow?ms=500")
    print("ready", flush=True)
    # h2 takes nothing after a GOAWAY, so the frames are looked at by hand.
    received, goaways, content = read_all(client.tls), [], b""
    while received:
        frame, length = hyperframe.frame.Frame.parse_frame_header(memoryview(received[:9]))
        frame.parse_body(memoryview(received[9 : 9 + length]))
        received = received[9 + length :]
        if isinstance(frame, hyperframe.frame.GoAwayFrame):
            assert frame.error_code == 0, frame
            goaways.append(frame.last_stream_id)
        elif isinstance(frame, hyperframe.frame.DataFrame):
            content += frame.data
    assert goaways == [2**31 - 1, stream], goaways
    assert content == b"slow\n", content


def http2_ends_with_close_notify():
    """The server is started with a short idle_timeout."""
    client = Http2()
    stream = client.get("/big?bytes=300000")
    while client.step():
        pass
    assert len(client.answers[stream]) == 300000


def take_nothing():
    """Sixty clients that ask for a MiB and read none of it, until standard input ends."""
    idle = [connect(room=4096) for _ in range(60)]
    for tls in idle:
        tls.sendall(request("/static-big"))
    print("ready", flush=True)
    sys.stdin.read()


def large():
    """64 MiB down, with its hash, by both versions of HTTP."""
    size = 64 << 20
    period = bytes((at % 251) ^ (at // 251 % 256) for at in range(251 * 256))
    expected = hashlib.sha256((period * (size // len(period) + 1))[:size]).hexdigest()
    tls = connect()
    tls.sendall(request(f"/big?bytes={size}", "Connection: close"))
    _, content = read_all(tls).split(b"\r\n\r\n", 1)
    assert hashlib.sha256(content).hexdigest() == expected


globals()[what]()
print("ok")
