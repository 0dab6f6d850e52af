"""The text of a file, line by line, so that a file may be larger than the memory.

Knows nothing of rows. Invariants: a text is UTF-8, or UTF-16 with its mark. Other encodings are
never guessed. No more than LONGEST characters of it are in the memory at once. Every fault is an
InputError with its line.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from respsel.errors import InputError, Problem

# Characters of a line, or of a file that is read whole. Texts to train on have a thousandth of it.
LONGEST = 100_000_000
# How many characters around a wrong byte are searched for the word that it is in.
_CONTEXT = 20
_CHUNK_BYTES = 1 << 20
_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Text:
    """A file's text, which can be read from its beginning again and again."""

    def __init__(self, open_file: Callable[[], BinaryIO], shown: str) -> None:
        self._open = open_file
        self.shown = shown
        with open_file() as handle:
            self._utf16 = handle.read(2) in _MARKS

    def lines(self, as_written: bool = False) -> Iterator[tuple[int, str]]:
        """The lines with their numbers and ends. Raises InputError.

        as_written: each end as in the file; else as LF.
        """
        yield from enumerate(self._pieces(LONGEST, as_written), 1)

    def filled(self) -> Iterator[tuple[int, str]]:
        """The lines that are not blank. Raises InputError."""
        return ((number, line) for number, line in self.lines() if line.strip())

    def chunks(self, characters: int = 1 << 20) -> Iterator[str]:
        """The text in pieces, with LF at each line's end. Raises InputError."""
        with self._reader(None) as reader:
            while chunk := self._read(reader, characters):
                if "\0" in chunk:
                    raise self._nul()
                yield chunk

    def whole(self) -> str:
        """All of it, with LF at each line's end.

        Raises InputError, also where it is too long for that.
        """
        chunks = []
        length = 0
        for chunk in self.chunks():
            chunks.append(chunk)
            length += len(chunk)
            if length > LONGEST:
                what = f"is one JSON value of more than {LONGEST:,} characters"
                raise InputError(Problem(self.shown, "", what, "Write one object on each line"))
        return "".join(chunks)

    def _pieces(self, most: int, as_written: bool) -> Iterator[str]:
        with self._reader("" if as_written else None) as reader:
            number = 0
            while line := self._read(reader, most + 1, whole_line=True):
                number += 1
                where = f"line {number}"
                if len(line) > most:
                    what = f"is longer than {most:,} characters"
                    remedy = "Is it one file of rows? Break it into lines"
                    raise InputError(Problem(self.shown, where, what, remedy))
                if "\0" in line:
                    what = "holds a NUL character"
                    raise InputError(
                        Problem(self.shown, where, what, "Save the file as UTF-8 text")
                    )
                yield line

    def _reader(self, newline: str | None) -> io.TextIOWrapper:
        return io.TextIOWrapper(
            self._open(), "utf-16" if self._utf16 else "utf-8-sig", newline=newline
        )

    def _read(self, reader: io.TextIOWrapper, most: int, whole_line: bool = False) -> str:
        try:
            return reader.readline(most) if whole_line else reader.read(most)
        except UnicodeDecodeError as error:
            raise InputError(self._undecodable()) from error

    def _nul(self) -> InputError:
        for _ in self.lines():
            pass
        return InputError(
            Problem(self.shown, "", "holds a NUL character", "Save the file as UTF-8 text")
        )

    def _undecodable(self) -> Problem:
        """What is wrong with the encoding, and where.

        This reads the file again, since readers do not count lines.
        """
        decoder = codecs.getincrementaldecoder("utf-16" if self._utf16 else "utf-8")()
        before = ""
        breaks = 0
        returns = 0
        with self._open() as handle:
            while True:
                chunk = handle.read(_CHUNK_BYTES)
                try:
                    text = decoder.decode(chunk, not chunk)
                except UnicodeDecodeError as error:
                    if self._utf16:
                        return Problem(
                            self.shown, "", f"is not UTF-16: {error.reason}", "Save it as UTF-8"
                        )
                    last = error.object[: error.start].decode("utf-8", "replace")
                    line = max(breaks + last.count("\n"), returns + last.count("\r")) + 1
                    return _not_utf8(self.shown, line, (before + last)[-_CONTEXT:], error)
                if not chunk:
                    return Problem(self.shown, "", "changed while it was read", "Run again")
                breaks += text.count("\n")
                returns += text.count("\r")
                before = text[-_CONTEXT:]


def _not_utf8(shown: str, line: int, before: str, error: UnicodeDecodeError) -> Problem:
    rest = error.object[error.start : error.start + _CONTEXT]
    left = re.split(r"[\s\W]", before)[-1]
    right = re.split(r"[\s,;\"]", rest.decode("cp1252", "replace"))[0]
    what = f"is not UTF-8: byte 0x{rest[0]:02X}, which in Windows-1252 would read '{left}{right}'"
    remedy = "Save the file as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
    return Problem(shown, f"line {line}", what, remedy)
