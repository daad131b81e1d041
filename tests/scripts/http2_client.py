"""python's h2 as a client: `http2_client.py HOST PORT`."""

import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings

host, port = sys.argv[1], int(sys.argv[2])


class Client:
    def __init__(self):
        self.socket = socket.create_connection((host, port), timeout=20)
        config = h2.config.H2Configuration(header_encoding="utf-8")
        self.core = h2.connection.H2Connection(config)
        self.core.initiate_connection()
        self.flush()
        self.heads, self.contents, self.trailers, self.interim = {}, {}, {}, {}
        self.ended, self.resets = set(), {}

    def flush(self):
        self.socket.sendall(self.core.data_to_send())

    def ask(self, method, target, fields=(), content=None, trailers=None):
        stream = self.core.get_next_available_stream_id()
        control = [(":method", method), (":scheme", "http"), (":authority", host), (":path", target)]
        ends = content is None and trailers is None
        self.core.send_headers(stream, control + list(fields), end_stream=ends)
        self.flush()
        if content is not None:
            self.upload(stream, content, trailers is None)
        if trailers is not None:
            self.core.send_headers(stream, trailers, end_stream=True)
            self.flush()
        return stream

    def upload(self, stream, content, ends):
        rest = memoryview(content)
        while rest and stream not in self.resets:
            room = min(self.core.local_flow_control_window(stream), self.core.max_outbound_frame_size)
            if room == 0:
                self.step()
                continue
            self.core.send_data(stream, bytes(rest[:room]))
            rest = rest[room:]
            self.flush()
        if ends and stream not in self.resets:
            self.core.end_stream(stream)
            self.flush()

    def step(self):
        data = self.socket.recv(1 << 16)
        assert data, "the connection ended"
        for event in self.core.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.heads[event.stream_id] = dict(event.headers)
            elif isinstance(event, h2.events.InformationalResponseReceived):
                self.interim[event.stream_id] = dict(event.headers)[":status"]
            elif isinstance(event, h2.events.DataReceived):
                self.contents.setdefault(event.stream_id, bytearray()).extend(event.data)
                self.core.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[event.stream_id] = dict(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[event.stream_id] = event.error_code
            else:
                assert not isinstance(event, h2.events.ConnectionTerminated), event
        self.flush()

    def response(self, stream):
        while stream not in self.ended:
            assert stream not in self.resets, self.resets
            self.step()
        head = self.heads[stream]
        return int(head[":status"]), head, bytes(self.contents.get(stream, b""))


client = Client()
for number in range(50):
    status, head, content = client.response(client.ask("GET", f"/target?{number}"))
    assert (status, content) == (200, f"GET /target?{number}\n".encode())
    assert "connection" not in head and "transfer-encoding" not in head

streams = [client.ask("GET", f"/stream?n=5&bytes={number}&pause=5") for number in range(1, 100)]
for number, stream in enumerate(streams, 1):
    assert len(client.response(stream)[2]) == 5 * number

body = bytes(range(256)) * 8000
assert client.response(client.ask("POST", "/echo", content=body))[2] == body
assert client.response(client.ask("POST", "/read", content=body))[2].startswith(b"2048000 ")

stream = client.ask("POST", "/echo", content=b"abc", trailers=[("x-sum", "17")])
assert client.response(stream)[2] == b"abc" and client.trailers[stream] == {"x-sum": "17"}
stream = client.ask("GET", "/stream-trailers?n=3&bytes=7")
assert len(client.response(stream)[2]) == 21 and client.trailers[stream] == {"x-pieces": "3"}

stream = client.ask("POST", "/collect", [("expect", "100-continue")], content=None, trailers=None)
client.response(stream)
stream = client.core.get_next_available_stream_id()
control = [(":method", "POST"), (":scheme", "http"), (":authority", host), (":path", "/collect")]
client.core.send_headers(stream, control + [("expect", "100-continue")])
client.flush()
while stream not in client.interim:
    client.step()
assert client.interim[stream] == "100"
client.upload(stream, b"hello", True)
assert client.response(stream)[2].startswith(b"5 ")

for code in (204, 304, 404, 500):
    status, head, content = client.response(client.ask("GET", f"/status?code={code}"))
    assert (status, content) == (code, b"")
status, head, content = client.response(client.ask("HEAD", "/big?bytes=1000"))
assert content == b"" and head["content-length"] == "1000"

# Windows and frames of other sizes.
client.core.update_settings(
    {
        h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20,
        h2.settings.SettingCodes.MAX_FRAME_SIZE: 1 << 20,
        h2.settings.SettingCodes.HEADER_TABLE_SIZE: 0,
    }
)
client.core.increment_flow_control_window(1 << 20)
client.flush()
for _ in range(3):
    status, head, content = client.response(client.ask("GET", "/big?bytes=5000000"))
    assert len(content) == 5000000

# A broken response is no whole one.
stream = client.ask("GET", "/stream-abort?n=3&bytes=10&pause=20")
while stream not in client.resets:
    assert stream not in client.ended
    client.step()

print("ok")
