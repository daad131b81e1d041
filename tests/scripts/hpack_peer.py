"""The other side of the differential tests of HPACK: python's `hpack`, one command a line.

    new                      an encoder and a decoder in their initial state
    size N                   N bytes are allowed for the dynamic tables of both
    decode BLOCK             -> `ok LINE...` or `refused`
    encode HUFFMAN LINE...   -> `ok BLOCK`

BLOCK is hexadecimal, HUFFMAN 0 or 1, and a LINE `NAME:VALUE:N`, in hexadecimal with N = 1 if it is
never indexed.
"""

import sys

import hpack


def line_of(field):
    name, value = field
    never_indexed = isinstance(field, hpack.NeverIndexedHeaderTuple)
    return f"{name.hex()}:{value.hex()}:{int(never_indexed)}"


def field_of(line):
    name, value, never_indexed = line.split(":")
    kind = hpack.NeverIndexedHeaderTuple if never_indexed == "1" else hpack.HeaderTuple
    return kind(bytes.fromhex(name), bytes.fromhex(value))


encoder = decoder = None
for command in sys.stdin:
    word, *arguments = command.rstrip("\n").split(" ")
    if word == "new":
        encoder, decoder = hpack.Encoder(), hpack.Decoder(max_header_list_size=1 << 24)
    elif word == "size":
        decoder.max_allowed_table_size = int(arguments[0])
        encoder.header_table_size = int(arguments[0])
    elif word == "decode":
        try:
            fields = decoder.decode(bytes.fromhex(arguments[0]), raw=True)
            print("ok", *map(line_of, fields))
        except hpack.HPACKError:
            print("refused")
    elif word == "encode":
        block = encoder.encode(map(field_of, arguments[1:]), huffman=arguments[0] == "1")
        print(f"ok {block.hex()}")
    else:
        sys.exit(f"unknown command: {command}")
