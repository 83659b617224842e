"""Bodies that come packed: gzip or zlib, unpacked no further than asked."""

import zlib
from collections.abc import Sequence
from typing import Final

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_GZIP: Final = b"\x1f\x8b"


class CannotUnpack(ValueError):
    """The body is in a coding that was not asked for, cut, or no such thing."""


class Identity:
    """A body as it comes."""

    def feed(self, chunk: bytes, *, at_most: int) -> bytes:
        return chunk[:at_most]

    def end(self) -> None:
        pass


class Inflate:
    """A gzip or zlib body, inflated no further than asked: a bomb costs its cap, not its size.

    gzip may come in several members, one behind the other. What follows the last and begins none is not read.
    """

    def __init__(self) -> None:
        self._zip = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._rest = b""
        self._is_over = False
        self._began = False

    def feed(self, chunk: bytes, *, at_most: int) -> bytes:
        self._rest += chunk
        out = bytearray()
        while self._rest and len(out) < at_most and not self._is_over:
            if self._zip.eof:
                if len(self._rest) < len(_GZIP) and _GZIP.startswith(self._rest):
                    break  # the rest of it may be on its way
                if not self._rest.startswith(_GZIP):
                    self._is_over = True
                    break
                self._zip = zlib.decompressobj(_GZIP_OR_ZLIB)
            self._began = True
            try:
                out += self._zip.decompress(self._rest, at_most - len(out))
            except zlib.error:
                raise CannotUnpack("no gzip, or no zlib") from None
            self._rest = self._zip.unused_data if self._zip.eof else self._zip.unconsumed_tail
        return bytes(out)

    def end(self) -> None:
        if self._began and not self._zip.eof:
            raise CannotUnpack("cut")


def decoder_of(codings: Sequence[str]) -> Identity | Inflate:
    """Who unpacks a body of these content codings."""
    told = [coding.strip().lower() for coding in codings]
    if told in ([], ["identity"], [""]):
        return Identity()
    if told in (["gzip"], ["deflate"]):
        return Inflate()
    raise CannotUnpack("in a coding that was not asked for")


def unpacked(body: bytes, codings: Sequence[str], *, at_most: int) -> bytes:
    """A whole body, unpacked to this many bytes at most; what is longer is cut there."""
    decoder = decoder_of(codings)
    found = decoder.feed(body, at_most=at_most)
    if len(found) < at_most:
        decoder.end()
    return found
