"""What goes through a child's pipes: frames of a letter, a length in four bytes, and that many bytes."""

import struct
from typing import BinaryIO, Final

Frame = tuple[bytes, bytes]

HEADER: Final = struct.Struct(">cI")


def frame_of(kind: bytes, payload: bytes) -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def read_frame(source: BinaryIO) -> Frame | None:
    """The next frame; None at the end."""
    header = source.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, size = HEADER.unpack(header)
    return kind, source.read(size)


def write_frame(sink: BinaryIO, frame: Frame) -> None:
    kind, payload = frame
    sink.write(HEADER.pack(kind, len(payload)))
    sink.write(payload)
    sink.flush()
