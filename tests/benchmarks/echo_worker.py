"""A worker that sleeps, so that taking turns can be tested without a model."""

import json
import sys
import time

from benchmarks import turns


def main() -> None:
    out = turns.own_stdout()
    settings = json.loads(sys.argv[1])
    sys.stdout.write("what a library prints is no message\n")
    if "fail" in settings:
        raise SystemExit(settings["fail"])

    def sleep(count: int) -> None:
        time.sleep(settings["seconds"] * count)

    def fail(count: int) -> None:
        raise ValueError(f"cannot do it {count} times")

    turns.serve(out, {"sleep": sleep, "fail": fail}, {"name": settings["name"]}, lambda: 123)


if __name__ == "__main__":
    main()
