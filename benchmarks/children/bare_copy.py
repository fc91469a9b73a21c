"""The bare first copy: what the server's own client prints of a table, as it is, into COPY. Nothing is looked at on the way; that
works for values that both print alike, without NULL."""

import resource
import subprocess
import time

import psycopg

from benchmarks.children.report import job, peak_bytes, tell

_BLOCK_BYTES = 1 << 20


def main() -> None:
    asked = job()
    with psycopg.connect(asked["target"]) as connection:
        began, before = time.monotonic(), time.process_time()
        with subprocess.Popen(asked["client"], stdout=subprocess.PIPE) as client, connection.cursor() as cursor:
            assert client.stdout is not None
            with cursor.copy(asked["copy"]) as copy:
                while block := client.stdout.read(_BLOCK_BYTES):
                    copy.write(block)
            rows = cursor.rowcount
        if client.returncode:
            raise SystemExit("the client failed")
        connection.commit()
        seconds, cpu = time.monotonic() - began, time.process_time() - before
    of_client = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu += of_client.ru_utime + of_client.ru_stime
    tell({"rows": rows, "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak_bytes()})


if __name__ == "__main__":
    main()
