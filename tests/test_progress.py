import io

from flareset.system.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_moving_line_in_a_terminal_and_few_plain_lines_in_a_log() -> None:
    now = [0.0]
    terminal, log = Terminal(), io.StringIO()
    progress = Progress("flare 131", [terminal, log], clock=lambda: now[0])
    progress.total = 100
    for _ in range(50):
        now[0] += 0.3
        progress.receive(1_000_000)
        progress.add(fetched=True, failed=False)
    progress.add(fetched=False, failed=True)
    progress.close()
    assert len(log.getvalue().splitlines()) == 2
    assert "\r" not in log.getvalue()
    first, last = log.getvalue().splitlines()
    assert first == "flare 131: 33/100 images, 34.0 MB, 3.3 MB/s, 0:21 left"
    assert (
        last == "flare 131: 51/100 images, 1 failed, 50.0 MB, 3.3 MB/s, 0:14 left"
        " (50 fetched, 0 in the store before)"
    )
    assert terminal.getvalue().count("\r\033[K") > 20
    assert terminal.getvalue().count("\n") == 1
