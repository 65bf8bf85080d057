"""What is told of a process that ended."""

import io

from prompt_tuning.data.cache import worker


def test_the_last_line_of_its_log_or_else_its_status_is_told():
    assert worker.last_line(io.StringIO("one\ntwo \n\n"), 1) == "two"
    assert worker.last_line(io.StringIO("\n"), 3) == "exit status 3"


def test_a_signal_is_told_before_whatever_was_logged():
    line = worker.last_line(io.StringIO("one\n"), -9)
    assert line == "it was ended by SIGKILL; there may be too little memory"
