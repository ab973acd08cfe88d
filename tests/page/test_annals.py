"""What has happened lately, and since when it has been as it is."""

from __future__ import annotations

from k2workers.page.annals import KEPT, TOGETHER, Ailment, Annals, Happening, Holding

DOWN = Ailment("process_down", "worker-1", "worker-1 is not running")


def test_a_trouble_keeps_its_beginning_while_its_words_change_and_its_end_is_told() -> None:
    annals = Annals(1_000)
    annals.look([], 2_000)
    assert (annals.holding, annals.happened, annals.since_ms) == ([], [], 1_000)
    annals.look([Ailment("gaps_open", "worker-0", "1 gap")], 5_000)
    annals.look([Ailment("gaps_open", "worker-0", "2 gaps")], 6_000)
    assert annals.holding == [Holding("gaps_open", "worker-0", "2 gaps", 5_000)]
    assert annals.since_ms == 5_000
    annals.look([], 17_000)
    assert (annals.holding, annals.since_ms) == ([], 17_000)
    assert annals.happened == [
        Happening(17_000, "ready", "", "every stream flows"),
        Happening(17_000, "over", "worker-0", "gaps_open is over, after 12 s"),
        Happening(5_000, "not ready", "worker-0", "gaps_open: 1 gap"),
    ]


def test_while_something_is_wrong_another_trouble_changes_nothing_about_since_when() -> None:
    annals = Annals(0)
    annals.look([DOWN], 1_000)
    annals.look([DOWN, Ailment("starting", "worker-1", "it does not serve yet")], 2_000)
    annals.look([Ailment("starting", "worker-1", "it does not serve yet")], 3_000)
    assert annals.since_ms == 1_000
    assert [ailment.since_ms for ailment in annals.holding] == [2_000]
    assert [one.kind for one in annals.happened] == ["over", "not ready", "not ready"]


def test_many_of_one_word_that_come_together_are_told_as_one() -> None:
    annals = Annals(0)
    many = [Ailment("starting", f"worker-{number}", "it does not serve yet") for number in range(TOGETHER + 1)]
    annals.look([*many, DOWN], 1_000)
    assert annals.happened == [
        Happening(1_000, "not ready", "worker-1", "process_down: worker-1 is not running"),
        Happening(1_000, "not ready", "4 places", "starting"),
    ]
    assert len(annals.holding) == TOGETHER + 2
    annals.look([DOWN], 2_000)
    assert annals.happened[0] == Happening(2_000, "over", "4 places", "starting is over")


def test_of_a_total_what_it_rose_by_is_told_and_a_fall_is_a_new_life() -> None:
    annals = Annals(0)
    for at_ms, total in ((1, 0), (2, 1), (3, 1), (4, 4), (5, 0), (6, 1)):
        annals.count("restart", {"books": total}, "was restarted", at_ms)
    assert [(one.at_ms, one.text) for one in annals.happened] == [
        (6, "was restarted"), (4, "was restarted ×3"), (2, "was restarted"),
    ]  # fmt: skip
    assert {(one.kind, one.where) for one in annals.happened} == {("restart", "books")}


def test_only_the_newest_are_kept() -> None:
    annals = Annals(0)
    for at_ms in range(KEPT + 5):
        annals.note(at_ms, "restart", "books", "again")
    assert [one.at_ms for one in annals.happened] == list(range(KEPT + 4, 4, -1))
