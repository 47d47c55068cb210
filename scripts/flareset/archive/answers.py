"""Keep JSOC's raw answers, each under the sha256 of its question, so that nothing is asked twice.

After a change in code, kept answers are parsed again. They outlive JSOC's exports, which JSOC
deletes after a week.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from flareset.system.files import make_folder, replaced, sync, writing


class Answers:
    """The answers in a folder, one file per question."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, question: Mapping[str, str]) -> str | None:
        """Return the kept answer to a question; None if there is no readable answer."""
        try:
            kept = json.loads(self._path(question).read_text(encoding="utf-8"))
            return str(kept["answer"]) if kept["question"] == dict(question) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, question: Mapping[str, str], answer: str) -> None:
        """Keep an answer durably. Raises StoreError."""
        path = self._path(question)
        with writing(path):
            make_folder(path.parent)
            with replaced(path) as new:
                text = json.dumps({"question": dict(question), "answer": answer}, sort_keys=True)
                new.write_text(text, encoding="utf-8")
                sync(new)
            sync(path.parent)

    def forget(self, question: Mapping[str, str]) -> None:
        """Remove a kept answer: the next question goes to JSOC."""
        self._path(question).unlink(missing_ok=True)

    def _path(self, question: Mapping[str, str]) -> Path:
        text = json.dumps(dict(question), sort_keys=True)
        return self.folder / f"{sha256(text.encode()).hexdigest()}.json"
