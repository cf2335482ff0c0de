"""A conversation with a database server, kept in a file: what was asked, what was answered, and the log it sent."""

from pathlib import Path

import msgspec
import zstandard

FOLDER = Path(__file__).parent / "recorded"


class Recording(msgspec.Struct):
    """One server as one pipeline saw it.

    ``greeting``: what the server says to every connection: MySQL's first packet, the parameters of PostgreSQL.
    ``answers``: by question, in the order in which it was asked; the last one stands for all that come later.
    ``log``: everything it sent once it was asked for its log.
    ``later``: what was answered when the log ``is_complete``, to the pipeline that went on there.
    """

    scheme: str
    source: dict
    greeting: bytes = b""
    answers: dict[str, list[bytes]] = {}
    later: dict[str, list[bytes]] = {}
    log: bytes = b""
    is_complete: bool = False

    def learn(self, question, answer):
        known = (self.later if self.is_complete else self.answers).setdefault(question, [])
        if not known or known[-1] != answer:
            known.append(answer)


def names():
    """Of all recordings."""
    return sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.recording.zst"))


def load(name):
    return msgspec.json.decode(unpacked(FOLDER / f"{name}.recording.zst"), type=Recording)


def save(name, recording):
    pack(FOLDER / f"{name}.recording.zst", msgspec.json.encode(recording))


def unpacked(path):
    return zstandard.ZstdDecompressor().decompress(path.read_bytes())


def pack(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
