import io

import pytest

from flareset.system.progress import Progress, clock_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_moving_line_in_a_terminal_and_few_plain_lines_in_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    terminal, log = Terminal(), io.StringIO()
    progress = Progress("flare 131", [terminal, log], clock=lambda: now[0])
    progress.total = 100
    for _ in range(50):
        now[0] += 0.3
        progress.receive(1_000_000)
        progress.add(fetched=True, failed=False)
    progress.add(fetched=False, failed=True)
    with caplog.at_level("INFO", logger="flareset"):
        progress.close()
    assert log.getvalue() == "flare 131: 33/100 images, 34.0 MB, 3.3 MB/s, 0:21 left\n"
    assert caplog.messages == [
        "50 of 100 images, 1 failed: 50 fetched (50.0 MB), 0 in the store before, 15 s"
    ]
    assert terminal.getvalue().count("\r\033[K") > 20
    # What moved is gone at the end.
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\033[K")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (61, "1:01"), (3599.6, "1:00:00"), (90061, "25:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text
