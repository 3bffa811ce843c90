"""Values and functions as bytes: the only package that pickles. Kernel and workers import it, the service never.

A *value frame* is::

    magic "CJV1"  version  Python major, minor  flags  crc32  length of notes  number of buffers  length of pickle
    notes (JSON: cloudpickle's version, versions of packages that the pickle names, numbers of the buffers that are Arrow streams)
    lengths of the buffers (8 bytes each)
    pickle (protocol 5)
    buffers, each at a multiple of 64 bytes from the start of the frame

Buffers (the memory of arrays) are not copied when a frame is made, and not when it is decoded from a
private map of a file. Functions and classes that another process cannot import (those of a notebook) go by
value, with cloudpickle; everything else by reference. Decoding needs the same Python minor only where code
went by value.
"""

from pickle import PickleBuffer

from ..blobs import digest_of
from .frame import ALIGN, CODE, MAGIC, SLOTS, VERSION, Buffer, has_code
from .pickler import cloudpickle_version, importable, module_importable, steps_to
from .reading import arrow_streams, decode, decode_function
from .writing import encode, encode_exception, encode_function

__all__ = [
    "ALIGN",
    "CODE",
    "MAGIC",
    "SLOTS",
    "VERSION",
    "Buffer",
    "PickleBuffer",
    "arrow_streams",
    "cloudpickle_version",
    "decode",
    "decode_function",
    "digest_of",
    "encode",
    "encode_exception",
    "encode_function",
    "has_code",
    "importable",
    "module_importable",
    "steps_to",
]
