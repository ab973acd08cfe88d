"""What a check tells, and how it is written."""

from __future__ import annotations

from k2workers.doctor.diagnosis import Diagnosis, Grade, as_data, as_lines, sound

FINE = Diagnosis("dns", Grade.OK, "it is 10.0.0.1", venue="binance")
SLOW = Diagnosis("native", Grade.WARNING, "Python does it", "install a compiler")
BROKEN = Diagnosis("ports", Grade.FAILED, "taken", "stop that")
NOTHING = Diagnosis("clock", Grade.SKIPPED, "not told")


def test_only_what_failed_is_unsound() -> None:
    assert sound([FINE, SLOW, NOTHING])
    assert not sound([FINE, BROKEN])


def test_a_reader_sees_each_finding_with_what_to_do_below_it_and_a_verdict() -> None:
    assert as_lines([FINE, SLOW, BROKEN]) == [
        "ok      dns            binance: it is 10.0.0.1",
        "warning native         Python does it",
        "        → install a compiler",
        "failed  ports          taken",
        "        → stop that",
        "doctor: 1 failed, 1 warning",
    ]
    assert as_lines([FINE, NOTHING])[-1] == "doctor: found nothing that would prevent the feed from working"


def test_a_program_sees_the_same_by_name() -> None:
    told = as_data([FINE, BROKEN], "9.9")
    assert (told["ok"], told["version"], len(told["findings"])) == (False, "9.9", 2)
    assert told["findings"][0] == {
        "check": "dns",
        "grade": "ok",
        "found": "it is 10.0.0.1",
        "advice": "",
        "venue": "binance",
    }
    assert as_data([NOTHING], "")["ok"]
