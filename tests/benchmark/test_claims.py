"""A cell is measured by one runner at a time, and by the next one if that died."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cell_requests import owned_elsewhere

from mmest.benchmark import claims


def grow_old(record):
    os.utime(claims.claim_of(record), (0, 0))  # not renewed for long


def test_a_claim_ends_with_its_runner(tmp_path):
    record = tmp_path / 'cell.json'
    assert claims.take(record) and claims.is_taken(record) and not claims.take(record)
    gone = subprocess.run([sys.executable, '-c', 'import os; print(os.getpid())'], capture_output=True, text=True)
    here = json.loads(claims.claim_of(record).read_text())
    claims.claim_of(record).write_text(json.dumps(dict(here, process=int(gone.stdout))))
    assert not claims.is_taken(record) and claims.take(record)
    owned_elsewhere(record)
    assert claims.is_taken(record)
    grow_old(record)
    assert not claims.is_taken(record)
    claims.claim_of(record).write_text('')  # just being written
    assert claims.is_taken(record) and not claims.take(record)
    assert [path.name for path in tmp_path.iterdir()] == ['cell.claim']


@pytest.mark.skipif(not Path('/proc/sys/kernel/random/boot_id').exists(), reason='names alone tell machines apart')
def test_a_claim_of_another_machine_of_the_same_name_holds_until_it_is_old(tmp_path):
    record = tmp_path / 'cell.json'
    claims.take(record)
    gone = subprocess.run([sys.executable, '-c', 'import os; print(os.getpid())'], capture_output=True, text=True)
    theirs = dict(host=socket.gethostname(), process=int(gone.stdout))
    claims.claim_of(record).write_text(json.dumps(theirs))
    assert claims.is_taken(record) and not claims.take(record)
    grow_old(record)
    assert claims.take(record)


def test_a_claim_of_a_process_that_lives_here_holds_whatever_its_age(tmp_path):
    record = tmp_path / 'cell.json'
    claims.take(record)
    grow_old(record)
    assert claims.is_taken(record) and not claims.take(record)
    here = json.loads(claims.claim_of(record).read_text())
    claims.claim_of(record).write_text(json.dumps(dict(here, started='before')))  # its number came again
    assert not claims.is_taken(record) and claims.take(record)


@pytest.mark.parametrize('dead', [dict(host='elsewhere', process=1), None], ids=['of a dead machine', 'cut off'])
def test_of_many_who_see_that_a_runner_died_one_takes_its_cell(tmp_path, monkeypatch, dead):
    record, seen, together = tmp_path / 'cell.json', [], threading.Barrier(4)
    claims.claim_of(record).write_text(json.dumps(dead) if dead else '')
    grow_old(record)
    held = claims._held

    def looks(path):
        found = held(path)
        if threading.get_ident() not in seen:  # all have looked before the first one acts
            seen.append(threading.get_ident())
            together.wait(60)
        return found

    monkeypatch.setattr(claims, '_held', looks)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: claims.take(record), range(4)))
    assert sorted(taken) == [False, False, False, True]
    assert [path.name for path in tmp_path.iterdir()] == ['cell.claim']


def test_a_claim_that_finds_no_room_leaves_nothing_behind(tmp_path, monkeypatch):
    def write(content, file):
        file.write('{')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(claims.json, 'dump', write)
    with pytest.raises(OSError, match='No space left'):
        claims.take(tmp_path / 'cell.json')
    assert not list(tmp_path.iterdir())


def test_one_that_died_over_a_claim_is_no_hindrance(tmp_path):
    record = tmp_path / 'cell.json'
    for path in (claims.claim_of(record), tmp_path / 'cell.lock'):
        path.write_text(json.dumps(dict(host='elsewhere', process=1)))
        os.utime(path, (0, 0))
    assert claims.take(record)
    assert [path.name for path in tmp_path.iterdir()] == ['cell.claim']


def test_a_claim_that_another_has_taken_over_is_left_to_it(tmp_path):
    record = tmp_path / 'cell.json'
    claims.take(record)
    grow_old(record)
    assert claims.renew(record) and claims.claim_of(record).stat().st_mtime > 1
    owned_elsewhere(record)
    before = claims.claim_of(record).stat().st_mtime_ns
    assert not claims.renew(record)
    claims.give_up(record)
    assert claims.claim_of(record).stat().st_mtime_ns == before
    claims.claim_of(record).unlink()  # and it has ended
    assert claims.renew(record) and not claims.take(record)
    claims.give_up(record)
    claims.give_up(record)
    assert not list(tmp_path.iterdir())
