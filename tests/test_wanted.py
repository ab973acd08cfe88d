from __future__ import annotations

from k2workers.wanted import meant_by, wants

TOPICS = {"a.b": 1, "a.b.c": 2, "c.d.e": 3, "c": 4}


def test_a_name_means_its_topic_and_a_prefix_all_topics_under_it() -> None:
    matches = wants(name for name in ("a.b", "c."))
    assert [matches(topic) for topic in ("a.b", "a.b.c", "c.d.e", "c")] == [True, False, True, False]
    assert [meant_by(name, TOPICS) for name in ("a.b", "a.", "c.", "c.d", "")] == [
        ["a.b"], ["a.b", "a.b.c"], ["c.d.e"], [], [],
    ]  # fmt: skip


def test_no_name_means_nothing() -> None:
    assert not wants(())("a.b")
