// Node's client: `http2_client.mjs PORT`.

import assert from "node:assert/strict";
import http2 from "node:http2";

const session = http2.connect(`http://127.0.0.1:${process.argv[2]}`);
session.on("error", (error) => {
  throw error;
});

function ask(target, { method = "GET", content, fields = {} } = {}) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": target, ...fields });
    const answer = { pieces: [], trailers: {} };
    stream.on("response", (head) => (answer.head = head));
    stream.on("continue", () => (answer.continued = true));
    stream.on("trailers", (trailers) => (answer.trailers = trailers));
    stream.on("data", (piece) => answer.pieces.push(piece));
    stream.on("error", reject);
    stream.on("close", () => {
      answer.status = answer.head?.[":status"];
      answer.content = Buffer.concat(answer.pieces);
      answer.code = stream.rstCode;
      resolve(answer);
    });
    stream.end(content);
  });
}

let answer = await ask("/hello");
assert.equal(answer.status, 200);
assert.equal(answer.content.toString(), "Hello, world!\n");

const many = await Promise.all(Array.from({ length: 300 }, (_, number) => ask(`/target?${number}`)));
many.forEach((answer, number) => assert.equal(answer.content.toString(), `GET /target?${number}\n`));

const slow = Array.from({ length: 50 }, () => ask("/stream?n=10&bytes=1000&pause=5"));
for (const answer of await Promise.all(slow)) assert.equal(answer.content.length, 10000);

const body = Buffer.alloc(5_000_000, "node");
answer = await ask("/echo", { method: "POST", content: body });
assert(answer.content.equals(body));
answer = await ask("/read", { method: "POST", content: body });
assert(answer.content.toString().startsWith("5000000 "));
answer = await ask("/collect", { method: "POST", content: "hello", fields: { expect: "100-continue" } });
assert(answer.content.toString().startsWith("5 "));

answer = await ask("/stream-trailers?n=3&bytes=7");
assert.equal(answer.trailers["x-pieces"], "3");

for (const status of [204, 304, 404, 500]) {
  answer = await ask(`/status?code=${status}`);
  assert.deepEqual([answer.status, answer.content.length], [status, 0]);
}
answer = await ask("/big?bytes=20000000");
assert.equal(answer.content.length, 20_000_000);

// Much content that nobody reads: the response comes, and NO_ERROR says that the rest is not wanted.
answer = await ask("/early-413", { method: "POST", content: body, fields: { "content-length": body.length } });
assert.deepEqual([answer.status, answer.code], [413, http2.constants.NGHTTP2_NO_ERROR]);

await assert.rejects(ask("/stream-abort?n=3&bytes=10&pause=20"));

answer = await ask("/hello");
assert.equal(answer.status, 200);
await new Promise((resolve) => session.close(resolve));
console.log("ok");
