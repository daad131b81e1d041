"""Many connections at once with asyncio: `many_streams.py HOST PORT`."""

import asyncio
import sys

host, port = sys.argv[1], int(sys.argv[2])
CONNECTIONS, REQUESTS = 100, 20


async def read_response(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if fields.get(b"Transfer-Encoding") == b"chunked":
        content = b""
        while size := int(await reader.readline(), 16):
            content += (await reader.readexactly(size + 2))[:-2]
        assert await reader.readline() == b"\r\n"
        return status, content
    return status, await reader.readexactly(int(fields[b"Content-Length"]))


async def converse(number):
    reader, writer = await asyncio.open_connection(host, port)
    for turn in range(REQUESTS):
        # Three at once, of which the second has to wait and the third is streamed.
        for target in (f"/target?{number}-{turn}", "/slow?ms=3", f"/stream?n={turn}&bytes=50"):
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            await writer.drain()
        assert await read_response(reader) == (200, f"GET /target?{number}-{turn}\n".encode())
        assert await read_response(reader) == (200, b"slow\n")
        status, content = await read_response(reader)
        assert (status, len(content)) == (200, turn * 50)
    writer.close()
    await writer.wait_closed()


async def main():
    await asyncio.wait_for(asyncio.gather(*map(converse, range(CONNECTIONS))), 60)


asyncio.run(main())
print("ok")
