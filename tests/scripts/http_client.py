"""Python's http.client and urllib against the test server: `http_client.py HOST PORT`."""

import http.client
import io
import sys
import urllib.request

host, port = sys.argv[1], int(sys.argv[2])

# One connection for everything: http.client opens a new one only when the old one was closed.
connection = http.client.HTTPConnection(host, port, timeout=20)
connection.connect()
socket = connection.sock


def ask(method, target, body=None, headers={}, **options):
    connection.request(method, target, body=body, headers=headers, **options)
    response = connection.getresponse()
    return response, response.read()


for _ in range(20):
    response, content = ask("GET", "/hello")
    assert (response.status, content) == (200, b"Hello, world!\n"), (response.status, content)
    assert response.version == 11 and response.reason == "OK"

response, content = ask("HEAD", "/big?bytes=1000")
assert content == b"" and response.getheader("Content-Length") == "1000"

body = bytes(range(256)) * 1000
response, content = ask("POST", "/echo", body)
assert content == body

response, content = ask("POST", "/collect", io.BytesIO(body))
assert content.startswith(b"256000 "), content

pieces = (body[at : at + 777] for at in range(0, len(body), 777))
response, content = ask("PUT", "/echo", pieces, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
assert content == body

response, content = ask("GET", "/stream?n=100&bytes=1000")
assert response.getheader("Transfer-Encoding") == "chunked" and len(content) == 100_000

response, content = ask("GET", "/stream-trailers?n=3&bytes=7")
assert len(content) == 21

for code in (204, 304, 404, 500):
    response, content = ask("GET", f"/status?code={code}")
    assert (response.status, content) == (code, b"")

assert connection.sock is socket, "the connection was not kept"

response, content = ask("GET", "/close")
assert response.will_close and connection.sock is None

# An unfinished message is noticed.
try:
    ask("GET", "/stream-abort?n=3&bytes=10&pause=20")
except (http.client.IncompleteRead, ConnectionResetError):
    pass
else:
    raise AssertionError("a broken response looked complete")
connection.close()

base = f"http://{host}:{port}"
with urllib.request.urlopen(f"{base}/hello", timeout=20) as response:
    assert response.read() == b"Hello, world!\n"
with urllib.request.urlopen(f"{base}/collect", data=body, timeout=20) as response:
    assert response.read().startswith(b"256000 ")
try:
    urllib.request.urlopen(f"{base}/status?code=404", timeout=20)
except urllib.error.HTTPError as error:
    assert error.code == 404
else:
    raise AssertionError("404 is no error")

print("ok")
