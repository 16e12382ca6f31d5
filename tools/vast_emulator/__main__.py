"""Run the VAST Database emulator as a separate process: `python -m tools.vast_emulator`."""

import argparse
import logging
import signal
import sys
from pathlib import Path

from tools.vast_emulator.emulator import BUCKET, Emulator
from tools.vast_emulator.settings import Settings


def main() -> int:
    """Serve until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.vast_emulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=9090, help="port to listen on; 0 picks a free port (default: %(default)s)"
    )
    parser.add_argument(
        "--access", default="emulator", help="S3 access key that clients sign with (default: %(default)s)"
    )
    parser.add_argument(
        "--secret", default="emulator-secret", help="S3 secret key that clients sign with (default: %(default)s)"
    )
    parser.add_argument("--bucket", action="append", help=f"a bucket to create; repeatable (default: {BUCKET})")
    parser.add_argument("--hostile", action="store_true", help="unordered rows, tiny pages, undetected write conflicts")
    parser.add_argument("--chaos", type=float, metavar="RATE", help="share of requests that fail at random, 0 to 1")
    parser.add_argument("--seed", type=int, help="seed of the row order and of random faults")
    parser.add_argument(
        "--profile", type=Path, help="JSON file of settings, or a profile from `tams vast probe --json`"
    )
    parser.add_argument("--verbose", action="store_true", help="log every request")
    options = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING)
    settings = Settings.hostile() if options.hostile else Settings()
    try:
        if options.profile is not None:
            settings.load_profile(options.profile)
        overrides = {"chaos_rate": options.chaos, "seed": options.seed}
        settings.update({name: value for name, value in overrides.items() if value is not None})
    except (OSError, ValueError) as error:
        parser.error(str(error))
    emulator = Emulator(
        settings,
        host=options.host,
        port=options.port,
        access=options.access,
        secret=options.secret,
        buckets=options.bucket or (BUCKET,),
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"VAST Database emulator on {emulator.endpoint}", flush=True)
    try:
        emulator.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        emulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
