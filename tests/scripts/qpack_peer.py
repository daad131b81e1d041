"""The other side of the differential tests of QPACK: `pylsqpack`, one command a line, one answer each.

    new CAPACITY STREAMS      an encoder and a decoder; both sides' SETTINGS
    encode STREAM LINE...     -> `ok INSTRUCTIONS SECTION`
    acknowledge BYTES         our decoder stream -> `ok` or `refused`
    instructions BYTES        our encoder stream -> `ok STREAM...`, which can go on, or `refused`
    section STREAM BYTES      -> `ok ACKNOWLEDGMENT LINE...`, `blocked` or `refused`
    resume STREAM             -> the same
    cancel STREAM             -> `ok CANCELLATION`

Bytes are hexadecimal, or `-` for none, and a LINE is `NAME:VALUE`, both hexadecimal.
"""

import sys

import pylsqpack


def bytes_of(word):
    return b"" if word == "-" else bytes.fromhex(word)


def word_of(data):
    return data.hex() or "-"


def field_of(line):
    name, value = line.split(":")
    return bytes.fromhex(name), bytes.fromhex(value)


def decoded(result):
    acknowledgment, fields = result
    lines = [f"{name.hex()}:{value.hex()}" for name, value in fields]
    return " ".join(["ok", word_of(acknowledgment), *lines])


def answer(word, arguments):
    global encoder, decoder
    if word == "new":
        encoder, decoder = pylsqpack.Encoder(), pylsqpack.Decoder(*map(int, arguments))
        return f"ok {word_of(encoder.apply_settings(*map(int, arguments)))}"
    if word == "encode":
        instructions, section = encoder.encode(int(arguments[0]), list(map(field_of, arguments[1:])))
        return f"ok {word_of(instructions)} {word_of(section)}"
    if word == "acknowledge":
        encoder.feed_decoder(bytes_of(arguments[0]))
        return "ok"
    if word == "instructions":
        return " ".join(["ok", *map(str, decoder.feed_encoder(bytes_of(arguments[0])))])
    if word == "section":
        return decoded(decoder.feed_header(int(arguments[0]), bytes_of(arguments[1])))
    if word == "resume":
        return decoded(decoder.resume_header(int(arguments[0])))
    if word == "cancel":
        return f"ok {word_of(decoder.cancel_stream(int(arguments[0])))}"
    sys.exit(f"unknown command: {word}")


for command in sys.stdin:
    word, *arguments = command.rstrip("\n").split(" ")
    try:
        print(answer(word, arguments), flush=True)
    except pylsqpack.StreamBlocked:
        print("blocked", flush=True)
    except (
        pylsqpack.DecoderStreamError,
        pylsqpack.DecompressionFailed,
        pylsqpack.EncoderStreamError,
    ):
        print("refused", flush=True)
