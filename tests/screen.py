"""What somebody sees on a terminal: the rows that a stream of characters makes."""

import re

_PIECE = re.compile(r"\x1b\[(\d*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """A terminal of ``width`` columns that keeps every row. Knows what the progress line uses."""

    def __init__(self, width=80):
        self._width = width
        self.rows = [""]
        self._row = self._column = 0

    def feed(self, text):
        for number, letter, control, plain in _PIECE.findall(text):
            if letter == "A":
                self._row = max(0, self._row - int(number or 1))
            elif letter == "J":
                self.rows[self._row] = self.rows[self._row][: self._column]
                del self.rows[self._row + 1 :]
            elif letter:
                raise AssertionError(f"unknown sequence {letter}")
            elif control == "\r":
                self._column = 0
            elif control == "\n":
                self._down()
            for character in plain:
                self._put(character)

    def _put(self, character):
        if self._column == self._width:
            self._down()
        row = self.rows[self._row].ljust(self._column)
        self.rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
        self._column += 1

    def _down(self):
        """To the beginning of the next row: terminals add the carriage return to what programs write."""
        self._row, self._column = self._row + 1, 0
        if self._row == len(self.rows):
            self.rows.append("")
