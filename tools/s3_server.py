"""Run an S3 server that keeps everything in memory: `python -m tools.s3_server`. The tests use the same one."""

import argparse
import socket

from tests.support.s3_server import main as serve


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tools.s3_server", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=9000, help="port to listen on; 0 picks a free port (default: %(default)s)"
    )
    parser.add_argument("--access", default="local", help="access key that clients sign with (default: %(default)s)")
    parser.add_argument(
        "--secret", default="local-secret", help="secret key that clients sign with (default: %(default)s)"
    )
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", options.port)) as listener:
        print(f"S3 server: http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        try:
            serve(listener.fileno(), {options.access: options.secret})
        except KeyboardInterrupt:
            print("The S3 server has stopped; its objects are gone.")


if __name__ == "__main__":
    main()
