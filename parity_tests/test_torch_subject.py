"""A user's PyTorch model laid bare: its weights' places, its steps, its gradients; and what is left alone."""

from __future__ import annotations

import copy
import unittest
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diglot.core import compare
from diglot.core.errors import InputError, StateError
from diglot.core.port.layer import Step
from diglot.core.port.subject import examine
from parameterized import parameterized
from torch import Tensor, nn


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def subject(model: Any, *inputs: np.ndarray) -> Any:
    return examine("torch", model, list(inputs))


class Tied(nn.Module):
    """Functions, in-place ones, a module called twice, tied weights and weight norm."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.shared = nn.Linear(6, 6)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.table.weight
        self.scale = nn.Parameter(torch.full((6,), 1.5))

    def forward(self, ids: Tensor, x: Tensor) -> dict[str, Any]:
        h = self.table(ids) + x
        h = F.gelu(self.shared(h), approximate="tanh")
        h = self.shared(h)
        h += x
        h = self.act(self.normed(h))
        h = self.drop(h) * self.scale
        return {"logits": self.head(h), "pooled": (h.mean(1), None)}


def tied() -> tuple[Tied, list[np.ndarray]]:
    torch.manual_seed(0)
    return Tied(), [np.array([[1, 2, 3], [4, 5, 6]]), drawn(2, 3, 6).astype(np.float32)]


HELD = [
    ("linear", lambda: nn.Linear(3, 4), (2, 3)),
    ("conv1d", lambda: nn.Conv1d(3, 4, 3), (2, 3, 8)),
    ("conv2d grouped", lambda: nn.Conv2d(4, 6, 3, groups=2), (2, 4, 8, 8)),
    ("conv3d", lambda: nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4)),
    ("depthwise", lambda: nn.Conv2d(4, 8, 3, groups=4), (2, 4, 8, 8)),
    ("transposed", lambda: nn.ConvTranspose2d(3, 4, 3), (2, 3, 5, 5)),
    ("batch norm", lambda: nn.BatchNorm2d(3), (2, 3, 5, 5)),
    ("layer norm", lambda: nn.LayerNorm((3, 5)), (2, 3, 5)),
    ("group norm", lambda: nn.GroupNorm(2, 4), (2, 4, 5, 5)),
    ("instance norm", lambda: nn.InstanceNorm2d(4, affine=True), (2, 4, 5, 5)),
    ("rms norm", lambda: nn.RMSNorm(5), (2, 5)),
    ("prelu", lambda: nn.PReLU(4), (2, 4, 5)),
    ("lstm", lambda: nn.LSTM(3, 4, 2, bidirectional=True), (5, 2, 3)),
    ("gru", lambda: nn.GRU(3, 4, batch_first=True), (2, 5, 3)),
    ("rnn", lambda: nn.RNN(3, 4, nonlinearity="relu"), (5, 2, 3)),
    ("attention", lambda: nn.MultiheadAttention(8, 2, batch_first=True), (2, 5, 8)),
    ("attention in parts", lambda: nn.MultiheadAttention(8, 2, kdim=8, vdim=8, batch_first=True), (2, 5, 8)),
]


class Weights(unittest.TestCase):
    @parameterized.expand(HELD)
    def test_every_number_lies_in_one_slot_and_is_written_back_bitwise(
        self, case: str, build: Any, shape: tuple[int, ...]
    ) -> None:
        model = build()
        own = model if not isinstance(model, nn.MultiheadAttention) else _Self(model)
        found = subject(own, drawn(*shape))
        state = found.state()
        other = {name: drawn(*array.shape, seed=7) for name, array in state.items()}
        held = {name: np.zeros(array.shape) for name, array in state.items()}
        counted = {name: np.zeros(array.shape, int) for name, array in state.items()}
        for layer in found.layers:
            self.assertNotEqual(layer.role, "custom")
            for slot in layer.slots:
                for piece in slot.pieces:
                    part = piece.read(other[piece.tensor], slot.axes)
                    self.assertEqual(part.shape, slot.shape)
                    piece.write(held[piece.tensor], part, slot.axes)
                    ones = piece.read(counted[piece.tensor], slot.axes)
                    piece.write(counted[piece.tensor], ones + 1, slot.axes)
        for name, array in other.items():
            self.assertTrue(np.array_equal(held[name], array), name)
            self.assertTrue(np.all(counted[name] == 1), name)
        found.write(other)
        self.assertTrue(all(np.array_equal(found.state()[name], array) for name, array in other.items()))

    def test_the_state_is_the_users_own_and_nothing_of_theirs_is_moved(self) -> None:
        model, inputs = tied()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        draws, numbers = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        found = subject(model, *inputs)
        state = found.state()
        effective = model.normed.weight.detach().numpy()
        self.assertEqual(state["normed.weight"].tobytes(), effective.tobytes())
        self.assertEqual(state["shared.weight"].tobytes(), before["shared.weight"].numpy().tobytes())
        self.assertEqual({array.dtype for array in state.values()}, {np.dtype(np.float32)})
        self.assertNotIn("normed.parametrizations.weight.original0", state)
        self.assertEqual(dict(found.aliases), {"head.weight": "table.weight"})
        outputs = found.run(inputs, training=True).outputs
        ones = [np.ones(array.shape) for array in outputs.values()]
        found.gradients(inputs, ones, training=True)
        found.train([inputs], [ones], 0.1)
        after = model.state_dict()
        self.assertTrue(all(torch.equal(before[name], after[name]) for name in before))
        self.assertTrue(model.training)
        self.assertTrue(torch.equal(draws, torch.get_rng_state()))
        self.assertEqual(numbers, np.random.get_state()[1].tolist())  # noqa: NPY002
        self.assertFalse(any(module._forward_hooks for module in found.model.modules()))
        self.assertEqual(torch.get_default_dtype(), torch.float32)

    @parameterized.expand(["weight_norm", "spectral_norm", "orthogonal"])
    def test_a_computed_weight_is_held_as_it_is_and_this_is_told(self, name: str) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(getattr(nn.utils.parametrizations, name)(nn.Linear(3, 3))).eval()
        found = subject(model, drawn(2, 3))
        self.assertEqual(found.precision, "float64")
        self.assertIn("compared and trained here as plain ones: 0.weight", found.weaker)
        self.assertEqual(found.state()["0.weight"].tobytes(), model[0].weight.detach().numpy().tobytes())
        self.assertTrue(np.array_equal(found.tensors.arrays()["0.weight"], found.state()["0.weight"].astype(float)))
        found.write({"0.weight": drawn(3, 3)})
        self.assertTrue(np.array_equal(found.state()["0.weight"], drawn(3, 3)))
        self.assertTrue(nn.utils.parametrize.is_parametrized(model[0]))

    def test_a_pruned_weight_is_held_as_it_is(self) -> None:
        model = nn.Sequential(nn.Linear(3, 4))
        nn.utils.prune.l1_unstructured(model[0], "weight", 5)
        found = subject(model, drawn(2, 3))
        self.assertEqual(sorted(found.state()), ["0.bias", "0.weight"])
        self.assertEqual(int(np.sum(found.state()["0.weight"] == 0)), 5)
        self.assertEqual(found.layers[0].role, "dense")
        self.assertTrue(nn.utils.prune.is_pruned(model))

    def test_weight_norm_in_its_old_form_is_the_same(self) -> None:
        torch.manual_seed(0)
        with self.assertWarns(FutureWarning):
            model = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)))
        x = drawn(2, 3)
        model(torch.tensor(x, dtype=torch.float32))
        found = subject(model, x)
        self.assertEqual([slot.name for slot in found.layers[0].slots], ["kernel", "bias"])
        self.assertEqual(found.state()["0.weight"].tobytes(), model[0].weight.detach().numpy().tobytes())

    @parameterized.expand([(False,), (True,)])
    def test_a_hard_sigmoid_has_no_sixth_in_float32_in_its_gradient(self, inplace: bool) -> None:
        x = 3 * drawn(2, 5)
        found = subject(nn.Sequential(nn.Identity(), nn.Hardsigmoid(inplace)), x)
        gradient = found.gradients([x], [np.ones_like(x)])["input 0"]
        self.assertEqual(set(gradient.ravel().tolist()) - {0.0}, {1 / 6})

    def test_unknown_names_and_other_shapes_are_refused_before_anything_is_written(self) -> None:
        found = subject(nn.Sequential(nn.Linear(3, 4)), drawn(2, 3))
        for arrays, words in (({"0.wight": drawn(4, 3)}, "did you mean '0.weight'"), ({"0.bias": drawn(3)}, "shape")):
            with self.assertRaisesRegex(StateError, words):
                found.write({"0.weight": drawn(4, 3), **arrays})
        self.assertFalse(np.array_equal(found.state()["0.weight"], drawn(4, 3)))


class _Self(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are equal up to rounding."""
    unit = float(np.spacing(np.max(np.abs(other))))
    return compare.pair("", one, other, unit).verdict == "equal"


class Steps(unittest.TestCase):
    def test_names_roles_settings_and_one_array_for_one_tensor(self) -> None:
        model, inputs = tied()
        trace = subject(model, *inputs).run(inputs)
        self.assertEqual(
            [(step.name, step.role) for step in trace.steps],
            [
                ("table", "embedding"), (":add#0", "add"), ("shared", "dense"), (":gelu#0", "gelu"),
                ("shared", "dense"), (":add#1", "add"), ("normed", "dense"), ("act", "relu"), ("drop", "dropout"),
                (":mul#0", "multiply"), ("head", "dense"), (":mean#0", "mean"), ("", "block"),
            ],
        )  # fmt: skip
        steps = {step.name: step for step in trace.steps}
        self.assertEqual(dict(steps[":gelu#0"].settings), {"approximate": True})
        self.assertEqual(list(trace.outputs), ["logits", "pooled.0"])
        self.assertIs(steps[":mul#0"].outputs[0], steps["head"].inputs[0])
        self.assertIs(trace.outputs["logits"], steps["head"].outputs[0])
        self.assertIs(steps[":add#1"].outputs[0], steps["normed"].inputs[0])
        relu = steps["act"]
        self.assertTrue(np.any(relu.inputs[0] < 0), "an in-place step lost the values before it")
        self.assertTrue(np.array_equal(np.maximum(relu.inputs[0], 0), relu.outputs[0]))
        self.assertEqual(steps["shared"].layer, "shared")

    def test_replayed_on_their_own_inputs_steps_give_what_the_run_gave(self) -> None:
        model, inputs = tied()
        found = subject(model, *inputs)
        trace = found.run(inputs)
        for step in trace.steps:
            alone = found.replay(step, step.inputs, None)
            self.assertTrue(np.array_equal(alone["output"], step.outputs[0]), step.name)
        plain = found.run(inputs, watch=False)
        self.assertEqual(plain.steps, [])
        self.assertTrue(np.array_equal(plain.outputs["logits"], trace.outputs["logits"]))

    def test_gradients_are_those_of_plain_pytorch_and_come_together_from_the_steps(self) -> None:
        model, inputs = tied()
        found = subject(model, *inputs)
        outputs = found.run(inputs).outputs
        ones = [drawn(*array.shape, seed=3) for array in outputs.values()]
        mine = found.gradients(inputs, ones)
        own = copy.deepcopy(model).double().eval()
        own.normed.weight = model.normed.weight.detach().double()  # as float32 had computed it
        x = torch.tensor(inputs[1], dtype=torch.float64, requires_grad=True)
        given = own(torch.tensor(inputs[0]), x)
        loss = sum(
            (o * torch.tensor(c)).sum() for o, c in zip((given["logits"], given["pooled"][0]), ones, strict=True)
        )
        loss.backward()
        self.assertTrue(_same(mine["input 1"], x.grad.numpy()))
        self.assertTrue(_same(mine["shared.weight"], own.shared.weight.grad.numpy()))
        self.assertNotIn("input 0", mine)
        self.assertEqual(mine["normed.weight"].shape, (6, 6))
        step = found.run(inputs).steps[2]
        alone = found.replay(step, step.inputs, np.ones(step.outputs[0].shape))
        self.assertEqual(sorted(alone), ["input 0", "output", "shared.bias", "shared.weight"])

    def test_training_drops_nothing_and_gives_what_plain_sgd_gives(self) -> None:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
        x, y = drawn(5, 3), drawn(5, 2, seed=1)
        found = subject(model, x)
        state = found.state()
        after = found.train([[x], [x]], [[y], [y]], 0.1)
        own = copy.deepcopy(model).double().train()
        own[2].p = 0.0
        optimizer = torch.optim.SGD(own.parameters(), 0.1)
        for number in range(2):
            loss = ((own(torch.tensor(x)) - torch.tensor(y)) ** 2).mean() / 2
            self.assertTrue(_same(after["loss"][number : number + 1], loss.detach().reshape(1).numpy()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for name, tensor in own.state_dict().items():
            if name in after:
                self.assertTrue(_same(after[name], tensor.numpy()), name)
        self.assertTrue(all(np.array_equal(state[name], array) for name, array in found.tensors.arrays().items()))

    def test_a_training_run_moves_buffers_and_a_replay_does_not(self) -> None:
        model = nn.Sequential(nn.BatchNorm1d(3))
        x = drawn(5, 3)
        found = subject(model, x)
        (step, _) = found.run([x]).steps
        moved = found.replay(step, [x], None, training=True)
        self.assertIn("buffer 0.running_mean", moved)
        self.assertTrue(np.all(found.state()["0.running_mean"] == 0))
        found.run([x], training=True)
        self.assertTrue(_same(found.state()["0.running_mean"], moved["buffer 0.running_mean"]))

    def test_what_is_assigned_and_what_is_gathered_in_a_list_is_replayed_as_it_was(self) -> None:
        x = drawn(2, 4, 3)
        found = subject(_Gathering(), x)
        trace = found.run([x])
        roles = [step.role for step in trace.steps]
        self.assertEqual(roles.count("setitem"), 2)
        self.assertEqual(roles.count("concatenate"), 2)
        for step in trace.steps:
            alone = found.replay(step, step.inputs, np.ones(step.outputs[0].shape))
            self.assertTrue(np.array_equal(alone["output"], step.outputs[0]), step.name)

    def test_a_model_without_gradients_is_refused_where_they_are_asked_for(self) -> None:
        found = subject(_Through(torch.no_grad()(nn.ReLU())), drawn(2, 3))
        self.assertTrue(np.any(found.gradients([drawn(2, 3)], [np.ones((2, 3))])["inner.weight"]))
        found = subject(_Frozen(), drawn(2, 3))
        with self.assertRaisesRegex(InputError, "take no_grad, inference_mode and detach out"):
            found.gradients([drawn(2, 3)], [np.ones((2, 3))])
        with self.assertRaisesRegex(InputError, "take no_grad"):
            found.train([[drawn(2, 3)]], [[np.ones((2, 3))]], 0.1)

    def test_a_model_of_other_outputs_in_training_is_refused_in_one_sentence(self) -> None:
        found = subject(_Auxiliary(), drawn(2, 3))
        with self.assertRaisesRegex(InputError, r"gave 2 outputs of floats \(0, 1\) where 1 were expected"):
            found.train([[drawn(2, 3)]], [[np.ones((2, 3))]], 0.1)

    def test_a_stacked_recurrent_module_is_a_step_for_each_layer_and_direction(self) -> None:
        x = drawn(2, 5, 3)
        found = subject(_Last(nn.LSTM(3, 4, 2, batch_first=True, dropout=0.2, bidirectional=True)), x)
        trace = found.run([x])
        names = [step.name for step in trace.steps[:7]]
        self.assertEqual(names[:4], ["inner.l0", "inner.l0_reverse", "inner.l0:cat", "inner.l0:dropout"])
        self.assertEqual(names[4:], ["inner.l1", "inner.l1_reverse", "inner.l1:cat"])
        self.assertEqual(trace.steps[3].settings, {"rate": 0.2, "broadcast": 0})
        self.assertEqual([layer.name for layer in found.layers], [name for name in names if ":" not in name])
        alone = found.replay(trace.steps[1], [x], np.ones((2, 5, 4)))
        self.assertIn("inner.weight_hh_l0_reverse", alone)
        self.assertTrue(np.array_equal(trace.steps[6].outputs[0], trace.outputs["output"]))


class _Gathering(nn.Module):
    """What a list holds goes on to change after it was joined."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, 0] = x[:, 0] * 2
        y[:, 1:] = x[:, 1:]
        parts = [x, y]
        joined = torch.cat(parts, -1)
        parts.append(joined)
        return torch.cat(parts, -1)


class _Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class _Auxiliary(_Frozen):
    def forward(self, x: Tensor) -> Any:
        return (self.inner(x), x) if self.training else self.inner(x)


class _Last(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0]


class Raising(unittest.TestCase):
    def test_a_cast_to_float32_is_raised_with_the_rest(self) -> None:
        found = subject(_Through(lambda x: x.float().to(torch.float32)), drawn(2, 3))
        self.assertEqual((found.precision, found.weaker), ("float64", ""))

    @parameterized.expand(
        [
            ("a way out of PyTorch", lambda x: torch.from_numpy(x.detach().numpy().astype(np.float32)), "inner"),
            ("half precision", lambda x: x.half().to(x.dtype), ":half"),
            ("a constant", lambda x: x + torch.from_numpy(np.ones(3, np.float32)), ":add"),
            ("a refusal", lambda x: x if x.dtype == torch.float32 else 1 / 0, "ZeroDivisionError"),
        ]
    )
    def test_float32_that_cannot_be_raised_is_told(self, case: str, function: Any, words: str) -> None:
        found = subject(_Through(function), drawn(2, 3))
        self.assertEqual(found.precision, "float32")
        self.assertIn(words, found.weaker)
        self.assertEqual(found.run([drawn(2, 3)]).outputs["output"].dtype, np.float32)

    def test_an_rms_norm_without_an_epsilon_has_that_of_float32(self) -> None:
        x = 1e-4 * drawn(2, 3)
        scaled = x / np.sqrt((x**2).mean(-1, keepdims=True) + np.finfo(np.float32).eps)
        for model in (nn.RMSNorm(3), _Through(lambda y: F.rms_norm(y, (3,)))):
            step = subject(model, x).run([x]).steps[0]
            self.assertTrue(_same(step.outputs[0], scaled))
            self.assertEqual(step.settings["epsilon"], np.finfo(np.float32).eps)

    def test_a_factory_is_called_under_float64(self) -> None:
        found = subject(lambda: _Through(lambda x: x + torch.linspace(0, 1, 3)), drawn(2, 3))
        self.assertEqual(found.state()["inner.weight"].dtype, np.float64)
        self.assertEqual(torch.get_default_dtype(), torch.float32)

    def test_what_cannot_be_copied_is_shared(self) -> None:
        model = _Through(lambda x: x)
        model.lock = __import__("threading").Lock()
        found = subject(model, drawn(2, 3))
        found.write({"inner.weight": np.zeros((3, 3))})
        self.assertTrue(torch.any(model.inner.weight != 0))

    def test_a_lazy_model_is_built_on_the_inputs(self) -> None:
        model = nn.Sequential(nn.LazyLinear(4))
        found = subject(model, drawn(2, 3))
        self.assertEqual(found.state()["0.weight"].shape, (4, 3))
        self.assertTrue(nn.parameter.is_lazy(model[0].weight))

    @parameterized.expand(
        [
            ("no model", 3, "int is no PyTorch model"),
            ("no module", lambda: 3, "made int, which is no torch.nn.Module"),
            ("a raising factory", lambda: 1 / 0, "raised ZeroDivisionError"),
            ("other inputs", nn.Linear(4, 2), r"does not take these inputs \(0: float64 \(2, 3\)\)"),
            ("nothing", nn.Linear(3, 2, device="meta"), "meta device"),
        ]
    )
    def test_what_is_no_model_is_refused_in_one_sentence(self, case: str, model: Any, words: str) -> None:
        with self.assertRaisesRegex(InputError, words):
            subject(model, drawn(2, 3))


class _Through(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.inner, self.function = nn.Linear(3, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.function(x))


class Own(unittest.TestCase):
    def test_own_modules_are_known_by_their_numbers(self) -> None:
        model = nn.Sequential(_OwnNorm(), _OwnLinear(), _OwnGelu(), _Annotated())
        found = subject(model, drawn(2, 4, 3))
        self.assertEqual([layer.role for layer in found.layers], ["layer_norm", "dense", "custom"])
        self.assertEqual([slot.name for slot in found.layers[0].slots], ["gamma", "beta"])
        self.assertEqual([slot.pieces[0].tensor for slot in found.layers[0].slots], ["0.a", "0.b"])
        self.assertEqual(found.layers[0].settings["epsilon"], 1e-4)
        roles = [(step.name, step.role) for step in found.run([drawn(2, 4, 3)]).steps]
        self.assertEqual(roles[:3], [("0", "layer_norm"), ("1", "dense"), ("2", "gelu")])
        self.assertIn(("3", "custom"), roles)


class _OwnNorm(nn.Module):
    """Layer norm over channels that are behind the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.b, self.a, self.tiny = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.ones(4)), 1e-4

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        scaled = centred / torch.sqrt((centred**2).mean(1, keepdim=True) + self.tiny)
        return scaled * self.a[:, None] + self.b[:, None]


class _OwnLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


class _OwnGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.erf(x / 2**0.5))


class _Annotated(nn.Module):
    """A layer norm that divides by another deviation, and so is none."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6) + self.bias


MAP = (2, 4, 7, 7)
VARIED: list[tuple[str, Any, str, Any, Any, tuple[int, ...]]] = [
    ("epsilon", nn.LayerNorm(7), "epsilon", 1e-3, nn.LayerNorm(7, eps=1e-3), MAP),
    ("batch norm", nn.BatchNorm2d(4), "epsilon", 1e-3, nn.BatchNorm2d(4, eps=1e-3), MAP),
    ("gelu", nn.GELU(), "approximate", True, nn.GELU("tanh"), MAP),
    ("slope", nn.LeakyReLU(), "slope", 0.3, nn.LeakyReLU(0.3), MAP),
    ("elu", nn.ELU(), "alpha", 0.5, nn.ELU(0.5), MAP),
    ("softmax", nn.Softmax(1), "axis", -2, nn.Softmax(3), MAP),
    ("role", nn.ReLU(), "role", {"role": "gelu", "approximate": False}, nn.GELU(), MAP),
    ("strides", nn.Conv2d(4, 3, 3), "strides", (2, 2), nn.Conv2d(4, 3, 3, 2), MAP),
    ("padding", nn.Conv2d(4, 3, 3, 2, 1), "padding", ((0, 1), (0, 1)),
     nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 3, 3, 2)), MAP),
    ("reflection", nn.Conv2d(4, 3, 3, padding=1), "padding_mode", "reflect",
     nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"), MAP),
    ("dilation", nn.Conv2d(4, 4, 3, groups=4), "dilation", (2, 2), nn.Conv2d(4, 4, 3, dilation=2, groups=4), MAP),
    ("transposed", nn.ConvTranspose2d(4, 3, 3, 2, 1), "padding", ((1, 0), (1, 0)),
     nn.ConvTranspose2d(4, 3, 3, 2, 1, 1), MAP),
    ("max pool", nn.MaxPool2d(3, 2, 1), "padding", ((0, 0), (0, 0)), nn.MaxPool2d(3, 2), MAP),
    ("average pool", nn.AvgPool2d(3, 2, 1), "counts_padding", False,
     nn.AvgPool2d(3, 2, 1, count_include_pad=False), MAP),
    ("window", nn.MaxPool2d(2), "window", (3, 3), nn.MaxPool2d(3, 2), MAP),
    ("groups", nn.GroupNorm(2, 4), "groups", 4, nn.GroupNorm(4, 4), MAP),
    ("upsample", nn.Upsample(scale_factor=2, mode="bilinear"), "method", "nearest", nn.Upsample(scale_factor=2), MAP),
    ("aligned", nn.Upsample(scale_factor=2, mode="bilinear"), "aligned", True,
     nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), MAP),
    ("recurrent", nn.RNN(4, 3), "activation", "relu", nn.RNN(4, 3, nonlinearity="relu"), (5, 2, 4)),
]  # fmt: skip


class Varying(unittest.TestCase):
    @parameterized.expand(VARIED)
    def test_another_value_gives_what_a_module_made_with_it_gives(
        self, case: str, one: nn.Module, setting: str, value: Any, other: nn.Module, shape: tuple[int, ...]
    ) -> None:
        x = drawn(*shape)
        other.load_state_dict({name: tensor for name, tensor in _into(one, other).items()})
        first, second = subject(one, x), subject(other, x)
        step, wanted = first.run([x]).steps[-1], second.run([x]).outputs
        changed = first.vary(step, setting, value)
        found = first.replay(changed, step.inputs, np.ones(next(iter(wanted.values())).shape))
        self.assertTrue(_same(found["output"], next(iter(wanted.values()))))
        self.assertEqual(len(found), 2 + sum(1 for _ in one.parameters()))
        if setting != "role":
            self.assertEqual(changed.settings[setting], value)
        again = first.replay(step, step.inputs, None)
        self.assertTrue(np.array_equal(again["output"], step.outputs[0]))

    @parameterized.expand([("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
    def test_recurrent_layers_step_by_step_are_the_same(self, case: str, kind: Any) -> None:
        x = drawn(2, 5, 4)
        found = subject(kind(4, 3, batch_first=True), x)
        step = found.run([x]).steps[0]
        same = found.vary(step, "activation", "tanh")
        self.assertTrue(_same(found.replay(same, [x], None)["output"], step.outputs[0]))
        back = found.replay(found.vary(step, "reversed", True), [x[:, ::-1].copy()], None)
        self.assertTrue(_same(back["output"], step.outputs[0]))

    def test_attention_from_its_settings_is_the_same_and_reads_masks_both_ways(self) -> None:
        x = drawn(2, 5, 8)
        hidden = np.zeros((2, 5), bool)
        hidden[:, 3:] = True
        model = _Masked()
        found = subject(model, x, hidden)
        step = next(step for step in found.run([x, hidden]).steps if step.role == "attention")
        self.assertEqual((step.settings["masked"], step.settings["heads"]), ("ignore", 2))
        same = found.replay(found.vary(step, "scale", 0.5), step.inputs, None)
        self.assertTrue(_same(same["output"], step.outputs[0]))
        attended = found.vary(step, "masked", "attend")
        inverted = [*step.inputs[:3], ~step.inputs[3]]
        self.assertTrue(_same(found.replay(attended, inverted, None)["output"], step.outputs[0]))
        causal = found.replay(found.vary(step, "causal", True), step.inputs, None)["output"]
        self.assertTrue(_same(causal[:, -1], step.outputs[0][:, -1]))
        self.assertFalse(_same(causal[:, 0], step.outputs[0][:, 0]))

    @parameterized.expand([(True,), (False,)])
    def test_the_running_variance_of_the_other_kind(self, unbiased: bool) -> None:
        x = drawn(6, 3)
        found = subject(nn.BatchNorm1d(3), x)
        step = found.run([x]).steps[-1]
        moved = found.replay(found.vary(step, "unbiased", unbiased), [x], None, training=True)
        kept = 0.9 + 0.1 * x.var(0, ddof=1 if unbiased else 0)
        self.assertTrue(_same(moved["buffer running_var"], kept))

    def test_what_pytorch_cannot_compute_is_not_tried(self) -> None:
        found = subject(nn.Sequential(nn.Linear(3, 3, bias=False)), drawn(2, 3))
        step: Step = found.run([drawn(2, 3)]).steps[0]
        self.assertIsNone(found.vary(step, "bias", True))
        self.assertIsNone(found.vary(step, "role", {"role": "relu"}))
        with self.assertRaisesRegex(InputError, "0 of the PyTorch model does not take these inputs"):
            found.replay(step, [drawn(2, 4)], None)


class _Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        return self.attention(x, x, x, key_padding_mask=hidden)[0]


def _into(one: nn.Module, other: nn.Module) -> dict[str, Tensor]:
    """The state of one module under the other's names."""
    return dict(zip(other.state_dict(), one.state_dict().values(), strict=True))


if __name__ == "__main__":
    unittest.main()
