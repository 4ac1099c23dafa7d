"""Texts and secrets that notices could not be sent with are mistakes of the configuration."""

from pathlib import Path

from supervisor.config.load import read
from supervisor.config.wording import unusable_notices

FILE = """\
broker: embedded
workers:
  hello: {queue: hello_queue, processor: examples.noop}
notify:
  templates: TEXTS
  sinks:
    - webhook: {url: "http://a.example.org/"}
    - webhook: {url: "http://b.example.org/", secret: "SECRET"}
"""


def _mistakes(folder: Path, *, text: str, signing: str) -> list[str]:
    texts, file = folder / "texts.yaml", folder / "supervisor.yaml"
    texts.write_text(text)
    file.write_text(FILE.replace("TEXTS", str(texts)).replace("SECRET", signing))
    found = unusable_notices(read(file, {}))
    return [mistake.sentence().replace(f"{folder}/", "") for mistake in found]


def test_a_wrong_text_is_named_with_the_line_that_names_its_file(tmp_path: Path) -> None:
    (mistake,) = _mistakes(tmp_path, text="completed.helo: 'Hi'", signing="s3")

    place = "supervisor.yaml:5: notify.templates: texts.yaml: completed.helo: is not a text"
    assert mistake.startswith(place)


def test_a_secret_that_is_no_base64_is_named_and_not_shown(tmp_path: Path) -> None:
    mistakes = _mistakes(tmp_path, text="completed.hello: 'Hi'", signing="whsec_hidden!")

    assert mistakes == [
        "supervisor.yaml:8: notify.sinks[1].webhook.secret: "
        "the webhook's secret begins with whsec_ but is not base64 after that"
    ]


def test_texts_and_secrets_that_are_right_are_no_mistakes(tmp_path: Path) -> None:
    assert _mistakes(tmp_path, text="completed.hello: 'Hi'", signing="whsec_c2VjcmV0") == []
