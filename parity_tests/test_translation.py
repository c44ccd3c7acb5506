"""Translation: what the catalogues give, that nothing of the held-out part is learnt, and both sides alike.

Shortened: docs/real-data.md has the whole run, with `python -m diglot.demo translation`.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import subprocess
import sys
import unittest
from unittest import mock

import numpy as np
from diglot.core.backend import SIDES
from diglot.core.errors import DiglotError
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot
from diglot.demo import main
from diglot.demo_catalogue import LEAST, PLACED, Sentence, entries, normalised, questions, sentences
from diglot.demo_tokens import END, PAD, START, TOKENS, UNKNOWN, batches, encoded, tokenizer_of
from diglot.demo_translation import EXAMPLES, NETWORK, nearest, parts, scored, translation

every_sentence = functools.cache(sentences)
tokenizer = functools.cache(lambda: tokenizer_of(parts(every_sentence(), 0)[0]))
trained = functools.cache(lambda: translation(steps=8, new=6, d_model=16, num_heads=2, d_ff=16))
CATALOGUE = r"""
msgid ""
msgstr "Language: de\n"

#, fuzzy
#| msgid "old"
msgctxt "month"
msgid "May"
msgstr "Mai"

msgid ""
"A \"quoted\" text, "
"on two lines\n"
msgid_plural "Texts"
msgstr[0] "Ein Text"
msgstr[1] "Texte"
"""


def made(*forms: tuple[str, str]) -> list[Sentence]:
    with mock.patch("diglot.demo_catalogue.entries", return_value=[("a.po", list(forms))]):
        return sentences()


class Catalogues(unittest.TestCase):
    def test_the_questions_of_a_catalogue(self) -> None:
        expected = [
            {"msgctxt": "month", "msgid": "May"},
            {"msgid": 'A "quoted" text, on two lines\n', "msgid_plural": "Texts"},
        ]
        self.assertEqual(list(questions(CATALOGUE)), expected)

    def test_singular_and_plural_and_context_are_read(self) -> None:
        forms = dict(itertools.chain.from_iterable(forms for _, forms in entries()))
        self.assertEqual(forms["%(size)d byte"], "%(size)d Byte")
        self.assertEqual(forms["%(size)d bytes"], "%(size)d Bytes")
        self.assertEqual(forms["Sept."], "Sept.")
        self.assertFalse([text for text in forms if "\x04" in text or "\x00" in text])
        self.assertGreater(len(forms), 700)

    def test_several_catalogues_of_several_apps(self) -> None:
        catalogues = {catalogue for catalogue, _ in entries()}
        self.assertLessEqual({"django.po", "djangojs.po"}, {name.rsplit("/")[-1] for name in catalogues})
        self.assertGreater(len(catalogues), 10)

    @parameterized.expand(
        [
            ("not translated", "Yes", "Yes"),
            ("no letters", "①: ② %", "— ① ②"),
            ("too long", "word " * 25, "Wort"),
            ("a placeholder of its own", "Add", "%(name)s hinzufügen"),
        ]
    )
    def test_left_out(self, why: str, source: str, target: str) -> None:
        self.assertEqual(made((source, target)), [], why)

    def test_placeholders_are_numbered_by_the_source(self) -> None:
        (found,) = made(("Moved %(what)s to {place} (<em>%(what)s</em>)", "In {place} ist\n<em>%(what)s</em>"))
        self.assertEqual((found.source, found.target), ("Moved ① to ② (③①④)", "In ② ist ③①④"))

    def test_the_same_but_for_case_and_punctuation_is_one(self) -> None:
        self.assertEqual([found.target for found in made(("Add “%s”", "Neu"), ("add %(name)s:", "neu"))], ["Neu"])

    def test_a_text_becomes_its_sentences_where_there_are_as_many(self) -> None:
        found = made(("Not found. Try again.", "Nicht da. Noch einmal."), ("One. Two.", "Eins und zwei."))
        self.assertEqual([one.source for one in found], ["Not found.", "Try again.", "One. Two."])

    def test_a_plural_is_where_its_singular_is(self) -> None:
        one, other = made(("Send %d new form", "Ein Formular"), ("Send %d new forms", "Formulare"))
        for seed in range(20):
            self.assertEqual(one.is_held_out(seed), other.is_held_out(seed))

    def test_without_catalogues_one_sentence(self) -> None:
        with mock.patch("pathlib.Path.rglob", return_value=[]), self.assertRaisesRegex(DiglotError, "German catalogue"):
            sentences()


class Parts(unittest.TestCase):
    def test_no_source_is_in_both_parts(self) -> None:
        for seed in range(5):
            training, held_out = ({one.normalised for one in part} for part in parts(every_sentence(), seed))
            self.assertFalse(training & held_out)
            self.assertEqual(len(training) + len(held_out), len(every_sentence()))
            self.assertGreater(len(held_out), 40)

    def test_the_parts_depend_on_the_normalised_source_alone(self) -> None:
        training, held_out = parts(every_sentence(), 0)
        again = [Sentence(one.source.upper() + "!", "", one.family) for one in reversed(every_sentence())]
        self.assertEqual({one.normalised for one in parts(again, 0)[1]}, {one.normalised for one in held_out})
        self.assertEqual([one.normalised for one in parts(again, 0)[1]], [one.normalised for one in held_out])
        self.assertNotEqual({one.source for one in parts(every_sentence(), 1)[1]}, {one.source for one in held_out})
        self.assertTrue(all(len(one.normalised.split()) >= LEAST for one in held_out))
        self.assertGreater(len(training), len(held_out))

    def test_normalised(self) -> None:
        self.assertEqual(normalised("Don't “save” ①!"), "don t save ①")


class Tokens(unittest.TestCase):
    def test_the_marks_are_where_the_network_expects_them(self) -> None:
        network = diglot.spec("transformer", source_vocab_size=1000, **NETWORK)
        self.assertEqual((network.pad_token_id, network.start_token_id, network.end_token_id), (PAD, START, END))

    def test_every_training_sentence_comes_back(self) -> None:
        for sentence in parts(every_sentence(), 0)[0]:
            for text in (sentence.source, sentence.target):
                self.assertEqual(tokenizer().decode(tokenizer().encode(text).ids), text)

    def test_a_placeholder_is_one_token(self) -> None:
        number = tokenizer().token_to_id(PLACED[0])
        for text in ("Add ①s", "“①”", "①", "<①>"):
            self.assertEqual(tokenizer().encode(text).ids.count(number), 1, text)

    def test_the_vocabulary_is_of_the_training_part_and_always_the_same(self) -> None:
        code = (
            "from diglot.demo_translation import *\n"
            "import hashlib\n"
            "print(hashlib.sha256(tokenizer_of(parts(sentences(), 0)[0]).to_str().encode()).hexdigest())"
        )
        runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
        self.assertEqual(len(runs), 1)
        self.assertTrue(runs.pop())

    def test_batches_keep_to_the_budget_and_say_what_comes_next(self) -> None:
        learnt = encoded(tokenizer(), parts(every_sentence(), 0)[0])
        found = list(itertools.islice(batches(learnt, 0, 96), 40))
        again = list(itertools.islice(batches(learnt, 0, 96), 40))
        hidden = 0
        for batch, same in zip(found, again, strict=True):
            for name, array in batch.items():
                np.testing.assert_array_equal(array, same[name])
                self.assertLessEqual(array.size, TOKENS)
            given, wanted = batch["target"], batch["targets"]
            shown = given[:, 1:] != UNKNOWN
            np.testing.assert_array_equal(given[:, 0], START)
            np.testing.assert_array_equal(np.where(wanted == END, PAD, wanted)[:, :-1][shown], given[:, 1:][shown])
            hidden += np.sum(~shown)
        self.assertGreater(hidden, 0)

    def test_an_epoch_has_every_sentence_once(self) -> None:
        learnt = encoded(tokenizer(), parts(every_sentence(), 0)[0])
        with mock.patch("diglot.demo_tokens.JOINED", 0.0):
            steps = batches(learnt, 0, 96)
            found: list[list[int]] = []
            while len(found) < len(learnt):
                found += [row[(row != PAD) & (row != END)].tolist() for row in next(steps)["targets"]]
        self.assertEqual(sorted(found), sorted(target for _, target in learnt))


class Baselines(unittest.TestCase):
    def test_the_nearest_sentence_shares_most_words(self) -> None:
        training = [Sentence(text, text, "") for text in ("Add a user", "Delete the user", "Delete it")]
        self.assertEqual(nearest(Sentence("Delete this user.", "", ""), training).target, "Delete the user")

    def test_scores(self) -> None:
        text = ["Bitte eine gültige Uhrzeit eingeben."]
        scores, signatures = scored({"same": text, "other": ["Ja."]}, text)
        np.testing.assert_allclose(scores["same"], (100.0, 100.0))
        self.assertTrue(all(score < 10 for score in scores["other"]))
        for signature in signatures:
            self.assertIn("version:", signature)


class Translated(unittest.TestCase):
    """A small network, for a few steps: one class, as one worker runs a class, so that it trains once."""

    def test_both_sides_learn_and_say_the_same(self) -> None:
        result = trained()
        self.assertIs(result.verdict, Verdict.EQUAL, result.comparisons)
        self.assertLessEqual({"loss", "logits", "predictions", "translations"}, set(result.comparisons))
        self.assertEqual(result.same, result.targets.size)
        one, other = (result.translations[side] for side in SIDES)
        self.assertEqual(one, other)
        self.assertEqual(len(one), len(result.held_out))
        for side in SIDES:
            self.assertLess(result.sides[side].losses[-1], result.sides[side].losses[0])
        self.assertTrue(np.all(result.targets != PAD))

    def test_what_is_printed(self) -> None:
        out = io.StringIO()
        with mock.patch("diglot.demo.translation", trained), contextlib.redirect_stdout(out):
            status = main(["translation"])
        self.assertEqual(status, 0)
        printed = out.getvalue()
        count = len(trained().held_out)
        self.assertIn(f"held-out translations: {count} of {count} are the same", printed)
        for text in ("loss history: equal", "held-out BLEU", "BLEU is nrefs:1", "the source, copied: BLEU"):
            self.assertIn(text, printed)
        for name in ("English", "German", "PyTorch", "Keras"):
            self.assertEqual(printed.count(f"\n{name}: "), EXAMPLES)

    @parameterized.expand([("django", "Django"), ("tokenizers", "tokenizers"), ("sacrebleu", "sacreBLEU")])
    def test_what_is_missing_is_named(self, package: str, name: str) -> None:
        def found(asked: str) -> object:
            return None if asked == package else object()

        with (
            mock.patch("importlib.util.find_spec", found),
            self.assertRaisesRegex(DiglotError, rf"{name}: install it with `pip install 'diglot\[demo\]'`"),
        ):
            translation()


if __name__ == "__main__":
    unittest.main()
