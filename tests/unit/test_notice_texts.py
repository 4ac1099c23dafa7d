"""The texts of notices: complete in both languages, and what operators may override."""

import string
from pathlib import Path

import pytest

from supervisor.core.notices import PLACEHOLDERS
from supervisor.notify.templates import LANGUAGES, TemplateError, load_texts
from workers.media.faults import RULES

ENGLISH = LANGUAGES["en"]
OURS_AND_MINE = {"download": "workers.download", "hooks": "hooks"}
OURS = {"worker_died", "timeout", "out_of_memory", "bad_message"}  # codes of no processor


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _overrides(folder: Path, text: str) -> Path:
    file = folder / "texts.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def _mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(TemplateError) as caught:
        load_texts("en", _overrides(folder, text), pools=OURS_AND_MINE)
    return [mistake.removeprefix(f"{folder}/texts.yaml: ") for mistake in caught.value.mistakes]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text(language: str) -> None:
    assert LANGUAGES[language].keys() == ENGLISH.keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", ENGLISH)
def test_a_translation_says_all_that_the_english_says(language: str, key: str) -> None:
    text = LANGUAGES[language][key]

    assert text.strip() == text != ""
    assert _placeholders(text) == _placeholders(ENGLISH[key])
    assert _placeholders(text) <= PLACEHOLDERS[key.partition(".")[0]]


@pytest.mark.parametrize("key", [key for key in ENGLISH if key.startswith("reason.")])
def test_a_reason_fits_into_a_sentence(key: str) -> None:
    for texts in LANGUAGES.values():
        assert texts[key][0].islower() or texts[key].startswith("{message}")
        assert not texts[key].endswith(".")


@pytest.mark.parametrize("code", sorted({*RULES, *OURS}))
def test_every_way_to_fail_has_a_sentence(code: str) -> None:
    assert f"reason.{code}" in ENGLISH


def test_a_text_can_be_overridden_and_the_others_stay(tmp_path: Path) -> None:
    file = _overrides(tmp_path, "completed.download: 'Voilà, {user}: {files}'")

    texts = load_texts("pt-BR", file)

    assert texts["completed.download"] == "Voilà, {user}: {files}"
    assert texts["completed.other"] == LANGUAGES["pt-BR"]["completed.other"]


def test_a_pool_of_ones_own_can_have_its_own_texts(tmp_path: Path) -> None:
    file = _overrides(tmp_path, "completed.hooks: 'The hook for {user} was called.'")

    texts = load_texts("en", file, pools={"hooks": "hooks"})

    assert texts["completed.hooks"] == "The hook for {user} was called."


def test_a_pool_is_spoken_of_by_its_processor_unless_it_has_texts_of_its_own(
    tmp_path: Path,
) -> None:
    file = _overrides(tmp_path, "failed.big: 'Sorry.'\ncompleted.cutter: 'Cut: {files}'\n")
    pools = {"big": "workers.cutter", "preview": "workers.cutter", "hooks": "hooks"}

    texts = load_texts("en", file, pools=pools)

    assert texts["completed.big"] == texts["completed.preview"] == "Cut: {files}"
    assert texts["failed.big"] == "Sorry."
    assert texts["failed.preview"] == ENGLISH["failed.cutter"]
    assert "completed.hooks" not in texts


def test_an_empty_file_overrides_nothing(tmp_path: Path) -> None:
    assert load_texts("en", _overrides(tmp_path, "# nothing yet\n")) == ENGLISH


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(TemplateError, match=r"notify.language: must be one of en, pt-BR, is 'fr'"):
        load_texts("fr")


def test_all_mistakes_are_told_at_once_each_with_its_key(tmp_path: Path) -> None:
    mistakes = _mistakes(
        tmp_path,
        "completed.downlaod: 'x'\ncompleted.other: '{file}'\nfailed.other: 3\nfiles.more: '{'\n",
    )

    assert len(mistakes) == 4
    assert mistakes[0].startswith("completed.downlaod: is not a text there is; there are")
    assert mistakes[1].startswith("completed.other: {file} is not known here; this text may use")
    assert "{files}" in mistakes[1]
    assert mistakes[2] == "failed.other: must be a text, is 3"
    assert mistakes[3].startswith("files.more: has unmatched braces")


@pytest.mark.parametrize("text", ["{job.id}", "{job[0]}", "{}", "{0}", "{job!r}", "{job:>9}"])
def test_placeholders_are_plain_names_and_nothing_cleverer(tmp_path: Path, text: str) -> None:
    (mistake,) = _mistakes(tmp_path, f"completed.other: '{text}'\n")

    assert mistake.startswith("completed.other: ")


@pytest.mark.parametrize(
    ("text", "why"),
    [("- a\n- b\n", "must be a mapping"), ("a: [", "is not YAML"), ("a: \xff", "is not a text")],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, why: str) -> None:
    assert why in _mistakes(tmp_path, text)[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"gone\.yaml: cannot be read: No such file"):
        load_texts("en", tmp_path / "gone.yaml")
