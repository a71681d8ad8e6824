"""Kills a campaign's run, again and again, and counts what was lost, made twice or recorded twice.

    python benchmarks/kill_runs.py --kills 30 [--profile packshot|scene]

Each run is a process of its own (``asset-pipeline run``), ended with SIGKILL at a random moment, most
often while it writes. After every kill the store is compared with what it was before; at the end one
run is left alone and must finish the campaign.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.exports.records import load_exported_files
from asset_pipeline.store.store import Store
from asset_pipeline_tests.small_project import write_project

MODELS = Path(__file__).parent.parent / "data" / "models"
CAMPAIGN = "kill-test"
AT_WORK = 0.75
"""The share of kills that come while the run writes; the others come at any moment after its start."""
CAMPAIGN_FILES = {
    "packshot": """\
title: Kill test
asset_types: [product_tile]
locales: [en-GB]
variations: {background: [warm sand, sage green, pale blue, terracotta]}
candidates_per_prompt: 2
approval: gates
""",
    "scene": """\
title: Kill test with the shipped checkpoint
asset_types: [lifestyle_scene]
locales: [en-GB]
profile: scene
variations:
  behind: [autumn leaves, mountains]
  light: [light from the left, light from the right]
candidates_per_prompt: 2
approval: gates
""",
}
"""By profile: eight pictures of each product."""


def _wait_for_news(root: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the run has written something that was not there before."""
    before = len(snapshot(root))
    while process.poll() is None and len(snapshot(root)) <= before + 2:
        time.sleep(0.05)


def snapshot(store: Path) -> dict[str, tuple[int, int]]:
    """Every fact and event with its size and time: none may vanish or change."""
    found = {}
    for folder in ("facts", "events", "images"):
        for path in (store / folder).rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                status = path.stat()
                found[str(path.relative_to(store))] = (status.st_size, status.st_mtime_ns)
    return found


def start(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a run in a session of its own."""
    command = [sys.executable, "-m", "asset_pipeline.cli", "run", CAMPAIGN]
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def kill_until_done(folder: Path, profile: str, kills: int, products: int, seed: int) -> dict[str, int]:
    """Run and kill, then let one run finish; the counts that should be zero, and some that should not."""
    campaigns = {CAMPAIGN: CAMPAIGN_FILES[profile]}
    data = write_project(folder, products=products, campaigns=campaigns, seed=seed)
    (data / "models").symlink_to(MODELS)
    environment = os.environ | {"ASSET_PIPELINE_DATA": str(data), "DAGSTER_HOME": str(data / "dagster")}
    root, log = data / "store", folder / "runs.log"
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    lost = done = finished_early = 0
    before: dict[str, tuple[int, int]] = {}
    while done < kills:
        process = start(environment, log)
        if chance.random() < AT_WORK:
            _wait_for_news(root, process)
            time.sleep(chance.uniform(0.0, 2.5))
        else:
            time.sleep(chance.uniform(0.5, 12.0))
        if process.poll() is not None:
            finished_early += 1
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
        done += process.returncode == -signal.SIGKILL
        now = snapshot(root)
        lost += sum(now.get(name) != facts for name, facts in before.items())
        before = now
        if finished_early > 3:  # noqa: PLR2004 - the campaign is too small for so many kills
            break
    final = start(environment, log)
    final.wait()
    now = snapshot(root)
    lost += sum(now.get(name) != facts for name, facts in before.items())
    store = Store(str(root))
    attempts = [event.body for event in store.events.read(ATTEMPTS, CAMPAIGN)]
    succeeded = Counter(attempt.candidate_id for attempt in attempts if attempt.state == "succeeded")
    firsts: dict[str, int] = {}
    for attempt in attempts:
        if attempt.state == "succeeded":
            firsts.setdefault(attempt.candidate_id, attempt.attempt)
    remade = sum(
        attempt.state == "submitting" and attempt.attempt > firsts.get(attempt.candidate_id, 10**9)
        for attempt in attempts
    )
    candidates = load_candidates(store, CAMPAIGN)
    buried = Counter(attempt.worker.worker_id for attempt in attempts if attempt.state == "lost")
    return {
        "kills": done,
        "facts lost or changed": lost,
        "images made again though finished": remade,
        "events recorded twice": sum(count - 1 for count in succeeded.values()),
        "attempts that died and were made again": sum(attempt.state == "lost" for attempt in attempts),
        "the most of them that one kill cost": max(buried.values(), default=0),
        "candidates wanted": products * 8,
        "candidates made": sum(candidate.image_sha256 is not None for candidate in candidates),
        "files exported": len(load_exported_files(store, CAMPAIGN)),
        "exit status of the last run": final.returncode,
    }


def main() -> None:
    """Print the counts; fail if any that should be zero is not."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--profile", choices=CAMPAIGN_FILES, default="packshot")
    arguments.add_argument("--kills", type=int, default=30)
    arguments.add_argument("--products", type=int, default=60)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = kill_until_done(Path(folder), options.profile, options.kills, options.products, options.seed)
    for name, count in counts.items():
        print(f"{count:8d}  {name}")
    wrong = [
        counts[name]
        for name in (
            "facts lost or changed",
            "images made again though finished",
            "events recorded twice",
            "exit status of the last run",
        )
    ]
    sys.exit(int(any(wrong) or counts["candidates made"] != counts["candidates wanted"]))


if __name__ == "__main__":
    main()
