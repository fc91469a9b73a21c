"""`cdc check` as a process: its exit statuses, and stdout in a pipe."""

import json
from pathlib import Path

from tests.fixtures.servers import Database
from tests.support.pipeline import cdc
from tests.support.shop import Shop


def test_exit_status_tells_fine_findings_and_bad_file_apart(mysql_db: Database, redis_url: str, tmp_path: Path) -> None:
    shop = Shop(mysql_db, tmp_path, {"lite": {"url": f"sqlite:///{tmp_path}/t.db"}}, queue={"url": redis_url})
    fine = cdc("check", shop.file)
    assert (fine.returncode, fine.stderr) == (0, "")
    # What local servers have on purpose: they need outlive no power cut.
    warnings = [line.split()[1] for line in fine.stdout.splitlines() if line.startswith("! ")]
    assert warnings == ["sync_binlog", "innodb_flush_log_at_trx_commit", "persistence"]
    assert fine.stdout.endswith("fine: 0 errors, 3 warnings\n")
    assert "\x1b" not in fine.stdout

    shop.sql("CREATE TABLE keyless (a INT)")
    findings = cdc("check", shop.file)
    assert findings.returncode == 1
    assert f"{mysql_db.dbname}.keyless" in findings.stdout

    Path(shop.file).write_text("name: [")
    bad = cdc("check", shop.file, "--json")
    assert bad.returncode == 2
    assert json.loads(bad.stdout)["result"] == "bad file"
