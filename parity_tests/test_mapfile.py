"""Which weight is which, as a file: what is written is read back, and a bad file is refused in one sentence."""

import tempfile
import unittest
from pathlib import Path

from diglot.core.errors import CheckpointError, DiglotError
from diglot.core.port.mapfile import read_map, write_map
from diglot.core.port.mapping import Match, WeightMapping
from diglot.core.port.piece import Piece
from diglot.core.port.stated import renaming
from parameterized import parameterized

PACKED = (("projection", 3), ("heads", 2))
MATCHES = (
    Match("conv.kernel", "height width in out", (Piece("conv.weight", "out in height width"),),
          (Piece("conv/kernel", "height width in out", stored="layers/conv2d/vars/0"),), "content", ("conv", "conv")),
    Match("norm.mean", "channels", (Piece("norm.running_mean", "channels"),), (Piece("bn/moving_mean", "channels"),),
          "order", ("norm", "bn"), False),
    Match("attn.query.kernel", "in heads depth",
          (Piece("attn.in_proj_weight", "(projection heads depth) in", PACKED, (("projection", 0),)),),
          (Piece("attn/query/kernel", "in heads depth"),), "name", ("attn", "attn")),
    Match("lstm.bias.input", "out",
          tuple(Piece(f"lstm.bias_{word}_l0", "(gate out)", (("gate", 4),), (("gate", 0),)) for word in ("ih", "hh")),
          (Piece("lstm/bias", "(gate out)", (("gate", 4),), (("gate", 0),)),), "order", ("lstm.l0", "lstm")),
    Match("wide", "(width channels) out",
          (Piece("fc.weight", "out (channels width)", (("channels", 2),), (), "", (1, 0, 6, 9)),),
          (Piece("fc/kernel", "(width channels) out", (("channels", 2),), (), "vars/0", (0, 0, 6, 9)),), "map"),
    Match("summed", "out", (Piece("a", "out"), Piece("b", "1 out")), (Piece('odd "name"\\\x7f\n', "out"),), "map"),
)  # fmt: skip
WHOLE = WeightMapping(MATCHES, {"keras": ("conv/bias", "other/bias")}, ("names tell: fc1 is dense",))
WEIGHT = '[[weight]]\naxes = "in out"\ntorch = "w"\ntorch_axes = "out in"\nkeras = "k"\n'
STORED = f'{WEIGHT}keras_stored = "a/vars/'


class MapFileTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "map.toml"

    def test_a_mapping_comes_back_as_it_was(self) -> None:
        write_map(self.path, WHOLE)
        self.assertEqual(read_map(self.path), WHOLE)
        self.assertEqual([self.path], list(self.path.parent.iterdir()))

    def test_what_is_open_stands_there_to_be_settled(self) -> None:
        write_map(self.path, WHOLE, [(("left", "right"), ("one", "two"))])
        self.assertEqual(read_map(self.path), WHOLE)
        text = self.path.read_text()
        self.assertIn("[rename]\n# left, right of PyTorch are one, two of Keras; which is which could not be", text)
        self.path.write_text(text.replace('# "right" = "two"', '"right" = "two"'))
        self.assertEqual(dict(read_map(self.path))["right"], ("two",))

    def test_names_alone_come_back(self) -> None:
        mapping = renaming({"fc1": "dense", "qkv.weight": ("q/kernel", "k/kernel", "v/kernel")})
        write_map(self.path, mapping)
        self.assertEqual(read_map(self.path), mapping)

    def test_a_file_by_hand_needs_only_what_differs(self) -> None:
        self.path.write_text(WEIGHT + '[rename]\n"fc1.bias" = "dense/bias"\n', encoding="utf-8")
        renamed, match = read_map(self.path).matches
        self.assertEqual((renamed.torch[0].tensor, renamed.axes), ("fc1.bias", ""))
        self.assertEqual((match.name, match.torch[0].axes, match.keras[0].axes), ("w", "out in", "in out"))

    @parameterized.expand([
        ("no_toml", "[[weight", CheckpointError, "cannot be read"),
        ("no_text", b"\xff\xfe", CheckpointError, "cannot be read"),
        ("unknown_table", "[weights]\n", DiglotError, "did you mean 'weight'"),
        ("unknown_key", WEIGHT + 'torch_axis = "in out"\n', DiglotError, "did you mean 'torch_axes'"),
        ("missing", '[[weight]]\naxes = "in"\ntorch = "w"\n', DiglotError, "keras is missing"),
        ("unbalanced", WEIGHT.replace("out in", "(out in"), DiglotError, "torch_axes is not valid"),
        ("other_axes", WEIGHT.replace("out in", "out height"), DiglotError, "are not those of"),
        ("no_names", WEIGHT.replace('"w"', "3"), DiglotError, "torch takes the name"),
        ("empty_names", WEIGHT.replace('"w"', "[]"), DiglotError, "torch takes the name"),
        ("bad_factor", WEIGHT + "torch_factors = { out = 0 }\n", DiglotError, "whole numbers from 1"),
        ("bad_pick", WEIGHT + 'torch_pick = { out = "a" }\n', DiglotError, "whole numbers from 0"),
        ("strange_factor", WEIGHT + "torch_factors = { gate = 2 }\n", DiglotError, "gate is no axis of w"),
        ("many_axes", WEIGHT + 'keras_axes = ["in out", "in out"]\n', DiglotError, "one text for each"),
        ("span", WEIGHT + "keras_span = { axis = 0, start = 3 }\n", DiglotError, "keras_span takes"),
        ("layers", WEIGHT + 'layers = "fc"\n', DiglotError, "layers takes two names"),
        ("trainable", WEIGHT + 'trainable = "no"\n', DiglotError, "true or false"),
        ("twice", WEIGHT + WEIGHT, DiglotError, "says twice"),
        ("both", WEIGHT + '[ignored]\ntorch = ["w"]\n', DiglotError, "says what w is, and ignores it"),
        ("two_places", STORED + "0\"\n" + STORED.replace('"w"', '"v"') + '1"',
         DiglotError, "keras = 'k' has keras_stored = 'a/vars/1', but elsewhere k goes with a/vars/0"),
        ("two_names", STORED + "0\"\n" + STORED.replace('"k"', '"j"') + '0"',
         DiglotError, "keras = 'j' has keras_stored = 'a/vars/0', but elsewhere a/vars/0 goes with k"),
        ("rename", "[rename]\nfc1 = 3\n", DiglotError, "[rename] takes"),
        ("weight_no_table", "weight = 3\n", DiglotError, "[[weight]]"),
        ("ignored", "[ignored]\ntorch = 3\n", DiglotError, "takes a list"),
        ("ignored_side", "[ignored]\njax = []\n", DiglotError, "no key 'jax'"),
        ("settled", "settled = [1]\n", DiglotError, "takes a list"),
    ])  # fmt: skip
    def test_a_bad_file_is_refused(self, name: str, text: str | bytes, kind: type[Exception], said: str) -> None:
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with self.assertRaises(kind) as caught:
            read_map(self.path)
        self.assertIn(said, str(caught.exception))
        self.assertIn(str(self.path), str(caught.exception))

    @parameterized.expand([("missing", "none.toml"), ("folder", "")])
    def test_what_is_no_file_is_refused(self, case: str, name: str) -> None:
        with self.assertRaisesRegex(CheckpointError, "cannot be read"):
            read_map(self.path.parent / name)

    def test_where_nothing_can_be_written_nothing_is_left(self) -> None:
        with self.assertRaisesRegex(CheckpointError, "cannot be written"):
            write_map(self.path.parent / "none" / "map.toml", WHOLE)
        self.path.mkdir()
        with self.assertRaisesRegex(CheckpointError, "cannot be written"):
            write_map(self.path, WHOLE)
        self.assertEqual([self.path], list(self.path.parent.iterdir()))
