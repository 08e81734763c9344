from adbench.engine.process.notes import Notes


def test_each_sentence_is_reported_once():
    reported = []
    notes = Notes(reported.append)
    notes.each_once(["a", "b", "a"])
    notes.once("b")
    assert reported == ["a", "b"]


def test_of_one_kind_the_first_sentence_is_reported():
    reported = []
    notes = Notes(reported.append)
    for sentence in ("file 1 is damaged", "file 2 is damaged"):
        notes.once(sentence, "damaged")
    notes.once("the disk is full", "disk")
    assert reported == ["file 1 is damaged", "the disk is full"]
